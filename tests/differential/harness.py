"""Plays graph programs on LangGraph and on Fleetgraph, and compares what their callers get.

The corpus, `cases/`, holds small programs. A program is a function of a `Library`: it returns a graph builder, made
with the names of the library it is given. `@case` registers it, with the inputs of the turns to be played on one
thread.

A `Way` is one way to call a graph: which method, which stream modes, which version of the envelope, with or without a
saver. `play` builds a fresh graph for each recording, so that nothing is shared but the code.

`expected` is what LangGraph does, `canonical` makes two recordings comparable (see `normalise`). There are no recorded
answers: the installed LangGraph *is* the answer.

To add a behaviour, add a program to the theme it belongs to. Its nodes keep to three rules:

- they have no side effects but through the state and the stream;
- where several tasks run in one superstep, a `custom` payload is a dict that names its task (`{"task": "node", ...}`,
  or `"node#1"` for the tasks of one node), so that the order within each task can be checked;
- tasks of one superstep write different things, so that they can be told apart.

To run one program everywhere: `pytest tests/differential -k name_of_the_program`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Literal

from tests.differential.libraries import Library, LibraryName, library
from tests.differential.normalise import Chunk, Ids, Layout, canonical_run, freeze, layout_of, open_envelope

MODES = ("values", "updates", "custom", "messages", "tasks", "checkpoints", "debug")


# --- programs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """One call on the thread of a case."""

    input: Any
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Merged over the case's."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further arguments of the call, such as `context` or `output_keys`."""


@dataclass(frozen=True)
class Case:
    """A graph program with the turns to be played on it."""

    name: str
    theme: str
    build: Callable[[Library], Any]
    turns: Sequence[Turn]
    config: Mapping[str, Any]
    compile: Mapping[str, Any]
    """Arguments of `compile`, besides the checkpointer."""
    races: bool
    """Whether a task fails beside siblings, so that what these still stream is up to the scheduler."""
    loses: frozenset[str]
    """Modes in which LangGraph drops chunks when the run then fails between two supersteps.

    It takes what a superstep emitted from a queue only after the writes are applied and the next tasks prepared, so an
    error in these loses chunks that other stream modes, or a second task, would have shown. That need not be copied:
    further chunks of these modes are allowed before the error. Where such a chunk is one that version v2 can't build
    from the state, that is where the run fails then, with the same error but no note on it.
    """
    without_saver: bool
    async_only: bool
    """Whether a function of it is a coroutine function, which LangGraph runs through the async methods only."""

    def __str__(self) -> str:
        return self.name


CASES: dict[str, Case] = {}


def case(
    *turns: Any,
    config: Mapping[str, Any] | None = None,
    compile: Mapping[str, Any] | None = None,
    races: bool = False,
    loses: Collection[str] = (),
    without_saver: bool = True,
    async_only: bool = False,
    **arguments: Any,
) -> Callable[[Callable[[Library], Any]], Callable[[Library], Any]]:
    """Registers a function that returns a graph builder as a case, under the function's name.

    `turns` are inputs, or `Turn`s; `arguments` are passed to each call.
    """

    def register(build: Callable[[Library], Any]) -> Callable[[Library], Any]:
        name = build.__name__
        if name in CASES:
            raise ValueError(f"there are two cases called {name}")
        CASES[name] = Case(
            name=name,
            theme=build.__module__.rpartition(".")[2],
            build=build,
            turns=[turn if isinstance(turn, Turn) else Turn(turn, arguments=arguments) for turn in turns],
            config=config or {},
            compile=compile or {},
            races=races,
            loses=frozenset(loses),
            without_saver=without_saver,
            async_only=async_only,
        )
        return build

    return register


# --- ways to call a graph ----------------------------------------------------------------------------------------


Method = Literal["stream", "astream", "invoke", "ainvoke"]


@dataclass(frozen=True)
class Way:
    """One way to call a graph."""

    name: str
    method: Method
    arguments: Mapping[str, Any]
    saver: bool

    def __str__(self) -> str:
        return self.name


def _ways() -> dict[str, Way]:
    everything = list(MODES)
    stream: list[tuple[str, bool, dict[str, Any]]] = [
        ("", False, {}),
        *((mode, False, {"stream_mode": mode}) for mode in MODES),
        ("checkpoints-saved", True, {"stream_mode": "checkpoints"}),
        ("debug-saved", True, {"stream_mode": "debug"}),
        ("list_of_one", False, {"stream_mode": ["updates"]}),
        ("updates_custom_messages", False, {"stream_mode": ["updates", "custom", "messages"]}),
        ("values_v2", False, {"stream_mode": "values", "version": "v2"}),
        ("all", False, {"stream_mode": everything}),
        ("all-saved", True, {"stream_mode": everything}),
        ("all_v2-saved", True, {"stream_mode": everything, "version": "v2"}),
    ]
    invoke: list[tuple[str, bool, dict[str, Any]]] = [
        ("", False, {}),
        ("saved", True, {}),
        ("updates", False, {"stream_mode": "updates"}),
        ("v2", False, {"version": "v2"}),
    ]
    ways = [
        Way(f"{method}-{label}" if label else method, method, arguments, saver)
        for methods, variants in ((SYNC_AND_ASYNC_STREAM, stream), (SYNC_AND_ASYNC_INVOKE, invoke))
        for method in methods
        for label, saver, arguments in variants
    ]
    return {way.name: way for way in ways}


SYNC_AND_ASYNC_STREAM: tuple[Method, Method] = ("stream", "astream")
SYNC_AND_ASYNC_INVOKE: tuple[Method, Method] = ("invoke", "ainvoke")

WAYS = _ways()

WAYS_IN_PROCESS = [
    *(name for name in WAYS if not name.startswith("a")),
    *(f"astream-{label}" for label in ("updates", "custom", "messages", "all", "all-saved", "all_v2-saved")),
    "ainvoke",
    "ainvoke-saved",
]
"""What a sync mode shows of a case, the async one of the same machine shows too: not every mode is played twice."""


def async_twin(way: Way) -> Way:
    """The same call through the async method."""
    return WAYS[way.name if way.name.startswith("a") else f"a{way.name}"]


def cases(*themes: str) -> list[Case]:
    """The cases of these themes; of all, without any."""
    import_module("tests.differential.cases")  # registers them; each imports this module
    return [case for case in CASES.values() if not themes or case.theme in themes]


def ways_of(case: Case, method: Method, names: Collection[str] = WAYS_IN_PROCESS) -> list[Way]:
    """The ways among `names` in which this method is called on a case."""
    ways = [WAYS[name] for name in names]
    return [way for way in ways if way.method == method and (way.saver or case.without_saver)]


# --- recordings --------------------------------------------------------------------------------------------------

_NOTHING = object()


@dataclass
class Played:
    """What one call gave its caller."""

    chunks: list[Any] = field(default_factory=list[Any])
    result: Any = _NOTHING
    error: BaseException | None = None


Place = Callable[[Any], Any]
"""Says where a compiled graph runs: returns what to call instead of it."""


def compiled(case: Case, lib: Library, *, saver: bool) -> Any:
    """A fresh graph of the case."""
    return case.build(lib).compile(checkpointer=lib.InMemorySaver() if saver else None, **case.compile)


def play(case: Case, way: Way, lib: Library, place: Place = lambda graph: graph) -> list[Played]:
    """Plays the turns of `case` in the given way on a fresh graph, one recording per turn.

    What a call raises is recorded, and the next turn is played.
    """
    graph = place(compiled(case, lib, saver=way.saver))
    if way.method in ("astream", "ainvoke"):
        return asyncio.run(_play_async(graph, case, way))
    return [_play_turn(graph, case, turn, way) for turn in case.turns]


def _as_seen(chunk: Any) -> Any:
    # Chunks hold live objects, which the run may still change: what counts is what the caller saw.
    return copy.deepcopy(chunk)


def _call(case: Case, turn: Turn, way: Way) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config: dict[str, Any] = copy.deepcopy({**case.config, **turn.config})
    if way.saver:
        config["configurable"] = {"thread_id": "thread-1", **config.get("configurable", {})}
    # Copied, because nodes may change what they are given: messages get their ids in place.
    return copy.deepcopy(turn.input), config, {**way.arguments, **turn.arguments}


def _play_turn(graph: Any, case: Case, turn: Turn, way: Way) -> Played:
    given, config, arguments = _call(case, turn, way)
    played = Played()
    try:
        if way.method == "invoke":
            played.result = graph.invoke(given, config, **arguments)
        else:
            for chunk in graph.stream(given, config, **arguments):
                played.chunks.append(_as_seen(chunk))
    except Exception as error:
        played.error = error
    return played


async def _play_async(graph: Any, case: Case, way: Way) -> list[Played]:
    recordings: list[Played] = []
    for turn in case.turns:
        given, config, arguments = _call(case, turn, way)
        played = Played()
        try:
            if way.method == "ainvoke":
                played.result = await graph.ainvoke(given, config, **arguments)
            else:
                async for chunk in graph.astream(given, config, **arguments):
                    played.chunks.append(_as_seen(chunk))
        except Exception as error:
            played.error = error
        recordings.append(played)
    return recordings


def open_chunks(played: Played, way: Way) -> list[Chunk]:
    """The chunks of a recording, out of their envelopes. Raises Misshapen when one has not the envelope asked for."""
    mode = way.arguments.get("stream_mode", "updates")
    return [open_envelope(raw, mode, way.arguments.get("version", "v1")) for raw in played.chunks]


def canonical(case: Case, way: Way, recordings: Sequence[Played]) -> list[list[Any]]:
    """The recordings of a case's turns as plain data, to be compared with those of another library."""
    ids = Ids()
    turns: list[list[Any]] = []
    for played, layout in zip(recordings, _layouts(case.name, way.saver), strict=True):
        chunks = open_chunks(played, way)
        if "values" in case.loses and way.arguments.get("version") == "v2" and played.error is not None:
            played.error.__notes__ = []
        lines = canonical_run(chunks, played.error, layout, ids, siblings_of_failure=not case.races)
        if played.result is not _NOTHING:
            lines.append(_result(played, way, layout, ids))
        turns.append(lines)
    return turns


def _result(played: Played, way: Way, layout: Layout, ids: Ids) -> Any:
    if way.arguments.get("stream_mode", "values") == "updates":
        chunks = [open_envelope(raw, "updates", "v1") for raw in played.result]
        return {"returned chunks": canonical_run(chunks, None, layout, ids)}
    return {"returned": freeze(played.result, ids)}


@cache
def _layouts(name: str, saver: bool) -> list[Layout]:
    case, way = CASES[name], WAYS["stream-all-saved" if saver else "stream-all"]
    way = async_twin(way) if case.async_only else way
    return [layout_of(open_chunks(played, way)) for played in play(case, way, library("langgraph"))]


@cache
def _reference(name: str, way: str) -> tuple[list[list[Any]], list[int]]:
    case = CASES[name]
    recordings = play(case, WAYS[way], library("langgraph"))
    return canonical(case, WAYS[way], recordings), [len(played.chunks) for played in recordings]


def expected(case: Case, way: Way) -> list[list[Any]]:
    """What LangGraph gives the caller of `case`, called in this way."""
    return _reference(case.name, way.name)[0]


def actual(case: Case, way: Way, name: LibraryName, place: Place = lambda graph: graph) -> list[list[Any]]:
    """What the library gives the caller of `case`, called in this way."""
    recordings = play(case, way, library(name), place)
    if case.loses:
        for played, length in zip(recordings, _reference(case.name, way.name)[1], strict=True):
            if played.error is not None and {chunk.mode for chunk in open_chunks(played, way)[length:]} <= case.loses:
                del played.chunks[length:]
    return canonical(case, way, recordings)


def differences(
    case: Case, ways: Sequence[Way], place: Place = lambda graph: graph, *, like_async: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Fleetgraph and LangGraph give the caller, by way; only the ways in which that is not the same.

    With `like_async`, a caller through a sync method is to get what LangGraph's async twin of it gives.
    """
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for way in ways:
        got, wanted = actual(case, way, "fleetgraph", place), expected(case, async_twin(way) if like_async else way)
        if got != wanted:
            ours[way.name], theirs[way.name] = got, wanted
    return ours, theirs
