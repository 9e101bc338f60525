"""Reading a snapshot from a real Redis: in three round trips, and no more of it than so much."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from fleetgraph.dashboard import reading
from fleetgraph.dashboard.reading import Limits, read_snapshot
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute_all
from fleetgraph.wire.ownership import hold, open_run
from fleetgraph.wire.transitions import Dispatch, claim, dispatch

FEW = Limits(runs=20, tasks=15, held=4, workers=6, queues=3, waiting=2, coordinators=2)

READING = {
    *("TIME", "EXISTS", "HMGET", "HGETALL", "HLEN", "LLEN", "LRANGE"),
    *("SCARD", "SRANDMEMBER", "ZCARD", "ZRANGE", "ZREVRANGE"),
}
"""The commands that docs/events.md names."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is sent: a list of commands for each round trip."""
    sent: list[list[str]] = []
    answers_to = reading.answers_to

    def noting(client: redis.Redis, calls: Any) -> Any:
        sent.append([str(call.words[0]) for call in calls])
        return answers_to(client, calls)

    monkeypatch.setattr(reading, "answers_to", noting)
    return sent


def crowd(client: redis.Redis, *, runs: int, workers: int = 0, queues: int = 1, coordinators: int = 1) -> None:
    """A fleet as it stands in Redis, with a task of each run in a queue, some of them held by a worker."""
    calls: list[Any] = [hold(f"c{number}", {"kind": "service"}) for number in range(coordinators)]
    for number in range(runs):
        run, owner, queue = f"run{number:05}", f"c{number % coordinators}", f"q{number % queues}"
        calls.append(open_run(run, owner, {"graph": "app:graph", "queue": queue}))
        task = Dispatch(task=f"t{number}", attempt=1, graph="G", node="think", step=2, message=b"")
        calls.append(dispatch(run, 1, queue, owner, [task], batch=1, step=2))
    calls.append(claim("q0", "w0", 10, announce=True))
    execute_all(client, calls)
    for number in range(workers):
        client.hset(keys.rq_worker(f"w{number}"), mapping={"queues": "q0", "state": "busy"})
        client.sadd(keys.rq_workers(), keys.rq_worker(f"w{number}"))


def test_an_empty_redis_is_read_in_one_round_trip(redis_client: redis.Redis, commands: list[list[str]]) -> None:
    found = read_snapshot(redis_client)
    assert (found.runs, found.tasks, found.workers, found.queues, found.coordinators) == ({}, {}, {}, {}, {})
    assert found.time > 1.7e9
    assert len(commands) == 1


@pytest.mark.parametrize("runs", [1, 100, 2000])
def test_a_fleet_of_any_size_takes_three_round_trips_of_bounded_length(
    redis_client: redis.Redis, commands: list[list[str]], runs: int
) -> None:
    crowd(redis_client, runs=runs, workers=min(runs, 30), queues=min(runs, 9), coordinators=min(runs, 5))
    found = read_snapshot(redis_client, limits=FEW)
    assert len(commands) == 3
    assert sum(map(len, commands)) < 400
    assert {name for trip in commands for name in trip} <= READING
    assert found.runs_on_record == runs
    assert len(found.runs) <= 3 * FEW.runs
    assert len(found.tasks) <= 2 * FEW.tasks
    assert len(found.workers) <= FEW.workers
    assert len(found.coordinators) <= FEW.coordinators


def test_what_is_read_is_what_stands_there(redis_client: redis.Redis) -> None:
    crowd(redis_client, runs=30, workers=1)
    found = read_snapshot(redis_client)
    assert len(found.runs) == 30
    run = found.runs["run00007"]
    assert (run.status, run.graph, run.queue, run.coordinator, run.epoch) == ("pending", "app:graph", "q0", "c0", 1)
    assert (run.seq, run.outstanding, run.step, run.ended) == (0, 1, 2, None)
    assert run.created is not None
    assert abs(found.time - run.created) < 60
    queue = found.queues["q0"]
    held = [task for task in found.tasks.values() if not task.waits]
    assert queue.running == len(held) == 10
    assert queue.waiting == 20
    assert {(task.worker, task.node, task.step, task.attempt) for task in held} == {("w0", "think", 2, 1)}
    assert all(task.lease_ends is not None and task.lease_ends > found.time for task in held)
    assert found.workers["w0"].held == 10
    assert found.coordinators["c0"].runs == 30
    assert found.coordinators["c0"].lease_ends > found.time


def test_the_oldest_run_is_read_as_long_as_a_coordinator_holds_it(redis_client: redis.Redis) -> None:
    crowd(redis_client, runs=1, coordinators=1)
    for number in range(50):
        execute_all(redis_client, [open_run(f"newer{number}", "gone", {})])
    found = read_snapshot(redis_client, limits=FEW)
    assert "run00000" in found.runs
    assert "newer3" not in found.runs
    assert "newer3" in read_snapshot(redis_client, wanted=["newer3"], limits=FEW).runs


def test_one_queue_is_read_alone(redis_client: redis.Redis) -> None:
    crowd(redis_client, runs=30, workers=1, queues=3)
    redis_client.sadd(keys.rq_queue_workers("q0"), keys.rq_worker("w0"))
    found = read_snapshot(redis_client, ["q1"])
    assert set(found.queues) == {"q1"}
    assert {run.queue for run in found.runs.values()} == {"q1"}
    assert {task.queue for task in found.tasks.values()} == {"q1"}
    assert found.workers == {}
    assert set(read_snapshot(redis_client, ["q0"]).workers) == {"w0"}


def test_keys_of_another_type_are_skipped(redis_client: redis.Redis) -> None:
    crowd(redis_client, runs=3, workers=2)
    for key in (keys.run("run00001"), keys.rq_worker("w1"), keys.rq_failed("q0"), keys.coordinator("c0")):
        redis_client.delete(key)
        redis_client.rpush(key, "not what belongs here")
    redis_client.zadd(keys.runs(), {b"\xff\xfe": 1, "": 2})
    redis_client.sadd(keys.rq_workers(), b"\xff", "something else")
    found = read_snapshot(redis_client)
    assert set(found.runs) == {"run00000", "run00002"}
    assert set(found.workers) == {"w0"}
    assert found.coordinators["c0"].kind == ""


def test_it_reads_with_either_protocol(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    crowd(redis_client, runs=12, workers=1)
    with redis_server.client(protocol=2) as old, redis_server.client(protocol=3) as new:
        one, other = read_snapshot(old), read_snapshot(new)
    assert (one.runs, one.queues, one.workers) == (other.runs, other.queues, other.workers)
    assert set(one.coordinators) == set(other.coordinators) == {"c0"}
    assert {task.job: task.lease_ends for task in one.tasks.values()} == {
        task.job: task.lease_ends for task in other.tasks.values()
    }
