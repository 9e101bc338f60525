"""Redis can't be reached: its network is down, its connections are half open, its process is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.failures.conftest import begun, until
from tests.failures.graphs import parts, saying
from tests.fleet import gates
from tests.fleet.observing import Running, new_key
from tests.worker.proxy import LosingProxy

SAYING, PARTS = "tests.failures.graphs:saying", "tests.failures.graphs:parts"

OUTAGE_SECONDS = 20.0
"""How long the network is down: longer than any timeout of ours, so that everything has tried in vain."""

STOPPED_SECONDS = 5.0
"""How long Redis is stopped: longer than a lease, shorter than a timeout, so that nobody hears of it."""


@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_network_that_was_down_and_left_connections_half_open(
    start_worker: Callable[..., Any], durable: RedisServer, queue: str, figure: Callable[..., None]
) -> None:
    key, many = new_key(), new_key()
    with LosingProxy(durable.port) as proxy:
        for _ in range(2):
            start_worker(SAYING, PARTS, url=proxy.url)
        with Fleet(proxy.url, queue=queue) as fleet:
            waits = Running(saying.on(fleet), {"key": key})
            run = Running(parts.on(fleet), {"key": many, "count": 40})
            begun(waits, f"{key}:began")
            begun(run, f"{many}:3")
            proxy.freeze()
            gates.open(f"{key}:go")
            time.sleep(OUTAGE_SECONDS)  # this is the fault
            proxy.thaw()
            back, before = time.monotonic(), len(run.chunks)
            until(lambda: len(run.chunks) > before, "something new")
            figure("seconds from the network's return to the next event", time.monotonic() - back)
            assert waits.result()["log"] == ["said by 1"]
            until(lambda: not run.is_alive(), "the end of the run")
            figure("seconds from the network's return to the end of all runs", time.monotonic() - back)
            assert run.result()["log"] == [str(number) for number in range(40)]
    assert waits.shown("custom") == ["before, 1", "after, 1"]
    assert len(run.shown("updates")) == 40
    ran = Counter(len(gates.arrived(f"{many}:{number}")) for number in range(40))
    # A task given to a connection that was dead was lost before it ran, or was run by a worker that could not tell.
    figure("tasks that ran twice, of 40", ran[2])
    assert Counter(run.shown("custom")).keys() == set(range(40))


@pytest.mark.timeout(120)
@pytest.mark.long
def test_a_redis_that_was_stopped_costs_no_worker_its_tasks(
    start_worker: Callable[..., Any], durable: RedisServer, queue: str, figure: Callable[..., None]
) -> None:
    start_worker(SAYING, url=durable.url)
    key = new_key()
    with Fleet(durable.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        begun(run, f"{key}:began")
        os.kill(durable.pid, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)  # this is the fault
        os.kill(durable.pid, signal.SIGCONT)
        back = time.monotonic()
        with durable.client() as client:  # a lease later nobody has been taken for dead
            until(lambda: time.monotonic() - back > 4 and client.ping(), "a lease's time")
        gates.open(f"{key}:go")
        back = time.monotonic()
        assert run.result()["log"] == ["said by 1"]
        figure("seconds from the gate to the end of the run", time.monotonic() - back)
    assert run.shown("custom") == ["before, 1", "after, 1"]
