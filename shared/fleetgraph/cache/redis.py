"""A cache in Redis, for all processes of a fleet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, TypeVar, cast

import redis

from fleetgraph.cache.base import BaseCache, FullKey, Namespace, ValueT
from fleetgraph.errors import DecodeError, RedisUnavailable
from fleetgraph.store.redis_client import RedisClient
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.outages import Backoff

logger = logging.getLogger(__name__)

SCAN: Final = 1000
"""How many keys of the database `clear` looks at in one round trip."""

RETRIES: Final = 1
"""Of a command that finds no Redis: for a connection that broke. To wait for Redis would take longer than the node."""

LONGEST_TTL_SECONDS: Final = 100 * 365 * 24 * 3600
"""A hundred years: Redis counts milliseconds in an integer."""

_TEXT_ERRORS: Final = "surrogatepass"

T = TypeVar("T")


class RedisCache(BaseCache[ValueT]):
    """Keeps values in Redis 6.2 or newer, or Valkey. A `get` or `set` of any number of values is one round trip.

    A cache is no reason for a run to fail: while Redis can't be reached, or refuses to work, nothing is found and
    nothing kept, which is logged; so is a value that can't be read. Only `clear` then raises, as the values would come
    back. It looks at every key of the database, in small steps that stop nobody.

    Threads may share a cache; its async methods run in threads. Values come back as what they were; their classes have
    to be allowed, see `allow`.

    Example:
        >>> with RedisCache("redis://localhost:6379/0") as cache:
        ...     graph = builder.compile(cache=cache)

    Args:
        url_or_client: Where Redis is; or a `redis.Redis`, which stays open when the cache is closed, and must not have
            `decode_responses`.
        serde: Must be None; see `BaseCache`.
        prefix: What all keys begin with.
        types: Classes whose values may be kept, beside those of the graphs' schemas. See `allow`.

    Raises:
        RedisUnavailable: The URL is none.
        ValueError: The client is one that it can't use.
        NotSupported: There is a `serde`.
    """

    shared: ClassVar[bool] = True

    def __init__(
        self,
        url_or_client: str | redis.Redis,
        *,
        serde: None = None,
        prefix: str = "fleetgraph:cache:",
        types: Iterable[type[Any]] = (),
    ) -> None:
        super().__init__(serde=serde)
        self._prefix = prefix
        self._codec = Codec(types)
        self._client = RedisClient(url_or_client, "RedisCache", retries=RETRIES)
        self._outage = Backoff("the cache")

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these classes be kept. `compile` allows those of the graph's schemas.

        Raises:
            TypeError: One of them is not a class.
        """
        self._codec.allow(*types)

    def close(self) -> None:
        """Close the connections, if they are the cache's own."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        if not keys:
            return {}
        names = [self._key(namespace, key) for namespace, key in keys]
        answers = self._attempt(lambda client: cast("list[bytes | None]", client.mget(names)))
        found: dict[FullKey, ValueT] = {}
        for (namespace, key), data in zip(keys, answers or (), strict=False):  # there are none in an outage
            if data is not None:
                try:
                    found[tuple(namespace), key] = self._codec.decode(data)
                except DecodeError as error:
                    logger.warning(
                        "the cache can't read what it has under %s %s; taken for missing: %s",
                        namespace,
                        key,
                        error,
                        extra={"action": "cache-unreadable"},
                    )
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        return await self._client.in_thread(lambda: self.get(keys)) if keys else {}

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Keep values, each for so many seconds, or with None for ever.

        Raises:
            EncodeError: A value can't be encoded, or is of a class that is not allowed. Then none is kept.
        """
        encoded = [
            (self._key(namespace, key), self._codec.encode(value, f"cache {namespace}"), ttl)
            for (namespace, key), (value, ttl) in pairs.items()
        ]
        if encoded:
            self._attempt(lambda client: _store(client, encoded))

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        if pairs:
            await self._client.in_thread(lambda: self.set(pairs))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces, not in those below them; with None, everything.

        Raises:
            RedisUnavailable: Redis can't be reached: some of it may be left.
        """
        gone = None if namespaces is None else {_space(namespace) for namespace in namespaces}
        if gone is None or gone:
            self._client.run(lambda client: self._clear(client, gone))

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        await self._client.in_thread(lambda: self.clear(namespaces))

    def _clear(self, client: redis.Redis, gone: set[bytes] | None) -> None:
        start = len(self._prefix.encode())
        for names in _pages(client, self._prefix):
            doomed = [name for name in names if gone is None or name[start : name.rfind(b":", start) + 1] in gone]
            if doomed:
                client.unlink(*doomed)

    def _attempt(self, do: Callable[[redis.Redis], T]) -> T | None:
        """What `do` gives; None while Redis fails in a way that will pass."""
        try:
            result = self._client.run(do)
        except RedisUnavailable as error:
            self._outage.failed(error)
            return None
        self._outage.worked()
        return result

    def _key(self, namespace: Namespace, key: str) -> bytes:
        """String: a value, under the labels of its namespace with a colon after each. Expires after its ttl."""
        return self._prefix.encode() + _space(namespace) + _escaped(key)


def _space(namespace: Namespace) -> bytes:
    return b"".join(_escaped(label) + b":" for label in namespace)


def _escaped(text: str) -> bytes:
    return text.replace("%", "%25").replace(":", "%3A").encode("utf-8", _TEXT_ERRORS)


def _store(client: redis.Redis, values: Sequence[tuple[bytes, bytes, float | None]]) -> None:
    with client.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
        for name, data, ttl in values:
            if ttl is not None and ttl <= 0:
                pipe.unlink(name)
            else:
                pipe.set(name, data, px=None if ttl is None else max(1, round(1000 * min(ttl, LONGEST_TTL_SECONDS))))
        pipe.execute()


def _pages(client: redis.Redis, prefix: str) -> Iterator[list[bytes]]:
    """All keys that begin with a prefix. One that appears or goes meanwhile may be among them or not."""
    for special in "\\*?[]^":
        prefix = prefix.replace(special, f"\\{special}")
    scan = cast("Callable[..., tuple[int, list[bytes]]]", client.scan)  # pyright: ignore[reportUnknownMemberType]
    cursor = 0
    while True:
        cursor, names = scan(cursor, match=f"{prefix}*", count=SCAN)
        yield names
        if cursor == 0:
            return


__all__ = ["RedisCache"]
