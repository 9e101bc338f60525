"""What of a run's state lies in Redis for its tasks: large values, each once, however many tasks need it.

A value is known again by its line in the state, not by what it is or holds: to find that out would take as long as to
store it again. Of a list that has grown only what was added is stored.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from fleetgraph.errors import EncodeError
from fleetgraph.growing import covered_by, span
from fleetgraph.pregel.state import Line
from fleetgraph.pregel.task import Task
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.values import (
    GROWING_BYTES,
    LARGE_BYTES,
    WHOLE,
    Reference,
    about,
    bit_field,
    digest,
    is_surely_small,
    may_be_large,
    piece_field,
)


@dataclass(slots=True)
class _Stored:
    """A value that is stored; or one that is too small for that, which has no name."""

    name: str
    items: int
    """Of a list, how many it has; else 0."""
    growths: int = 0
    digest: bytes = b""
    """See `Reference`."""
    lengths: dict[int, int] = field(default_factory=dict[int, int])
    """How many items the list had after so many growths, where a piece that covers several may begin."""
    fields: dict[str, None] = field(default_factory=dict[str, None])
    """Those that hold it."""
    replaced: list[str] = field(default_factory=list[str])
    """Fields that it no longer needs, since one holds all of theirs; workers that know it already still read them."""

    @property
    def reference(self) -> Reference:
        """What tasks are given of it."""
        return Reference(self.name, self.growths, self.digest)


class Given(NamedTuple):
    """The stored values that a task needs, by channel."""

    input: dict[str, Reference]
    seen: dict[str, Reference]
    """Those that the branches behind its node see."""
    lines: list[Line]
    """Theirs: they stay stored for as long as somebody has these."""


class Changes(NamedTuple):
    """What is to be done in Redis before tasks can be given their values."""

    new: dict[str, bytes]
    gone: list[str]
    sweep: bool


class Shelf:
    """The stored values of one run.

    Args:
        codec: Encodes them.
        run: The run's id.
    """

    def __init__(self, codec: Codec, run: str) -> None:
        self._codec = codec
        self._run = run
        self._known: weakref.WeakKeyDictionary[Line, _Stored] = weakref.WeakKeyDictionary()
        self._count = 0
        self._new: dict[str, bytes] = {}
        self._gone: list[str] = []
        self._inherited: set[str] | None = None
        """The outstanding tasks that another coordinator gave their values; None if there is nothing of others."""

    def inherits(self, tasks: Iterable[str]) -> None:
        """Another coordinator has stored values before, which these tasks may need."""
        self._inherited = set(tasks)

    def ended(self, task: str) -> None:
        """A task needs no values any more, or is going to be given them anew."""
        if self._inherited is not None:
            self._inherited.discard(task)

    def given(self, task: Task, epoch: int) -> Given:
        """The stored values that a task needs. What is not stored yet, though it should be, is with the next `changes`.

        Args:
            task: The task. One that is given an argument of its own (a Send, a call) needs none for its input.
            epoch: That of the coordinator.
        """
        given = Given({}, {}, [])
        if task.state is None:
            return given
        state = task.state
        node = task.frame.program.nodes.get(task.name)
        alone = node.reading.keys if node is not None and isinstance(node.reading.keys, str) else None
        values = task.values or {}
        if alone is not None and task.values is not None:
            values = {alone: task.values}
        current: dict[str, tuple[Any, Reference | None]] = {}
        for shown, names in ((values, given.input), (task.snapshot or {}, given.seen)):
            for name, value in shown.items():
                if is_surely_small(value):
                    continue
                if (channel := state.channels.get(name)) is None or not channel.is_available():
                    continue
                if name not in current:
                    now = channel.get()
                    current[name] = now, self._reference(state.line(name), now, epoch)
                now, reference = current[name]
                if reference is not None and _same(value, now):
                    names[WHOLE if name == alone and names is given.input else name] = reference
                    given.lines.append(state.line(name))
        return given

    def changes(self) -> Changes | None:
        """What is to be stored and removed since this was last asked; None for nothing."""
        sweep = self._inherited is not None and not self._inherited
        if not (self._new or self._gone or sweep):
            return None
        if sweep:
            self._inherited = None
        changes = Changes(self._new, self._gone, sweep)
        self._new, self._gone = {}, []
        return changes

    def _reference(self, line: Line, value: Any, epoch: int) -> Reference | None:
        stored = self._known.get(line)
        items = len(cast("list[Any]", value)) if type(value) is list else 0
        if stored is not None and stored.items == items:
            return stored.reference if stored.name else None
        try:
            if stored is not None and stored.name:
                self._grow(stored, cast("list[Any]", value))
            else:
                stored = self._store(line, value, items, epoch, LARGE_BYTES if stored is None else GROWING_BYTES)
        except EncodeError:
            return None  # whoever encodes the task's message is told the same, and where in the task it is
        return stored.reference if stored.name else None

    def _store(self, line: Line, value: Any, items: int, epoch: int, limit: int) -> _Stored:
        name = f"{epoch}-{self._count + 1}"
        data = self._encoded(name, value) if may_be_large(value, limit) else b""
        if len(data) < limit:
            name = ""
        stored = self._known[line] = _Stored(name, items)
        if name:
            self._count += 1
            stored.lengths[0] = items
            self._put(stored, name, data)
            weakref.finalize(line, self._gone_with, stored.fields, stored.replaced).atexit = False
        return stored

    def _grow(self, stored: _Stored, value: list[Any]) -> None:
        number = stored.growths + 1
        start = number - span(number)
        bit = bit_field(stored.name, number)
        new = {bit: self._encoded(bit, value[stored.items :])}
        if start < number - 1:
            piece = piece_field(stored.name, number)
            new[piece] = self._encoded(piece, value[stored.lengths[start] :])
            covered = covered_by(number)
            self._drop(stored.replaced)
            stored.replaced[:] = [bit, *(piece_field(stored.name, one) for one in covered)]
            for one in covered:
                del stored.lengths[one]
        for name, data in new.items():
            self._put(stored, name, data)
        for name in stored.replaced:
            stored.fields.pop(name, None)
        stored.growths, stored.items = number, len(value)
        stored.digest = b"" if self._codec.encrypts else digest(new[bit])
        stored.lengths[number] = len(value)

    def _put(self, stored: _Stored, name: str, data: bytes) -> None:
        self._new[name] = data
        stored.fields[name] = None

    def _encoded(self, name: str, value: Any) -> bytes:
        return self._codec.encode(value, "a value of the state", about=about(self._run, name))

    def _drop(self, fields: Iterable[str]) -> None:
        for name in fields:
            if self._new.pop(name, None) is None:
                self._gone.append(name)

    def _gone_with(self, fields: Mapping[str, None], replaced: list[str]) -> None:
        """A value is no longer part of the state, and no task has it any more."""
        self._drop([*fields, *replaced])


def _same(value: Any, held: Any) -> bool:
    """Whether what a task is given of a channel is what the channel gives: some save more than that."""
    if value is held:
        return True
    if type(value) is not list or type(held) is not list:
        return False
    one, other = cast("list[Any]", value), cast("list[Any]", held)
    return len(one) == len(other) and all(map(operator.is_, one, other))
