"""RQ's own worker, unchanged, serves a fleet's queue: slower, but to the same effect."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.rq_serializer import MsgpackSerializer
from tests.fleet.graphs import failing, guide
from tests.fleet.observing import ALL_MODES, comparable, new_thread, without_expiry
from tests.fleet.processes import Process, environment, started
from tests.waiting import wait_until

QUEUE = "stock"
RQ = Path(sys.executable).parent / "rq"


@pytest.fixture(scope="module")
def stock_worker(server: RedisServer) -> Iterator[Process]:
    serializer = f"{MsgpackSerializer.__module__}.{MsgpackSerializer.__qualname__}"
    graphs = "tests.fleet.graphs.guide:graph, tests.fleet.graphs.guide:saved, tests.fleet.graphs.failing:graph"
    worker = Process(
        [str(RQ), "worker", "--serializer", serializer, "--url", server.url, "--name", "stock-1", QUEUE],
        environment(FLEETGRAPH_GRAPHS=graphs),
    )
    with started(worker), server.client() as client:
        yield worker
        client.delete(keys.rq_failed(QUEUE))


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """Replaces the general one: RQ itself never lets its register of failed jobs expire."""
    with server.client() as client:
        yield client
        wait_until(lambda: set(without_expiry(client)) <= {keys.rq_failed(QUEUE)})


@pytest.fixture
def fleet(server: RedisServer, client: redis.Redis, stock_worker: Process) -> Iterator[Fleet]:
    with Fleet(server.url, queue=QUEUE) as fleet:
        yield fleet
    assert stock_worker.popen.poll() is None, stock_worker.errors


@pytest.mark.parametrize("modes", [ALL_MODES, "messages"], ids=["all modes", "messages"])
def test_the_guide_streams_the_same(fleet: Fleet, modes: Any) -> None:
    given = {"topic": "ice cream"}
    chunks = list(guide.saved.on(fleet).stream(given, new_thread(), stream_mode=modes))
    in_process = list(guide.saved.stream(given, new_thread(), stream_mode=modes))
    if modes == ALL_MODES:
        assert {mode for mode, _ in chunks} == set(ALL_MODES)
    assert comparable(chunks, modes) == comparable(in_process, modes)


async def test_the_guide_runs_async(fleet: Fleet) -> None:
    result = await guide.graph.on(fleet).ainvoke({"topic": "ice cream"})
    assert result == guide.graph.invoke({"topic": "ice cream"})


def test_a_node_that_raises_is_reported_here_and_in_rq(fleet: Fleet, client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="no such number: 42") as caught:
        failing.graph.on(fleet).invoke({"how": "builtin"})
    assert "During task with name 'fails'" in caught.value.__notes__[0]
    queue = Queue(QUEUE, connection=client, serializer=MsgpackSerializer)
    registry = FailedJobRegistry(queue=queue)
    [job_id] = wait_until(registry.get_job_ids)
    job = Job.fetch(job_id, connection=client, serializer=MsgpackSerializer)
    latest = wait_until(job.latest_result)
    assert latest.exc_string is not None
    assert 'raise ValueError("no such number: 42")' in latest.exc_string
    assert client.ttl(keys.rq_job(job_id)) > 0
