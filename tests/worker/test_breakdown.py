"""A worker that breaks down does so loudly, and does not go on without one of its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rq.worker import Worker

from fleetgraph.errors import FleetError
from fleetgraph.wire.connection import connect
from fleetgraph.worker import FleetWorker
from fleetgraph.worker.publisher import Publisher
from fleetgraph.worker.running import Runner
from tests.waiting import wait_until
from tests.worker.conftest import QUEUE, Desk, actions


class Bug(Exception):
    """A bug of the worker's own."""


def bug(*args: Any, **options: Any) -> Any:
    raise Bug


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        yield made


@pytest.mark.parametrize(
    ("place", "name"),
    [(Publisher, "_send"), (Runner, "succeeded"), (FleetWorker, "_beat"), (FleetWorker, "_listen")],
    ids=["publisher", "node", "heartbeat", "serving"],
)
def test_a_thread_that_dies_stops_the_worker(
    desk_for: Callable[..., Desk],
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: type,
    name: str,
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    desk = desk_for(quick=quick)
    worker = FleetWorker(QUEUE, client, desk.registry, lease_seconds=0.3)
    beat = FleetWorker._beat  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(place, name, bug)
    desk.give("quick", "t")

    with monkeypatch.context() as patch:
        if name == "_beat":  # the last one, at the end, is not the thread's
            calls: list[FleetWorker] = []
            patch.setattr(
                FleetWorker, "_beat", lambda self: bug() if not calls and not calls.append(self) else beat(self)
            )
        with pytest.raises(FleetError, match="broke down") as caught:
            worker.work()

    assert isinstance(caught.value.__cause__, Bug)
    assert isinstance(worker.error, Bug)
    assert "thread-died" in actions(caplog)
    assert Worker.all(connection=client) == []


def test_whoever_started_it_in_a_thread_finds_the_reason(
    desk_for: Callable[..., Desk], client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    desk = desk_for(quick=quick)
    worker = FleetWorker(QUEUE, client, desk.registry)
    monkeypatch.setattr(Publisher, "_send", bug)
    stop = worker.start_in_thread()

    desk.give("quick", "t")

    assert isinstance(wait_until(lambda: worker.error), Bug)
    stop()


def test_a_failing_maintenance_of_rqs_is_only_logged(
    desk_for: Callable[..., Desk],
    start_worker: Callable[..., FleetWorker],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    monkeypatch.setattr(FleetWorker, "run_maintenance_tasks", bug)
    desk = desk_for(quick=quick)
    start_worker(desk)

    desk.give("quick", "t")

    assert desk.outcome("t").error is None
    assert actions(caplog).count("maintenance-failed") == 1
