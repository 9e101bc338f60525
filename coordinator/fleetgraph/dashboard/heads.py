"""The heads of events: what the board needs of them, without building their payloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from fleetgraph.wire.events import RUN
from fleetgraph.wire.unpacking import unpack

_new_unpacker = cast("Callable[..., Any]", msgpack.Unpacker)  # pyright: ignore[reportUnknownMemberType]

_STEPPED: Final = frozenset({"debug", "checkpoints"})
"""The modes whose payloads tell the superstep."""

_LARGEST_READ: Final = 64 << 10
"""Bytes of a payload up to which it is looked into for the superstep: checkpoints hold the whole state."""

_EVENT: Final = 6
"""Items of an event."""


@dataclass(frozen=True, slots=True)
class Head:
    """One event, without its payload."""

    seq: int
    mode: str
    task: str
    attempt: int
    status: str | None = None
    """How the run has ended; None if it has not."""
    step: int | None = None
    """The superstep of the run's own graph that the event tells about, if it says."""


def read_heads(message: bytes) -> list[Head]:
    """The events of a message as it comes from a run's channel; those before the first that is none."""
    found: list[Head] = []
    try:
        _reader(message).skip()  # arrays that claim to be longer than they are must not get memory
        found.extend(_heads(message))
    except Exception:  # rubbish, for which msgpack raises many kinds: what was found before it stands
        return found
    return found


def _reader(message: bytes) -> Any:
    size = max(1, len(message))
    unpacker = _new_unpacker(max_buffer_size=size, read_size=size, unicode_errors="replace", strict_map_key=False)
    unpacker.feed(message)
    return unpacker


def _heads(message: bytes) -> Iterator[Head]:
    reader = _reader(message)
    if reader.read_array_header() != 2:
        return
    last = reader.unpack()
    count = reader.read_array_header()
    for seq in range(last - count + 1, last + 1):
        if reader.read_array_header() != _EVENT:
            return
        mode = reader.unpack()
        depth = reader.read_array_header()
        for _ in range(depth):
            reader.skip()
        task, attempt = reader.unpack(), reader.unpack()
        reader.skip()  # when it was made, by a clock that may be wrong
        start = reader.tell()
        reader.skip()
        if not (type(mode) is str and type(task) is str and type(attempt) is int):
            return
        payload = message[start : reader.tell()] if depth == 0 else b""
        yield Head(seq, mode, task, attempt, _status(mode, payload), _step(mode, payload))


def _status(mode: str, payload: bytes) -> str | None:
    if mode != RUN:
        return None
    status = _item(_plain(payload), "status")
    return status if isinstance(status, str) else None


def _step(mode: str, payload: bytes) -> int | None:
    if mode not in _STEPPED or not 0 < len(payload) <= _LARGEST_READ:
        return None
    plain = _plain(payload)
    step = _item(plain, "step") if mode == "debug" else _item(_item(plain, "metadata"), "step")
    return step if type(step) is int else None


def _item(plain: Any, name: str) -> Any:
    return cast("dict[Any, Any]", plain).get(name) if isinstance(plain, dict) else None


def _plain(payload: bytes) -> Any:
    """A payload with its extensions as they are; None if it can't be read."""
    try:
        return unpack(payload, strict_map_key=False, unicode_errors="replace")
    except Exception:  # msgpack raises many kinds
        return None
