"""Redis is at its maxmemory, and evicts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from fleetgraph.errors import RedisFull
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.failures.conftest import begun, until
from tests.failures.graphs import parts, saying
from tests.fleet import gates
from tests.fleet.observing import Running, comparable, new_key

SAYING, PARTS = "tests.failures.graphs:saying", "tests.failures.graphs:parts"


@pytest.mark.timeout(120)
def test_submitters_are_told_and_what_runs_goes_on_when_there_is_memory_again(
    start_worker: Callable[..., Any], durable: RedisServer, queue: str, figure: Callable[..., None]
) -> None:
    workers = [start_worker(SAYING, PARTS, url=durable.url) for _ in range(2)]
    key, many = new_key(), new_key()
    with durable.client() as client, Fleet(durable.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        other = Running(parts.on(fleet), {"key": many, "count": 40})
        begun(run, f"{key}:began")
        begun(other, f"{many}:3")

        client.config_set("maxmemory", "1mb")
        with pytest.raises(RedisFull, match="maxmemory"):
            saying.on(fleet).invoke({"key": key})
        gates.open(f"{key}:go")
        until(lambda: gates.arrived(f"{key}:ended"), "the end of the node")
        refused = client.info("errorstats")["errorstat_OOM"]["count"]
        until(lambda: client.info("errorstats")["errorstat_OOM"]["count"] > refused + 10, "refusals")
        assert run.is_alive()
        assert other.is_alive()

        client.config_set("maxmemory", "0")
        back = time.monotonic()
        assert run.result()["log"] == ["said by 1"]
        figure("seconds from memory's return to the end of the run", time.monotonic() - back)
        assert other.result()["log"] == [str(number) for number in range(40)]
        assert saying.on(fleet).invoke({"key": key})["log"] == ["said by 2"]
    assert run.shown("custom") == ["before, 1", "after, 1"]
    assert comparable(run.chunks)[-1] is not None
    assert sorted(other.shown("custom")) == list(range(40))
    assert len(other.shown("updates")) == 40
    assert [worker.popen.poll() for worker in workers] == [None, None]
