"""Tasks that are given to workers which wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from rq.job import Job, JobStatus

from fleetgraph.errors import DecodeError
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.connection import connect
from fleetgraph.wire.rq_serializer import MsgpackSerializer, message_of
from fleetgraph.wire.transitions import (
    Claim,
    Dispatch,
    Finished,
    Route,
    claim,
    dispatch,
    finish,
    handed,
    lost,
    wait_no_more,
)

RUN, QUEUE, ME = "run1", "q", "me"
GRAPHS = {"app:graph": "f1"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        made.hset(keys.run(RUN), mapping={"epoch": 1, "coordinator": ME, "graph": "app:graph", "fingerprint": "f1"})
        yield made


class Listener:
    """A worker as Redis sees it, that waits for tasks."""

    def __init__(self, client: redis.Redis, name: str, capacity: int, graphs: dict[str, str] = GRAPHS) -> None:
        self.client, self.name, self.capacity, self.graphs = client, name, capacity, graphs
        self.channel: Any = client.pubsub(ignore_subscribe_messages=True)
        self.channel.subscribe(keys.handed(name))
        while self.channel.get_message(timeout=1) is not None:
            pass
        client.sadd(keys.rq_queue_workers(QUEUE), keys.rq_worker(name))
        client.hset(keys.rq_worker(name), "birth", "now")
        assert self.come(0) == []

    def come(self, count: int) -> list[Claim]:
        call = claim(QUEUE, self.name, count, announce=True, graphs=self.graphs, capacity=self.capacity)
        return execute(self.client, call)

    def heard(self) -> list[bytes]:
        found: list[bytes] = []
        while (message := self.channel.get_message(timeout=0.1)) is not None:
            found.append(message["data"])
        return found

    def tasks(self) -> list[str]:
        return [one.route.task for message in self.heard() if (one := handed(message)).route]


def give(client: redis.Redis, *tasks: str, message: bytes = b"message") -> None:
    work = [Dispatch(task=task, attempt=1, graph="app:graph", node="n", step=1, message=message) for task in tasks]
    assert execute(client, dispatch(RUN, 1, QUEUE, ME, work)) == [True] * len(tasks)


def queued(client: redis.Redis) -> int:
    return client.llen(keys.rq_queue(QUEUE))  # pyright: ignore[reportReturnType]


def waiting(client: redis.Redis) -> list[bytes]:
    return client.zrange(keys.waiting(QUEUE), 0, -1)  # pyright: ignore[reportReturnType]


def test_a_task_is_given_to_a_worker_that_waits(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 2)

    give(client, "t")

    (one,) = map(handed, worker.heard())
    assert one.route == Route(RUN, "t", 1, ME)
    assert message_of(one.data) == b"message"
    assert queued(client) == 0
    job = Job.fetch(one.job, connection=client, serializer=MsgpackSerializer)
    assert job.get_status() == JobStatus.STARTED
    assert (job.worker_name, job.origin) == ("w1", QUEUE)
    assert client.hget(keys.rq_worker("w1"), "state") == b"busy"
    assert execute(client, lost(QUEUE)) == []
    assert isinstance(execute(client, finish(QUEUE, "w1", one, b"outcome", failure=None)), Finished)
    assert client.lrange(keys.inbox(ME), 0, -1) == [b"outcome"]


def test_it_is_lost_like_any_other_when_its_worker_vanishes(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 2)
    give(client, "t")

    client.zadd(keys.leases(QUEUE), {keys.job_id(RUN, "t", 1): 1})

    assert worker.tasks() == ["t"]
    assert execute(client, lost(QUEUE)) == [Route(RUN, "t", 1, ME)]


def test_no_more_than_it_has_room_for(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 2)

    give(client, "a", "b", "c")

    assert worker.tasks() == ["a", "b"]
    assert queued(client) == 1
    assert waiting(client) == []
    give(client, "d")
    assert worker.tasks() == []
    assert queued(client) == 2


def test_several_workers_share(client: redis.Redis) -> None:
    first, second = Listener(client, "w1", 4), Listener(client, "w2", 1)

    give(client, *"abcdef")

    assert len(first.tasks()) == 4
    assert len(second.tasks()) == 1
    assert queued(client) == 1


def test_a_worker_that_died_is_passed_over(client: redis.Redis) -> None:
    alive, dead = Listener(client, "w1", 1), Listener(client, "w2", 1)
    dead.channel.close()

    give(client, "t")

    assert alive.tasks() == ["t"]
    assert waiting(client) == []


def test_one_that_has_not_come_for_longer_than_its_lease_is_passed_over(client: redis.Redis) -> None:
    sleeper = Listener(client, "w1", 1)
    client.zincrby(keys.waiting(QUEUE), -3.1, "w1")

    give(client, "t")

    assert sleeper.heard() == []
    assert queued(client) == 1


def test_nobody_is_given_tasks_of_another_graph(client: redis.Redis) -> None:
    other = Listener(client, "w1", 1, {"app:graph": "f2"})

    give(client, "t")

    assert other.heard() == []
    assert queued(client) == 1
    assert waiting(client) == [b"w1"]


def test_nobody_is_given_any_while_workers_are_suspended(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 1)
    client.set(keys.rq_suspended(), 1)

    give(client, "t")

    assert worker.heard() == []
    assert queued(client) == 1


def test_a_large_one_is_fetched(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 2)

    give(client, "t", message=b"x" * 1_000_000)

    assert worker.heard() == [b""]
    assert queued(client) == 1
    (one,) = worker.come(1)
    assert len(message_of(one.data)) == 1_000_000


def test_who_finds_nothing_more_waits(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 1)
    give(client, "a", "b")
    (one,) = map(handed, worker.heard())
    assert waiting(client) == []

    def end(one: Claim) -> Finished:
        call = finish(QUEUE, "w1", one, b"outcome", failure=None, count=1, graphs=GRAPHS, capacity=1)
        finished = execute(client, call)
        assert isinstance(finished, Finished)
        return finished

    (another,) = end(one).claims
    assert waiting(client) == []
    assert end(another).claims == []
    assert waiting(client) == [b"w1"]
    assert client.ttl(keys.waiting(QUEUE)) > 0
    give(client, "c")
    assert worker.tasks() == ["c"]


def test_one_that_waits_no_more_is_given_nothing(client: redis.Redis) -> None:
    worker = Listener(client, "w1", 1)
    execute(client, wait_no_more(QUEUE, "w1"))

    give(client, "t")

    assert worker.heard() == []
    assert queued(client) == 1


def test_rubbish_is_no_task() -> None:
    with pytest.raises(DecodeError):
        handed(b"rubbish")
