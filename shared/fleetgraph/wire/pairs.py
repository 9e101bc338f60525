"""Pairs of an object and a map, as tokens are: message and metadata. In a flood of them the map is the same."""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, cast

from fleetgraph.wire.kinds import MODEL, OBJECT

_OBJECTS: Final = frozenset([OBJECT, MODEL])
_ATOMS: Final = frozenset([type(None), bool, int, float, str, bytes])

Pair = tuple[int, bytes, bytes]
"""Code and data of the object that comes first, which is an extension; and the second item as msgpack."""


def split(data: bytes) -> Pair | None:
    """The items of a tuple, if they are an object, of 17 bytes to 64 kB, and one other."""
    if data[:2] == b"\x92\xc7" and len(data) > 4:
        begin, size, code = 4, data[2], data[3]
    elif data[:2] == b"\x92\xc8" and len(data) > 5:
        begin, (size, code) = 5, _size_and_code(data, 2)
    else:
        return None
    end = begin + size
    if code not in _OBJECTS or end >= len(data):
        return None
    return code, data[begin:end], data[end:]


_size_and_code = Struct(">HB").unpack_from


class Maps:
    """Maps that come again and again: from the third time on they are not decoded but copied."""

    __slots__ = ("_copied", "_seen")

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._copied: dict[bytes, tuple[dict[Any, Any], list[Any]]] = {}
        """By their bytes, with the keys of the lists in them."""

    def copy(self, packed: bytes) -> dict[Any, Any] | None:
        """A copy of the map that these bytes are, which shares nothing with it that can be changed; None if unknown."""
        known = self._copied.get(packed)
        if known is None:
            return None
        copy = known[0].copy()
        for key in known[1]:
            copy[key] = copy[key].copy()
        return copy

    def decoded(self, packed: bytes, value: Any) -> None:
        """Take note of what these bytes are. Only a map is copied that is simple enough for that to be faster."""
        if packed not in self._seen:
            self._seen.add(packed)
        elif type(value) is dict:
            lists: list[Any] = []
            for key, item in cast("dict[Any, Any]", value).items():
                if type(item) is list and all(map(_is_constant, cast("list[Any]", item))):
                    lists.append(key)
                elif not _is_constant(item):
                    return
            self._copied[packed] = value, lists


def _is_constant(value: Any) -> bool:
    return type(value) in _ATOMS or (type(value) is tuple and all(map(_is_constant, cast("tuple[Any, ...]", value))))
