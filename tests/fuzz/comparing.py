"""Plays a scenario on both libraries, and says what differs, and what the scenario showed."""

# pyright: basic

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from tests.differential.harness import (
    MODES,
    Case,
    Past,
    Place,
    Played,
    Way,
    canonical,
    history_of,
    open_chunks,
    play,
    state_of,
)
from tests.differential.harness import Turn as Call
from tests.differential.libraries import Library, library
from tests.differential.normalise import Chunk, Layout, layout_of
from tests.fuzz.building import Effort, breakpoints, build, targets_of
from tests.fuzz.descriptions import (
    NAMES,
    Fork,
    GoOn,
    Input,
    Replay,
    Resume,
    Scenario,
    Send,
    Steer,
    Turn,
    Update,
    graphs_in,
    nodes_in,
    routers_in,
)

VALUES = {"log": ["in"], "count": 1, "tags": {"in"}, "last": "in"}


# --- a scenario as a case ----------------------------------------------------------------------------------------


def way_of(scenario: Scenario) -> Way:
    """All modes at once."""
    arguments: dict[str, Any] = {"stream_mode": list(MODES), "version": scenario.version}
    if scenario.subgraphs:
        arguments["subgraphs"] = True
    if scenario.durability is not None:
        arguments["durability"] = scenario.durability
    return Way("all", "astream" if scenario.asynchronous else "stream", arguments, scenario.saver)


def case_of(scenario: Scenario, effort: Effort) -> Case:
    """The scenario with its calls; on a thread it ends with a look at the state and at the history."""
    way = way_of(scenario)
    calls = [call for turn in scenario.turns for call in _calls(turn, way)]
    looks = [state_of(subgraphs=True), history_of()] if scenario.saver else []
    return Case(
        name="fuzz",
        theme="fuzz",
        build=lambda lib: build(lib, scenario.graph, effort, coroutines=scenario.coroutines),
        turns=[*calls, *looks],
        config={"recursion_limit": scenario.recursion_limit},
        compile=breakpoints(scenario.graph),
        races=False,
        loses=frozenset(),
        without_saver=not scenario.saver,
        with_saver=scenario.saver,
        async_only=scenario.coroutines,
    )


def _calls(turn: Turn, way: Way) -> list[Call]:
    match turn:
        case Input():
            return [Call({key: VALUES[key] for key in turn.keys})]
        case GoOn():
            return [Call(None)]
        case Resume():
            return [Call(lambda lib, past: lib.Command(resume=_answer(turn, way, past), **_update(turn.update)))]
        case Steer():
            return [
                Call(lambda lib, past: lib.Command(goto=targets_of(lib, turn.goto, "steer"), **_update(turn.update)))
            ]
        case Update():
            as_node = {} if turn.as_node is None else {"as_node": NAMES[turn.as_node]}
            return [Call({"log": ["updated"]}, arguments=as_node, method="update_state")]
        case Replay():
            return [history_of(), Call(None, config=_config_at(turn.back))]
        case Fork():
            return [
                history_of(),
                Call({"log": ["forked"]}, config=_config_at(turn.back), method="update_state"),
                Call(None, config=lambda lib, past: past[-1].result if past[-1].error is None else {}),
            ]


def _update(wanted: bool) -> dict[str, Any]:
    return {"update": {"log": ["commanded"], "count": 1}} if wanted else {}


def _config_at(back: int) -> Callable[[Library, Past], Any]:
    def config(lib: Library, past: Past) -> Any:
        snapshots = past[-1].result if isinstance(past[-1].result, list) else []
        return snapshots[back % len(snapshots)].config if snapshots else {}

    return config


def _answer(turn: Resume, way: Way, past: Past) -> Any:
    if turn.how == "scalar":
        return "yes"
    runs = [played for played in past if played.chunks]
    asked = {interrupt.id: interrupt.value for played in runs[-1:] for interrupt in _asked(open_chunks(played, way))}
    answers = {key: f"yes, {value}" for key, value in sorted(asked.items(), key=lambda item: str(item[1]))}
    first = dict(list(answers.items())[:1])
    return (answers if turn.how == "all" else first) or "nothing was asked"


def _asked(chunks: Sequence[Chunk]) -> Iterator[Any]:
    for chunk in chunks:
        if chunk.mode == "updates" and not chunk.ns:
            yield from chunk.payload.get("__interrupt__", ())


# --- what is compared --------------------------------------------------------------------------------------------


CONFLICT = "Can receive only one value per step"

AMBIGUOUS = "Ambiguous update, specify as_node"
"""What LangGraph also says when one node ran last, but for two reasons: an edge and a join. Fleetgraph does not."""


def _races(played: Played, way: Way) -> bool:
    """Whether a task failed beside siblings, so that what these did is up to the scheduler."""
    notes = getattr(played.error, "__notes__", [])
    if not notes:
        return False
    if len(notes) > 1 and "subgraphs" not in way.arguments:
        return True  # the siblings, if there are, were in a graph that is not shown
    return _parallel_at_the_end(layout_of(open_chunks(played, way)))


def _parallel_at_the_end(layout: Layout) -> bool:
    if not layout:
        return False
    last = layout[-1]
    return last.tasks > 1 or any(_parallel_at_the_end(run) for runs in last.children.values() for run in runs)


def _without_lost(played: Played, way: Way) -> None:
    """Leaves out what the tasks of a superstep produced whose writes could not be applied.

    LangGraph loses what it has not yet taken from a queue by then, see `Case.loses`.
    """
    if CONFLICT in str(played.error):
        chunks = open_chunks(played, way)
        # Each graph around the one that could not apply them has left a note.
        depth = len(getattr(played.error, "__notes__", [])) if "subgraphs" in way.arguments else 0
        starts = [number for number, chunk in enumerate(chunks) if chunk.is_start and len(chunk.ns) == depth]
        del played.chunks[max(starts, default=-1) + 1 :]


def _settled(value: Any) -> Any:
    """The recorded value without what is up to the scheduler, or LangGraph's own affair.

    - The interrupts of a graph in a node come in the order in which its tasks were interrupted.
    - LangGraph shows what it keeps in configs to itself in the state of a subgraph that has not run yet.
    """
    if isinstance(value, dict):
        pairs = {key: _settled(item) for key, item in value.items() if not str(key).startswith("__pregel_")}
        if isinstance(pairs.get("interrupts"), list | tuple):
            pairs["interrupts"] = _by_question(pairs["interrupts"])
        return pairs
    if type(value) in (list, tuple):
        return type(value)(_settled(item) for item in value)
    if type(value).__name__ in ("StateSnapshot", "PregelTask"):
        names = {"interrupts", *({"tasks", "config"} if type(value).__name__ == "StateSnapshot" else {"state"})}
        parts = {name: _settled(getattr(value, name)) for name in names}
        parts["interrupts"] = _by_question(parts["interrupts"])
        return value._replace(**parts)
    return value


def _by_question(interrupts: Any) -> Any:
    return type(interrupts)(sorted(interrupts, key=lambda one: str(one["value"] if type(one) is dict else one.value)))


@dataclass
class Seen:
    """What a scenario did on LangGraph."""

    features: Counter[str] = field(default_factory=Counter[str])
    turns: int = 0
    compared: int = 0
    """Turns that were compared: all up to the first in which a task failed beside siblings."""


@dataclass(frozen=True)
class Difference:
    """Where the recordings of a scenario differ first."""

    turn: int
    call: str
    ours: Sequence[Any]
    theirs: Sequence[Any]

    def __str__(self) -> str:
        places = islice(_places(self.ours, self.theirs, ""), 6)
        return "\n".join([f"in call {self.turn} ({self.call}):", *places])


_NOTHING = "(nothing)"


def _places(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    """Where two frozen values differ, the innermost places."""
    if ours == theirs:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**theirs, **ours}:
            yield from _places(ours.get(key, _NOTHING), theirs.get(key, _NOTHING), f"{path}[{key!r}]")
    elif type(ours) is type(theirs) and isinstance(ours, list | tuple) and (not path or len(ours) == len(theirs)):
        for number, (one, other) in enumerate(zip_longest(ours, theirs, fillvalue=_NOTHING)):
            yield from _places(one, other, f"{path}[{number}]")
    else:
        yield f"at {path}:\n  LangGraph:  {_brief(theirs)}\n  Fleetgraph: {_brief(ours)}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:600]}..."


@contextmanager
def _quiet() -> Iterator[None]:
    """LangGraph's threads complain when a task ends after a sibling has failed."""
    loggers = [logging.getLogger(name) for name in ("langgraph", "concurrent.futures", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def compare(scenario: Scenario, place: Place = lambda graph: graph) -> tuple[Difference | None, Seen]:
    """Plays the scenario on LangGraph, and on Fleetgraph in this place."""
    effort, way = Effort(), way_of(scenario)
    case = case_of(scenario, effort)
    with _quiet():
        theirs = play(case, way, library("langgraph"))
    if effort.exceeded:
        return None, Seen(Counter({"too large: not compared": 1}))
    seen = Seen(turns=len(case.turns), compared=len(case.turns))
    for number, played in enumerate(theirs):
        if _races(played, way):
            seen.compared = number
            break
    _note_features(seen, scenario, theirs[: seen.compared], way)
    case = case_of(scenario, Effort())
    ours = play(case, way, library("fleetgraph"), place)
    for played in (*ours, *theirs):
        _without_lost(played, way)
        played.chunks, played.result = _settled(played.chunks), _settled(played.result)
    if scenario.graph.joins:
        for number in range(seen.compared):
            if str(theirs[number].error) == AMBIGUOUS and ours[number].error is None:
                seen.compared = number
                seen.features["updates that LangGraph alone finds ambiguous"] += 1
                break
    got, wanted = canonical(case, way, ours), canonical(case, way, theirs)
    for number in range(seen.compared):
        if got[number] != wanted[number]:
            return Difference(number, _name(case.turns[number], way), got[number], wanted[number]), seen
    return None, seen


def _name(call: Call, way: Way) -> str:
    return call.method or way.method


# --- what it was about -------------------------------------------------------------------------------------------


def _note_features(seen: Seen, scenario: Scenario, recordings: Sequence[Played], way: Way) -> None:
    graph = scenario.graph
    nodes = list(nodes_in(graph))
    routers = list(routers_in(graph))
    present = {
        "a graph as a node": any(node.graph for node in nodes),
        "a graph called by a node": any(node.calls for node in nodes),
        "a conditional edge": any(found.branches for found in graphs_in(graph)),
        "a join": any(found.joins for found in graphs_in(graph)),
        "a Send": any(isinstance(to, Send) for router in routers for choice in router.choices for to in choice),
        "a Command with a goto": any(node.goto for node in nodes),
        "a Command to the parent": any(node.returns == "parent" for node in nodes),
        "a question": any(node.asks for node in nodes),
        "a failing node": any(node.fails for node in nodes),
        "a retry policy": any(node.attempts > 1 for node in nodes),
        "a deferred node": any(node.defer for node in nodes),
        "a breakpoint": any(found.before or found.after for found in graphs_in(graph)),
        "a saver": scenario.saver,
        "astream": scenario.asynchronous,
        "coroutine functions": scenario.coroutines,
        **{f"a turn: {type(turn).__name__}": True for turn in scenario.turns[1:]},
    }
    seen.features.update(name for name, is_so in present.items() if is_so)
    for played in recordings:
        if played.error is not None:
            seen.features[f"raised {type(played.error).__name__}"] += 1
        if played.chunks:
            chunks = open_chunks(played, way)
            seen.features["chunks"] += len(chunks)
            seen.features["runs"] += 1
            seen.features["runs that were interrupted"] += any(chunk.interrupts for chunk in chunks)
            seen.features["runs with parallel tasks"] += any(step.tasks > 1 for step in layout_of(chunks))
    seen.features["calls"] += seen.compared
    seen.features["calls not compared: a failure beside siblings"] += seen.turns - seen.compared
