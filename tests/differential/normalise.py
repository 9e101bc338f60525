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

A stream without barriers (`updates` alone) doesn't show where a superstep ends; there `Layout`, learnt from a recording
of the same program that does show it, says how many chunks each superstep holds.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")


# --- values ------------------------------------------------------------------------------------------------------


class Ids:
    """Numbers ids in the order in which they are first met."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def scrub(self, text: str) -> str:
        """`text` with each id replaced by its number, and each timestamp by a word."""
        text = ANY_ID.sub(lambda match: f"<id {self._seen.setdefault(match.group(), len(self._seen))}>", text)
        return TIMESTAMP.sub("<time>", text)


class _AllAlike(Ids):
    """Ids that can't be told apart: what to sort by while the order, and so the numbering, is not known yet."""

    def scrub(self, text: str) -> str:
        return TIMESTAMP.sub("<time>", ANY_ID.sub("<id>", text))


def freeze(value: Any, ids: Ids) -> Any:
    """`value` as plain data, equal only to the plain data of a value that a user could not tell from it.

    Types are kept apart (tuple and list, bool and int, a dataclass and the dict of its fields). The two libraries'
    twins of one type are equal: of a class only the name counts. The order of a dict's keys doesn't count.
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
    return {freeze(key, ids): freeze(value[key], ids) for key in sorted(value, key=sort_key)}


def _freeze_object(value: Any, ids: Ids) -> Any:
    cls = cast("type[Any]", type(value))
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

    @property
    def is_start(self) -> bool:
        """Whether the chunk tells that a task starts."""
        match self.mode:
            case "tasks":
                return "triggers" in self.payload
            case "debug":
                return self.payload["type"] == "task"
            case _:
                return False

    @property
    def is_barrier(self) -> bool:
        """Whether the chunk marks a point in time that all tasks of a superstep share."""
        if self.mode == "debug" and self.payload["type"] == "checkpoint":
            return True
        return self.mode in ("values", "checkpoints") or self.is_start

    @property
    def task(self) -> tuple[str, str]:
        """The node whose task produced the chunk, and which of the node's tasks ("" where the chunk doesn't tell).

        A `custom` payload tells by convention of the programs: `{"task": "node"}`, or `{"task": "node#2"}` in a node
        that runs several times in one superstep.
        """
        payload = self.payload
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


def open_envelope(raw: Any, stream_mode: Any, version: str) -> Chunk:
    """`raw`, as yielded by a call with these arguments. Raises Misshapen when the call should yield another shape."""
    if version == "v2":
        part = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        more = {"interrupts"} if part.get("type") == "values" else set[str]()
        if set(part) != {"type", "ns", "data"} | more:
            raise Misshapen(f"not a stream part: {raw!r}")
        if not isinstance(part["ns"], tuple):
            raise Misshapen(f"not a namespace: {part['ns']!r}")
        return Chunk(part["type"], part["data"], raw)
    if isinstance(stream_mode, list):
        pair = cast("tuple[Any, ...]", raw) if type(raw) is tuple else ()
        if len(pair) != 2 or pair[0] not in stream_mode:
            raise Misshapen(f"not a pair of mode and payload: {raw!r}")
        return Chunk(pair[0], pair[1], raw)
    return Chunk(stream_mode, raw, raw)


# --- supersteps --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Superstep:
    """What a recording of all stream modes shows about one superstep."""

    tasks: int
    """How many tasks ran in it."""
    chunks: Mapping[str, int]
    """How many chunks of each mode its tasks produced on their own."""


Layout = Sequence[Superstep]
"""The supersteps of one run."""


def layout_of(chunks: Iterable[Chunk]) -> Layout:
    """The supersteps of a run that was recorded with `tasks` among its modes."""
    tasks = 0
    counts: Counter[str] = Counter()
    steps: list[Superstep] = []
    for chunk in chunks:
        if chunk.mode == "tasks" and chunk.is_start:
            if counts:
                steps.append(Superstep(tasks, counts))
                tasks, counts = 0, Counter[str]()
            tasks += 1
        elif not chunk.is_barrier:
            counts[chunk.mode] += 1
    return [*steps, Superstep(tasks, counts)] if tasks else steps


@dataclass(frozen=True)
class Bag:
    """Consecutive chunks that the tasks of one superstep produced on their own."""

    tasks: int
    chunks: list[Chunk]


def split(chunks: Sequence[Chunk], layout: Layout) -> list[Chunk | Bag]:
    """The barriers of a stream, and between them one bag per superstep.

    Where the stream shows task starts they delimit the supersteps; `layout` is used only where it doesn't.
    """
    if not any(chunk.is_barrier for chunk in chunks):
        return list(_split_by_layout(chunks, layout))
    parts: list[Chunk | Bag] = []
    starts: set[str] = set()
    in_starts = False
    for chunk in chunks:
        if chunk.is_barrier:
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


def _split_by_layout(chunks: Sequence[Chunk], layout: Layout) -> Iterable[Bag]:
    modes = {chunk.mode for chunk in chunks}
    rest = list(chunks)
    for step in layout[:-1]:
        size = sum(count for mode, count in step.chunks.items() if mode in modes)
        yield Bag(step.tasks, rest[:size])
        rest = rest[size:]
    # The last superstep is what is left, even if that is nothing: it may have failed, at another moment than here.
    yield Bag(layout[-1].tasks if layout else 1, rest)


def in_order(bag: Bag) -> list[Chunk | str]:
    """The chunks of a bag in an order that doesn't depend on which of its tasks was faster.

    With one task in the bag that is the order they came in. Otherwise they are grouped by node, and each node's chunks
    are kept in the order they came in, unless the node ran several times (Sends), whose chunks are grouped by mode and
    task; what that would hide of the order among modes is said by lines of text, see `disorder`.
    """
    if bag.tasks <= 1:
        return list(bag.chunks)
    nodes: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in bag.chunks:
        nodes[chunk.task[0]].append(chunk)
    ordered: list[Chunk | str] = []
    for node in sorted(nodes):
        ordered.append(f"of node {node!r}:")
        ordered.extend(nodes[node] if not _ran_several_times(nodes[node]) else _siblings_in_order(nodes[node]))
    return ordered


def _ran_several_times(chunks: Sequence[Chunk]) -> bool:
    tasks: defaultdict[str, set[str]] = defaultdict(set)
    for chunk in chunks:
        tasks[chunk.mode].add(chunk.task[1])
    return any(len(found) > 1 for found in tasks.values()) or sum(c.mode == "updates" for c in chunks) > 1


def _siblings_in_order(chunks: Sequence[Chunk]) -> list[Chunk | str]:
    tasks: defaultdict[tuple[str, str], list[Chunk]] = defaultdict(list)
    for number, chunk in enumerate(chunks):
        # An update doesn't tell its task, but is the only one of it.
        tasks[chunk.mode, chunk.task[1] or str(number)].append(chunk)
    by_content = sorted(tasks, key=lambda task: (task[0], sort_key([chunk.raw for chunk in tasks[task]])))
    return [*disorder(chunks), *(chunk for task in by_content for chunk in tasks[task])]


def disorder(chunks: Sequence[Chunk]) -> list[str]:
    """Where the chunks of tasks of one node can't be in the order that every task keeps: stream, update, result.

    Updates don't tell which task they are of, so this counts: at any point as many tasks must have said all they have
    to say as have ended, and as many must have ended as have told their result.
    """
    found: list[str] = []
    total = len({chunk.task[1] for chunk in chunks if chunk.mode in ("tasks", "debug")})
    updates = sum(chunk.mode == "updates" for chunk in chunks)
    total = max(total, updates)
    for stream in ("custom", "messages"):
        left = Counter(chunk.task[1] for chunk in chunks if chunk.mode == stream)
        ended = 0
        for chunk in chunks:
            if chunk.mode == stream:
                left[chunk.task[1]] -= 1
            ended += chunk.mode == "updates"
            unfinished = sum(count > 0 for count in left.values())
            if ended > total - unfinished:
                found.append(f"!!! an update before the {stream} of its task")
                break
    for result in ("tasks", "debug"):
        ended = told = 0
        for chunk in chunks:
            ended += chunk.mode == "updates"
            told += chunk.mode == result and not _failed(chunk)
            if updates and told > ended:
                found.append(f"!!! a {result} result before the update of its task")
                break
    return found


def _failed(result: Chunk) -> bool:
    payload = result.payload if result.mode == "tasks" else result.payload["payload"]
    return payload["error"] is not None


# --- runs --------------------------------------------------------------------------------------------------------


def canonical_run(
    chunks: Sequence[Chunk], error: BaseException | None, layout: Layout, ids: Ids, *, siblings_of_failure: bool = True
) -> list[Any]:
    """One run as a list of plain data, equal for two runs that differ only in what may differ.

    Without `siblings_of_failure`, what the siblings of a failing task produced in its superstep is left out: how far
    they get before the failure ends the run is up to the scheduler.
    """
    parts = split(chunks, layout)
    if error is not None and not siblings_of_failure and parts and isinstance(parts[-1], Bag):
        failed = _task_in_notes(error)
        last = parts[-1]
        parts[-1] = Bag(last.tasks, [chunk for chunk in last.chunks if chunk.task[0] == failed])
    lines: list[Any] = []
    for part in parts:
        for item in [part] if isinstance(part, Chunk) else in_order(part):
            lines.append(item if isinstance(item, str) else freeze(item.raw, ids))
    if error is not None:
        lines.append(canonical_error(error, ids))
    return lines


def canonical_error(error: BaseException, ids: Ids) -> Any:
    """What a user sees of an exception: its type, its text and its notes."""
    notes = [ids.scrub(note) for note in getattr(error, "__notes__", [])]
    return {"raised": type(error).__name__, "text": ids.scrub(str(error)), "notes": notes}


def _task_in_notes(error: BaseException) -> str:
    for note in getattr(error, "__notes__", []):
        if match := re.match(r"During task with name '(.+)' and id ", note):
            return match.group(1)
    return ""
