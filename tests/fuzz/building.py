"""Makes a graph of a description, with the names of either library.

Tasks that may run in one superstep say and write different things, so that they can be told apart: a task that was sent
carries an `item`, which nobody else has. It is no key of the state, so it ends with the task.
"""

# pyright: basic

from __future__ import annotations

import operator
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.libraries import Library
from tests.fuzz.descriptions import END, NAMES, Branch, Graph, Node, Router, Send, Target


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    count: Annotated[int, operator.add]
    tags: Annotated[set[str], operator.or_]
    last: str


class Flaky(ConnectionError):
    """What the nodes fail with that are to fail."""


class Failures:
    """How often each task of one recording has failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def fail(self, task: str, times: int) -> None:
        """Raises Flaky the first `times` times that it is called for the task."""
        with self._lock:
            if self._counts[task] >= times:
                return
            self._counts[task] += 1
            count = self._counts[task]
        raise Flaky(f"{task} fails for the {count}. time")


class TooLarge(Exception):
    """What a scenario has come to is more than is worth waiting for."""


class Effort:
    """How much the nodes of one recording have done."""

    RUNS = 150
    """Of nodes. Few scenarios have more, and some would have thousands: what sends to what sends grows."""
    ENTRIES = 500
    """In the log that a node is given: a graph in a graph hands its log on, so that it doubles with each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self.exceeded = False

    def add(self, state: Mapping[str, Any]) -> None:
        """Count a run of a node. Raises TooLarge."""
        with self._lock:
            self._runs += 1
            self.exceeded |= self._runs > self.RUNS or len(state["log"]) > self.ENTRIES
            if self.exceeded:
                raise TooLarge


def build(lib: Library, graph: Graph, effort: Effort, *, coroutines: bool) -> Any:
    """A builder of the described graph."""
    return _Building(lib, Failures(), effort, coroutines).builder(graph, "", None)


def breakpoints(graph: Graph) -> dict[str, Any]:
    """Arguments of `compile`."""
    places = {"interrupt_before": graph.before, "interrupt_after": graph.after}
    return {name: [NAMES[node] for node in nodes] for name, nodes in places.items() if nodes}


def targets_of(lib: Library, targets: Sequence[Target], sender: str) -> list[Any]:
    """What a branch function returns, or a Command goes to. `sender` is one of a kind in a superstep."""
    found: list[Any] = []
    for place, target in enumerate(targets):
        if isinstance(target, Send):
            items = [f"{sender}{place}{number}" for number in range(target.times)]
            found.extend(lib.Send(NAMES[target.node], {"item": item, "log": [item]}) for item in items)
        else:
            found.append(lib.END if target == END else NAMES[target])
    return found


class _Building:
    def __init__(self, lib: Library, failures: Failures, effort: Effort, coroutines: bool) -> None:
        self._lib = lib
        self._effort = effort
        self._failures = failures
        self._coroutines = coroutines

    def builder(self, graph: Graph, path: str, parent: Graph | None) -> Any:
        lib = self._lib
        builder = lib.StateGraph(State)
        for number, node in enumerate(graph.nodes):
            name = NAMES[number]
            policy = lib.RetryPolicy(
                initial_interval=0.001, max_attempts=node.attempts, jitter=False, retry_on=ConnectionError
            )
            options = {"retry_policy": policy} if node.attempts > 1 else {}
            builder.add_node(
                name, self._action(node, name, f"{path}{name}", graph, parent), defer=node.defer, **options
            )
        for entry in graph.entries:
            builder.add_edge(lib.START, NAMES[entry])
        for start, end in graph.edges:
            builder.add_edge(NAMES[start], lib.END if end == END else NAMES[end])
        for starts, end in graph.joins:
            builder.add_edge([NAMES[start] for start in starts], lib.END if end == END else NAMES[end])
        for number, branch in enumerate(graph.branches):
            self._add_branch(builder, branch, f"{path}branch{number}")
        return builder

    def _add_branch(self, builder: Any, branch: Branch, name: str) -> None:
        lib = self._lib
        source = lib.START if branch.source == END else NAMES[branch.source]

        def route(state: Any) -> Any:
            # What a task has written ends the log that its branch sees, and is nobody else's.
            chosen = targets_of(lib, _chosen(branch.router, state), f"{'.'.join(state['log'][-1:])}{name[-1]}")
            return [f"to {to}" if branch.mapped and isinstance(to, str) else to for to in chosen]

        route.__name__ = name
        if branch.mapped:
            names = [*NAMES[: len(builder.nodes)], lib.END]
            builder.add_conditional_edges(source, route, {f"to {to}": to for to in names})
        else:
            builder.add_conditional_edges(source, route)

    def _action(self, node: Node, name: str, path: str, graph: Graph, parent: Graph | None) -> Any:
        lib = self._lib
        if node.graph is not None:
            return self.builder(node.graph, f"{path}.", graph).compile(**breakpoints(node.graph))
        called = None
        if node.calls is not None:
            called = self.builder(node.calls, f"{path}!", None).compile(**breakpoints(node.calls))

        def begin(state: Any, writer: Any) -> list[str]:
            self._effort.add(state)
            item = state.get("item", "")
            for number in range(node.customs):
                writer({"task": f"{name}#{item}", "n": number, "log": list(state["log"])})
            self._failures.fail(f"{path}{item}{state['log'][:1]}", node.fails)
            answers: list[str] = []
            for number in range(node.asks):
                answers.append(lib.interrupt(f"{path}{item}{state['log'][:1]}{number}?"))
                writer({"task": f"{name}#{item}", "answer": answers[-1]})
            return answers

        def end(state: Any, found: Sequence[str]) -> Any:
            return _returned(lib, node, name, state, found, parent)

        def given(state: Any) -> Any:
            return {"log": [f"{path}{state.get('item', '')}", *state["log"][:1]]}

        def runs(state, writer):  # type: ignore[no-untyped-def]
            answers = begin(state, writer)
            result = called.invoke(given(state)) if called is not None else None
            return end(state, [*answers, *_summary(result)])

        async def runs_async(state, writer):  # type: ignore[no-untyped-def]
            answers = begin(state, writer)
            result = await called.ainvoke(given(state)) if called is not None else None
            return end(state, [*answers, *_summary(result)])

        return runs_async if self._coroutines else runs


def _summary(result: Mapping[str, Any] | None) -> list[str]:
    return [] if result is None else [f"{'+'.join(sorted(result))} of {len(result['log'])}"]


def _chosen(router: Router, state: Any) -> Sequence[Target]:
    length = len(state["log"])
    return router.choices[length % len(router.choices)] if length < router.until else (END,)


def _returned(lib: Library, node: Node, name: str, state: Any, found: Sequence[str], parent: Graph | None) -> Any:
    item = state.get("item", "")
    if node.returns == "none" and not item:
        return None
    entry = f"{name}{item}{len(state['log'])}"
    update: dict[str, Any] = {"log": [entry, *found]}
    for key in node.writes:
        update[key] = {"count": 1, "tags": {name}, "last": entry}[key]
    targets = _chosen(node.goto, state) if node.goto is not None else ()
    if item:  # each of these has a short log: they would send more and more
        targets = [target for target in targets if not isinstance(target, Send)]
    goto = targets_of(lib, targets, f"{entry}g")
    match node.returns:
        case "command":
            return lib.Command(update=update, goto=goto)
        case "commands":
            return [lib.Command(update={"log": [f"first {entry}"]}), lib.Command(update=update, goto=goto)]
        case "pairs":
            return lib.Command(update=[("log", [f"first {entry}"]), *update.items()], goto=goto)
        case "parent" if parent is not None:
            to = node.goto.choices[0] if node.goto is not None else ()
            update["log"] += state["log"][:1]  # by which the tasks of its graph are told apart
            names = [NAMES[target] for target in to if isinstance(target, int) and 0 <= target < len(parent.nodes)]
            return lib.Command(graph=lib.Command.PARENT, update=update, goto=names)
        case _:
            return update
