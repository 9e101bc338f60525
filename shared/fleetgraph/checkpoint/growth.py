"""How savers keep lists that only grow: each version of one as what it has more than an earlier version.

What is stored of such a version is a *tail*: a byte that begins no msgpack, how often the list has grown since it was
stored as a whole, the earlier version, and the encoded items behind those of that version:

    0xC1 <growths> ":" <length> ":" <version> <items>

Which version is the earlier one `fleetgraph.growing` says, so that chains stay short.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fleetgraph.growing import FAN, span

TAIL: Final = b"\xc1"
"""What a tail begins with."""

SMALL_BYTES: Final = 1024
"""Lists that take no more are stored as a whole: the way to an earlier version takes a tenth of that."""

_REMEMBERED: Final = 10_000
"""Versions of lists that a saver remembers: a few hundred bytes each. A list whose latest version is forgotten, and not
loaded since, is stored as a whole once more."""

LONGEST_VERSION: Final = 200
"""Bytes of a version that others may rest on: ours have 51."""

LONGEST_HEAD: Final = LONGEST_VERSION + 40
"""Bytes of a tail before its items, at most."""

_HEAD: Final = re.compile(rb"\xc1(\d+):(\d+):")


class Tail(NamedTuple):
    """What is stored of a version of a list."""

    growths: int
    base: str
    """The earlier version."""
    items: bytes
    """The encoded list of those behind its own."""

    @property
    def data(self) -> bytes:
        """As it is stored."""
        base = self.base.encode()
        return b"%b%d:%d:%b%b" % (TAIL, self.growths, len(base), base, self.items)

    @classmethod
    def parse(cls, data: bytes) -> Tail | None:
        """The tail in what is stored; None if that is a whole value.

        Raises:
            ValueError: It begins like a tail, and is none.
        """
        if not data.startswith(TAIL):
            return None
        head = _HEAD.match(data)
        if head is None:
            raise ValueError("it begins like what a list has grown by, and is not that")
        end = head.end() + int(head[2])
        return cls(int(head[1]), data[head.end() : end].decode(), data[end:])


def base_of(data: bytes) -> str | None:
    """The version that a value rests on, of which at least the first `LONGEST_HEAD` bytes are given; None for none."""
    head = _HEAD.match(data)
    return None if head is None else data[head.end() : head.end() + int(head[2])].decode(errors="replace")


class Version(NamedTuple):
    """A version of a list, and how many items it has."""

    version: Any
    items: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What has to be known of a version of a list, to store what it grows to."""

    growths: int
    size: int
    """Bytes that it takes up, with all that it rests on."""
    at: Version
    before: tuple[Version, ...]
    """The versions on which the next one of each larger span rests."""

    @classmethod
    def whole(cls, at: Version, size: int) -> Standing:
        """That of a list stored as a whole."""
        return cls(0, size, at, (at,))

    @classmethod
    def along(cls, path: Sequence[tuple[int, Version]], size: int) -> Standing | None:
        """That of the last version of a path: growths and version, each resting on the one before.

        None if the path is another than it would be today.
        """
        known = dict(path)
        growths, at = path[-1]
        before: list[Version] = []
        width = FAN
        while True:
            start = growths - growths % width
            if start not in known:
                return None
            before.append(known[start])
            if start == 0:
                return cls(growths, size, at, tuple(before))
            width *= FAN

    @property
    def base(self) -> Version:
        """The version that the next one rests on."""
        width, level = span(self.growths + 1), 0
        while width > 1:
            width, level = width // FAN, level + 1
        return self.before[level - 1] if level else self.at

    def grown(self, at: Version, size: int) -> Standing:
        """That of the next version, whose tail takes up so many bytes."""
        number = self.growths + 1
        before = list(self.before)
        width, level = FAN, 0
        while number % width == 0:
            if level == len(before) - 1:
                before.append(before[-1])
            before[level] = at
            width, level = width * FAN, level + 1
        return Standing(number, self.size + size, at, tuple(before))


class Standings:
    """Those of the lists that a saver has stored or loaded last. Threads may share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str, Any], Standing] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, thread: str, ns: str, channel: str, version: Any) -> Standing | None:
        """That of a version of a channel; None if it is not known."""
        with self._lock:
            return self._known.get((thread, ns, channel, version))

    def forget(self, thread: str | None = None) -> None:
        """Forget those of a thread, or all: what they rest on may be gone. Lists are stored as a whole then."""
        with self._lock:
            for key in [key for key in self._known if thread in (None, key[0])]:
                del self._known[key]

    def note(self, thread: str, ns: str, channel: str, standing: Standing) -> None:
        """Remember that of a version."""
        with self._lock:
            key = thread, ns, channel, standing.at.version
            self._known[key] = standing
            self._known.move_to_end(key)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
