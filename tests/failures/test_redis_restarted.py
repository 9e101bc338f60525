"""Redis is restarted, or crashes and comes back: with an append-only file, and without one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleetgraph.errors import EventsLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.failures.conftest import StockWorker, begun, until
from tests.failures.graphs import parts, saying
from tests.fleet import gates
from tests.fleet.observing import Running, new_key

SAYING, PARTS = "tests.failures.graphs:saying", "tests.failures.graphs:parts"


COUNT = 40
"""Tasks in each of the runs."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kill", [False, True], ids=["restarted", "crashed"])
def test_runs_finish_and_nothing_is_lost_or_doubled(
    start_worker: Callable[..., Any], durable: RedisServer, queue: str, figure: Callable[..., None], kill: bool
) -> None:
    for _ in range(2):
        start_worker(SAYING, PARTS, url=durable.url)
    held, many = new_key(), [new_key() for _ in range(3)]
    with Fleet(durable.url, queue=queue) as fleet:
        waits = Running(saying.on(fleet), {"key": held})
        runs = [Running(parts.on(fleet), {"key": key, "count": COUNT}) for key in many]
        begun(waits, f"{held}:began")
        until(lambda: all(gates.arrived(f"{key}:3") for key in many), "runs in full swing")
        durable.restart(kill=kill)
        back = time.monotonic()
        before = sum(len(run.chunks) for run in runs)
        until(lambda: sum(len(run.chunks) for run in runs) > before or not runs[0].is_alive(), "something new")
        figure("seconds from Redis's return to the next event", time.monotonic() - back)
        gates.open(f"{held}:go")
        assert waits.result()["log"] == ["said by 1"]
        for run in runs:
            until(lambda run=run: not run.is_alive(), "the end of a run")
            assert run.result()["log"] == [str(number) for number in range(COUNT)]
            assert Counter(run.shown("custom")) == Counter(range(COUNT))
            assert len(run.shown("updates")) == COUNT
    assert waits.shown("custom") == ["before, 1", "after, 1"]


@pytest.mark.timeout(120)
def test_a_stock_worker_sits_it_out(start_worker: Callable[..., Any], durable: RedisServer, queue: str) -> None:
    start_worker(SAYING, kind=StockWorker, url=durable.url)
    key = new_key()
    with Fleet(durable.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        begun(run, f"{key}:began")
        durable.restart()
        gates.open(f"{key}:go")
        assert run.result()["log"] == ["said by 1"]
    assert run.shown("custom") == ["before, 1", "after, 1"]


@pytest.fixture
def forgetful(server: RedisServer) -> Iterator[RedisServer]:
    """A Redis without a file; gates are elsewhere."""
    with RedisServer() as forgetful:
        yield forgetful


@pytest.mark.timeout(120)
def test_without_a_file_its_runs_end_with_an_error_and_the_fleet_lives_on(
    start_worker: Callable[..., Any], forgetful: RedisServer, queue: str, figure: Callable[..., None]
) -> None:
    worker = start_worker(SAYING, url=forgetful.url)
    key = new_key()
    with Fleet(forgetful.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        begun(run, f"{key}:began")
        forgetful.restart(kill=True)
        back = time.monotonic()
        with pytest.raises(EventsLost, match="is no longer in Redis"):
            run.result()
        figure("seconds from Redis's return to the error", time.monotonic() - back)
        gates.open(f"{key}:go")
        again = new_key()
        gates.open(f"{again}:go")
        assert saying.on(fleet).invoke({"key": again})["log"] == ["said by 1"]
    assert worker.popen.poll() is None
