"""Values that were damaged in Redis: what reads them gives something, or an error of ours that says where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetgraph.cache.redis import RedisCache
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.errors import FleetgraphError
from fleetgraph.store.redis import RedisStore
from tests.wire.fuzzing import HUGE, VALUE, Item, Model, Point, damaged

TYPES = [Item, Point, Model]
RUBBISH = [b"", b"\xc1", b"rubbish", b"\x91" * 5000, b"\x90", b"\x80", b"\xc0", b"\x95\x01\xc0\x80\x90\x01", *HUGE]

CONFIG: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


class Place:
    """Where one value is, in a hash or by itself."""

    def __init__(self, client: redis.Redis, key: bytes, field: bytes | None) -> None:
        self.client = client
        self.key = key
        self.field = field
        self.value: Any = client.get(key) if field is None else client.hget(key, field)  # pyright: ignore

    def put(self, data: bytes) -> None:
        if self.field is None:
            self.client.set(self.key, data)
        else:
            self.client.hset(self.key, self.field, data)  # pyright: ignore


class Stored:
    """Something that has stored a value, ways to read it, and the places in Redis where it is."""

    def __init__(self, client: redis.Redis, reads: list[Callable[[], Any]], is_value: Callable[[Place], bool]) -> None:
        self.reads = reads
        every = [place for key in client.scan_iter() for place in places(client, key)]  # pyright: ignore
        self.places = [place for place in every if is_value(place)]

    def read(self) -> None:
        for read in self.reads:
            try:
                read()
            except FleetgraphError as error:
                assert str(error)  # noqa: PT017


def places(client: redis.Redis, key: bytes) -> list[Place]:
    match client.type(key):  # pyright: ignore
        case b"hash":
            return [Place(client, key, field) for field in client.hkeys(key)]  # pyright: ignore
        case b"string":
            return [Place(client, key, None)]
        case _:
            return []


def saver(client: redis.Redis) -> Iterator[Stored]:
    saver = RedisSaver(client, types=TYPES)
    checkpoint: Any = {
        "v": 4,
        "id": "1f1e6e4c-37b6-6841-bc35-134fca338414",
        "ts": "now",
        "channel_values": {"a": VALUE},
        "channel_versions": {"a": "1"},
        "versions_seen": {},
    }
    config = saver.put(CONFIG, checkpoint, {"source": "input", "step": -1}, {"a": "1"})
    saver.put_writes(config, [("a", VALUE), ("b", 1)], "task")
    yield Stored(
        client,
        [lambda: saver.get_tuple(CONFIG), lambda: list(saver.list(CONFIG, filter={"source": "input"}))],
        lambda place: not place.field.endswith(b"\0values"),  # names of values, not values
    )


def store(client: redis.Redis) -> Iterator[Stored]:
    store = RedisStore(client, types=TYPES, index={"dims": 2, "embed": embed, "fields": ["text"]})
    store.put(("a",), "b", {"text": "x", "value": VALUE})
    yield Stored(
        client,
        [
            lambda: store.get(("a",), "b"),
            lambda: store.search(("a",)),
            lambda: store.search(("a",), filter={"text": "x"}),
            lambda: store.search(("a",), query="y"),
        ],
        lambda place: len(place.value) > 8,  # and not the numbers with which the scripts reckon
    )


def cache(client: redis.Redis) -> Iterator[Stored]:
    cache = RedisCache[Any](client, types=TYPES)
    cache.set({(("a",), "b"): (VALUE, 100)})
    yield Stored(client, [lambda: cache.get([(("a",), "b")])], lambda place: True)


@pytest.fixture(params=[saver, store, cache], ids=["saver", "store", "cache"])
def stored(request: pytest.FixtureRequest, redis_client: redis.Redis) -> Iterator[Stored]:
    yield from request.param(redis_client)


def test_what_is_whole_is_read(stored: Stored) -> None:
    assert stored.places
    for read in stored.reads:
        assert "Item(name=" in repr(read())


def test_rubbish(stored: Stored) -> None:
    for place in stored.places:
        for data in RUBBISH:
            place.put(data)
            stored.read()
        place.put(place.value)


@given(draw=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage(stored: Stored, draw: st.DataObject) -> None:
    place = draw.draw(st.sampled_from(stored.places))
    place.put(draw.draw(damaged(place.value)))
    stored.read()
    place.put(place.value)
