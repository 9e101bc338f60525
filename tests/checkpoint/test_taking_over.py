"""A thread that one library stopped in the middle of a superstep goes on with the other: nothing is run again."""

# pyright: basic, reportInvalidTypeForm=false, reportTypedDictNotRequiredAccess=false

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import langgraph.types
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from fleetgraph.fleet import Fleet
from fleetgraph.types import Command
from tests.differential.libraries import library

THREAD: Any = {"configurable": {"thread_id": "1"}}
Ran = list[str]


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def says(name: str, ran: Ran) -> Callable[[Any], Any]:
    def node(state: Any) -> Any:
        ran.append(name)
        return {"log": [name]}

    return node


def asks(lib: Any, name: str, ran: Ran, questions: int = 1) -> Callable[[Any], Any]:
    def node(state: Any) -> Any:
        answers = [str(lib.interrupt(f"{name} {number}?")) for number in range(questions)]
        ran.append(name)
        return {"log": [f"{name} {' '.join(answers)}"]}

    return node


def beside(lib: Any, *nodes: tuple[str, Any], **options: Any) -> Any:
    """A graph of nodes that run at once."""
    builder = lib.StateGraph(State)
    for name, node in nodes:
        builder.add_node(name, node)
        builder.add_edge(lib.START, name)
    return builder.compile(**options)


def plain(lib: Any, ran: Ran, saver: Any) -> Any:
    nodes = [("done", says("done", ran)), ("other", says("other", ran)), ("asking", asks(lib, "asking", ran))]
    return beside(lib, *nodes, checkpointer=saver)


def two_questions(lib: Any, ran: Ran, saver: Any) -> Any:
    return beside(lib, ("done", says("done", ran)), ("asking", asks(lib, "asking", ran, 2)), checkpointer=saver)


def sent(lib: Any, ran: Ran, saver: Any) -> Any:
    def work(item: Any) -> Any:
        if item == "asks":
            return asks(lib, "work", ran)(item)
        ran.append("done")
        return {"log": [item]}

    builder = lib.StateGraph(State).add_node("work", work)
    sends = [lib.Send("work", "a"), lib.Send("work", "asks"), lib.Send("work", "b")]
    builder.add_conditional_edges(lib.START, lambda state: sends, ["work"])
    return builder.compile(checkpointer=saver)


def joined(lib: Any, ran: Ran, saver: Any) -> Any:
    """A node that several things trigger, beside one that a join does."""
    builder = lib.StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, says(name, ran))
        builder.add_edge(lib.START, name)
    builder.add_node("asking", asks(lib, "asking", ran))
    builder.add_node("done", says("done", ran))
    builder.add_edge("a", "asking")
    builder.add_edge("b", "asking")
    builder.add_edge(["b", "a"], "asking")
    builder.add_edge(["a", "b"], "done")
    return builder.compile(checkpointer=saver)


def graph_in_a_node(lib: Any, ran: Ran, saver: Any) -> Any:
    inner = beside(lib, ("done", says("done", ran)), ("asking", asks(lib, "asking", ran)))
    return beside(lib, ("first", says("first", ran)), ("inner", inner), checkpointer=saver)


def graph_in_a_function(lib: Any, ran: Ran, saver: Any) -> Any:
    inner = beside(lib, ("done", says("done", ran)), ("asking", asks(lib, "asking", ran)))
    nodes = [("first", says("first", ran)), ("calls", lambda state: inner.invoke({"log": []}))]
    return beside(lib, *nodes, checkpointer=saver)


def workflow(lib: Any, ran: Ran, saver: Any) -> Any:
    @lib.task
    def innermost(n: int) -> int:
        ran.append("innermost")
        return n + 1

    @lib.task
    def outer(n: int) -> int:
        ran.append("outer")
        return innermost(n).result() + innermost(n * 10).result()

    @lib.task
    def answered(n: int) -> str:
        return str(lib.interrupt(f"{n}?"))

    def flow(n: int) -> Any:
        return {"log": [str(outer(n).result()), answered(n).result(), str(lib.interrupt("flow?"))]}

    return lib.entrypoint(checkpointer=saver)(flow)


def handled(lib: Any, ran: Ran, saver: Any) -> Any:
    def fails(state: Any) -> Any:
        ran.append("fails")
        raise ValueError("x")

    def handler(state: Any, error: lib.NodeError) -> Any:
        return {"log": [f"{error.node} {lib.interrupt('what now?')}"]}

    handler.__annotations__["error"] = lib.NodeError  # by which the library knows what to pass
    builder = lib.StateGraph(State).add_node("done", says("done", ran))
    builder.add_node("fails", fails, error_handler=handler)
    builder.add_edge(lib.START, "done").add_edge(lib.START, "fails")
    return builder.compile(checkpointer=saver)


SHAPES = [plain, two_questions, sent, joined, graph_in_a_node, graph_in_a_function, workflow, handled]


def tasks_of(snapshot: Any) -> list[Any]:
    """Names, ids and questions of tasks, and of those inside of them."""
    return [
        (task.name, task.id, [(asked.value, asked.id) for asked in task.interrupts], tasks_of(task.state))
        for task in getattr(snapshot, "tasks", ())
    ]


def answers_to(result: Any) -> dict[str, str]:
    return {asked.id: f"answer to {asked.value}" for asked in result["__interrupt__"]}


def play(graphs: Iterator[Any], given: Any) -> list[Any]:
    """Run a thread to its end, each turn with the next graph; gives what each saw of it, and the result."""
    graph, turn, seen = next(graphs), given, []
    while True:
        result = graph.invoke(turn, THREAD)
        seen.append([tasks_of(graph.get_state(THREAD, subgraphs=True)), result])
        if "__interrupt__" not in result:
            return seen
        answers, graph = answers_to(result), next(graphs)
        command = Command if type(graph).__module__.startswith("fleetgraph") else langgraph.types.Command
        turn = command(resume=answers)


def ids_apart(seen: Any, known: dict[str, str]) -> Any:
    """What was seen of a thread, with numbers instead of ids, since those of checkpoints are drawn."""
    if isinstance(seen, dict):
        return {key: ids_apart(value, known) for key, value in seen.items()}
    if isinstance(seen, list | tuple):
        return [ids_apart(value, known) for value in seen]
    if hasattr(seen, "id"):
        return ids_apart([seen.value, seen.id], known)
    if isinstance(seen, str) and len(seen) in (32, 36):
        return known.setdefault(seen, f"id {len(known)}")
    return seen


def alternating(*graphs: Any) -> Iterator[Any]:
    while True:
        yield from graphs


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet.inline(workers=2) as fleet:
        yield fleet


@pytest.mark.parametrize("where", ["here", "on a fleet"])
@pytest.mark.parametrize("theirs_first", [True, False], ids=["theirs first", "ours first"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_nothing_is_run_again(
    shape: Callable[..., Any], theirs_first: bool, where: str, request: pytest.FixtureRequest
) -> None:
    given = 1 if shape is workflow else {"log": []}
    ran_alone: Ran = []
    alone = play(alternating(shape(library("langgraph"), ran_alone, InMemorySaver())), given)
    ran: Ran = []
    saver = InMemorySaver()
    theirs, ours = (shape(library(name), ran, saver) for name in ("langgraph", "fleetgraph"))
    if where == "on a fleet":
        ours = ours.on(request.getfixturevalue("fleet"))
    seen = play(alternating(*((theirs, ours) if theirs_first else (ours, theirs))), given)
    assert ids_apart(seen, {}) == ids_apart(alone, {})
    assert sorted(ran) == sorted(ran_alone)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_both_know_the_same_tasks(shape: Callable[..., Any]) -> None:
    saver = InMemorySaver()
    theirs, ours = (shape(library(name), [], saver) for name in ("langgraph", "fleetgraph"))
    theirs.invoke(1 if shape is workflow else {"log": []}, THREAD)
    assert tasks_of(ours.get_state(THREAD, subgraphs=True)) == tasks_of(theirs.get_state(THREAD, subgraphs=True)) != []
    mine, its = ([*map(tasks_of, graph.get_state_history(THREAD))] for graph in (ours, theirs))
    assert mine == its


@pytest.mark.parametrize("name", ["langgraph", "fleetgraph"])
def test_the_first_questions_id_answers_the_next_since_older_versions_gave_all_the_same(name: Any) -> None:
    graph, command = two_questions(library(name), [], InMemorySaver()), library(name).Command
    (first,) = answers_to(graph.invoke({"log": []}, THREAD))
    graph.invoke(command(resume={first: "A"}), THREAD)
    assert graph.invoke(command(resume={first: "B"}), THREAD) == {"log": ["asking A B", "done"]}
