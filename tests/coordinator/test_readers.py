"""Runs that need readers: which of them a coordinator takes for abandoned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from fleetgraph.client import Client
from fleetgraph.client.submission import Asked, submission
from fleetgraph.coordinator import Limits, readers
from fleetgraph.coordinator.readers import ReaderWatch, count_readers
from fleetgraph.coordinator.service import Service
from fleetgraph.errors import RunCancelled
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.connection import connect
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from tests.client import graphs
from tests.fleet.observing import new_key, new_thread
from tests.waiting import wait_until

GRACE = 2.5
"""Here, in seconds: a coordinator looks once a second."""

HOLDING = "tests.client.graphs:holding"


@pytest.fixture
def service(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service in this process, without workers: its runs go on until they are cancelled."""
    monkeypatch.setattr(readers, "GRACE_SECONDS", GRACE)
    registry = GraphRegistry()
    registry.add_graph(graphs.holding, HOLDING)
    with connect(redis_url) as connection, Service(connection, registry, "q", Limits(RETENTION, LOG_EVENTS)) as service:
        yield service


@pytest.fixture
def client(service: Service, redis_url: str) -> Iterator[Client]:
    with Client(redis_url) as client:
        yield client


class Run:
    """A run, and who reads it: a subscription."""

    def __init__(self, client: Client, store: redis.Redis, thread: Any, on_disconnect: Any) -> None:
        asked = Asked(thread, None, "values", None, None, None, None, False, "v1", on_disconnect, "enqueue")
        made = submission({"key": new_key(), "log": []}, asked, whole=False, asynchronous=False, is_read=True)
        self.id = made.run
        self._client = client
        self._store = store
        self._subscription: Any = None
        self.read()
        client._submit(HOLDING, made)  # pyright: ignore[reportPrivateUsage]

    def read(self) -> None:
        """Somebody reads it."""
        self._subscription = self._store.pubsub()
        self._subscription.subscribe(keys.events(self.id))
        assert self._subscription.get_message(timeout=5)["type"] == "subscribe"

    def leave(self) -> None:
        """The reader's process is killed: its connection ends, and nobody cancels anything."""
        self._subscription.close()

    @property
    def status(self) -> str:
        return self._client.get_run(self.id).status

    @property
    def ended(self) -> bool:
        return self._client.get_run(self.id).ended is not None


Order = Callable[..., Run]


@pytest.fixture
def order(client: Client, redis_client: redis.Redis) -> Iterator[Order]:
    """Orders runs that are read, each in a thread of its own unless one is given."""
    with ExitStack() as stack:

        def order_one(thread: Any = None, on_disconnect: str = "cancel") -> Run:
            run = Run(client, redis_client, thread or new_thread(), on_disconnect)
            stack.callback(run.leave)
            return run

        yield order_one


def test_a_run_that_nobody_reads_any_more_is_cancelled(client: Client, order: Order) -> None:
    thread = new_thread()
    abandoned, before, waiting = order(), order(thread), order(thread)
    assert waiting.status == "pending"
    for run in (abandoned, waiting):
        run.leave()
    left = time.monotonic()

    wait_until(lambda: abandoned.ended, GRACE + 5)
    assert time.monotonic() - left >= GRACE
    wait_until(lambda: waiting.ended, 5)

    assert [abandoned.status, before.status, waiting.status] == ["cancelled", "running", "cancelled"]
    for run in (abandoned, waiting):
        with pytest.raises(RunCancelled, match=r"nobody has read it for .*on_disconnect='cancel'"):
            list(client.join(run.id))


def test_runs_that_are_read_or_need_no_reader_go_on(client: Client, order: Order) -> None:
    lasting, read, read_again, read_by_another, abandoned = order(on_disconnect="continue"), *(order() for _ in "1234")
    submitted = client.submit(HOLDING, {"key": new_key(), "log": []}, new_thread(), on_disconnect="cancel")
    read_by_another.leave()
    read_by_another.read()
    for run in (lasting, read_again, abandoned):
        run.leave()
    left = time.monotonic()
    wait_until(lambda: time.monotonic() - left >= GRACE - 1)  # a look after the next one would be too late
    read_again.read()

    wait_until(lambda: abandoned.ended, GRACE + 5)

    assert submitted.status() == "running"
    assert {run.status for run in (lasting, read, read_again, read_by_another)} == {"running"}


@pytest.mark.long
def test_time_without_redis_does_not_count(service: Service, order: Order) -> None:
    """Readers come back when Redis does: nobody is taken for gone before they could."""
    run = order()
    run.leave()
    calm = service.coordinator._link.calm  # pyright: ignore[reportPrivateUsage]
    left = time.monotonic()
    while time.monotonic() - left < GRACE + 2:
        calm.failed()  # Redis was away, just now
        assert not run.ended
        time.sleep(0.05)  # a second for the coordinator to look

    wait_until(lambda: run.ended, GRACE + 10)

    assert run.status == "cancelled"


# --- the watch by itself ---------------------------------------------------------------------------------------------


def test_readers_are_counted(redis_client: redis.Redis) -> None:
    first, second = redis_client.pubsub(), redis_client.pubsub()
    for subscription in (first, second):
        subscription.subscribe(keys.events("r1"))
        assert subscription.get_message(timeout=5)
    assert execute(redis_client, count_readers(["r1", "r2"])) == {"r1": 2, "r2": 0}
    first.close()
    second.close()


def test_thousands_of_runs_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "RUNS_AT_ONCE", 2)
    assert [call.words[2:] for call in ReaderWatch().ask(["a", "b", "c"])] == [
        (keys.events("a"), keys.events("b")),
        (keys.events("c"),),
    ]
    assert ReaderWatch().ask([]) == []


def test_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "GRACE_SECONDS", 0.0)
    watch = ReaderWatch()
    watch.judge([{"a": 0, "b": 1}, {"c": 0}])
    assert [run for run in "abcd" if watch.is_abandoned(run)] == ["a", "c"]
    watch.judge([{"a": 1, "b": 1}, {"c": 0}])
    assert [run for run in "abcd" if watch.is_abandoned(run)] == ["c"]
    watch.forget()
    assert not watch.is_abandoned("c")


def test_a_redis_that_does_not_tell(caplog: pytest.LogCaptureFixture) -> None:
    """A coordinator's user may have rights from before this was asked."""
    watch = ReaderWatch()
    for _ in range(2):
        watch.judge([NoPermissionError("NOPERM")])
    assert len(caplog.records) == 1
    assert "fleetgraph acl coordinator" in caplog.text
