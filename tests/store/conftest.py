"""The stores: each test of the contract runs on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest

from fleetgraph.redis_server import RedisServer
from fleetgraph.store.base import BaseStore
from fleetgraph.store.memory import InMemoryStore
from fleetgraph.store.redis import RedisStore

NewStore = Callable[..., BaseStore]


@pytest.fixture(params=["memory", "fake", "real"])
def new_store(request: pytest.FixtureRequest) -> Iterator[NewStore]:
    """Makes an empty store of one kind, given its options."""
    if request.param == "memory":
        yield InMemoryStore
        return
    server: RedisServer | None = None
    if request.param == "real":
        request.getfixturevalue("redis_url")
        server = request.getfixturevalue("redis_server")
    made: list[tuple[Any, RedisStore]] = []

    def new(**options: Any) -> BaseStore:
        client = fakeredis.FakeRedis() if server is None else server.client()
        store = RedisStore(client, prefix=f"store-{len(made)}", **options)
        made.append((client, store))
        return store

    yield new
    for client, store in made:
        store.close()
        client.close()


@pytest.fixture
def store(new_store: NewStore) -> BaseStore:
    return new_store()


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    with RedisStore(redis_url) as store:
        yield store
