"""A store that keeps everything in this process."""

from __future__ import annotations

import copy
import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any, ClassVar

from fleetgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Namespace,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)
from fleetgraph.store.batch import Batch, Ranking, ReadOp, ttl_seconds
from fleetgraph.store.embeddings import Embedded, SemanticIndex, Vector
from fleetgraph.store.matching import matches, selected


@dataclass(slots=True)
class _Stored:
    namespace: Namespace
    key: str
    value: dict[str, Any]
    created_at: float
    updated_at: float
    ttl: float | None
    """Seconds."""
    expires_at: float | None
    vectors: list[Vector]


class InMemoryStore(BaseStore):
    """Keeps items for as long as the process lives; for tests, scripts and notebooks. Threads may share it.

    Values are copied on the way in and out: what is done to one afterwards does not reach the store. A search looks at
    each item below its prefix until it has enough; with a query, at all of them.

    Example:
        >>> store = InMemoryStore(ttl={"default_ttl": 60})
        >>> store.put(("users", "ada"), "food", {"likes": "figs"})

    Args:
        index: How to find items by meaning; without it, the query of a search changes nothing.
        ttl: How long items live, in minutes.
        clock: Tells the Unix time, in seconds; for tests.
    """

    supports_ttl = True
    shared: ClassVar[bool] = False

    def __init__(
        self,
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ttl_config = ttl
        self._index = None if index is None else SemanticIndex(index)
        self._clock = clock
        self._items: dict[Namespace, dict[str, _Stored]] = {}
        """Namespaces and their keys in the order they came into use; none without items."""
        self._expiring: list[tuple[float, int, _Stored]] = []
        """A heap of what has a time to live, by when to look whether it has expired: reading may have put that off."""
        self._pushed = count()
        self._lock = threading.Lock()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        batch = Batch.of(ops)
        return self._run(batch, self._index and self._index.embed(batch.queries, batch.puts.values()))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        batch = Batch.of(ops)
        return self._run(batch, self._index and await self._index.aembed(batch.queries, batch.puts.values()))

    def _run(self, batch: Batch, embedded: Embedded | None) -> list[Result]:
        new = [self._stored(namespace, key, put, embedded) for (namespace, key), put in batch.puts.items()]
        with self._lock:
            now = self._clock()
            self._sweep(now)
            results: list[Result] = [None] * batch.size
            for place, op in batch.reads.items():
                results[place] = self._read(op, embedded, now)
            for (namespace, key), stored in zip(batch.puts, new, strict=True):
                if stored is None:
                    self._forget(namespace, key)
                else:
                    self._keep(stored, now)
        return results

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, op: ReadOp, embedded: Embedded | None, now: float) -> Result:
        match op:
            case GetOp():
                stored = self._items.get(tuple(op.namespace), {}).get(op.key)
                if stored is None:
                    return None
                if op.refresh_ttl:
                    self._begin_anew(stored, now)
                return Item(
                    value=copy.deepcopy(stored.value),
                    key=stored.key,
                    namespace=stored.namespace,
                    created_at=_time(stored.created_at),
                    updated_at=_time(stored.updated_at),
                )
            case SearchOp():
                found = list(self._found(op, embedded))
                if op.refresh_ttl:
                    for stored, _ in found:
                        self._begin_anew(stored, now)
                return [_search_item(stored, score) for stored, score in found]
            case ListNamespacesOp():
                return selected(self._items, op)

    def _found(self, op: SearchOp, embedded: Embedded | None) -> Iterable[tuple[_Stored, float | None]]:
        candidates = (stored for stored in self._below(tuple(op.namespace_prefix)) if matches(stored.value, op.filter))
        if not op.query or embedded is None:
            return ((stored, None) for stored in islice(candidates, op.offset, op.offset + op.limit))
        ranking = Ranking[_Stored](op.offset + op.limit)
        for stored in candidates:
            ranking.add(stored, embedded.nearness(op.query, stored.vectors))
        return ranking.page(op.offset, op.limit)

    def _below(self, prefix: Namespace) -> Iterator[_Stored]:
        for namespace, items in self._items.items():
            if namespace[: len(prefix)] == prefix:
                yield from items.values()

    # --- writing -------------------------------------------------------------------------------------------------

    def _stored(self, namespace: Namespace, key: str, put: PutOp, embedded: Embedded | None) -> _Stored | None:
        """What to keep, but for its times; None if it is to be deleted."""
        if put.value is None or (put.ttl is not None and put.ttl <= 0):
            return None
        vectors = [] if embedded is None or self._index is None else embedded.of(self._index.texts(put))
        value = copy.deepcopy(dict(put.value))
        return _Stored(namespace, key, value, 0, 0, ttl_seconds(put), None, vectors)

    def _keep(self, stored: _Stored, now: float) -> None:
        items = self._items.setdefault(stored.namespace, {})
        former = items.get(stored.key)
        stored.created_at = now if former is None else former.created_at
        stored.updated_at = now
        items[stored.key] = stored
        self._begin_anew(stored, now)
        self._watch(stored)

    def _begin_anew(self, stored: _Stored, now: float) -> None:
        if stored.ttl is not None:
            stored.expires_at = now + stored.ttl

    def _watch(self, stored: _Stored) -> None:
        if stored.expires_at is not None:
            heapq.heappush(self._expiring, (stored.expires_at, next(self._pushed), stored))

    def _sweep(self, now: float) -> None:
        while self._expiring and self._expiring[0][0] <= now:
            _, _, stored = heapq.heappop(self._expiring)
            if self._items.get(stored.namespace, {}).get(stored.key) is not stored:
                continue  # deleted or replaced since
            if stored.expires_at is not None and stored.expires_at <= now:
                self._forget(stored.namespace, stored.key)
            else:
                self._watch(stored)

    def _forget(self, namespace: Namespace, key: str) -> None:
        items = self._items.get(namespace, {})
        items.pop(key, None)
        if not items:
            self._items.pop(namespace, None)


def _search_item(stored: _Stored, score: float | None) -> SearchItem:
    return SearchItem(
        stored.namespace,
        stored.key,
        copy.deepcopy(stored.value),
        _time(stored.created_at),
        _time(stored.updated_at),
        score,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


__all__ = ["InMemoryStore"]
