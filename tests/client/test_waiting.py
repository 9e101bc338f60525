"""Runs that nobody is there for: their readers are told why they wait, and need not wait for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from fleetgraph.client import AsyncClient, Client
from fleetgraph.coordinator import Limits
from fleetgraph.coordinator.service import Service
from fleetgraph.errors import FleetgraphError, GraphNotServed, ResultTimeout
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire.connection import connect
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from fleetgraph.worker import FleetWorker
from tests.client import graphs
from tests.client.conftest import gates_in
from tests.fleet import gates
from tests.fleet.observing import new_key, new_thread
from tests.waiting import wait_until

FAMILY, HOLDING = "tests.client.graphs:family", "tests.client.graphs:holding"
QUEUE = "q"
LOG: dict[str, Any] = {"log": []}


def registry(**graphs: Any) -> GraphRegistry:
    made = GraphRegistry()
    for name, graph in graphs.items():
        made.add_graph(graph, f"tests.client.graphs:{name}")
    return made


@pytest.fixture
def client(redis_server: RedisServer, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a service in this process, which soon tells what it lacks: it has no workers."""
    monkeypatch.setattr("fleetgraph.coordinator.workers.PATIENCE_SECONDS", 0.5)
    have = registry(family=graphs.family, holding=graphs.holding)
    limits = Limits(RETENTION, LOG_EVENTS, timedelta(seconds=4))
    with (
        gates_in(redis_server),
        connect(redis_url) as connection,
        Service(connection, have, QUEUE, limits),
        Client(redis_url) as client,
    ):
        yield client


@pytest.fixture
def work(redis_url: str) -> Iterator[Callable[..., None]]:
    """Starts workers in threads, and ends them after the test."""
    with ExitStack() as stack:

        def start(**graphs: Any) -> None:
            connection = stack.enter_context(connect(redis_url))
            stack.callback(FleetWorker(QUEUE, connection, registry(**graphs), concurrency=2).start_in_thread())

        yield start


def test_a_reader_is_told_once_that_no_worker_listens(
    client: Client, work: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    read: list[Any] = []
    reader = threading.Thread(target=lambda: read.extend(client.stream("family", LOG, stream_mode="custom")))
    reader.start()
    (run,) = wait_until(lambda: client.list_runs(status="running"))
    told = f"Run {run.id} waits: no worker is listening on queue 'q'. Start one: fleetgraph worker {FAMILY} --redis URL"
    wait_until(lambda: told in caplog.text, 10)
    assert client.get_run(run.id).waits is not None
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2.5)  # a client looks once a second

    work(family=graphs.family)
    reader.join(20)

    assert read == ["top speaks"]
    assert caplog.text.count(told) == 1
    assert client.get_run(run.id).waits is None


def test_a_reader_is_told_that_no_worker_has_the_graph(
    client: Client, work: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    work(holding=graphs.holding)
    with pytest.raises(GraphNotServed):
        client.invoke("family", LOG)
    (run,) = client.list_runs(graph="family")
    assert f"Run {run.id} waits: no worker on queue 'q' has graph '{FAMILY}' with fingerprint" in caplog.text
    assert run.waits is None, "it has ended"


def test_what_a_run_waited_for_is_forgotten(client: Client, work: Callable[..., None]) -> None:
    run = client.submit("holding", {"key": (key := new_key()), "log": []}, new_thread())
    wait_until(lambda: run.info().waits, 10)

    work(holding=graphs.holding)

    wait_until(lambda: gates.arrived(key))
    wait_until(lambda: run.info().waits is None, 5)
    gates.open(key)
    run.result()


def test_a_result_is_not_waited_for_longer_than_wanted(client: Client, work: Callable[..., None]) -> None:
    run = client.submit("family", LOG, on_disconnect="cancel")
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match=rf"run {run.id} has not ended within 0\.2 s, and goes on\. ") as caught:
        run.result(timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 0.9, "sooner than it looks at the log"
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, FleetgraphError)
    assert not run.info().over
    with pytest.raises(TimeoutError, match=r"It waits: no worker is listening on queue 'q'\."):
        run.result(timeout=4)

    work(family=graphs.family)

    assert run.result(timeout=20) == graphs.family.invoke(LOG)
    assert run.result(timeout=0) == graphs.family.invoke(LOG), "it has ended"


def test_events_that_keep_coming_do_not_put_it_off(client: Client, redis_url: str) -> None:
    """A run that is never silent for as long as a look takes."""
    run = client.submit("holding", {"key": new_key(), "log": []}, new_thread())
    over = threading.Event()

    def keep_talking() -> None:
        from fleetgraph.wire.calling import execute
        from fleetgraph.wire.codec import Codec
        from fleetgraph.wire.events import encode_event
        from fleetgraph.wire.transitions import Events, publish_from_coordinator

        event = encode_event(Codec(), "values", (), "", 0, 0.0, {"log": []}, "")
        with connect(redis_url) as connection:
            while not over.wait(0.05):
                execute(connection, publish_from_coordinator(run.id, 1, [Events(1, event)]))

    talker = threading.Thread(target=keep_talking)
    talker.start()
    try:
        with pytest.raises(ResultTimeout):
            run.result(timeout=1.5)
    finally:
        over.set()
        talker.join()
    run.cancel()


async def test_the_async_twin(client: Client, redis_url: str) -> None:
    async with AsyncClient(redis_url) as other:
        run = await other.submit("family", LOG, on_disconnect="cancel")
        with pytest.raises(ResultTimeout, match="goes on"):
            await run.result(timeout=0.2)
        assert not (await run.info()).over
        with pytest.raises(ResultTimeout, match="It waits: no worker is listening on queue 'q'"):
            await run.result(timeout=4)
        await run.cancel()


# --- submitting before reading ---------------------------------------------------------------------------------------


def test_a_stream_is_submitted_before_it_is_read(client: Client, work: Callable[..., None]) -> None:
    with client.stream("family", LOG, stream_mode="custom") as chunks:
        chunks.start()
        chunks.start()
        assert not client.get_run(chunks.run_id).over
        work(family=graphs.family)
        assert list(chunks) == ["top speaks"]


async def test_an_async_stream_is_submitted_before_it_is_read(client: Client, redis_url: str) -> None:
    async with AsyncClient(redis_url) as other, other.stream("family", LOG, stream_mode="custom") as chunks:
        await chunks.start()
        assert not (await other.get_run(chunks.run_id)).over
    assert client.get_run(chunks.run_id).status == "cancelled", "its iterator was closed"
