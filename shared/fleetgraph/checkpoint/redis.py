"""A saver that keeps threads in Redis."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from importlib.resources import files
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from fleetgraph.checkpoint import keys
from fleetgraph.checkpoint.base import (
    CheckpointTuple,
    Config,
    Grown,
    Place,
    PruneStrategy,
    Selection,
    Write,
    check_strategy,
    place_of,
    selection,
    write_index,
)
from fleetgraph.checkpoint.encoding import METADATA, EncodedCheckpoint, EncodingSaver, StoredWrite
from fleetgraph.redis_server import check_server
from fleetgraph.wire.connection import connect

if TYPE_CHECKING:
    from redis import Redis, RedisCluster

    from fleetgraph.wire.exchange import Words

T = TypeVar("T")

RETRIES: Final = 5
"""Of a command that found no Redis: with pauses that double, 2.5 seconds in all, enough for a Redis that restarts.
Whatever a saver does may be done twice."""

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 1.0

PAGE: Final = 20
"""How many checkpoints `list` asks for at once; their values come with them."""

METADATA_PAGE: Final = 500
"""How many checkpoints' metadata `list` asks for at once when it looks for some."""

CHUNK: Final = 1000
"""Arguments of one command, where a thread is copied."""


class RedisSaver(EncodingSaver):
    """Keeps threads in Redis 6.2 or newer, or Valkey, as they come: no module is needed. A cluster will do.

    A `put` is one round trip and stores what the superstep changed, however large the state is; it takes place as a
    whole or not at all. A `get_tuple` is one round trip, too.

    The async methods run in a thread; any number of threads may share a saver.

    Example:
        >>> with RedisSaver("redis://localhost:6379/0", ttl=timedelta(days=30)) as saver:
        ...     graph = builder.compile(checkpointer=saver)

    Args:
        url_or_client: Where Redis is; or a `redis.Redis` or `redis.RedisCluster`, which stays open when the saver is
            closed, and must not have `decode_responses`.
        prefix: What all keys begin with.
        ttl: How long a thread is kept after it was last read or written; for ever by default.
        types: Classes whose values may be saved and loaded, beside those of the graphs' schemas. See `allow`.

    Raises:
        RedisUnavailable: The URL is none. Whether Redis answers shows with the first use, or with `setup`.
        ValueError: The client has `decode_responses`; the ttl is not positive.
    """

    def __init__(
        self,
        url_or_client: str | Redis | RedisCluster,
        *,
        prefix: str = "fleetgraph:checkpoint",
        ttl: timedelta | None = None,
        types: Iterable[type[Any]] = (),
    ) -> None:
        super().__init__(types)
        if ttl is not None and ttl <= timedelta(0):
            raise ValueError(f"a thread can't be kept for {ttl}: ttl has to be positive, or None for ever")
        self._prefix = prefix
        self._ttl = 0 if ttl is None else max(1, ttl // timedelta(milliseconds=1))
        self._own = threading.local()
        """Of each thread: `collected`, where what it saves goes instead of to Redis."""
        self._owned: Redis | None = None
        if isinstance(url_or_client, str):
            self._owned = connect(url_or_client)
            self._owned.set_retry(Retry(ExponentialBackoff(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS / 2), RETRIES))
            url_or_client = self._owned
        # redis-py's types are of little use: each command may be a coroutine, says every one of them.
        self._redis = cast(Any, url_or_client)
        if self._redis.get_encoder().decode_responses:
            raise ValueError("the client has decode_responses=True, which spoils bytes: give RedisSaver one without")
        scripts = files("fleetgraph.checkpoint") / "scripts"
        self._load = self._redis.register_script((scripts / "load.lua").read_bytes())
        self._forget = self._redis.register_script((scripts / "forget.lua").read_bytes())

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str, **options: Any) -> Generator[Self, None, None]:
        """A saver for the Redis at this URL, closed in the end; `options` are those of the class."""
        with cls(conn_string, **options) as saver:
            yield saver

    def setup(self) -> None:
        """Look whether Redis answers, and is not too old. There is nothing to set up in it.

        Raises:
            RedisUnavailable: It doesn't, or is.
        """
        check_server(self._redis)

    def close(self) -> None:
        """Close the connections, if they are the saver's own."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    # --- reading -------------------------------------------------------------------------------------------------

    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        place = place_of(config)
        return next(iter(self._loaded(place.thread, place.ns, [place] if place.checkpoint_id else [])), None)

    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        wanted = selection(config, filter, before)
        places = self._matching(self._places(wanted), wanted) if wanted.filter else self._places(wanted)
        left = limit
        while left is None or left > 0:
            page = _take(places, PAGE if left is None else min(PAGE, left))
            if not page:
                return
            if left is not None:
                left -= len(page)
            yield from self._page(page)

    def _places(self, wanted: Selection) -> Iterator[Place]:
        """The checkpoints asked for, but for the filter, newest first."""
        if wanted.thread is not None and wanted.ns is not None:
            if wanted.checkpoint_id is not None:
                if wanted.has_id(wanted.checkpoint_id):
                    yield Place(wanted.thread, wanted.ns, wanted.checkpoint_id)
                return
            last = f"({wanted.ns}\1" if wanted.before is None else f"({keys.member(wanted.ns, wanted.before)}"
            key = keys.of_thread(self._prefix, wanted.thread).checkpoints
            for member in self._redis.zrevrangebylex(key, last, f"[{wanted.ns}\0"):
                yield _place(wanted.thread, member)
            return
        threads = self._threads() if wanted.thread is None else [wanted.thread]
        found = [
            place
            for thread in threads
            for member in self._redis.zrange(keys.of_thread(self._prefix, thread).checkpoints, 0, -1)
            if wanted.ns in (None, (place := _place(thread, member)).ns) and wanted.has_id(place.checkpoint_id or "")
        ]
        yield from sorted(found, key=lambda place: place.checkpoint_id or "", reverse=True)

    def _threads(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for key in self._redis.scan_iter(match=keys.any_thread(self._prefix), count=1000):
            if key not in seen:  # a scan may give one twice
                seen.add(key)
                yield keys.thread_of(self._prefix, key.decode())

    def _matching(self, places: Iterator[Place], wanted: Selection) -> Iterator[Place]:
        while page := _take(places, METADATA_PAGE):
            for place, data in zip(page, self._metadata(page), strict=True):
                if data is not None and wanted.has_metadata(self._decode(data, place, METADATA)):
                    yield place

    def _metadata(self, places: Sequence[Place]) -> Sequence[bytes | None]:
        found: dict[Place, bytes | None] = {}
        for thread, group in _by_thread(places).items():
            fields = [f"{keys.member(place.ns, place.checkpoint_id or '')}\0metadata" for place in group]
            records = keys.of_thread(self._prefix, thread).records
            found.update(zip(group, self._redis.hmget(records, fields), strict=True))
        return [found[place] for place in places]

    def _page(self, places: Sequence[Place]) -> Iterator[CheckpointTuple]:
        found: dict[Place, CheckpointTuple] = {}
        for thread, group in _by_thread(places).items():
            for item in self._loaded(thread, "", group):
                found[place_of(item.config)] = item
        yield from (found[place] for place in places if place in found)  # others were deleted meanwhile

    def _loaded(self, thread: str, ns: str, places: Sequence[Place]) -> Iterator[CheckpointTuple]:
        """These checkpoints of a thread; the latest in a namespace when there are none. Unknown ones are left out."""
        members = [keys.member(place.ns, place.checkpoint_id or "") for place in places]
        records, stored = self._load(keys.of_thread(self._prefix, thread), [self._ttl, ns, *members])
        values = dict(zip(stored[::2], stored[1::2], strict=True))
        for member, head_data, metadata_data, pairs in records:
            place = _place(thread, member)
            head = self._decode_head(head_data, place)
            yield self._tuple(
                place,
                head,
                self._decode(metadata_data, place, METADATA),
                partial(_stored, values, place.ns),
                [self._write(place, *pair) for pair in zip(pairs[::2], pairs[1::2], strict=True)],
            )

    def _write(self, place: Place, name: bytes, data: bytes) -> StoredWrite:
        task, index = name.decode().rsplit("\0", 2)[1:]
        path, channel, value = self._decode_row(data, place, "a write", (str, str, bytes))
        return StoredWrite(path, task, int(index), channel, value)

    # --- writing -------------------------------------------------------------------------------------------------

    def put(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
        *,
        grown: Grown | None = None,
    ) -> Config:
        place = place_of(config)
        encoded = self._encode(place, checkpoint, metadata, new_versions, grown)
        names = keys.of_thread(self._prefix, place.thread)
        member = keys.member(place.ns, encoded.id)
        record = {
            member: encoded.head,
            f"{member}\0metadata": encoded.metadata,
            f"{member}\0values": _netstrings(_by_version(encoded)),
        }
        with self._transaction(names) as add:
            if encoded.values:
                new = {_field(place.ns, name, version): data for name, version, data in encoded.values}
                add(("HSET", names.values, *chain.from_iterable(new.items())))
            add(("HSET", names.records, *chain.from_iterable(record.items())))
            add(("ZADD", names.checkpoints, 0, member))
        return place.at(encoded.id).config

    def put_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        place = place_of(config)
        names = keys.of_thread(self._prefix, place.thread)
        member = keys.member(place.ns, config["configurable"]["checkpoint_id"])
        indexes = [write_index(channel, position) for position, (channel, _) in enumerate(writes)]
        encoded = [
            self._codec.encode([task_path, channel, self._encode_write(channel, value)]) for channel, value in writes
        ]
        if not encoded:
            return
        fields = [f"{member}\0{task_id}\0{index}" for index in indexes]
        with self._transaction(names) as add:
            add(("ZADD", names.places, *chain.from_iterable((0, name) for name in fields)))
            for index, name, data in zip(indexes, fields, encoded, strict=True):
                add(("HSET" if index < 0 else "HSETNX", names.writes, name, data))

    def delete_thread(self, thread_id: str) -> None:
        self._standings.forget(str(thread_id))
        self._redis.unlink(*keys.of_thread(self._prefix, str(thread_id)))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        if str(source_thread_id) == str(target_thread_id):
            return
        self._standings.forget(str(target_thread_id))
        source = keys.of_thread(self._prefix, str(source_thread_id))
        target = keys.of_thread(self._prefix, str(target_thread_id))
        # Not COPY: in a cluster the two threads are in different places.
        reading = self._redis.pipeline(transaction=True)
        reading.zrange(source.checkpoints, 0, -1).hgetall(source.records).hgetall(source.values)
        content = reading.zrange(source.places, 0, -1).hgetall(source.writes).execute()
        with self._transaction(target) as add:
            add(("UNLINK", *target))
            for key, items in zip(target, content, strict=True):
                if isinstance(items, dict):
                    for chunk in _chunks(cast("dict[bytes, bytes]", items).items()):
                        add(("HSET", key, *chain.from_iterable(chunk)))
                else:
                    for chunk in _chunks(items):
                        add(("ZADD", key, *chain.from_iterable((0, name) for name in chunk)))

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        check_strategy(strategy)
        for thread_id in map(str, thread_ids):
            if strategy == "delete":
                self.delete_thread(thread_id)
                continue
            self._standings.forget(thread_id)
            names = keys.of_thread(self._prefix, thread_id)
            members = self._redis.zrange(names.checkpoints, 0, -1)
            latest = {_place(thread_id, member).ns: member for member in members}  # they are sorted
            self._forget_all(names, [member for member in members if member not in latest.values()])

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        wanted = set(run_ids)
        self._standings.forget()
        for thread in self._threads():
            names = keys.of_thread(self._prefix, thread)
            places = [_place(thread, member) for member in self._redis.zrange(names.checkpoints, 0, -1)]
            self._forget_all(
                names,
                [
                    keys.member(place.ns, place.checkpoint_id or "")
                    for page in _chunks(places)
                    for place, data in zip(page, self._metadata(page), strict=True)
                    if data is not None and self._decode(data, place, METADATA).get("run_id") in wanted
                ],
            )

    def _forget_all(self, names: keys.ThreadKeys, members: Sequence[bytes | str]) -> None:
        if members:
            self._forget(names, members)

    @contextmanager
    def _transaction(self, names: keys.ThreadKeys) -> Generator[Callable[[Words], None], None, None]:
        """Collects commands that change a thread, and sends them to take place together."""
        words: list[Words] = []
        yield words.append
        if self._ttl:
            words += [("PEXPIRE", key, self._ttl) for key in names]
        collected: list[Words] | None = getattr(self._own, "collected", None)
        if collected is not None:
            collected += [("MULTI",), *words, ("EXEC",)]
            return
        with self._redis.pipeline(transaction=True) as commands:
            for one in words:
                commands.execute_command(*one)
            commands.execute()

    @property
    def connection_options(self) -> dict[str, Any] | None:
        """How redis-py connects; None in a cluster."""
        pool = getattr(self._redis, "connection_pool", None)
        return None if pool is None else pool.connection_kwargs

    @contextmanager
    def collecting(self, into: list[Words]) -> Generator[None]:
        """Within it `put` and `put_writes` of this thread send nothing; what they would have sent is added to `into`,
        to be sent as it is.
        """
        self._own.collected = into
        try:
            yield
        finally:
            self._own.collected = None


def _place(thread: str, member: bytes) -> Place:
    ns, checkpoint_id = member.decode().rsplit("\0", 1)
    return Place(thread, ns, checkpoint_id)


def _field(ns: str, channel: str, version: Any) -> str:
    return f"{ns}\0{channel}\0{version}"


def _stored(values: Mapping[bytes, bytes | None], ns: str, channel: str, version: str) -> bytes | None:
    return values.get(_field(ns, channel, version).encode())


def _by_version(encoded: EncodedCheckpoint) -> Iterator[str]:
    """Which values a checkpoint has: most channels share their version with others."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, version in encoded.filled:
        names[str(version)].append(f"\1{name}" if name in encoded.lists else name)
    for version, channels in names.items():
        yield "\0".join(("", version, *channels))


def _netstrings(texts: Iterable[str]) -> bytes:
    return b"".join(b"%d:%b" % (len(data), data) for data in (text.encode() for text in texts))


def _by_thread(places: Sequence[Place]) -> dict[str, list[Place]]:
    groups: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        groups[place.thread].append(place)
    return groups


def _take(items: Iterator[T], count: int) -> list[T]:
    return list(islice(items, count))


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := _take(rest, CHUNK):
        yield chunk


__all__ = ["RedisSaver"]
