"""Makes two recordings of one program comparable, without making different ones equal.

Only three things may differ between two runs of the same program:

- **Ids** (of tasks, checkpoints, messages, runs). Each is replaced by the index of its first appearance, so that an id
  that appears twice must appear twice in the other recording, at the same places.
- **Timestamps.**
- **The order in which the tasks of one superstep make progress.** The chunks that a task produces on its own
  (`updates`, task results, `custom`, `messages`) commute with those of its siblings, and with nothing else. `values`,
  `checkpoints` and task starts are *barriers*: nothing moves across them. Between two barriers the chunks are grouped
  by task; each task's own order is kept, `custom` and `messages` before the task's `updates` and those before its
  result included.

A stream without task starts (`updates` alone) doesn't show where a superstep ends; there `Layout`, learnt from a
recording of the same program that does show it, says how many chunks each superstep holds.

What a subgraph streams belongs to the task that runs it: to whoever reads the parent it is one more thing that this
task produces on its own, so it lies between the task's start and its update, and commutes with what the siblings
produce. Within it the same rules hold again: it has barriers of its own, which are none of the parent's.

Tasks that a task calls (`@task`) have no superstep of their own. Their chunks stay in the order they came in, as the
caller is sequential; unless their name ends in `at_once`, by which a program says that it calls several before it
waits for any: then these are siblings too, like nodes that run in one superstep.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import groupby, takewhile
from typing import Any, cast

ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
ELAPSED = re.compile(r"(?<=\(elapsed: )\d+\.\d+(?=s\))")
ADDRESS = re.compile(r"(?<= at )0x[0-9a-f]+")

INTERRUPTS = "__interrupt__"


# --- values ------------------------------------------------------------------------------------------------------


class Ids:
    """Numbers ids in the order in which they are first met."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def scrub(self, text: str) -> str:
        """`text` with each id replaced by its number, and each timestamp, measured time and address by a word."""
        if not _has_chance(text):
            return text
        return _without_chance(ANY_ID.sub(lambda match: self._number(match.group()), text))

    def _number(self, found: str) -> str:
        return f"<id {self._seen.setdefault(found, len(self._seen))}>"


def _without_chance(text: str) -> str:
    return ADDRESS.sub("<address>", ELAPSED.sub("<seconds>", TIMESTAMP.sub("<time>", text)))


@lru_cache(10_000)
def _has_chance(text: str) -> bool:
    # Most strings are keys and names, the same ones in every chunk.
    return any(pattern.search(text) for pattern in (ANY_ID, TIMESTAMP, ELAPSED, ADDRESS))


class _AllAlike(Ids):
    """Ids that can't be told apart: what to sort by while the order, and so the numbering, is not known yet."""

    def _number(self, found: str) -> str:
        return "<id>"


def freeze(value: Any, ids: Ids) -> Any:
    """`value` as plain data, equal only to the plain data of a value that a user could not tell from it.

    Types are kept apart (tuple and list, bool and int, a dataclass and the dict of its fields). The two libraries'
    twins of one type are equal: of a class only the name counts. The order of a dict's keys doesn't count, nor does
    that of the interrupts of one superstep, which is the order in which its tasks were interrupted.
    """
    kind = cast("type[Any]", type(value)).__name__
    match value:
        case bool() | Enum():
            return (kind, str(value))
        case None | int():
            return value
        case float() | bytes():
            return (kind, value)
        case str():
            return ids.scrub(value)
        case type():
            return ("type", value.__name__)
        case BaseException():
            return (kind, ids.scrub(str(value)))
        case Mapping():
            return _freeze_mapping(cast("Mapping[Any, Any]", value), ids)
        case list():
            return [freeze(item, ids) for item in cast("list[Any]", value)]
        case tuple():
            return (kind, *(freeze(item, ids) for item in cast("tuple[Any, ...]", value)))
        case set() | frozenset():
            items = sorted(cast("set[Any]", value), key=sort_key)
            return (kind, *(freeze(item, ids) for item in items))
        case _:
            return _freeze_object(value, ids)


def sort_key(value: Any) -> str:
    """Sorts values of any type, alike in every run: ids and timestamps don't count."""
    return repr(freeze(value, _AllAlike()))


def _freeze_mapping(value: Mapping[Any, Any], ids: Ids) -> dict[Hashable, Any]:
    # In sorted order, so that the numbering of the ids inside doesn't depend on the order of the keys.
    return {
        freeze(key, ids): freeze(_sorted(value[key]) if key == INTERRUPTS else value[key], ids)
        for key in sorted(value, key=sort_key)
    }


def _sorted(interrupts: Any) -> Any:
    return type(interrupts)(sorted(interrupts, key=sort_key)) if type(interrupts) in (list, tuple) else interrupts


def _freeze_object(value: Any, ids: Ids) -> Any:
    cls = cast("type[Any]", type(value))
    if cls.__name__ == "GraphOutput":
        return (cls.__name__, freeze(value.value, ids), freeze(_sorted(value.interrupts), ids))
    if dataclasses.is_dataclass(value):
        names = [part.name for part in dataclasses.fields(value)]
    elif hasattr(cls, "model_fields"):  # pydantic models, LangChain's messages among them
        names = [*cls.model_fields, *sorted(getattr(value, "model_extra", None) or ())]
    else:
        slots = [name for base in cls.__mro__ for name in getattr(base, "__slots__", ())]
        names = sorted({*getattr(value, "__dict__", ()), *(name for name in slots if hasattr(value, name))})
        if not names:
            return (cls.__name__, ids.scrub(repr(value)))
    return (cls.__name__, {name: freeze(getattr(value, name), ids) for name in names})


# --- chunks ------------------------------------------------------------------------------------------------------


class Misshapen(AssertionError):
    """A chunk has another envelope than the call asked for."""


@dataclass(frozen=True)
class Chunk:
    """One chunk, with what its envelope says about it."""

    mode: str
    payload: Any
    raw: Any
    """As the caller got it: this is what is compared."""
    ns: tuple[str, ...] = ()
    """The namespace of the graph that streamed it."""

    @property
    def is_start(self) -> bool:
        """Whether the chunk tells that a task starts with its superstep."""
        return (start := self._start) is not None and not _is_call(start)

    @property
    def _start(self) -> dict[str, Any] | None:
        match self.mode:
            case "tasks":
                return self.payload if "triggers" in self.payload else None
            case "debug":
                return self.payload["payload"] if self.payload["type"] == "task" else None
            case _:
                return None

    @property
    def interrupts(self) -> tuple[str, ...]:
        """The ids of the interrupts of one task that the chunk tells of, if that is what it tells of."""
        match self.mode, self.payload, self.raw:
            case (("updates" | "values"), {"__interrupt__": found}, _):
                pass
            case "values", _, {"type": "values", "ns": _, "data": _, "interrupts": found}:  # version v2
                pass
            case _:
                found = ()
        return tuple(sorted(interrupt.id for interrupt in found))

    @property
    def is_barrier(self) -> bool:
        """Whether the chunk marks a point in time that all tasks of a superstep share."""
        if self.mode == "debug" and self.payload["type"] == "checkpoint":
            return True
        # The state is also shown to tell of a task's interrupt, when that occurs.
        return self.mode == "checkpoints" or (self.mode == "values" and not self.interrupts) or self.is_start

    @property
    def task(self) -> tuple[str, str]:
        """The node whose task produced the chunk, and which of the node's tasks ("" where the chunk doesn't tell).

        A `custom` payload tells by convention of the programs: `{"task": "node"}`, or `{"task": "node#2"}` in a node
        that runs several times in one superstep.
        """
        payload = self.payload
        if interrupts := self.interrupts:
            return INTERRUPTS, " ".join(interrupts)
        match self.mode:
            case "updates":
                return next((key for key in payload if key != "__metadata__"), ""), ""
            case "tasks":
                return payload["name"], payload["id"]
            case "debug":
                return payload["payload"]["name"], payload["payload"]["id"]
            case "messages":
                metadata = payload[1]
                return metadata["langgraph_node"], metadata["langgraph_checkpoint_ns"].rsplit(":", 1)[-1]
            case _:
                label = cast("dict[str, Any]", payload).get("task") if isinstance(payload, dict) else None
                node, _, which = str(label or "").partition("#")
                return node, which


def _is_call(start: Mapping[str, Any]) -> bool:
    # Sends have this trigger too; their argument is never this pair, of positional and keyword arguments.
    match start:
        case {"triggers": ("__pregel_push",), "input": (tuple(), dict())}:
            return True
        case _:
            return False


def open_envelope(raw: Any, stream_mode: Any, version: str, *, subgraphs: bool = False) -> Chunk:
    """`raw`, as yielded by a call with these arguments. Raises Misshapen when the call should yield another shape."""
    if version == "v2":
        part = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        more = {"interrupts"} if part.get("type") == "values" else set[str]()
        if set(part) != {"type", "ns", "data"} | more:
            raise Misshapen(f"not a stream part: {raw!r}")
        return Chunk(part["type"], part["data"], raw, _namespace(part["ns"]))
    parts = list(cast("tuple[Any, ...]", raw)) if type(raw) is tuple else []
    ns: tuple[str, ...] = ()
    if subgraphs:
        if len(parts) != (3 if isinstance(stream_mode, list) else 2):
            raise Misshapen(f"not a namespace and what is streamed in it: {raw!r}")
        ns, parts = _namespace(parts[0]), parts[1:]
    if isinstance(stream_mode, list):
        if len(parts) != 2 or parts[0] not in stream_mode:
            raise Misshapen(f"not a pair of mode and payload: {raw!r}")
        return Chunk(parts[0], parts[1], raw, ns)
    return Chunk(stream_mode, parts[0] if subgraphs else raw, raw, ns)


def _namespace(ns: Any) -> tuple[str, ...]:
    if type(ns) is not tuple or not all(isinstance(segment, str) for segment in cast("tuple[Any, ...]", ns)):
        raise Misshapen(f"not a namespace: {ns!r}")
    return cast("tuple[str, ...]", ns)


# --- supersteps --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Superstep:
    """What a recording of all stream modes shows about one superstep of one graph."""

    tasks: int
    """How many tasks ran in it, without those that tasks called."""
    chunks: Mapping[str, int]
    """How many chunks of each mode its tasks produced on their own, those of subgraphs included."""
    children: Mapping[str, Sequence[Layout]] = field(default_factory=dict[str, Sequence["Layout"]])
    """The layouts of the runs of subgraphs in it, by what follows in the namespace."""


Layout = Sequence[Superstep]
"""The supersteps of one run of one graph."""


def layout_of(chunks: Iterable[Chunk], depth: int = 0) -> Layout:
    """The supersteps of a run that was recorded with `tasks` among its modes.

    `depth` is the length of the graph's namespace.
    """
    tasks = 0
    bag: list[Chunk] = []
    steps: list[Superstep] = []
    for chunk in chunks:
        if len(chunk.ns) > depth or not chunk.is_barrier:
            bag.append(chunk)
        elif chunk.is_start:
            if bag:
                steps.append(_superstep(tasks, bag, depth))
                tasks, bag = 0, []
            tasks += 1
    return [*steps, _superstep(tasks, bag, depth)] if tasks else steps


def _superstep(tasks: int, bag: Sequence[Chunk], depth: int) -> Superstep:
    children: defaultdict[str, list[Layout]] = defaultdict(list)
    for key, chunks in _runs(bag, depth).items():
        children[_shape(key)].append(layout_of(chunks, depth + len(key)))
    return Superstep(tasks, Counter(chunk.mode for chunk in bag), children)


def _runs(chunks: Iterable[Chunk], depth: int) -> dict[tuple[str, ...], list[Chunk]]:
    """The chunks of the runs right below a graph, by what follows the graph's namespace in theirs."""
    runs: defaultdict[tuple[str, ...], list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        if key := _run(chunk, depth):
            runs[key].append(chunk)
    return runs


def _run(chunk: Chunk, depth: int) -> tuple[str, ...]:
    # A task's further runs of graphs have a number after the task's segment: ("node:<id>", "1").
    segments = chunk.ns[depth:]
    return (*segments[:1], *takewhile(str.isdecimal, segments[1:]))


def _shape(run: tuple[str, ...]) -> str:
    return _AllAlike().scrub("|".join(run))


@dataclass(frozen=True)
class Bag:
    """Consecutive chunks that the tasks of one superstep produced on their own."""

    tasks: int
    chunks: list[Chunk]
    children: Mapping[str, Sequence[Layout]] = field(default_factory=dict[str, Sequence[Layout]])


def split(chunks: Sequence[Chunk], layout: Layout, depth: int = 0) -> list[Chunk | Bag]:
    """The barriers of a graph's stream, and between them one bag per superstep.

    Where the stream shows task starts they delimit the supersteps; `layout` is used only where it doesn't.
    """
    if not any(len(chunk.ns) == depth and chunk.is_start for chunk in chunks):
        return list(_split_by_layout(chunks, layout or [Superstep(1, {})], depth))
    parts: list[Chunk | Bag] = []
    starts: set[str] = set()
    in_starts = False
    for chunk in chunks:
        if len(chunk.ns) == depth and chunk.is_barrier:
            if chunk.is_start:
                starts = starts if in_starts else set()
                starts.add(chunk.task[1])
            in_starts = chunk.is_start
            parts.append(chunk)
        else:
            if not parts or not isinstance(parts[-1], Bag):
                parts.append(Bag(len(starts), []))
            cast("Bag", parts[-1]).chunks.append(chunk)
            in_starts = False
    return parts


def _split_by_layout(chunks: Sequence[Chunk], layout: Layout, depth: int) -> Iterable[Chunk | Bag]:
    modes = {chunk.mode for chunk in chunks}
    steps = iter(layout)
    step = next(steps)
    room = sum(count for mode, count in step.chunks.items() if mode in modes)
    bag: list[Chunk] = []
    for chunk in chunks:
        if len(chunk.ns) == depth and chunk.is_barrier:
            if bag:
                yield Bag(step.tasks, bag, step.children)
                bag = []
            yield chunk
            continue
        while room <= 0 and (following := next(steps, None)) is not None:
            yield Bag(step.tasks, bag, step.children)
            step, bag = following, []
            room = sum(count for mode, count in step.chunks.items() if mode in modes)
        bag.append(chunk)
        room -= 1
    yield Bag(step.tasks, bag, step.children)
    # The last superstep is what is left, even if that is nothing: it may have failed, at another moment than here.
    if next(steps, None) is not None:
        yield Bag(layout[-1].tasks, [], layout[-1].children)


def arranged(chunks: Sequence[Chunk], layout: Layout, depth: int = 0, failed: Sequence[str] = ()) -> list[Chunk | str]:
    """The chunks of one run of one graph in an order that doesn't depend on which of its tasks were faster.

    `failed` names the task that failed, and below it the one that failed in it, and so on, where what their siblings
    produced is to be left out.
    """
    parts = split(chunks, layout, depth)
    ordered: list[Chunk | str] = []
    for number, part in enumerate(parts):
        if isinstance(part, Chunk):
            ordered.append(part)
        elif failed and number == len(parts) - 1:
            mine = [chunk for chunk in part.chunks if _producer(chunk, depth)[0] == failed[0]]
            ordered.extend(in_order(Bag(part.tasks, mine, part.children), depth, failed[1:]))
        else:
            ordered.extend(in_order(part, depth))
    return ordered


def in_order(bag: Bag, depth: int = 0, failed: Sequence[str] = ()) -> list[Chunk | str]:
    """The chunks of a bag in an order that doesn't depend on which of its tasks was faster.

    With one task in the bag that is the order they came in. Otherwise they are grouped by node, and each node's chunks
    are kept in the order they came in, unless the node ran several times (Sends), whose chunks are grouped by mode and
    task; what that would hide of the order among modes is said by lines of text, see `disorder`.
    """
    runs = {key: _arranged_run(key, chunks, bag, depth, failed) for key, chunks in _runs(bag.chunks, depth).items()}
    producers = _producers(bag.chunks, depth)
    if bag.tasks <= 1 and not any(name.endswith("at_once") for name, _ in producers):
        return _in_place(bag.chunks, runs, depth)
    nodes: defaultdict[str, list[tuple[Chunk, str]]] = defaultdict(list)
    for chunk, (node, which) in zip(bag.chunks, producers, strict=True):
        nodes[node].append((chunk, which))
    ordered: list[Chunk | str] = []
    for node in sorted(nodes):
        ordered.append(f"of node {node!r}:")
        if _ran_several_times(nodes[node], depth):
            ordered.extend(_siblings_in_order(nodes[node], runs, depth))
        else:
            ordered.extend(_in_place([chunk for chunk, _ in nodes[node]], runs, depth))
    return ordered


Runs = Mapping[tuple[str, ...], Sequence[Chunk | str]]
"""What each run below a graph streamed, arranged."""


def _arranged_run(
    key: tuple[str, ...], chunks: Sequence[Chunk], bag: Bag, depth: int, failed: Sequence[str]
) -> Sequence[Chunk | str]:
    layouts = bag.children.get(_shape(key), ())
    alike = [other for other in _runs(bag.chunks, depth) if _shape(other) == _shape(key)]
    number = alike.index(key)
    return arranged(chunks, layouts[number] if number < len(layouts) else (), depth + len(key), failed)


def _in_place(chunks: Sequence[Chunk], runs: Runs, depth: int) -> list[Chunk | str]:
    """The chunks in the order they came in; what a run below streamed in one go is replaced by the run, arranged."""
    ordered: list[Chunk | str] = []
    for key, stretch in groupby(chunks, lambda chunk: _run(chunk, depth)):
        came = list(stretch)
        whole = key and len(came) == sum(_run(chunk, depth) == key for chunk in chunks)
        ordered.extend(runs[key] if whole else came)
    return ordered


def _producer(chunk: Chunk, depth: int) -> tuple[str, str]:
    """The task of the graph that produced the chunk, itself or in a graph that it runs, like `Chunk.task`."""
    if len(chunk.ns) == depth:
        return chunk.task
    node, _, task = chunk.ns[depth].partition(":")
    return node, task


def _producers(chunks: Sequence[Chunk], depth: int) -> list[tuple[str, str]]:
    """Who produced each chunk; for what tells of an interrupt, the task whose result tells of it too, if one does."""
    interrupted: dict[str, tuple[str, str]] = {}
    for chunk in chunks:
        if len(chunk.ns) == depth and (result := _result(chunk)) is not None and result["interrupts"]:
            interrupted[" ".join(sorted(interrupt["id"] for interrupt in result["interrupts"]))] = chunk.task
    found = [_producer(chunk, depth) for chunk in chunks]
    return [interrupted.get(which, (node, which)) if node == INTERRUPTS else (node, which) for node, which in found]


def _result(chunk: Chunk) -> dict[str, Any] | None:
    match chunk.mode:
        case "tasks":
            return chunk.payload if "result" in chunk.payload else None
        case "debug":
            return chunk.payload["payload"] if chunk.payload["type"] == "task_result" else None
        case _:
            return None


def _kind(chunk: Chunk, depth: int) -> str:
    if len(chunk.ns) > depth:
        return "subgraph"
    if chunk.interrupts or ((result := _result(chunk)) is not None and result["interrupts"]):
        return "interrupt"
    return chunk.mode


def _ran_several_times(chunks: Sequence[tuple[Chunk, str]], depth: int) -> bool:
    tasks: defaultdict[str, set[str]] = defaultdict(set)
    for chunk, which in chunks:
        tasks[_kind(chunk, depth)].add(which)
    return any(len(found) > 1 for found in tasks.values()) or sum(_kind(c, depth) == "updates" for c, _ in chunks) > 1


def _siblings_in_order(chunks: Sequence[tuple[Chunk, str]], runs: Runs, depth: int) -> list[Chunk | str]:
    tasks: defaultdict[tuple[str, str], list[Chunk]] = defaultdict(list)
    for number, (chunk, which) in enumerate(chunks):
        # An update doesn't tell its task, but is the only one of it.
        tasks[_kind(chunk, depth), which or str(number)].append(chunk)
    pieces = [(kind, _in_place(found, runs, depth)) for (kind, _), found in tasks.items()]
    pieces.sort(key=lambda piece: (piece[0], sort_key([c if isinstance(c, str) else c.raw for c in piece[1]])))
    return [*disorder(chunks, depth), *(chunk for _, piece in pieces for chunk in piece)]


def disorder(chunks: Sequence[tuple[Chunk, str]], depth: int = 0) -> list[str]:
    """Where the chunks of tasks of one node can't be in the order that every task keeps: stream, update, result.

    Updates don't tell which task they are of, so this counts: at any point as many tasks must have said all they have
    to say as have ended, and as many must have ended as have told their result.
    """
    found: list[str] = []
    results = [which for chunk, which in chunks if len(chunk.ns) == depth and _result(chunk) is not None]
    total = max(len(set(results)), sum(_is_update(chunk, depth) for chunk, _ in chunks))
    for stream in ("custom", "messages", "subgraph"):
        left = Counter(which for chunk, which in chunks if _kind(chunk, depth) == stream)
        ended = 0
        for chunk, which in chunks:
            if _kind(chunk, depth) == stream:
                left[which] -= 1
            ended += _is_update(chunk, depth)
            unfinished = sum(count > 0 for count in left.values())
            if ended > total - unfinished:
                found.append(f"!!! an update before the {stream} of its task")
                break
    updates = any(_is_update(chunk, depth) for chunk, _ in chunks)
    for result in ("tasks", "debug"):
        ended = told = 0
        for chunk, _ in chunks:
            ended += _is_update(chunk, depth)
            told += len(chunk.ns) == depth and chunk.mode == result and _succeeded(chunk)
            if updates and told > ended:
                found.append(f"!!! a {result} result before the update of its task")
                break
    return found


def _is_update(chunk: Chunk, depth: int) -> bool:
    return len(chunk.ns) == depth and chunk.mode == "updates"


def _succeeded(chunk: Chunk) -> bool:
    return (result := _result(chunk)) is not None and result["error"] is None


# --- runs --------------------------------------------------------------------------------------------------------


def canonical_run(
    chunks: Sequence[Chunk], error: BaseException | None, layout: Layout, ids: Ids, *, siblings_of_failure: bool = True
) -> list[Any]:
    """One run as a list of plain data, equal for two runs that differ only in what may differ.

    Without `siblings_of_failure`, what the siblings of a failing task produced in its superstep is left out: how far
    they get before the failure ends the run is up to the scheduler.
    """
    failed = _tasks_in_notes(error) if error is not None and not siblings_of_failure else ()
    lines = [item if isinstance(item, str) else freeze(item.raw, ids) for item in arranged(chunks, layout, 0, failed)]
    if error is not None:
        lines.append(canonical_error(error, ids))
    return lines


def canonical_error(error: BaseException, ids: Ids) -> Any:
    """What a user sees of an exception: its type, its text and its notes."""
    notes = [ids.scrub(note) for note in getattr(error, "__notes__", [])]
    # LangGraph's async runs say nothing with it, its sync runs do.
    text = "" if type(error) is TimeoutError else ids.scrub(str(error))
    return {"raised": type(error).__name__, "text": text, "notes": notes}


def _tasks_in_notes(error: BaseException) -> list[str]:
    """The names of the tasks that failed, outermost first; one that no task has, if the notes name none."""
    notes = cast("list[str]", getattr(error, "__notes__", []))
    found = [re.match(r"During task with name '(.+)' and id ", note) for note in notes]
    return [match.group(1) for match in reversed(found) if match] or [""]
