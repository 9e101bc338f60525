"""A worker is killed in the middle of a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from fleetgraph.client.sequence import Sequence
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import read_batch
from tests.failures.conftest import StockWorker, begun, kill_all, until
from tests.failures.graphs import saying, weighing
from tests.fleet import gates
from tests.fleet.observing import Running, Watched, new_key
from tests.fleet.processes import Worker

SAYING = "tests.failures.graphs:saying"
WEIGHING = "tests.failures.graphs:weighing"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [Worker, StockWorker])
def test_its_task_runs_again_elsewhere(
    start_worker: Callable[..., Any],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    figure: Callable[..., None],
    kind: Any,
) -> None:
    victim = start_worker(SAYING, kind=kind)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": key})
        begun(run, f"{key}:began")
        until(lambda: ("custom", "before, 1") in run.chunks, "what the first attempt says")
        start_worker(SAYING)
        kill_all(victim)
        killed = time.monotonic()
        until(lambda: len(gates.arrived(f"{key}:began")) == 2, "the second attempt")
        figure("seconds from the worker's death to the next attempt", time.monotonic() - killed)
        gates.open(f"{key}:go")
        result = run.result()
        watched = Watched(client)
        log: Any = client.xrange(keys.log(watched.id))
    # Both attempts have said something; what the node wrote counts once.
    assert result["log"] == ["said by 2"]
    assert run.shown("custom") == ["before, 1", "before, 2", "after, 2"]
    assert len(run.shown("updates")) == 1
    events = list(Sequence(watched.id).from_log(read_batch(Codec(), fields[b"m"]) for _, fields in log))
    said = [(event.payload, event.attempt) for event in events if event.mode == "custom"]
    assert said == [("before, 1", 1), ("before, 2", 2), ("after, 2", 2)]
    assert gates.arrived(f"{key}:ended") == gates.arrived(f"{key}:began")[1:]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [Worker, StockWorker])
def test_it_is_given_the_large_values_of_the_state_again(
    start_worker: Callable[..., Any], server: RedisServer, queue: str, client: redis.Redis, kind: Any
) -> None:
    victim = start_worker(WEIGHING, kind=kind)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(weighing.on(fleet), {"key": key, "how": "x" * 1_000_000, "log": ["x" * 1000] * 100})
        begun(run, f"{key}:began")
        watched = Watched(client)
        assert client.hlen(keys.values(watched.id)) == 2
        start_worker(WEIGHING, kind=kind)
        kill_all(victim)
        until(lambda: len(gates.arrived(f"{key}:began")) == 2, "the second attempt")
        gates.open(f"{key}:go")
        result = run.result()
    assert result["log"][-1] == "1000000 and 100 weighed by 2"
    assert not client.exists(keys.values(watched.id))
