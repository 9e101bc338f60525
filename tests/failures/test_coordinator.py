"""A coordinator dies, sleeps or has to go in the middle of a run: another goes on, and readers see nothing of it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from fleetgraph.client import Client
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.client.processes import CoordinatorProcess
from tests.failures.conftest import until
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import Process, environment

HOLD = "tests.fleet.graphs.hold:graph"


@pytest.fixture
def start_coordinator(server: RedisServer, queue: str) -> Iterator[Callable[[], CoordinatorProcess]]:
    """Starts coordinator processes whose runs' tasks go to `queue`. Ends them after the test."""
    processes: list[CoordinatorProcess] = []

    def start() -> CoordinatorProcess:
        process = CoordinatorProcess(HOLD, url=server.url, queue=queue)
        processes.append(process)
        return process.await_ready()

    yield start
    for process in processes:
        process.end()


class Reading:
    """Reads a run in a thread, as a user's program would."""

    def __init__(self, client: Client, chunks: Iterator[Any]) -> None:
        self.chunks: list[Any] = []
        self.error: BaseException | None = None
        self._client = client
        self._thread = threading.Thread(target=self._read, args=[chunks], daemon=True)
        self._thread.start()

    def _read(self, chunks: Iterator[Any]) -> None:
        try:
            self.chunks += chunks
        except BaseException as error:
            self.error = error

    def ended(self) -> list[Any]:
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self.error is None, self.error
        return self.chunks


def owner(client: redis.Redis, run: str) -> str:
    known: Any = client.hget(keys.run(run), "coordinator")
    return known.decode()


def check(chunks: list[Any]) -> None:
    """Each of three nodes ran once, and said so once."""
    assert sorted(chunk for mode, chunk in chunks if mode == "custom") == sorted(
        [*(f"{number} holds" for number in (1, 2, 3)), *(f"{number} goes on" for number in (1, 2, 3))]
    )
    assert len([chunk for mode, chunk in chunks if mode == "updates"]) == 3
    assert chunks[-1] == ("values", chunks[-1][1])
    assert chunks[-1][1]["held"] == ["1", "2", "3"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_another_coordinator_goes_on(
    start_worker: Callable[..., Any],
    start_coordinator: Callable[[], CoordinatorProcess],
    server: RedisServer,
    client: redis.Redis,
    figure: Callable[..., None],
    how: signal.Signals,
) -> None:
    start_worker(HOLD)
    first, second = start_coordinator(), start_coordinator()
    key = new_key()
    modes = ["values", "updates", "custom"]
    with Client(server.url) as caller:
        run = caller.submit(HOLD, {"key": key, "count": 3}, stream_mode=modes)
        reading = Reading(caller, iter(caller.join(run.id)))
        until(lambda: len([c for c in reading.chunks if c[0] == "custom"]) == 3, "all three nodes to hold")
        gates.open(f"{key}:2")
        until(lambda: any(mode == "updates" for mode, _ in reading.chunks), "one of them to end")
        doomed, heir = (first, second) if owner(client, run.id) == first.id else (second, first)

        doomed.signal(how)
        struck = time.monotonic()
        gates.open(f"{key}:1")  # it ends while nobody coordinates the run
        until(lambda: owner(client, run.id) == heir.id, "the other one to take over")
        figure(f"seconds from {how.name} until another coordinator has the run", time.monotonic() - struck)
        gates.open(f"{key}:3")
        check(reading.ended())

        if how is signal.SIGSTOP:
            before: Any = client.hgetall(keys.run(run.id))
            doomed.signal(signal.SIGCONT)
            again = caller.submit(HOLD, {"key": key, "count": 3}, stream_mode=modes)  # its gates are open
            check(list(caller.join(again.id)))
            assert client.hgetall(keys.run(run.id)) == before
        if how is signal.SIGTERM:
            assert doomed.wait() == 0
        late = list(caller.join(run.id))
    check(late)
    assert late == reading.chunks
    assert [len(gates.arrived(f"{key}:{number}:ended")) for number in (1, 2, 3)] == (
        [2, 2, 2] if how is signal.SIGSTOP else [1, 1, 1]
    )


SCRIPT = """
import sys
from fleetgraph.fleet import Fleet
from tests.fleet.graphs.hold import graph

with Fleet(sys.argv[1], queue=sys.argv[2], on_disconnect=sys.argv[4]) as fleet:
    for chunk in graph.on(fleet).stream({"key": sys.argv[3], "count": 3}, stream_mode=["values", "updates", "custom"]):
        print(chunk, flush=True)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("on_disconnect", ["continue", "cancel"])
def test_a_service_takes_up_the_run_of_a_program_that_died(
    start_worker: Callable[..., Any],
    start_coordinator: Callable[[], CoordinatorProcess],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    on_disconnect: str,
) -> None:
    start_worker(HOLD)
    start_coordinator()
    key = new_key()
    program = Process([sys.executable, "-c", SCRIPT, server.url, queue, key, on_disconnect], environment())
    try:
        until(lambda: all(gates.arrived(f"{key}:{number}") for number in (1, 2, 3)), "all three nodes to hold")
        with Client(server.url) as caller:
            (info,) = caller.list_runs(status=["running"], limit=1)
            program.signal(signal.SIGKILL)
            for number in (1, 2, 3):
                gates.open(f"{key}:{number}")
            until(lambda: client.hget(keys.run(info.id), "ended") is not None, "the run's end")
            status = caller.get_run(info.id).status
            if on_disconnect == "continue":
                assert status == "success"
                check(list(caller.join(info.id)))
            else:
                assert status == "cancelled"
    finally:
        program.end()


@pytest.mark.timeout(120)
def test_a_run_waits_for_a_coordinator_to_come(
    start_worker: Callable[..., Any],
    start_coordinator: Callable[[], CoordinatorProcess],
    server: RedisServer,
) -> None:
    start_worker(HOLD)
    only = start_coordinator()
    key = new_key()
    with Client(server.url) as caller:
        run = caller.submit(HOLD, {"key": key, "count": 3}, stream_mode=["values", "updates", "custom"])
        until(lambda: all(gates.arrived(f"{key}:{number}") for number in (1, 2, 3)), "all three nodes to hold")
        only.signal(signal.SIGKILL)
        only.wait()
        for number in (1, 2, 3):
            gates.open(f"{key}:{number}")
        until(lambda: all(gates.arrived(f"{key}:{number}:ended") for number in (1, 2, 3)), "the nodes' ends")

        start_coordinator()

        check(list(caller.join(run.id)))
    assert [len(gates.arrived(f"{key}:{number}:ended")) for number in (1, 2, 3)] == [1, 1, 1]
