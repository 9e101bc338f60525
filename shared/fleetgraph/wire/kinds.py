"""The kinds of values any program has: what each looks like in plain msgpack, and how it is built again."""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

MAX_NESTING: Final = 128
"""Extensions inside extensions: each takes 2 KB of C stack and three Python frames of the decoding thread."""

# The extension codes. They are part of the wire format: codec.py documents them, and none is ever used again.
TUPLE: Final = 1
SET: Final = 2
FROZENSET: Final = 3
DEQUE: Final = 4
BIG_INT: Final = 5
COMPLEX: Final = 6
BYTEARRAY: Final = 7
DATETIME: Final = 8
DATE: Final = 9
TIME: Final = 10
TIMEDELTA: Final = 11
TIMEZONE: Final = 12
UUID_: Final = 13
DECIMAL: Final = 14
FRACTION: Final = 15
PATH: Final = 16
RANGE: Final = 17
PATTERN: Final = 18
IP: Final = 19
ORDERED_DICT: Final = 20
COUNTER: Final = 21
DEFAULT_DICT: Final = 22
ENUM: Final = 30
OBJECT: Final = 31
MODEL: Final = 32
DERIVED: Final = 33
EXCEPTION: Final = 34
ARRAY: Final = 40
SCALAR: Final = 41

Plain = Callable[[Any], Any]
"""Makes a value into plain msgpack, other kinds inside."""

Build = Callable[[Any], Any]
"""Makes the value out of that again; raises anything when the plain form makes no sense."""


class Refusal(Exception):
    """`value` can't travel; `hint` says what to do instead."""

    def __init__(self, value: Any, hint: str) -> None:
        self.value = value
        self.hint = hint
        super().__init__(hint)


class SentByteArray:
    """Stands for a bytearray while it is packed: msgpack would pack the bytearray itself as bytes."""

    __slots__ = ("data",)

    def __init__(self, data: bytearray) -> None:
        self.data = bytes(data)


# --- numbers, text, containers ------------------------------------------------------------------------------


def _big_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _complex(value: complex) -> list[float]:
    return [value.real, value.imag]


def _deque(value: deque[Any]) -> list[Any]:
    return [list(value), value.maxlen]


def _fraction(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _range(value: range) -> list[int]:
    return [value.start, value.stop, value.step]


def _pattern(value: re.Pattern[Any]) -> list[Any]:
    return [value.pattern, value.flags & ~int(re.DEBUG)]  # DEBUG makes compiling print


_FACTORIES: Final[dict[str, Any]] = {
    factory.__name__: factory
    for factory in (
        *(bool, bytes, dict, float, frozenset, int, list, set, str, tuple),
        *(Counter, OrderedDict, deque),
    )
}


def _default_dict(value: defaultdict[Any, Any]) -> list[Any]:
    factory = value.default_factory
    if factory is None:
        return [None, dict(value)]
    name = getattr(factory, "__name__", "")
    if _FACTORIES.get(name) is not factory:
        raise Refusal(value, f"Its default_factory can't travel, only {', '.join(_FACTORIES)} can. Send a dict.")
    return [name, dict(value)]


def _build_default_dict(plain: Any) -> defaultdict[Any, Any]:
    factory, items = plain
    if type(items) is not dict:
        raise TypeError(f"expected dict, got {type(items).__name__}")
    return defaultdict(None if factory is None else _FACTORIES[factory], cast("dict[Any, Any]", items))


# --- time ---------------------------------------------------------------------------------------------------


def _zone(zone: tzinfo) -> Any:
    if isinstance(zone, ZoneInfo):
        if zone.key:
            return zone.key
        raise Refusal(zone, "A ZoneInfo made from a file has no name to travel under.")
    offset = zone.utcoffset(None)
    if offset is None:
        raise Refusal(zone, "Use zoneinfo.ZoneInfo or a fixed offset as the time zone.")
    seconds = offset.total_seconds()
    name = zone.tzname(None)
    if isinstance(zone, timezone) and name != timezone(offset).tzname(None):
        return [seconds, name]
    return seconds


def _build_zone(plain: Any) -> tzinfo:
    match plain:
        case str():
            return ZoneInfo(plain)
        case [seconds, name]:
            return timezone(timedelta(seconds=seconds), name)
        case _:
            return timezone(timedelta(seconds=plain))


def _moment(value: datetime | time) -> Any:
    zone = value.tzinfo
    if value.fold == 0 and (zone is None or zone is UTC):
        return value.isoformat()
    plain = None if zone is None else _zone(zone)
    if value.fold == 0 and isinstance(plain, float):
        return value.replace(tzinfo=_build_zone(plain)).isoformat()
    return [value.replace(tzinfo=None).isoformat(), plain, value.fold]


def _build_moment(parse: Callable[[str], Any]) -> Build:
    def build(plain: Any) -> Any:
        if isinstance(plain, str):
            return parse(plain)
        text, zone, fold = plain
        return parse(text).replace(tzinfo=None if zone is None else _build_zone(zone), fold=fold)

    return build


def _timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


# --- paths and addresses ------------------------------------------------------------------------------------

# A path of the other kind of system can't be made here: it arrives as its pure twin, of the same parts.
_PATHS: Final[dict[str, Callable[[str], PurePath]]] = {
    "PurePosixPath": PurePosixPath,
    "PureWindowsPath": PureWindowsPath,
    "PosixPath": PosixPath if os.name == "posix" else PurePosixPath,
    "WindowsPath": WindowsPath if os.name == "nt" else PureWindowsPath,
}

_ADDRESSES: Final[dict[str, Callable[[str], Any]]] = {
    cls.__name__: cls
    for cls in (
        *(ipaddress.IPv4Address, ipaddress.IPv4Interface, ipaddress.IPv4Network),
        *(ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network),
    )
}


def _titled(value: Any) -> list[str]:
    return [type(value).__name__, str(value)]


def _build_titled(classes: dict[str, Any]) -> Build:
    return lambda plain: classes[plain[0]](plain[1])


# --- the tables ---------------------------------------------------------------------------------------------

PLAIN: Final[dict[type[Any], tuple[int, Plain]]] = {
    tuple: (TUPLE, list),
    set: (SET, list),
    frozenset: (FROZENSET, list),
    deque: (DEQUE, _deque),
    int: (BIG_INT, _big_int),
    complex: (COMPLEX, _complex),
    bytearray: (BYTEARRAY, bytes),
    SentByteArray: (BYTEARRAY, lambda value: value.data),
    datetime: (DATETIME, _moment),
    date: (DATE, date.isoformat),
    time: (TIME, _moment),
    timedelta: (TIMEDELTA, _timedelta),
    timezone: (TIMEZONE, _zone),
    ZoneInfo: (TIMEZONE, _zone),
    UUID: (UUID_, str),
    Decimal: (DECIMAL, str),
    Fraction: (FRACTION, _fraction),
    **dict.fromkeys((PurePosixPath, PureWindowsPath, PosixPath, WindowsPath), (PATH, _titled)),
    range: (RANGE, _range),
    re.Pattern: (PATTERN, _pattern),
    ipaddress.IPv4Address: (IP, _titled),
    ipaddress.IPv4Interface: (IP, _titled),
    ipaddress.IPv4Network: (IP, _titled),
    ipaddress.IPv6Address: (IP, _titled),
    ipaddress.IPv6Interface: (IP, _titled),
    ipaddress.IPv6Network: (IP, _titled),
    OrderedDict: (ORDERED_DICT, dict),
    Counter: (COUNTER, dict),
    defaultdict: (DEFAULT_DICT, _default_dict),
}
"""Code and plain form by exact type. A subclass is another type, which has to be on the allow-list."""


def _made_of(shape: type[Any], build: Build) -> Build:
    """`build` for a plain form that is exactly a `shape`.

    The check is not only for tidiness: `tuple` of a range, sent in a list's place, would fill the memory.
    """

    def checked(plain: Any) -> Any:
        if type(plain) is not shape:
            raise TypeError(f"expected {shape.__name__}, got {type(plain).__name__}")
        return build(plain)

    return checked


def _build_deque(plain: Any) -> deque[Any]:
    items, maxlen = plain
    return deque(_as_list(items), maxlen)


_as_list = _made_of(list, lambda plain: plain)

BUILD: Final[dict[int, Build]] = {
    TUPLE: _made_of(list, tuple),
    SET: _made_of(list, set),
    FROZENSET: _made_of(list, frozenset),
    DEQUE: _build_deque,
    BIG_INT: _made_of(bytes, lambda plain: int.from_bytes(plain, "big", signed=True)),
    COMPLEX: lambda plain: complex(plain[0], plain[1]),
    BYTEARRAY: _made_of(bytes, bytearray),
    DATETIME: _build_moment(datetime.fromisoformat),
    DATE: date.fromisoformat,
    TIME: _build_moment(time.fromisoformat),
    TIMEDELTA: lambda plain: timedelta(plain[0], plain[1], plain[2]),
    TIMEZONE: _build_zone,
    UUID_: _made_of(str, UUID),
    DECIMAL: _made_of(str, Decimal),
    FRACTION: lambda plain: Fraction(plain[0], plain[1]),
    PATH: _build_titled(_PATHS),
    RANGE: lambda plain: range(plain[0], plain[1], plain[2]),
    PATTERN: lambda plain: re.compile(plain[0], plain[1] & ~int(re.DEBUG)),
    IP: _build_titled(_ADDRESSES),
    ORDERED_DICT: _made_of(dict, OrderedDict),
    COUNTER: _made_of(dict, Counter),
    DEFAULT_DICT: _build_default_dict,
}
"""What rebuilds the kinds of `PLAIN`."""
