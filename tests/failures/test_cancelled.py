"""A run is cancelled while its nodes are at work: each is stopped in its way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from fleetgraph.errors import RunCancelled
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.transitions import cancel
from tests.failures.conftest import StockWorker, begun, until
from tests.failures.graphs import endless
from tests.fleet import gates
from tests.fleet.observing import Running, Watched, new_key
from tests.fleet.processes import Worker

ENDLESS = "tests.failures.graphs:endless"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["computes", "sits", "awaits"])
@pytest.mark.parametrize("kind", [Worker, StockWorker])
def test_its_node_is_stopped_and_the_slot_is_free(
    start_worker: Callable[..., Any],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    figure: Callable[..., None],
    how: str,
    kind: Any,
) -> None:
    worker = start_worker(ENDLESS, kind=kind, **({"concurrency": 1} if kind is Worker else {}))
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        graph = endless.on(fleet)
        run = Running(graph, {"key": key, "how": how})
        begun(run, f"{key}:began")
        assert execute(client, cancel(queue, Watched(client).id)) == 1
        cancelled = time.monotonic()
        with pytest.raises(RunCancelled):
            run.result()
        figure("seconds until the run has ended", time.monotonic() - cancelled)
        if how != "sits":
            until(lambda: gates.arrived(f"{key}:stopped"), "the end of the node")
            figure("seconds until the node has ended", time.monotonic() - cancelled)
        # The only slot there is takes the next task.
        assert graph.invoke({"key": new_key(), "how": "quick"})["log"] == ["quick"]
        figure("seconds until its slot has run another task", time.monotonic() - cancelled)
    assert worker.popen.poll() is None
    assert client.llen(keys.rq_queue(queue)) == 0


@pytest.mark.timeout(120)
def test_closing_the_iterator_stops_its_nodes(
    start_worker: Callable[..., Any], server: RedisServer, queue: str, client: redis.Redis, figure: Callable[..., None]
) -> None:
    start_worker(ENDLESS)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        stream = endless.on(fleet).stream({"key": key, "how": "computes"}, stream_mode="tasks")
        next(stream)
        until(lambda: gates.arrived(f"{key}:began"), "the node")
        run = Watched(client)
        stream.close()
        closed = time.monotonic()
        until(lambda: run.status == "cancelled", "the end of the run")
        figure("seconds until the run has ended", time.monotonic() - closed)
        until(lambda: gates.arrived(f"{key}:stopped"), "the end of the node")
        figure("seconds until the node has ended", time.monotonic() - closed)
