"""A cache in this process."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from fleetgraph.cache.base import BaseCache, FullKey, Namespace, ValueT

SMALLEST_SWEEP: Final = 128
"""With fewer values than this, expired ones stay until they are asked for."""


class InMemoryCache(BaseCache[ValueT]):
    """Keeps values for as long as the process lives. Threads may share it.

    Values are copied on the way in and out.

    Args:
        serde: Must be None; see `BaseCache`.
        clock: Tells the time, in seconds; for tests.
    """

    shared: ClassVar[bool] = False

    def __init__(self, *, serde: None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(serde=serde)
        self._clock = clock
        self._values: dict[FullKey, tuple[ValueT, float | None]] = {}
        """With the time at which they expire."""
        self._sweep_at = SMALLEST_SWEEP
        """At which number of values the expired ones are cleared away: twice what was left the last time."""
        self._lock = threading.Lock()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        found: dict[FullKey, ValueT] = {}
        with self._lock:
            now = self._clock()
            for namespace, key in keys:
                full: FullKey = (tuple(namespace), key)
                kept = self._values.get(full)
                if kept is not None and (kept[1] is None or now < kept[1]):
                    found[full] = copy.deepcopy(kept[0])
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        return self.get(keys)

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        copies = {(tuple(ns), key): (copy.deepcopy(value), ttl) for (ns, key), (value, ttl) in pairs.items()}
        with self._lock:
            now = self._clock()
            for full, (value, ttl) in copies.items():
                self._values[full] = (value, None if ttl is None else now + ttl)
            if len(self._values) >= self._sweep_at:
                self._values = {
                    full: (value, expires_at)
                    for full, (value, expires_at) in self._values.items()
                    if expires_at is None or now < expires_at
                }
                self._sweep_at = max(SMALLEST_SWEEP, 2 * len(self._values))

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        self.set(pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        with self._lock:
            if namespaces is None:
                self._values.clear()
            else:
                gone = {tuple(namespace) for namespace in namespaces}
                self._values = {full: kept for full, kept in self._values.items() if full[0] not in gone}

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self.clear(namespaces)


__all__ = ["InMemoryCache"]
