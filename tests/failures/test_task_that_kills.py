"""A task kills every worker that it meets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from fleetgraph.errors import TaskLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.failures.graphs import poison
from tests.fleet import gates
from tests.fleet.observing import new_key


@pytest.mark.timeout(120)
@pytest.mark.long
def test_it_fails_its_run_and_the_fleet_lives_on(server: RedisServer, figure: Callable[..., None]) -> None:
    key = new_key()
    with Fleet.local(workers=2, concurrency=2) as fleet:
        graph = poison.on(fleet)
        assert graph.invoke({"key": key, "how": "live"})["log"] == ["alive"]
        began = time.monotonic()
        with pytest.raises(TaskLost, match="'node' was given to a worker 3 times, and each time the worker vanished"):
            graph.invoke({"key": f"{key}-kill", "how": "kill"})
        figure("seconds until the run fails", time.monotonic() - began)
        assert len(set(gates.arrived(f"{key}-kill:node"))) == 3
        # All that it had killed has been replaced, or the next one could not run.
        began = time.monotonic()
        for _ in range(3):
            assert graph.invoke({"key": key, "how": "live"})["log"] == ["alive"]
        figure("seconds that the next three runs took", time.monotonic() - began)
