"""Fixtures of the client's tests: a Redis, a coordinator process and two worker processes for each test process."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from fleetgraph.client import Client
from fleetgraph.redis_server import RedisServer
from tests.client.processes import CoordinatorProcess
from tests.fleet import gates
from tests.fleet.observing import without_expiry
from tests.fleet.processes import Worker, started
from tests.waiting import wait_until

GRAPHS = [
    *(f"tests.client.graphs:{name}" for name in ("typed", "narrow", "nothing", "family", "asking", "holding")),
    *(f"tests.fleet.graphs.{name}" for name in ("guide:graph", "guide:saved", "rounds:graph", "failing:graph")),
]
"""What the coordinator and the workers have. Tests that stop or kill some start their own."""

QUEUE = "clients"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that is never emptied, since processes live on it."""
    with RedisServer() as own:
        yield own


@contextmanager
def gates_in(server: RedisServer) -> Iterator[None]:
    """Gates are in this Redis; afterwards they are again where they were."""
    with pytest.MonkeyPatch.context() as patch:
        gates.close()
        patch.setenv(gates.VARIABLE, server.url)
        yield
        gates.close()


@pytest.fixture
def store(server: RedisServer) -> Iterator[redis.Redis]:
    """What looks into that Redis. What the test leaves in it without an expiry fails the test."""
    with server.client() as client, gates_in(server):
        yield client
        wait_until(lambda: not without_expiry(client), 5, f"an expiry on {without_expiry(client)}")


@pytest.fixture(scope="session")
def processes(server: RedisServer) -> Iterator[list[CoordinatorProcess | Worker]]:
    """A coordinator and two workers, which are to survive every test."""
    with gates_in(server):
        coordinator = CoordinatorProcess(*GRAPHS, url=server.url, queue=QUEUE)
        workers = [Worker(*GRAPHS, url=server.url, queue=QUEUE, concurrency=10) for _ in range(2)]
    with started(coordinator, *workers):
        yield [coordinator.await_ready(), *(worker.await_ready() for worker in workers)]


@pytest.fixture
def service(processes: list[CoordinatorProcess | Worker], store: redis.Redis) -> Iterator[None]:
    """The coordinator and its workers."""
    yield
    assert [process.popen.poll() for process in processes] == [None] * 3, "\n".join(one.errors for one in processes)


@pytest.fixture
def client(server: RedisServer, service: None) -> Iterator[Client]:
    """A client of the coordinator."""
    with Client(server.url) as client:
        yield client


@pytest.fixture
def queue() -> str:
    """The name of a queue that no other test uses."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def alone() -> Iterator[RedisServer]:
    """A Redis of the test's own, for tests that start and stop coordinators; gates are there."""
    with RedisServer() as own, gates_in(own):
        yield own


@pytest.fixture
def start() -> Iterator[Callable[..., CoordinatorProcess | Worker]]:
    """Starts coordinators and workers, and ends them after the test."""
    begun: list[CoordinatorProcess | Worker] = []

    def start_one(
        kind: type[CoordinatorProcess] | type[Worker], *graphs: str, **options: str
    ) -> CoordinatorProcess | Worker:
        process = kind(*graphs, **options)  # type: ignore[arg-type]
        begun.append(process)
        return process.await_ready()

    yield start_one
    for process in begun:
        process.end()
