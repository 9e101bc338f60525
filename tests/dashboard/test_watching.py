"""Watching a real fleet: pictures of what it does, whatever becomes of its workers and its Redis."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from fleetgraph.dashboard import Picture, look, watch
from fleetgraph.dashboard.picture import Health, TaskState
from fleetgraph.errors import RedisUnavailable
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.connection import connect
from tests.dashboard.test_reading import READING
from tests.fleet import gates
from tests.fleet.graphs.hold import graph
from tests.fleet.observing import Running, cut_subscribers, new_key
from tests.waiting import wait_until

HOLD = "tests.fleet.graphs.hold:graph"

LOOKS = 300
"""Pictures looked at, a tenth of a second apart, before giving up."""


def await_picture(pictures: Iterator[Picture], shows: Callable[[Picture], bool]) -> Picture:
    """The first picture that shows something."""
    picture = None
    for _, picture in zip(range(LOOKS), pictures, strict=False):
        if shows(picture):
            return picture
    raise AssertionError(f"no picture shows it; the last one: {picture}")


@pytest.fixture
def pictures(server: RedisServer, queue: str) -> Iterator[Iterator[Picture]]:
    with connect(server.url) as own, closing(watch(own, [queue], interval=0.1)) as made:
        yield made


def test_what_runs_where_in_which_attempt(
    start_worker: Callable[..., Any],
    server: RedisServer,
    client: redis.Redis,
    queue: str,
    pictures: Iterator[Picture],
) -> None:
    worker, key = start_worker(HOLD), new_key()
    with Fleet(server.url, queue=queue) as fleet:
        running = Running(graph.on(fleet), {"key": key, "count": 2})

        def two_run(picture: Picture) -> bool:
            return [task.state for task in picture.tasks] == [TaskState.RUNNING] * 2

        picture = await_picture(pictures, lambda one: two_run(one) and bool(one.runs) and one.runs[0].events > 0)
        (run,) = picture.runs
        assert (run.status, run.graph, run.queue, run.superstep) == ("running", HOLD, queue, 1)
        assert (run.tasks_running, run.tasks_outstanding) == (2, 2)
        for task in picture.tasks:
            assert (task.node, task.attempt, task.worker, task.run) == ("hold", 1, worker.name, run.id)
            assert task.lease is not None
            assert 0 < task.lease <= 3
        (seen,) = picture.workers
        assert (seen.name, seen.health, seen.held, seen.concurrency) == (worker.name, Health.UP, 2, 4)
        assert (seen.graphs, seen.pid) == ([HOLD], worker.pid)
        (there,) = picture.queues
        assert (there.name, there.waiting, there.running, there.workers) == (queue, 0, 2, 1)
        holders = [one for one in look(client, [queue]).coordinators if one.id == run.coordinator]
        assert [(one.kind, one.health, one.runs) for one in holders] == [("embedded", Health.UP, 1)]

        for number in (1, 2):
            gates.open(f"{key}:{number}")
        picture = await_picture(pictures, lambda one: any(run.over for run in one.runs))
        assert running.result()["held"] == ["1", "2"]
        (run,) = picture.runs
        assert (run.status, run.tasks_outstanding) == ("success", 0)
        picture = await_picture(pictures, lambda one: not one.tasks)
        assert picture.runs[0].events == int(client.hget(keys.run(run.id), "seq") or 0)
        assert picture.runs[0].last_mode == "run"
        assert picture.events_per_second


def test_a_worker_is_killed_and_its_task_given_to_another(
    start_worker: Callable[..., Any], server: RedisServer, queue: str, pictures: Iterator[Picture]
) -> None:
    first, key = start_worker(HOLD), new_key()
    with Fleet(server.url, queue=queue) as fleet:
        running = Running(graph.on(fleet), {"key": key, "count": 1})
        wait_until(lambda: gates.arrived(f"{key}:1"), 20, "a task in its node")
        second = start_worker(HOLD)
        first.signal(signal.SIGKILL)
        again = await_picture(pictures, lambda one: [task.attempt for task in one.tasks] == [2])
        assert [(task.worker, task.state) for task in again.tasks] == [(second.name, TaskState.RUNNING)]
        dead = await_picture(pictures, lambda one: any(worker.health is Health.DEAD for worker in one.workers))
        assert [(worker.name, worker.health) for worker in dead.workers] == [
            (first.name, Health.DEAD),
            (second.name, Health.UP),
        ]
        gates.open(f"{key}:1")
        assert running.result()["held"] == ["1"]


def _over(picture: Picture) -> bool:
    return any(run.over for run in picture.runs)


def test_events_go_on_after_redis_cut_the_connection(
    start_worker: Callable[..., Any], server: RedisServer, client: redis.Redis, queue: str, pictures: Iterator[Picture]
) -> None:
    start_worker(HOLD)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        running = Running(graph.on(fleet), {"key": key, "count": 1})
        await_picture(pictures, lambda one: bool(one.tasks))
        cut_subscribers(client)
        await_picture(pictures, lambda one: True)
        gates.open(f"{key}:1")
        await_picture(pictures, _over)
        running.result()


def test_redis_is_restarted(redis_server: RedisServer) -> None:
    """What it lost is gone, and what it has again is shown."""
    with RedisServer() as own, connect(own.url) as client, closing(watch(client, interval=0.1)) as pictures:
        client.zadd(keys.runs(), {"r": 1.0})
        client.hset(keys.run("r"), mapping={"status": "running", "seq": 3})
        await_picture(pictures, lambda one: [run.events for run in one.runs] == [3])
        own.kill()
        away = await_picture(pictures, lambda one: bool(one.trouble))
        assert [run.events for run in away.runs] == [3]
        own.restart()
        back = await_picture(pictures, lambda one: not one.trouble)
        assert back.runs == []
        client.publish(keys.events("r"), b"rubbish")
        client.publish("fleetgraph:run:\xff\x00:events", b"\x92\x01\x91\x96\xa1m\x90\xa1t\x01\x01\xc0")
        heard = await_picture(pictures, lambda one: bool(one.events_per_second))
        assert heard.runs == []


def test_a_redis_that_is_not_there_is_an_error(redis_server: RedisServer) -> None:
    with RedisServer() as gone:
        url = gone.url
    with connect(url) as client:
        with pytest.raises(RedisUnavailable, match="can't be watched"):
            look(client)
        with pytest.raises(RedisUnavailable, match="can't be watched"):
            next(watch(client))


@pytest.mark.parametrize(
    ("keys_allowed", "channels_allowed"), [(["other:*"], ["*"]), (["*"], [])], ids=["keys", "channels"]
)
def test_a_user_who_may_not_read_or_listen_is_told(
    redis_client: redis.Redis, redis_server: RedisServer, keys_allowed: list[str], channels_allowed: list[str]
) -> None:
    redis_client.acl_setuser(
        "blind",
        enabled=True,
        nopass=True,
        reset=True,
        reset_channels=True,
        commands=["+@all"],
        keys=keys_allowed,
        channels=channels_allowed,
    )
    with (
        redis_server.client(username="blind", password="") as client,
        closing(watch(client, interval=0.1)) as pictures,
        pytest.raises(RedisUnavailable, match="permission"),
    ):
        await_picture(pictures, lambda _: False)
    redis_client.acl_deluser("blind")


def test_reading_is_all_that_a_user_needs_to_be_allowed(redis_client: redis.Redis, redis_server: RedisServer) -> None:
    redis_client.acl_setuser(
        "viewer",
        enabled=True,
        nopass=True,
        reset=True,
        commands=["-@all", "+psubscribe", "+punsubscribe", *(f"+{name.lower()}" for name in READING)],
        channels=[keys.events("*")],
        reset_channels=True,
    )
    redis_client.execute_command("ACL", "SETUSER", "viewer", f"%R~{keys.PREFIX}*", f"%R~{keys.RQ}*")
    with (
        redis_server.client(username="viewer", password="") as client,
        closing(watch(client, interval=0.1)) as pictures,
    ):
        next(pictures)
        redis_client.publish(keys.events("r"), b"\x92\x01\x91\x96\xa1m\x90\xa1t\x01\x01\xc0")
        await_picture(pictures, lambda one: bool(one.events_per_second))
    redis_client.acl_deluser("viewer")
