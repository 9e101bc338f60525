"""Fixtures of the process tests: one Redis and one pair of worker processes for each test process."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest
import redis

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.fleet.observing import without_expiry
from tests.fleet.processes import Worker, started
from tests.waiting import wait_until

GRAPHS = [
    f"tests.fleet.graphs.{name}"
    for name in (
        "guide:graph",
        "guide:saved",
        "meeting:graph",
        "meeting:async_graph",
        "talk:graph",
        "rounds:graph",
        "failing:graph",
        "failing:siblings",
        "unsendable:graph",
        "chat:graph",
        "chat:async_graph",
        "memory:graph",
    )
]
"""What the pair of workers has. Tests that stop or kill workers start their own."""

CONCURRENCY = 10
"""Tasks that each of the two runs at once."""

_numbers = itertools.count(1)


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A client of that Redis. What the test leaves in it without an expiry fails the test."""
    with server.client() as client:
        yield client
        wait_until(lambda: not without_expiry(client), 5, f"an expiry on {without_expiry(client)}")


@pytest.fixture
def queue() -> str:
    """The name of a queue that no other test uses."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture(scope="session")
def pair(server: RedisServer) -> Iterator[list[Worker]]:
    """Two worker processes that have all the graphs, and are to survive every test."""
    options = {"url": server.url, "queue": "pair", "concurrency": CONCURRENCY}
    workers = [Worker(*GRAPHS, **options) for _ in range(2)]
    with started(*workers):
        yield [worker.await_ready() for worker in workers]


@pytest.fixture
def fleet(server: RedisServer, pair: list[Worker], client: redis.Redis) -> Iterator[Fleet]:
    """A fleet on the pair of workers."""
    with Fleet(server.url, queue="pair") as fleet:
        yield fleet
    assert [worker.popen.poll() for worker in pair] == [None, None], "\n".join(worker.errors for worker in pair)


@pytest.fixture
def start_worker(server: RedisServer, queue: str) -> Iterator[Callable[..., Worker]]:
    """Starts worker processes on `queue`, and ends them after the test."""
    workers: list[Worker] = []

    def start(*graphs: str, **options: object) -> Worker:
        worker = Worker(*graphs, **{"url": server.url, "queue": queue, **options})  # type: ignore[arg-type]
        workers.append(worker)
        return worker.await_ready()

    yield start
    for worker in workers:
        worker.end()
