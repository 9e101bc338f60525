"""Fixtures that every test may use: a real private Redis, and a check that nothing is left behind in it.

And what makes a run of all tests short: how many go on at once, and in which order.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from fleetgraph.errors import FleetError
from fleetgraph.redis_server import RedisServer, find_server_binary
from tests.fleet import gates
from tests.leaks import leaked_keys

# How long an example takes says something about the machine, not about the code. The long run of what decodes:
# `pytest tests/wire --hypothesis-profile=thorough --timeout=3600`.
settings.register_profile("fleetgraph", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("fleetgraph")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """`-n auto`: more test processes than cores, since many tests wait, for leases to run out or processes to start."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests marked `long` over the first half: no two wait for each other, and no run ends with one."""
    long = [item for item in items if item.get_closest_marker("long")]
    rest = [item for item in items if not item.get_closest_marker("long")]
    apart = max(len(rest) // 2 // max(len(long), 1), 1)
    for number, item in enumerate(long):
        rest.insert(number * apart, item)
    items[:] = rest


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes that tests start are many, and compile what they import once, even where no bytecode is to be written.

    It is then kept among the temporary files, in one place for all test processes.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        yield
        return
    temporary = tmp_path_factory.getbasetemp()
    shared: Path = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE")
        patch.setenv("PYTHONPYCACHEPREFIX", str(shared / "bytecode"))
        yield


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
