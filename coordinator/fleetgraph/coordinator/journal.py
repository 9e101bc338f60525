"""What a run was told, noted in Redis: whoever takes the run over tells it to a machine of its own, in the same order.

A machine does the same whenever it is told the same. So the journal holds what comes from outside of it: the order, the
outcomes and requests of tasks as they came, and notes of what savers, caches and the clock said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from fleetgraph.channels.base import MISSING
from fleetgraph.pregel.machine import Checkpoint
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import Order
from fleetgraph.wire.shapes import message_from_array, message_to_array

_NOTE: Final = b"!"
"""What tells a note from an outcome or a request."""

LOADED: Final = "loaded"
"""Where the thread stood when the run began: [checkpoint or None, its newest checkpoint's id]."""
INSIDE: Final = "inside"
"""The same for a graph in a task, by the task's id."""
CACHED: Final = "cached"
"""The writes that a cache had of a task, by its id."""
UNSAVED: Final = "unsaved"
"""That not all was saved that followed from what was told last."""
WOKEN: Final = "woken"
"""That something was put off until now: which, as the machine calls it."""
DRAINED: Final = "drained"
"""That its caller asked it to stop after the superstep at hand, and the reason that was given."""
DRAINED_BEFORE: Final = "drained before"
"""The same of a run that had not begun."""

STOP: Final = "stop "
"""How what a run was told begins where it was asked to stop; the reason follows."""


class Journal:
    """The notes of one run.

    Args:
        codec: Encodes and decodes them.
        kept: Whether anybody may take the run over; else nothing is noted.
        entries: What Redis has of the journal, behind the order.
    """

    def __init__(self, codec: Codec, *, kept: bool, entries: Iterable[bytes] = ()) -> None:
        self._codec = codec
        self.kept = kept
        self._new: list[bytes] = []
        self._first: list[bytes] = []
        self._known: dict[tuple[str, str], Any] = {}
        self.told: list[bytes | str] = []
        """What the run was told: a message as it came, or what it was woken for."""
        self._unsaved: int | None = None
        for entry in entries:
            self._read(entry)

    @property
    def saved(self) -> int:
        """Before which of the things that the run was told, counted from 1, everything was saved that followed; 0 where
        not even what followed from its beginning is known to be.
        """
        return len(self.told) + 1 if self._unsaved is None and self.told else self._unsaved or 0

    def _read(self, entry: bytes) -> None:
        if not entry.startswith(_NOTE):
            self.told.append(entry)
            return
        kind, key, value = self._codec.decode(entry[len(_NOTE) :])
        if kind == WOKEN:
            self.told.append(key)
        elif kind == DRAINED:
            self.told.append(f"{STOP}{key}")
        elif kind == UNSAVED:
            self._unsaved = self._unsaved if self._unsaved is not None else len(self.told)
        else:
            self._known.setdefault((kind, key), value)

    def note(self, kind: str, key: str, value: Any = None, *, first: bool = False) -> None:
        """Note what came from outside; `first` if it came before what the run is just being told.

        Raises:
            EncodeError: The value can't travel.
        """
        if self.kept:
            where = f"what a run needs to outlive its coordinator: {kind} {key}".rstrip()
            notes = self._first if first else self._new
            notes.append(_NOTE + self._codec.encode([kind, key, value], where))

    def recall(self, kind: str, key: str) -> Any:
        """What was noted before the run was taken over; MISSING if nothing was."""
        return self._known.get((kind, key), MISSING)

    def take(self) -> tuple[list[bytes], list[bytes]]:
        """The notes made since this was last asked: those from before what the run was told, and those about it."""
        first, new = self._first, self._new
        self._first, self._new = [], []
        return first, new


def encode_order(codec: Codec, order: Order) -> bytes:
    """The bytes of an order.

    Raises:
        EncodeError: Its input, config or context can't travel.
    """
    return codec.encode(message_to_array(order), f"graph {order.graph.name!r}, the order of run {order.run}")


def decode_order(codec: Codec, data: bytes) -> Order:
    """The order in these bytes.

    Raises:
        DecodeError: There is none.
    """
    return message_from_array(Order, codec.decode(data))


def plain_checkpoint(checkpoint: Checkpoint | None) -> Any:
    """A checkpoint as a note holds it."""
    return None if checkpoint is None else [getattr(checkpoint, field.name) for field in fields(checkpoint)]


def built_checkpoint(plain: Any) -> Checkpoint | None:
    """The checkpoint of a note."""
    return None if plain is None else Checkpoint(*plain)
