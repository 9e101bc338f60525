"""Hosts whose clocks are minutes apart: a worker is ahead, another is behind, the coordinator is ahead of both."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue

from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.failures.conftest import StockWorker, kill_all, redis_time, until
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import Process, Worker, environment, started

SAYING, PARTS = "tests.failures.graphs:saying", "tests.failures.graphs:parts"

OFFSET = "FLEETGRAPH_TEST_CLOCK"

SITE = f"""
import datetime, os, time

_offset = float(os.environ["{OFFSET}"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _offset
time.time_ns = lambda: _time_ns() + int(_offset * 1e9)
_real = datetime.datetime


class _Kind(type(_real)):
    def __instancecheck__(cls, one):
        return isinstance(one, _real)


class _Shifted(_real, metaclass=_Kind):
    @classmethod
    def now(cls, tz=None):
        return _real.now(tz) + datetime.timedelta(seconds=_offset)

    @classmethod
    def utcnow(cls):
        return _real.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=_offset)


datetime.datetime = _Shifted
"""

CALLER = """
import json, sys, time
from datetime import datetime, timezone
from fleetgraph.fleet import Fleet
from tests.failures.graphs import parts, saying

url, queue, key, many = sys.argv[1:]
with Fleet(url, queue=queue) as fleet:
    print(json.dumps(parts.on(fleet).invoke({"key": many, "count": 20})["log"]), flush=True)
    print(json.dumps([time.time(), datetime.now(timezone.utc).timestamp()]), flush=True)
    print(json.dumps([chunk for chunk in saying.on(fleet).stream({"key": key}, stream_mode="custom")]), flush=True)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder whose code shifts the clock of a process that can import from it."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    return tmp_path


class Shifted(Worker):
    """A worker whose clock is off by so many seconds."""

    def __init__(self, *graphs: str, url: str, queue: str, site: Path, seconds: int) -> None:
        options = ["--redis", url, "--queue", queue, "--concurrency", "2"]
        command = [sys.executable, "-m", "fleetgraph.cli", "worker", *graphs, *options]
        Process.__init__(self, command, environment(site, **{OFFSET: str(seconds)}))
        self.name = ""


class ShiftedStock(StockWorker):
    """The same for RQ's own worker."""

    def __init__(self, *graphs: str, url: str, queue: str, site: Path, seconds: int) -> None:
        super().__init__(*graphs, url=url, queue=queue, **{**environment(site), OFFSET: str(seconds)})


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ahead", [Shifted, ShiftedStock])
def test_it_makes_no_difference(
    start_worker: Callable[..., Any],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    site: Path,
    figure: Callable[..., None],
    ahead: Any,
) -> None:
    victim = start_worker(SAYING, PARTS, kind=Shifted, site=site, seconds=-300)
    key, many = new_key(), new_key()
    command = [sys.executable, "-c", CALLER, server.url, queue, key, many]
    caller = Process(command, environment(site, **{OFFSET: "300"}))
    with started(caller):
        assert json.loads(caller.output.readline()) == [str(number) for number in range(20)]
        for clock in json.loads(caller.output.readline()):
            assert 250 < clock - redis_time(client) < 350, "its clock is off"
        until(lambda: gates.arrived(f"{key}:began"), "the node")
        other = start_worker(SAYING, PARTS, kind=ahead, site=site, seconds=300)
        # What it does now and then, and at its start: by its clock all that runs has expired.
        until(lambda: client.scard(keys.rq_queue_workers(queue)) == 2, "the other worker")
        until(lambda: not client.exists(Queue(queue, connection=client).registry_cleaning_key), "its housekeeping")
        recorded = client.zrange(keys.rq_started(queue), 0, -1, withscores=True)
        assert ahead is ShiftedStock or len(recorded) == 1, "RQ's own worker may take it for failed"
        assert all(0 < expires - redis_time(client) <= 61 for _, expires in recorded)
        kill_all(victim)
        killed = time.monotonic()
        until(lambda: len(gates.arrived(f"{key}:began")) == 2, "the second attempt")
        figure("seconds from the worker's death to the next attempt", time.monotonic() - killed)
        gates.open(f"{key}:go")
        assert json.loads(caller.output.readline()) == ["before, 1", "before, 2", "after, 2"]
        assert caller.wait() == 0, caller.errors
    assert [len(gates.arrived(f"{many}:{number}")) for number in range(20)] == [1] * 20
    assert other.popen.poll() is None
