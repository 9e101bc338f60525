"""A caller that stops listening before the end: its run is cancelled, and nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from fleetgraph.errors import RunCancelled
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs.hold import graph
from tests.fleet.observing import Watched, new_key
from tests.fleet.processes import Worker, started
from tests.waiting import wait_until

QUEUE = "closing"
TASKS = 4
"""Of which the worker runs one at a time."""


@pytest.fixture(scope="module")
def worker(server: RedisServer) -> Iterator[Worker]:
    worker = Worker("tests.fleet.graphs.hold:graph", url=server.url, queue=QUEUE, concurrency=1)
    with started(worker):
        yield worker.await_ready()


class Held:
    """A run of which one task holds and the others wait in the queue."""

    def __init__(self, fleet: Fleet, client: redis.Redis, worker: Worker) -> None:
        self.graph = graph.on(fleet)
        self.given = {"key": new_key(), "count": TASKS}
        self._client = client
        self._worker = worker

    def stream(self) -> Iterator[Any]:
        return self.graph.stream(self.given, stream_mode=["tasks", "custom"])

    def astream(self) -> AsyncIterator[Any]:
        return self.graph.astream(self.given, stream_mode=["tasks", "custom"])

    def await_it(self) -> Watched:
        """Return when the run is as this class says."""
        wait_until(lambda: gates.arrived(f"{self.given['key']}:1"))
        wait_until(lambda: self._client.llen(keys.rq_queue(QUEUE)) == TASKS - 1)
        return Watched(self._client)

    def is_cancelled(self, run: Watched) -> None:
        """Check that the run is gone, for all but the node that can't be stopped; then that it is of no account."""
        wait_until(lambda: run.status == "cancelled")
        wait_until(lambda: not run.outstanding)
        assert self._client.llen(keys.rq_queue(QUEUE)) == 0
        assert run.listeners == 0
        jobs = [key for key in self._client.scan_iter(keys.rq_job(f"{run.id}*")) if self._client.ttl(key) == -1]
        assert jobs == []
        wait_until(lambda: not self._client.exists(keys.tasks(run.id), keys.seen(run.id), keys.sent(run.id)))
        last = run.last_seq

        for number in range(1, TASKS + 1):
            gates.open(f"{self.given['key']}:{number}")
        wait_until(lambda: gates.arrived(f"{self.given['key']}:1:ended"))
        wait_until(lambda: not self._client.exists(keys.rq_worker_executions(self._worker.name)))
        assert run.last_seq == last, "an event of a cancelled run was accepted"
        assert run.status == "cancelled"
        for number in range(2, TASKS + 1):
            assert gates.arrived(f"{self.given['key']}:{number}") == [], "a task of a cancelled run was started"

    def worker_still_works(self) -> None:
        key = new_key()
        gates.open(f"{key}:1")
        assert self.graph.invoke({"key": key, "count": 1})["pids"] == [self._worker.pid]


@pytest.fixture
def held(server: RedisServer, worker: Worker, client: redis.Redis) -> Iterator[Held]:
    with Fleet(server.url, queue=QUEUE) as fleet:
        held = Held(fleet, client, worker)
        yield held
        held.worker_still_works()


def test_breaking_out_of_the_loop(held: Held) -> None:
    for _ in held.stream():
        run = held.await_it()
        break
    held.is_cancelled(run)


def test_closing_the_iterator(held: Held) -> None:
    stream: Any = held.stream()
    next(stream)
    run = held.await_it()
    stream.close()
    held.is_cancelled(run)
    assert list(stream) == []


def test_an_error_in_the_callers_loop(held: Held) -> None:
    def loop() -> None:
        for _ in held.stream():
            held.await_it()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    held.is_cancelled(Watched(held._client))


async def test_closing_the_async_iterator(held: Held) -> None:
    stream: Any = held.astream()
    await anext(stream)
    run = held.await_it()
    await stream.aclose()
    held.is_cancelled(run)


async def test_breaking_out_of_the_async_loop(held: Held) -> None:
    async for _ in held.astream():
        run = held.await_it()
        break
    await asyncio.to_thread(held.is_cancelled, run)


async def test_an_error_in_the_callers_async_loop(held: Held) -> None:
    async def loop() -> None:
        async for _ in held.astream():
            held.await_it()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await loop()
    # Python closes an async iterator that nobody holds any longer in a task of the loop, which has to go on for that.
    await asyncio.to_thread(lambda: held.is_cancelled(Watched(held._client)))


@pytest.mark.parametrize("method", ["astream", "ainvoke"])
async def test_cancelling_the_callers_task(held: Held, method: str) -> None:
    async def call() -> None:
        if method == "ainvoke":
            await held.graph.ainvoke(held.given)
        else:
            async for _ in held.astream():
                pass

    task = asyncio.create_task(call())
    run = await asyncio.to_thread(held.await_it)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.is_cancelled(run)


async def test_a_time_limit(held: Held) -> None:
    reached: list[Any] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async for chunk in held.astream():
                if not reached:
                    run = held.await_it()
                    limit.reschedule(asyncio.get_running_loop().time())
                reached.append(chunk)
    held.is_cancelled(run)


def test_closing_the_fleet(server: RedisServer, client: redis.Redis, worker: Worker, held: Held) -> None:
    with Fleet(server.url, queue=QUEUE) as other:
        closed = Held(other, client, worker)
        stream: Any = closed.stream()
        next(stream)
        run = closed.await_it()
    with pytest.raises(RunCancelled, match=f"run {run.id} was cancelled"):
        list(stream)
    closed.is_cancelled(run)


def test_an_iterator_that_was_never_begun(held: Held, client: redis.Redis) -> None:
    before = set(client.scan_iter(keys.run("*")))
    stream: Any = held.stream()
    stream.close()
    assert set(client.scan_iter(keys.run("*"))) == before


def test_an_iterator_that_is_closed_after_the_end(held: Held, client: redis.Redis) -> None:
    for number in range(1, TASKS + 1):
        gates.open(f"{held.given['key']}:{number}")
    stream: Any = held.stream()
    next(stream)
    run = Watched(client)
    wait_until(lambda: run.status == "success")
    stream.close()
    held.worker_still_works()  # by then a cancellation would have been seen to
    assert run.status == "success"
