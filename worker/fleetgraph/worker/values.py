"""The large values that tasks of this worker need: fetched once, and kept for the tasks that follow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import redis

from fleetgraph.errors import FleetError, ValueLost
from fleetgraph.wire.calling import execute
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.outages import Backoff, persistently
from fleetgraph.wire.values import Pieces, Reference, about, bit_field, digest, fetch

CACHE_BYTES: Final = 256 << 20
"""Of encoded values that a worker keeps: those of the largest states it is likely to have tasks of at one time."""

_MOST_BITS: Final = 256
"""So many small pieces are fetched at most, where a value has grown since; after that it is fetched as it is now."""


class _Kept:
    """A value that is kept, and what keeps two tasks from fetching it at the same time."""

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self.pieces = Pieces()
        self.written = b""
        """What a task of this worker has added to it, as far as that is known: probably what it grows by next."""

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return self.pieces.size + len(self.written)


class ValueCache:
    """Gives the values that task messages name. Threads may share it.

    Args:
        client: The Redis.
        codec: Decodes them.
        wait: Waits so many seconds for Redis to come back; tells whether to give up instead.
        limit: Bytes of values to keep.
        away: Entered while a value is fetched and decoded.
    """

    def __init__(
        self,
        client: redis.Redis,
        codec: Codec,
        wait: Callable[[float], bool],
        limit: int = CACHE_BYTES,
        *,
        away: AbstractContextManager[None] | None = None,
    ) -> None:
        self._client = client
        self._codec = codec
        self._wait = wait
        self._away = away or nullcontext()
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._sizes: dict[tuple[str, str], int] = {}
        self.size = 0
        """Bytes that are kept."""

    def value(self, run: str, channel: str, reference: Reference) -> Any:
        """The value that a reference names; decoded each time, so that nobody sees what another does to it.

        Raises:
            ValueLost: Redis does not have it.
            DecodeError: It can't be decoded.
            FleetError: Redis did not answer until the worker was to give up.
            redis.RedisError: Redis failed in a way that waiting won't heal.
        """
        key = run, reference.name
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
        with self._away, kept.fetching:
            pieces = kept.pieces
            if pieces.growths > reference.growths:  # a task of an earlier superstep, that has been given out again
                pieces = Pieces()
            elif 0 <= pieces.growths == reference.growths - 1:
                self._recognize(kept, reference)
            if pieces.growths < reference.growths and not self._follow(pieces, run, reference):
                self._fetch(pieces, run, channel, reference)
            if pieces is kept.pieces:
                self._account(key, kept.size)
            return pieces.decoded(lambda data, field: self._codec.decode(data, about=about(run, field)))

    def wrote(self, run: str, writes: Iterable[tuple[str, Any]], references: Mapping[str, Reference]) -> None:
        """Keep what a task has written to channels that grow: it need not be fetched if it is all that they grow by.

        Args:
            run: The task's run.
            writes: (channel, value)s, which can be encoded.
            references: What the message of the task named, by channel.

        Raises:
            EncodeError: One of them can't be encoded any more: something has changed it since.
        """
        for channel, value in writes:
            if type(value) is not list:
                continue
            reference = references.get(channel)
            key = run, "" if reference is None else reference.name
            if (kept := self._kept.get(key)) is not None:
                kept.written = self._codec.encode(value)
                self._account(key, kept.size)

    def _recognize(self, kept: _Kept, reference: Reference) -> None:
        """Add what a task of this worker has written, if that is what the value has grown by since."""
        written, kept.written = kept.written, b""
        if written and digest(written) == reference.digest:
            kept.pieces.add(reference.growths, [(bit_field(reference.name, reference.growths), written)])

    def _follow(self, pieces: Pieces, run: str, reference: Reference) -> bool:
        """Fetch what a value has grown by, if that is all there in small pieces."""
        if pieces.growths < 0 or reference.growths - pieces.growths > _MOST_BITS:
            return False
        fields = reference.bits_since(pieces.growths)
        found = self._read(run, fields)
        added = [(field, data) for field, data in zip(fields, found, strict=True) if data is not None]
        if len(added) < len(fields):
            return False
        pieces.add(reference.growths, added)
        return True

    def _fetch(self, pieces: Pieces, run: str, channel: str, reference: Reference) -> None:
        fields = reference.fields
        found = self._read(run, fields)
        pieces.clear()
        added = [(field, data) for field, data in zip(fields, found, strict=True) if data is not None]
        if len(added) < len(fields):
            raise ValueLost(run, channel)
        pieces.add(reference.growths, added)

    def _read(self, run: str, fields: list[str]) -> list[bytes | None]:
        call = fetch(run, fields)
        found = persistently(lambda: execute(self._client, call), Backoff(f"values of run {run}"), self._wait)
        if found is None:
            raise FleetError(f"Redis did not answer when a task of run {run} asked for its values")
        return found

    def _account(self, key: tuple[str, str], size: int) -> None:
        """Note how large a value is; give up those that were not needed for the longest time if there are too many."""
        with self._lock:
            if key in self._kept:
                self.size += size - self._sizes.get(key, 0)
                self._sizes[key] = size
            while self.size > self._limit and self._kept:
                oldest, _ = self._kept.popitem(last=False)
                self.size -= self._sizes.pop(oldest, 0)
