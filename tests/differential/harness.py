"""Plays graph programs on LangGraph and on Fleetgraph, and compares what their callers get.

The corpus, `cases/`, holds small programs. A program is a function of a `Library`: it returns a graph builder, made
with the names of the library it is given. `@case` registers it, with the inputs of the turns to be played on one
thread.

A `Way` is one way to call a graph: which method, which stream modes, which version of the envelope, with or without a
saver. `play` builds a fresh graph for each recording, so that nothing is shared but the code.

`expected` is what LangGraph does, `canonical` makes two recordings comparable (see `normalise`). There are no recorded
answers: the installed LangGraph *is* the answer.

A turn is a call of the way's method, or of another one: `resume`, `state_of`, `history_of`, `update_of` make those that
come often. What a turn needs of the turns before (the id of an interrupt, the config of a checkpoint) it takes from
their recordings, since these ids differ between libraries: it is given as a function of a library and the `Past`.

To add a behaviour, add a program to the theme it belongs to. Its nodes keep to three rules:

- they have no side effects but through the state and the stream;
- where several tasks run in one superstep, a `custom` payload is a dict that names its task (`{"task": "node", ...}`,
  or `"node#1"` for the tasks of one node), so that the order within each task can be checked;
- tasks of one superstep write different things, so that they can be told apart.

Tasks (`@task`) that are called before the caller waits for any have names that end in `at_once`: they may overtake each
other, and others may not.

A node that fails beside siblings waits until they are done (`lg.saved.wait_for(...)`) where it matters what becomes of
them: otherwise that is up to the scheduler, on LangGraph too.

Each case is played in the ways that show most of it (see `choosing`); `FLEETGRAPH_EVERY_WAY=1 pytest
tests/differential` plays all. To run one program: `pytest tests/differential -k name_of_the_program`; one theme:
`-k theme`. LangGraph plays a case once for each way, however many places it is compared with: a test plays all of
a case.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from types import FunctionType
from typing import Any, Literal

from tests.differential.libraries import Library, LibraryName, library
from tests.differential.normalise import (
    Chunk,
    Ids,
    Layout,
    canonical_error,
    canonical_run,
    freeze,
    layout_of,
    open_envelope,
)

MODES = ("values", "updates", "custom", "messages", "tasks", "checkpoints", "debug")


# --- programs ----------------------------------------------------------------------------------------------------


_NOTHING = object()

Made = Callable[[Library, "Past"], Any]
"""A part of a turn that is made when its time has come, with the library's names and what was recorded so far."""


@dataclass(frozen=True)
class Turn:
    """One call on the thread of a case. Each part of it may be `Made`."""

    input: Any = _NOTHING
    config: Mapping[str, Any] | Made = field(default_factory=dict[str, Any])
    """Merged over the case's."""
    arguments: Mapping[str, Any] | Made = field(default_factory=dict[str, Any])
    """Further arguments of the call, such as `context` or `output_keys`."""
    method: str | None = None
    """What to call instead of the way's method, by the name of the sync one; `input` then comes after the config."""


def resume(answer: Any = None, **parts: Any) -> Turn:
    """Answers what the thread is asking. `answer` may be `Made`."""
    return Turn(lambda lib, past: lib.Command(resume=_made(answer, lib, past)), **parts)


def command(*, config: Mapping[str, Any] | Made | None = None, **fields: Any) -> Turn:
    """Gives the run a `Command` of these fields, each of which may be `Made`."""

    def made(lib: Library, past: Past) -> Any:
        return lib.Command(**{name: _made(value, lib, past) for name, value in fields.items()})

    return Turn(made, config=config or {})


def state_of(config: Mapping[str, Any] | Made | None = None, **arguments: Any) -> Turn:
    """Asks for the state of the thread, or at a checkpoint."""
    return Turn(config=config or {}, arguments=arguments, method="get_state")


def history_of(config: Mapping[str, Any] | Made | None = None, arguments: Made | None = None, **more: Any) -> Turn:
    """Asks for the thread's checkpoints, the newest first."""
    return Turn(config=config or {}, arguments=arguments or more, method="get_state_history")


def update_of(values: Any, config: Mapping[str, Any] | Made | None = None, **arguments: Any) -> Turn:
    """Writes to the state of the thread, or to that at a checkpoint."""
    return Turn(values, config=config or {}, arguments=arguments, method="update_state")


def replay_of(config: Mapping[str, Any] | Made, input: Any = None) -> Turn:
    """Runs the graph from a checkpoint."""
    return Turn(input, config=config)


def at(step: int) -> Made:
    """The config of the newest checkpoint of this step, in the history that was recorded last."""
    return lambda lib, past: past.checkpoint(step).config


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
    with_saver: bool
    async_only: bool
    """Whether a function of it is a coroutine function, which LangGraph runs through the async methods only."""

    def __str__(self) -> str:
        return f"{self.theme}-{self.name}"


CASES: dict[str, Case] = {}


def case(
    *turns: Any,
    config: Mapping[str, Any] | None = None,
    compile: Mapping[str, Any] | None = None,
    races: bool = False,
    loses: Collection[str] = (),
    without_saver: bool | None = None,
    with_saver: bool = True,
    async_only: bool = False,
    **arguments: Any,
) -> Callable[[Callable[[Library], Any]], Callable[[Library], Any]]:
    """Registers a function that returns a graph builder as a case, under the function's name.

    `turns` are inputs, which may be `Made`, or `Turn`s; `arguments` are passed to each call of the way's method,
    unless a `Turn` has its own. A case that is about threads (see `THEMES_OF_THREADS`) is played with a saver only,
    unless it says otherwise.
    """

    def register(build: Callable[[Library], Any]) -> Callable[[Library], Any]:
        name = build.__name__
        if name in CASES:
            raise ValueError(f"there are two cases called {name}")
        theme = build.__module__.rpartition(".")[2]
        CASES[name] = Case(
            name=name,
            theme=theme,
            build=build,
            turns=[_turn(turn, arguments) for turn in turns],
            config=config or {},
            compile=compile or {},
            races=races,
            loses=frozenset(loses),
            without_saver=theme not in THEMES_OF_THREADS if without_saver is None else without_saver,
            with_saver=with_saver,
            async_only=async_only,
        )
        return build

    return register


def _turn(given: Any, arguments: Mapping[str, Any]) -> Turn:
    turn = given if isinstance(given, Turn) else Turn(given)
    return turn if turn.method or turn.arguments else replace(turn, arguments=arguments)


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
        *((f"{mode}-saved", True, {"stream_mode": mode}) for mode in ("updates", "values", "tasks")),
        ("values_v2-saved", True, {"stream_mode": "values", "version": "v2"}),
        ("all", False, {"stream_mode": everything}),
        ("all_v2", False, {"stream_mode": everything, "version": "v2"}),
        ("all-saved", True, {"stream_mode": everything}),
        ("all_v2-saved", True, {"stream_mode": everything, "version": "v2"}),
        ("subgraphs", False, {"subgraphs": True}),
        *((f"{mode}_subgraphs", False, {"stream_mode": mode, "subgraphs": True}) for mode in MODES),
        ("checkpoints_subgraphs-saved", True, {"stream_mode": "checkpoints", "subgraphs": True}),
        ("updates_custom_subgraphs", False, {"stream_mode": ["updates", "custom"], "subgraphs": True}),
        ("values_subgraphs_v2", False, {"stream_mode": "values", "subgraphs": True, "version": "v2"}),
        ("all_subgraphs", False, {"stream_mode": everything, "subgraphs": True}),
        ("all_subgraphs-saved", True, {"stream_mode": everything, "subgraphs": True}),
        ("all_subgraphs_v2-saved", True, {"stream_mode": everything, "subgraphs": True, "version": "v2"}),
    ]
    invoke: list[tuple[str, bool, dict[str, Any]]] = [
        ("", False, {}),
        ("saved", True, {}),
        ("updates", False, {"stream_mode": "updates"}),
        ("v2", False, {"version": "v2"}),
        ("v2-saved", True, {"version": "v2"}),
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

THEMES_OF_THREADS = {"interrupts", "breakpoints", "commands_as_input", "state_api", "durability", "history"}
"""Themes about what a thread remembers: their cases take several turns each, and are played in fewer ways."""


def async_twin(way: Way) -> Way:
    """The same call through the async method."""
    return WAYS[way.name if way.name.startswith("a") else f"a{way.name}"]


def cases(*themes: str) -> list[Case]:
    """The cases of these themes; of all, without any."""
    import_module("tests.differential.cases")  # registers them; each imports this module
    return [case for case in CASES.values() if not themes or case.theme in themes]


# --- recordings --------------------------------------------------------------------------------------------------


@dataclass
class Played:
    """What one call gave its caller."""

    chunks: list[Any] = field(default_factory=list[Any])
    result: Any = _NOTHING
    error: BaseException | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the call was given besides the way's."""


class Unplayable(LookupError):
    """A turn can't be made: what it follows from was not recorded."""


class Past(list[Played]):
    """What the turns so far gave."""

    def interrupt_id(self, value: Any) -> str:
        """The id of the interrupt that was last seen asking `value`. Raises Unplayable when nothing asked it."""
        for played in reversed(self):
            for interrupt in _interrupts_in([*played.chunks, played.result]):
                if interrupt.value == value:
                    return interrupt.id
        raise Unplayable(f"nothing asked {value!r}")

    def checkpoint(self, step: int) -> Any:
        """The newest snapshot of this step, in the history that was recorded last. Raises Unplayable without one."""
        for played in reversed(self):
            for snapshot in played.result if isinstance(played.result, list) else ():
                if hasattr(snapshot, "metadata") and snapshot.metadata["step"] == step:
                    return snapshot
        raise Unplayable(f"no history has a checkpoint of step {step}")


def _interrupts_in(value: Any) -> Iterator[Any]:
    if type(value).__name__ == "Interrupt":
        yield value
    elif isinstance(value, dict):
        yield from _interrupts_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _interrupts_in(item)
    elif hasattr(value, "interrupts"):
        yield from _interrupts_in(value.interrupts)


Place = Callable[[Any], Any]
"""Says where a compiled graph runs: returns what to call instead of it."""


def compiled(case: Case, lib: Library, *, saver: bool) -> Any:
    """A fresh graph of the case."""
    return case.build(lib).compile(checkpointer=lib.watched_saver() if saver else None, **case.compile)


def play(case: Case, way: Way, lib: Library, place: Place = lambda graph: graph) -> list[Played]:
    """Plays the turns of `case` in the given way on a fresh graph, one recording per turn.

    What a call raises is recorded, and the next turn is played.
    """
    lib = Library(lib.name)
    graph = place(compiled(case, lib, saver=way.saver))
    if way.method in ("astream", "ainvoke"):
        return asyncio.run(_play_async(graph, case, way, lib))
    return _play_sync(graph, case, way, lib)


def _as_seen(chunk: Any) -> Any:
    # Chunks hold live objects, which the run may still change: what counts is what the caller saw. Exceptions stay
    # as they are: not all of LangGraph's can be copied.
    return copy.deepcopy(chunk, {id(error): error for error in _errors_in(chunk)})


def _errors_in(value: Any) -> Iterator[BaseException]:
    if isinstance(value, BaseException):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _errors_in(item)


def _made(part: Any, lib: Library, past: Past) -> Any:
    return part(lib, past) if isinstance(part, FunctionType) else part


@dataclass(frozen=True)
class _Call:
    method: str
    positional: Sequence[Any]
    named: Mapping[str, Any]


def _call(case: Case, turn: Turn, way: Way, lib: Library, past: Past) -> _Call:
    lib.saved.clear()
    config: dict[str, Any] = copy.deepcopy({**case.config, **_made(turn.config, lib, past)})
    if way.saver:
        config["configurable"] = {"thread_id": "thread-1", **config.get("configurable", {})}
    # Copied, because nodes may change what they are given: messages get their ids in place.
    given = copy.deepcopy(_made(turn.input, lib, past))
    arguments = _made(turn.arguments, lib, past)
    if turn.method is None:
        return _Call(way.method, (given, config), {**way.arguments, **arguments})
    method = f"a{turn.method}" if way.method in ("astream", "ainvoke") else turn.method
    return _Call(method, (config,) if turn.input is _NOTHING else (config, given), arguments)


def _play_sync(graph: Any, case: Case, way: Way, lib: Library) -> Past:
    past = Past()
    for turn in case.turns:
        played = Played()
        try:
            call = _call(case, turn, way, lib, past)
            played.arguments = call.named
            returned = getattr(graph, call.method)(*call.positional, **call.named)
            match call.method:
                case "stream":
                    for chunk in returned:
                        played.chunks.append(_as_seen(chunk))
                case "get_state_history":
                    played.result = list(returned)
                case _:
                    played.result = returned
        except Exception as error:
            played.error = error
        past.append(played)
    return past


async def _play_async(graph: Any, case: Case, way: Way, lib: Library) -> Past:
    past = Past()
    for turn in case.turns:
        played = Played()
        try:
            call = _call(case, turn, way, lib, past)
            played.arguments = call.named
            returned = getattr(graph, call.method)(*call.positional, **call.named)
            match call.method:
                case "astream":
                    async for chunk in returned:
                        played.chunks.append(_as_seen(chunk))
                case "aget_state_history":
                    played.result = [snapshot async for snapshot in returned]
                case _:
                    played.result = await returned
        except Exception as error:
            played.error = error
        past.append(played)
    return past


def open_chunks(played: Played, way: Way) -> list[Chunk]:
    """The chunks of a recording, out of their envelopes. Raises Misshapen when one has not the envelope asked for."""
    asked = {**way.arguments, **played.arguments}
    mode, version = asked.get("stream_mode", "updates"), asked.get("version", "v1")
    return [open_envelope(raw, mode, version, subgraphs=asked.get("subgraphs", False)) for raw in played.chunks]


def canonical(case: Case, way: Way, recordings: Sequence[Played]) -> list[list[Any]]:
    """The recordings of a case's turns as plain data, to be compared with those of another library."""
    ids = Ids()
    turns: list[list[Any]] = []
    for number, (turn, played) in enumerate(zip(case.turns, recordings, strict=True)):
        if turn.method:
            turns.append([_outcome(played, ids)])
            continue
        subgraphs = {**way.arguments, **played.arguments}.get("subgraphs", False)
        layout = _layouts(case.name, way.saver, subgraphs)[number] if _needs_layout(played, way) else []
        chunks = open_chunks(played, way)
        if "values" in case.loses and way.arguments.get("version") == "v2" and played.error is not None:
            played.error.__notes__ = []
        lines = canonical_run(chunks, played.error, layout, ids, siblings_of_failure=not case.races)
        if played.result is not _NOTHING:
            lines.append(_result(played, way, layout, ids))
        turns.append(lines)
    return turns


def _needs_layout(played: Played, way: Way) -> bool:
    modes = {**way.arguments, **played.arguments}.get("stream_mode", ())
    shows_starts = not {"tasks", "debug"}.isdisjoint([modes] if isinstance(modes, str) else modes)
    return not shows_starts and (bool(played.chunks) or _returns_chunks(way))


def _outcome(played: Played, ids: Ids) -> Any:
    if played.error is not None:
        return canonical_error(played.error, ids)
    return {"returned": freeze(played.result, ids)}


def _returns_chunks(way: Way) -> bool:
    return way.method in SYNC_AND_ASYNC_INVOKE and way.arguments.get("stream_mode", "values") == "updates"


def _result(played: Played, way: Way, layout: Layout, ids: Ids) -> Any:
    if _returns_chunks(way):
        chunks = [open_envelope(raw, "updates", "v1") for raw in played.result]
        return {"returned chunks": canonical_run(chunks, None, layout, ids)}
    return {"returned": freeze(played.result, ids)}


_OF_ONE_CASE = 64
"""How many recordings are kept: as many as one case has, which is compared with LangGraph in one go."""


@lru_cache(_OF_ONE_CASE)
def _played_by_langgraph(name: str, way: str) -> Past:
    return play(CASES[name], WAYS[way], library("langgraph"))


@lru_cache(_OF_ONE_CASE)
def _layouts(name: str, saver: bool, subgraphs: bool) -> list[Layout]:
    case, way = CASES[name], WAYS[f"stream-all{'_subgraphs' if subgraphs else ''}{'-saved' if saver else ''}"]
    way = async_twin(way) if case.async_only else way
    recordings = zip(case.turns, _played_by_langgraph(name, way.name), strict=True)
    return [[] if turn.method else layout_of(open_chunks(played, way)) for turn, played in recordings]


@lru_cache(_OF_ONE_CASE)
def _reference(name: str, way: str) -> tuple[list[list[Any]], list[int]]:
    case = CASES[name]
    recordings = _played_by_langgraph(name, way)
    for played in recordings:
        if isinstance(played.error, Unplayable):
            raise played.error
    return canonical(case, WAYS[way], recordings), [len(played.chunks) for played in recordings]


def expected(case: Case, way: Way) -> list[list[Any]]:
    """What LangGraph gives the caller of `case`, called in this way."""
    return _reference(case.name, way.name)[0]


def actual(case: Case, way: Way, name: LibraryName, place: Place = lambda graph: graph) -> list[list[Any]]:
    """What the library gives the caller of `case`, called in this way."""
    recordings = play(case, way, library(name), place)
    if case.loses:
        for turn, played, length in zip(case.turns, recordings, _reference(case.name, way.name)[1], strict=True):
            if turn.method:
                continue
            if played.error is not None and {chunk.mode for chunk in open_chunks(played, way)[length:]} <= case.loses:
                del played.chunks[length:]
    return canonical(case, way, recordings)


def differences(
    case: Case, ways: Sequence[Way], place: Place = lambda graph: graph, *, like_async: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Fleetgraph and LangGraph give the caller, by way; only the ways in which that is not the same.

    With `like_async`, a caller through a sync method is to get what LangGraph's async twin of it gives. What LangGraph
    itself doesn't do twice is shown as such: a case that depends on chance says nothing about Fleetgraph.
    """
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for way in ways:
        reference = async_twin(way) if like_async else way
        got, wanted = actual(case, way, "fleetgraph", place), expected(case, reference)
        if got != wanted:
            again = actual(case, reference, "langgraph")
            ours[way.name], theirs[way.name] = got, wanted if again == wanted else {"by chance": [wanted, again]}
    return ours, theirs
