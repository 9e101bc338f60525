"""Fixtures of the tests that make things fail: real processes, a Redis to spoil, and a place for what was measured."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.rq_serializer import MsgpackSerializer
from tests.fleet import gates
from tests.fleet.conftest import queue  # noqa: F401 (a fixture)
from tests.fleet.observing import Running, without_expiry
from tests.fleet.processes import Process, Worker, environment
from tests.waiting import wait_until

FIGURES = "FLEETGRAPH_FIGURES"
"""Environment variable: a file to which what was measured is appended."""

PATIENCE_SECONDS = 30.0
"""Far beyond what anything here takes, even on a machine that is busy with something else."""


class StockWorker(Process):
    """RQ's own worker, unchanged. It takes tasks some time after it was started."""

    def __init__(self, *graphs: str, url: str, queue: str, **more: str) -> None:  # noqa: F811
        serializer = f"{MsgpackSerializer.__module__}.{MsgpackSerializer.__qualname__}"
        options = ["--serializer", serializer, "--url", url, queue]
        command = [str(Path(sys.executable).parent / "rq"), "worker", *options]
        super().__init__(command, environment(FLEETGRAPH_GRAPHS=",".join(graphs), **more))

    def await_ready(self) -> StockWorker:
        """It says nothing when it is ready, and takes what waits when it is."""
        return self


def kill_all(process: Process) -> None:
    """SIGKILL a process and all that it started: RQ's worker runs a task in a process of its own."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.signal(signal.SIGKILL)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the Redis that is not spoiled. What the test leaves in it without an expiry fails the test."""
    with server.client() as client:
        yield client
        wait_until(lambda: not without_expiry(client), 5, f"an expiry on {without_expiry(client)}")


@pytest.fixture
def start_worker(server: RedisServer, client: redis.Redis, queue: str) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """Starts worker processes on `queue`; a `kind` may be given. Ends them after the test."""
    workers: list[Process] = []

    def start(*graphs: str, kind: Any = Worker, **options: Any) -> Any:
        worker = kind(*graphs, **{"url": server.url, "queue": queue, **options})
        workers.append(worker)
        return worker.await_ready()

    yield start
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            kill_all(worker)
        worker.end()
    if any(isinstance(worker, StockWorker) for worker in workers):
        # What it did not come to clear away. That is for RQ's maintenance, which needs another worker.
        for key in (*client.scan_iter(keys.rq_job("*")), keys.rq_started(queue), keys.rq_failed(queue)):
            client.expire(key, 60, nx=True)


@pytest.fixture
def durable(server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that keeps its data over a restart; gates are elsewhere."""
    with RedisServer(appendonly=True) as durable:
        yield durable


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> Callable[[str, float], None]:
    """Takes down what was measured: what it is, and seconds or a count."""

    def take_down(what: str, value: float) -> None:
        record_property(what, round(value, 3))
        line = f"{request.node.name}: {what}: {value:.2f}"
        print(line)
        if FIGURES in os.environ:
            with open(os.environ[FIGURES], "a") as file:
                file.write(f"{line}\n")

    return take_down


def redis_time(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return seconds + micros / 1e6


def until(predicate: Callable[[], Any], what: str = "") -> Any:
    """`wait_until`, with a deadline beyond any doubt."""
    return wait_until(predicate, PATIENCE_SECONDS, what)


def begun(run: Running, name: str) -> None:
    """Wait until a node of a run has come as far as `name`; fail with the run's error if it ends before."""

    def arrived() -> bool:
        if run.error is not None:
            raise AssertionError(f"the run ended before it came to {name!r}") from run.error
        return bool(gates.arrived(name))

    until(arrived, name)
