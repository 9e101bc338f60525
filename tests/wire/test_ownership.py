"""Who may act for a run: the scripts of `wire.ownership`, one by one, in a real Redis and in fakeredis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
import redis

from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.ownership import (
    Opened,
    Opening,
    Told,
    advance,
    close_run,
    hold,
    open_run,
    recall,
    retire,
    start_run,
    take,
)
from fleetgraph.wire.transitions import Events, Refusal, RunStatus, cancel, publish_from_coordinator
from tests.leaks import leaked_keys

ABOUT: dict[str, Any] = {"kind": "service", "graphs": "{}"}
LAST = [Events(1, b"\xc0")]
LINE = keys.thread("g", "t")


@pytest.fixture(params=["fake", "real"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis; must hold no key without an expiry at the end."""
    made: redis.Redis = fakeredis.FakeRedis() if request.param == "fake" else request.getfixturevalue("redis_client")
    yield made
    assert leaked_keys(made) == []


def opened(client: redis.Redis, run: str, coordinator: str = "c1", *, graph: str = "g", **options: Any) -> Opened:
    record = {"graph": graph, "fingerprint": "f", "survives": 1, "queue": "q"}
    if options.get("thread"):
        record["thread"] = "t"
    return execute(client, open_run(run, coordinator, record, order=b"order", **options))


def expire(client: redis.Redis, coordinator: str) -> None:
    client.zadd(keys.coordinators(), {coordinator: 0})


def close(client: redis.Redis, run: str, status: RunStatus = RunStatus.SUCCESS, *, epoch: int = 1, **more: Any) -> Any:
    return execute(client, close_run(run, epoch, "c1", "q", status, LAST, **more))


# --- opening and ending ----------------------------------------------------------------------------------------------


def test_a_run_is_opened_once(client: redis.Redis) -> None:
    assert opened(client, "r") == Opened(Opening.OPENED, [])
    assert opened(client, "r", "c2") == Opened(Opening.KNOWN, [])
    assert client.hmget(keys.run("r"), "status", "epoch", "coordinator") == [b"pending", b"1", b"c1"]
    assert client.smembers(keys.owned("c1")) == {b"r"}
    assert client.lrange(keys.journal("r"), 0, -1) == [b"order"]


def test_runs_of_a_thread_stand_in_line(client: redis.Redis) -> None:
    assert opened(client, "first", thread=LINE).how is Opening.OPENED
    assert opened(client, "second", "c2", thread=LINE) == Opened(Opening.WAITING, ["first"])
    assert opened(client, "third", thread=LINE, refuse=True) == Opened(Opening.REFUSED, ["first", "second"])
    assert not client.exists(keys.run("third"))
    second = execute(client, recall("second", "c2"))
    assert second is not None
    assert second.waits

    close(client, "first")

    assert client.lrange(keys.inbox("c2"), 0, -1) == [b"!begin second"]
    second = execute(client, recall("second", "c2"))
    assert second is not None
    assert not second.waits
    assert opened(client, "fourth", thread=LINE).others == ["second"]


def test_the_next_of_a_thread_that_has_expired_is_passed_over(client: redis.Redis) -> None:
    for run in ("first", "second", "third"):
        opened(client, run, thread=LINE)
    client.delete(keys.run("second"))
    close(client, "first")
    assert client.lrange(keys.inbox("c1"), 0, -1) == [b"!begin third"]


def test_a_run_ends_once_and_leaves_only_what_readers_need(client: redis.Redis) -> None:
    opened(client, "r")
    assert execute(client, start_run("r", 1)) is None
    assert close(client, "r", error="why") == 1
    assert close(client, "r", RunStatus.ERROR) is Refusal.REPEATED
    assert client.hmget(keys.run("r"), "status", "error") == [b"success", b"why"]
    assert client.xlen(keys.log("r")) == 1
    assert not client.exists(keys.journal("r"), keys.tasks("r"), keys.sent("r"), keys.owned("c1"))


def test_a_cancelled_run_ends_as_cancelled(client: redis.Redis) -> None:
    opened(client, "r")
    assert execute(client, cancel("q", "r")) == 0
    assert execute(client, start_run("r", 1)) is Refusal.CANCELLED
    assert close(client, "r") is Refusal.CANCELLED
    assert close(client, "r", RunStatus.CANCELLED) == 1
    assert client.lrange(keys.inbox("c1"), 0, -1) == [b"!cancel r"]


def test_the_end_does_not_overtake_events(client: redis.Redis) -> None:
    opened(client, "r")
    assert close(client, "r", start=1) is Refusal.INCOMPLETE
    execute(client, publish_from_coordinator("r", 1, LAST, start=0))
    assert close(client, "r", start=1) == 2


# --- leases ----------------------------------------------------------------------------------------------------------


def test_a_coordinator_that_lives_is_not_robbed(client: redis.Redis) -> None:
    execute(client, hold("c1", ABOUT))
    opened(client, "r")
    assert execute(client, take("c1", "c2", {"g": "f"}, clients=True)) == []
    assert execute(client, hold("c2", ABOUT)).expired == []
    assert execute(client, hold("c1", ABOUT)).unbroken


def test_what_a_dead_one_left_behind_is_another_s(client: redis.Redis) -> None:
    execute(client, hold("c1", ABOUT))
    opened(client, "mine")
    opened(client, "other", graph="unknown")
    client.rpush(keys.inbox("c1"), b"outcome")
    client.expire(keys.inbox("c1"), 60)
    client.rpush(keys.calls("c1"), b"call")
    client.expire(keys.calls("c1"), 60)
    expire(client, "c1")

    assert execute(client, hold("c2", ABOUT)).expired == ["c1"]
    assert execute(client, take("c1", "c2", {"g": "f"}, clients=True)) == ["mine"]

    assert client.lrange(keys.inbox("c2"), 0, -1) == [b"outcome"]
    assert client.lrange(keys.calls("c2"), 0, -1) == [b"call"]
    found = execute(client, recall("mine", "c2"))
    assert found is not None
    assert (found.epoch, found.journal, found.survives) == (2, [b"order"], True)
    assert execute(client, recall("mine", "c1")) is None
    assert execute(client, hold("c2", ABOUT)).expired == ["c1"], "it still has a run that c2 can't go on with"
    assert execute(client, take("c1", "c3", {"unknown": "f"}, clients=False)) == ["other"]
    assert execute(client, hold("c2", ABOUT)).expired == []


def test_whoever_had_it_before_is_refused(client: redis.Redis) -> None:
    execute(client, hold("c1", ABOUT))
    opened(client, "r")
    expire(client, "c1")
    execute(client, take("c1", "c2", {"g": "f"}, clients=True))
    assert execute(client, start_run("r", 1)) is Refusal.SUPERSEDED
    assert execute(client, publish_from_coordinator("r", 1, LAST, start=0)) is Refusal.SUPERSEDED
    assert close(client, "r") is Refusal.SUPERSEDED
    assert close(client, "r", epoch=2) == 1
    assert not execute(client, hold("c1", ABOUT)).unbroken


def test_a_run_that_ends_with_its_coordinator_is_taken_by_anybody(client: redis.Redis) -> None:
    execute(client, hold("c1", ABOUT))
    execute(client, open_run("r", "c1", {"graph": "g", "fingerprint": "f", "survives": 0, "queue": "q"}))
    expire(client, "c1")
    assert execute(client, take("c1", "c2", {}, clients=False)) == ["r"]


@pytest.mark.parametrize("holds", [True, False])
def test_one_that_goes_gives_up_its_lease(client: redis.Redis, holds: bool) -> None:
    execute(client, hold("c1", ABOUT))
    if holds:
        opened(client, "r")
    execute(client, retire("c1"))
    assert execute(client, hold("c2", ABOUT)).expired == (["c1"] if holds else [])
    assert client.exists(keys.coordinator("c1")) == int(holds)


# --- what was told ---------------------------------------------------------------------------------------------------


def test_messages_are_taken_once_and_noted_in_order(client: redis.Redis) -> None:
    term = execute(client, hold("c1", ABOUT)).term
    opened(client, "r")
    client.rpush(keys.inbox("c1"), b"for r", b"for nobody", b"for one not known yet", b"later")
    opened(client, "new")
    told = [Told("r", 1), Told("r", 1, b"note"), Told(), Told("new")]
    assert execute(client, advance("c1", term, 1, told)) is True
    assert execute(client, advance("c1", term, 1, told)) is False, "sent again, since the answer was lost"
    assert client.lrange(keys.inbox("c1"), 0, -1) == [b"later"]
    assert client.lrange(keys.journal("r"), 0, -1) == [b"order", b"for r", b"note"]
    assert client.lrange(keys.journal("new"), 0, -1) == [b"order", b"for one not known yet"]


def test_nothing_is_noted_for_a_run_of_another(client: redis.Redis) -> None:
    term = execute(client, hold("c2", ABOUT)).term
    opened(client, "r", "c1")
    assert execute(client, advance("c2", term, 1, [Told("r", 0, b"note"), Told("r", 7, b"note")])) is True
    assert client.lrange(keys.journal("r"), 0, -1) == [b"order"]


def test_messages_that_were_not_read_stay_when_the_inbox_was_taken_over_meanwhile(client: redis.Redis) -> None:
    term = execute(client, hold("c1", ABOUT)).term
    opened(client, "r")
    client.rpush(keys.inbox("c1"), b"read by c1, which then falls asleep")
    expire(client, "c1")
    execute(client, take("c1", "c2", {"g": "f"}, clients=True))
    again = execute(client, hold("c1", ABOUT)).term
    client.rpush(keys.inbox("c1"), b"for a run that began since")

    assert execute(client, advance("c1", term, 1, [Told("r", 1)])) is Refusal.SUPERSEDED

    assert client.lrange(keys.inbox("c1"), 0, -1) == [b"for a run that began since"]
    assert execute(client, advance("c1", again, 2, [Told()])) is True
