"""A program that reads a run through a client is killed: its run is cancelled soon, unless it was to go on."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from fleetgraph.client import Client
from fleetgraph.coordinator.readers import GRACE_SECONDS
from fleetgraph.errors import RunCancelled
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.transitions import LEASE
from tests.client.processes import CoordinatorProcess
from tests.failures.conftest import until
from tests.failures.test_coordinator import HOLD, owner, start_coordinator
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import Process, environment

__all__ = ["start_coordinator"]

READER = """
import sys
from fleetgraph.client import Client

url, graph, key, on_disconnect = sys.argv[1:]
given = {"key": key, "count": 1}
chunks = Client(url).stream(graph, given, stream_mode=["custom"], on_disconnect=on_disconnect)
for chunk in chunks:
    print(chunks.run_id, flush=True)
"""


def reader(url: str, key: str, on_disconnect: str) -> Process:
    return Process([sys.executable, "-c", READER, url, HOLD, key, on_disconnect], environment())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("coordinators", [1, 2], ids=["alone", "with its coordinator"])
@pytest.mark.long
def test_a_run_whose_reader_was_killed(
    start_worker: Callable[..., Any],
    start_coordinator: Callable[[], CoordinatorProcess],
    server: RedisServer,
    client: redis.Redis,
    figure: Callable[..., None],
    coordinators: int,
) -> None:
    start_worker(HOLD)
    services = [start_coordinator() for _ in range(coordinators)]
    ending, lasting = new_key(), new_key()
    programs = [reader(server.url, ending, "cancel"), reader(server.url, lasting, "continue")]
    try:
        cancelled, goes_on = [program.output.readline().strip() for program in programs]
        for program in programs:
            program.signal(signal.SIGKILL)
        killed, bound = time.monotonic(), GRACE_SECONDS + 2
        if coordinators == 2:
            (doomed,) = [service for service in services if service.id == owner(client, cancelled)]
            doomed.signal(signal.SIGKILL)
            bound += LEASE.total_seconds() + 1
        until(lambda: client.hget(keys.run(cancelled), "ended") is not None, "the run's end")
        took = time.monotonic() - killed
        figure("seconds from a reader's SIGKILL until its run is cancelled", took)

        assert GRACE_SECONDS <= took <= bound
        with Client(server.url) as other:
            assert other.get_run(cancelled).status == "cancelled"
            with pytest.raises(RunCancelled, match="nobody has read it for 10 s"):
                list(other.join(cancelled))
            assert other.get_run(goes_on).status == "running"
            gates.open(f"{lasting}:1")
            assert list(other.join(goes_on, stream_mode="custom")) == ["1 holds", "1 goes on"]
        gates.open(f"{ending}:1")
    finally:
        for program in programs:
            program.end()
