"""Fixtures that every test may use: a real private Redis, and a check that nothing is left behind in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings

from fleetgraph.errors import FleetError
from fleetgraph.redis_server import RedisServer, find_server_binary
from tests.fleet import gates
from tests.leaks import leaked_keys

# How long an example takes says something about the machine, not about the code.
settings.register_profile("fleetgraph", deadline=None)
settings.load_profile("fleetgraph")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real server of this test process's own; under xdist, each has one. To stop a server, start your own.

    The development dependencies bring a binary. Where there is none all the same, the test is skipped, but
    fails in CI.
    """
    try:
        find_server_binary()
    except FleetError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that is never emptied, since workers live on it. (`redis_server` tells whether there can be one.)"""
    with RedisServer() as own, pytest.MonkeyPatch.context() as patch:
        patch.setenv(gates.VARIABLE, own.url)
        yield own
        gates.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def redis_client(redis_server: RedisServer, redis_url: str) -> Iterator[redis.Redis]:
    """A client of the empty database at `redis_url`."""
    with redis_server.client() as client:
        yield client


@pytest.fixture
def no_leaked_keys(redis_client: redis.Redis) -> Iterator[None]:
    """Fails the test if it leaves a key that never expires in the database of `redis_url`."""
    yield
    assert leaked_keys(redis_client) == []
