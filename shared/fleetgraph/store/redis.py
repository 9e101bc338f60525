"""A store that keeps its items in Redis, for all processes of a fleet."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Protocol, Self, cast

import redis

from fleetgraph.errors import DecodeError
from fleetgraph.store import transitions
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
from fleetgraph.store.redis_client import RedisClient
from fleetgraph.store.transitions import START, Call, Position, Row
from fleetgraph.wire.codec import Codec

PAGE: Final = 200
"""How many items a search with a filter or a query reads at once."""

RETRIES: Final = 5
"""Of a command that finds no Redis: with pauses that double, some two seconds in all, in which one restarts."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_ERRORS: Final = "surrogatepass"
"""Half a surrogate pair, which file names have, is a key like any other."""


class RedisStore(BaseStore):
    """Keeps items in Redis 6.2 or newer, or Valkey, as they come: no module is needed.

    Every process that uses the same Redis and prefix sees the same items. Threads may share a store; its async methods
    run in threads. Values come back as what they were; their classes have to be allowed, see `allow`. Each operation
    takes place as a whole or not at all, a batch does not: other processes may come in between.

    What it costs: all gets of a batch are one round trip, all puts and deletes another. A search without filter and
    query is one, and reads no more than it answers, but has to pass over `offset` items. With a filter or a query it
    reads all items below its prefix, page by page, until it has enough; with a query, always all of them. To list
    namespaces reads all those below the prefix, up to its first `*`.

    Items are found in the order of `InMemoryStore`: namespace by namespace as these came into use, in each as they were
    first stored. An item that expired vanishes at once, and from the index by and by.

    Example:
        >>> with RedisStore("redis://localhost:6379/0", ttl={"default_ttl": 60 * 24}) as store:
        ...     graph = builder.compile(store=store)

    Args:
        url_or_client: Where Redis is; or a `redis.Redis`, which stays open when the store is closed, must not have
            `decode_responses`, and does again what its own `retry` says. Of a cluster it can only use one slot.
        prefix: What all keys begin with.
        index: How to find items by meaning; without it, the query of a search changes nothing. Embeddings are kept
            with four bytes a number.
        ttl: How long items live, in minutes.
        types: Classes whose values may be stored and read, beside those of the graphs' schemas. See `allow`.

    Raises:
        RedisUnavailable: The URL is none. Whether Redis answers shows with the first use, or with `setup`.
        ValueError: The client is one that it can't use.
    """

    supports_ttl = True
    shared: ClassVar[bool] = True

    def __init__(
        self,
        url_or_client: str | redis.Redis,
        *,
        prefix: str = "fleetgraph:store",
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        types: Iterable[type[Any]] = (),
    ) -> None:
        self.ttl_config = ttl
        self._prefix = prefix
        self._index = None if index is None else SemanticIndex(index)
        self._codec = Codec(types)
        self._client = RedisClient(url_or_client, "RedisStore", retries=RETRIES)

    @classmethod
    def from_conn_string(cls, conn_string: str, **options: Any) -> Self:
        """A store for the Redis at this URL, to be used in a `with`; `options` are those of the class."""
        return cls(conn_string, **options)

    def setup(self) -> None:
        """Look whether Redis answers, and is not too old. There is nothing to set up in it.

        Raises:
            RedisUnavailable: It doesn't, or is.
        """
        self._client.check()

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these classes be stored and read. `compile` allows those of the graph's schemas.

        Raises:
            TypeError: One of them is not a class.
        """
        self._codec.allow(*types)

    def close(self) -> None:
        """Close the connections, if they are the store's own."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        batch = Batch.of(ops)
        return self._run(batch, self._index and self._index.embed(batch.queries, batch.puts.values()))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        batch = Batch.of(ops)
        embedded = self._index and await self._index.aembed(batch.queries, batch.puts.values())
        return await self._client.in_thread(lambda: self._run(batch, embedded))

    def _run(self, batch: Batch, embedded: Embedded | None) -> list[Result]:
        writes = [self._write(namespace, key, put, embedded) for (namespace, key), put in batch.puts.items()]
        readings = {place: self._reading(op, embedded) for place, op in batch.reads.items()}
        while waiting := [reading for reading in readings.values() if not reading.done]:
            answers = self._send([reading.call() for reading in waiting])
            for reading, answer in zip(waiting, answers, strict=True):
                reading.take(answer)
        used = [item for reading in readings.values() for item in reading.used]
        refreshes = [transitions.refresh(used[start : start + PAGE]) for start in range(0, len(used), PAGE)]
        if refreshes or writes:
            self._send([*refreshes, *writes])
        results: list[Result] = [None] * batch.size
        for place, reading in readings.items():
            results[place] = reading.result()
        return results

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        return self._client.run(lambda client: transitions.send(client, self._prefix, calls))

    def _write(self, namespace: Namespace, key: str, put: PutOp, embedded: Embedded | None) -> Call:
        item = _id(namespace, key)
        if put.value is None or (put.ttl is not None and put.ttl <= 0):
            return transitions.delete(item)
        ttl = ttl_seconds(put)
        vectors = [] if embedded is None or self._index is None else embedded.of(self._index.texts(put))
        return transitions.put(
            item,
            self._codec.encode(dict(put.value), f"item {key!r} of the store's namespace {namespace}"),
            None if ttl is None else max(1, round(1000 * ttl)),
            self._codec.encode([array("f", vector).tobytes() for vector in vectors]) if vectors else b"",
        )

    def _reading(self, op: ReadOp, embedded: Embedded | None) -> _Reading:
        match op:
            case GetOp():
                return _Get(op, self._codec)
            case SearchOp():
                return _Search(op, self._codec, embedded)
            case ListNamespacesOp():
                return _List(op)


# --- reading, answer by answer -----------------------------------------------------------------------------------


class _Reading(Protocol):
    done: bool

    @property
    def used(self) -> Sequence[bytes]:
        """The ids of items whose time to live has to begin anew."""
        ...

    def call(self) -> Call:
        """What to ask Redis next."""
        ...

    def take(self, answer: Any) -> None: ...

    def result(self) -> Result: ...


class _Get:
    used: Sequence[bytes] = ()

    def __init__(self, op: GetOp, codec: Codec) -> None:
        self._op = op
        self._codec = codec
        self._answer: Any = None
        self.done = False

    def call(self) -> Call:
        return transitions.get(_id(self._op.namespace, self._op.key), refresh=self._op.refresh_ttl)

    def take(self, answer: Any) -> None:
        self._answer = answer
        self.done = True

    def result(self) -> Item | None:
        if self._answer is None:
            return None
        value, created, updated = self._answer
        namespace, key = tuple(self._op.namespace), self._op.key
        return Item(
            value=_decoded(self._codec, value, namespace, key),
            key=key,
            namespace=namespace,
            created_at=_time(created),
            updated_at=_time(updated),
        )


class _List:
    used: Sequence[bytes] = ()

    def __init__(self, op: ListNamespacesOp) -> None:
        self._op = op
        self._top: list[str] = []
        self._answer: list[bytes] = []
        self.done = False
        for condition in op.match_conditions or ():
            if condition.match_type == "prefix" and not self._top:
                fixed = condition.path.index("*") if "*" in condition.path else len(condition.path)
                self._top = list(condition.path[:fixed])

    def call(self) -> Call:
        return transitions.namespaces(_bytes(self._top))

    def take(self, answer: Any) -> None:
        if answer is not None:
            self._answer = answer
            self.done = True

    def result(self) -> list[Namespace]:
        return selected(map(_namespace, self._answer), self._op)


class _Search:
    """A search of which Redis does all it can: without a filter and a query, that is all but decoding."""

    def __init__(self, op: SearchOp, codec: Codec, embedded: Embedded | None) -> None:
        self._op = op
        self._codec = codec
        self._embedded = embedded if op.query else None
        self._plain = not op.filter and self._embedded is None
        self._position: Position = START
        self._skip = op.offset if self._plain else 0
        self._wanted = op.limit if self._plain else op.offset + op.limit
        self._found: list[tuple[SearchItem, bytes]] = []
        self._ranking = Ranking[tuple[SearchItem, bytes]](self._wanted)
        self.done = op.limit == 0

    def call(self) -> Call:
        take = min(PAGE, self._wanted - len(self._found)) if self._plain else PAGE
        refresh = self._plain and self._op.refresh_ttl
        return transitions.search(
            _bytes(self._op.namespace_prefix), self._position, skip=self._skip, take=take, refresh=refresh
        )

    def take(self, answer: Any) -> None:
        page = transitions.page(answer)
        self._position, self._skip = page.position, page.skip
        for row in page.rows:
            item = _search_item(self._codec, row)
            if not matches(item.value, self._op.filter):
                continue
            if self._embedded is None:
                self._found.append((item, row.id))
            else:
                item.score = self._embedded.nearness(self._op.query or "", _vectors(self._codec, row.embeddings))
                self._ranking.add((item, row.id), item.score)
        self.done = not page.more or (self._embedded is None and len(self._found) >= self._wanted)

    @property
    def used(self) -> Sequence[bytes]:
        return [item for _, item in self._page()] if self._op.refresh_ttl and not self._plain else ()

    def result(self) -> list[SearchItem]:
        return [item for item, _ in self._page()]

    def _page(self) -> list[tuple[SearchItem, bytes]]:
        offset, limit = self._op.offset, self._op.limit
        if self._embedded is not None:
            return [found for found, _ in self._ranking.page(offset, limit)]
        return self._found if self._plain else self._found[offset : offset + limit]


# --- text and bytes ----------------------------------------------------------------------------------------------


def _bytes(namespace: Iterable[str]) -> bytes:
    return ".".join(namespace).encode("utf-8", _TEXT_ERRORS)


def _namespace(data: bytes) -> Namespace:
    return tuple(data.decode("utf-8", _TEXT_ERRORS).split(".")) if data else ()


def _id(namespace: Iterable[str], key: str) -> bytes:
    return _bytes(namespace) + b".." + key.encode("utf-8", _TEXT_ERRORS)


def _search_item(codec: Codec, row: Row) -> SearchItem:
    where, _, name = row.id.partition(b"..")
    namespace, key = _namespace(where), name.decode("utf-8", _TEXT_ERRORS)
    value = _decoded(codec, row.value, namespace, key)
    return SearchItem(namespace, key, value, _time(row.created), _time(row.updated))


def _decoded(codec: Codec, data: bytes, namespace: Namespace, key: str) -> dict[str, Any]:
    try:
        value = codec.decode(data)
    except DecodeError as error:
        raise DecodeError(
            f"item {key!r} of the store's namespace {namespace}: {error} For this store alone, give it the class: "
            "RedisStore(..., types=[...]), or store.allow(...)."
        ) from error
    if type(value) is not dict:
        raise DecodeError(
            f"item {key!r} of the store's namespace {namespace} is no dict, but a {type(value).__name__}."
        )
    return cast("dict[str, Any]", value)


def _vectors(codec: Codec, data: bytes) -> list[Vector]:
    if not data:
        return []
    try:
        return [array("f", vector) for vector in codec.decode(data)]
    except (TypeError, ValueError) as error:
        raise DecodeError(f"the embeddings of an item of the store can't be read: {error}.") from error


def _time(microseconds: bytes) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"a time in the store can't be read: {error}.") from error


__all__ = ["RedisStore"]
