"""A worker stalls for longer than its lease, and goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import redis

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.failures.conftest import StockWorker, begun, until
from tests.failures.graphs import saying
from tests.fleet import gates
from tests.fleet.observing import Running, Watched, new_key
from tests.fleet.processes import Process, Worker

SAYING = "tests.failures.graphs:saying"


def signal_all(process: Process, number: signal.Signals) -> None:
    found = psutil.Process(process.pid)
    for one in [found, *found.children(recursive=True)]:
        one.send_signal(number)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [Worker, StockWorker])
def test_what_it_does_afterwards_counts_for_nothing(
    start_worker: Callable[..., Any],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    figure: Callable[..., None],
    kind: Any,
) -> None:
    sleeper = start_worker(SAYING, kind=kind)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        begun(run, f"{key}:began")
        until(lambda: ("custom", "before, 1") in run.chunks, "what the first attempt says")
        signal_all(sleeper, signal.SIGSTOP)
        stopped = time.monotonic()
        start_worker(SAYING)
        until(lambda: len(gates.arrived(f"{key}:began")) == 2, "the second attempt")
        figure("seconds from the worker's stall to the next attempt", time.monotonic() - stopped)
        gates.open(f"{key}:go")
        signal_all(sleeper, signal.SIGCONT)  # its node and another's go on at the same time
        assert run.result()["log"] == ["said by 2"]
        watched = Watched(client)
        last = watched.last_seq
        # It notices that nobody waits for its task, and holds it no longer.
        until(lambda: not client.zcard(keys.rq_started(queue)), "the end of the first attempt")
        assert watched.last_seq == last
    assert run.shown("custom") == ["before, 1", "before, 2", "after, 2"]
    assert len(run.shown("updates")) == 1
    assert sleeper.popen.poll() is None
