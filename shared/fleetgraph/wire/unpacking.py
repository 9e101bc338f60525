"""msgpack from anybody, unpacked in memory that is in proportion to its length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

_new_unpacker = cast("Callable[..., Any]", msgpack.Unpacker)  # pyright: ignore[reportUnknownMemberType]
_unpackb = cast("Callable[..., Any]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]

_SMALL: Final = 1024
"""Bytes in which arrays can't claim to be so long that it matters."""

_LONG_ARRAYS: Final = (b"\xdc", b"\xdd")
"""The bytes that begin an array of 16 items and more."""


def unpack(data: bytes, *, on_heap: bool = False, **options: Any) -> Any:
    """The one value in `data`, as `msgpack.unpackb` gives it.

    Args:
        data: msgpack.
        on_heap: Keep off the C stack, of which `unpackb` takes 24 KB; takes twice the time.
        options: Those of `msgpack.unpackb`.

    Raises:
        Exception: Many kinds: those of msgpack, ValueError, TypeError, RecursionError, what an `ext_hook` raises.
    """
    if len(data) > _SMALL and any(byte in data for byte in _LONG_ARRAYS):
        _check_lengths(data)
    if not on_heap:
        return _unpackb(data, **options)
    unpacker = reader(data, **options)
    value = unpacker.unpack()
    if unpacker.tell() != len(data):
        raise msgpack.ExtraData(value, b"")
    return value


def _check_lengths(data: bytes) -> None:
    """Raise if an array is shorter than it says. msgpack makes a list of the length it says before it looks: arrays
    in each other's first place, of millions of items that are not there, would fill the memory.
    """
    reader(data).skip()


def reader(data: bytes, **options: Any) -> Any:
    """A `msgpack.Unpacker` of exactly these bytes; `options` are its own."""
    size = max(1, len(data))
    unpacker = _new_unpacker(max_buffer_size=size, read_size=size, **options)
    unpacker.feed(data)
    return unpacker
