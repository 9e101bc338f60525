"""What one attempt of a task has emitted, and nobody has sent yet."""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import Final, cast

from fleetgraph.wire.transitions import Events

PAGE_BYTES: Final = 1_000_000
"""Sent in one go, about: more would only hold up Redis, and with it everybody else."""

_MARKED_BYTES: Final = 1000
"""What an event counts as at least whose message is to be known to the run: Redis looks at each of these by itself."""

Emitted = bytes | Events
"""An encoded event that is no different to Redis than others before and after it; or one that is."""


class Outbox:
    """Events in the order in which they were emitted, on pages fit to be sent. For one thread at a time."""

    __slots__ = ("_pages", "_room")

    def __init__(self) -> None:
        self._pages: deque[list[Emitted]] = deque()
        self._room = 0
        """Bytes left on the last page."""

    def __bool__(self) -> bool:
        return bool(self._pages)

    def put(self, emitted: Emitted, size: int) -> None:
        """Add what was emitted last, of so many bytes."""
        if isinstance(emitted, Events):
            size = max(size, _MARKED_BYTES)
        if size > self._room or not self._pages:
            self._pages.append([])
            self._room = PAGE_BYTES
        self._room -= size
        self._pages[-1].append(emitted)

    def take(self) -> list[Events]:
        """Remove the first page; gives what is on it, in as few items as possible."""
        items: list[Events] = []
        for kind, some in groupby(self._pages.popleft(), type):
            if kind is bytes:
                blobs = cast("list[bytes]", list(some))
                items.append(Events(len(blobs), b"".join(blobs)))
            else:
                items += cast("list[Events]", list(some))
        return items
