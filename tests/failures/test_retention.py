"""Runs leave nothing behind in Redis, once they are old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.client import Client
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import Command
from fleetgraph.wire import keys
from fleetgraph.wire.values import LARGE_BYTES
from tests.client.processes import CoordinatorProcess
from tests.failures.conftest import until
from tests.fleet import gates
from tests.fleet.observing import new_key

LARGE = "x" * LARGE_BYTES
GRAPHS = ["tests.failures.lasting:asking", "tests.failures.lasting:calling", "tests.fleet.graphs.hold:graph"]


@pytest.mark.timeout(120)
@pytest.mark.long
def test_an_idle_redis_goes_back_to_the_keys_it_had(
    start_worker: Callable[..., Any], server: RedisServer, client: redis.Redis, queue: str
) -> None:
    def there() -> set[bytes]:
        # Savers keep threads for as long as they were told; what tests leave is the tests' affair.
        kept = (gates.PREFIX.encode(), b"fleetgraph:checkpoint", b"fleetgraph:reply:")
        return {key for key in client.scan_iter(count=1000) if not key.startswith(kept)}

    start_worker(*GRAPHS)
    service = CoordinatorProcess(*GRAPHS, url=server.url, queue=queue, options=["--retention", "2"])
    try:
        service.await_ready()
        with Client(server.url) as caller:
            first = caller.submit(GRAPHS[1], 3)  # RQ notes for good that the queue was used
            assert first.result() == 6
            until(lambda: client.zscore(keys.runs(), first.id) is None, "the first run to be forgotten")
            before = there()

            for number in range(5):
                thread: Any = {"configurable": {"thread_id": f"retention-{number}"}}
                assert "__interrupt__" in caller.invoke(GRAPHS[0], {"said": [LARGE]}, thread)
                assert caller.invoke(GRAPHS[0], Command(resume="yes"), thread) == {"said": [LARGE, "yes"]}
                assert caller.invoke(GRAPHS[1], number) == 2 * number
            key = new_key()
            run = caller.submit(GRAPHS[2], {"key": key, "count": 2})
            until(lambda: gates.arrived(f"{key}:1") and gates.arrived(f"{key}:2"), "its nodes to run")
            assert len(there()) > len(before)
            run.cancel()
            gates.open(f"{key}:1")
            gates.open(f"{key}:2")

            until(lambda: sorted(there() - before) == [], "Redis to forget the runs")
    finally:
        saver = RedisSaver(server.url)
        for number in range(5):
            saver.delete_thread(f"retention-{number}")
        service.end()
