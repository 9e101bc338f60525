"""Workers that go, by signal or by accident, while runs go on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from fleetgraph.errors import TaskLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs import failing, hold
from tests.fleet.observing import Running, Watched, new_key
from tests.fleet.processes import Worker
from tests.waiting import wait_until

Start = Callable[..., Worker]

HOLD = "tests.fleet.graphs.hold:graph"
ONCE = "tests.fleet.graphs.hold:once"
KILLER = "tests.fleet.graphs.failing:killer"


def listens(client: redis.Redis, worker: Worker) -> bool:
    """Whether a worker is given tasks."""
    return client.pubsub_numsub(keys.handed(worker.name))[0][1] == 1  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_exits_at_a_signal(start_worker: Start, client: redis.Redis, number: signal.Signals) -> None:
    worker = start_worker(HOLD)
    worker.signal(number)
    assert worker.wait(5) == 0, worker.errors
    assert keys.rq_worker(worker.name).encode() not in client.smembers(keys.rq_workers())


def test_sigterm_lets_a_worker_finish_what_it_holds_and_take_nothing_new(
    start_worker: Start, server: RedisServer, queue: str, client: redis.Redis
) -> None:
    leaving = start_worker(HOLD)
    with Fleet(server.url, queue=queue) as fleet:
        held, late = new_key(), new_key()
        first = Running(hold.graph.on(fleet), {"key": held, "count": 2})
        wait_until(lambda: gates.arrived(f"{held}:1") and gates.arrived(f"{held}:2"))

        wait_until(lambda: listens(client, leaving))
        leaving.signal(signal.SIGTERM)
        wait_until(lambda: not listens(client, leaving))
        second = Running(hold.graph.on(fleet), {"key": late, "count": 2})
        wait_until(lambda: client.llen(keys.rq_queue(queue)) == 1)  # the task that fans out

        staying = start_worker(HOLD)
        gates.open(f"{late}:1")
        gates.open(f"{late}:2")
        assert second.result()["pids"] == [staying.pid, staying.pid]

        assert leaving.popen.poll() is None
        gates.open(f"{held}:1")
        gates.open(f"{held}:2")
        assert leaving.wait() == 0, leaving.errors
        result = first.result()
    assert result["held"] == ["1", "2"]
    assert result["pids"] == [leaving.pid, leaving.pid]
    assert [gates.arrived(f"{held}:{number}") for number in (1, 2)] == [[str(leaving.pid)]] * 2
    assert client.smembers(keys.rq_queue_workers(queue)) == {keys.rq_worker(staying.name).encode()}


def test_a_task_of_a_worker_that_was_killed_is_run_by_another(
    start_worker: Start, server: RedisServer, queue: str, client: redis.Redis
) -> None:
    killed = start_worker(ONCE)
    with Fleet(server.url, queue=queue) as fleet:
        key = new_key()
        run = Running(hold.once.on(fleet), {"key": key})
        wait_until(lambda: ("custom", "attempt 1") in run.chunks)
        other = start_worker(ONCE)
        killed.signal(signal.SIGKILL)
        result = run.result()
    assert result["held"] == ["once", "after"]
    assert result["pids"] == [other.pid]
    assert gates.arrived(f"{key}:once") == [str(killed.pid), str(other.pid)]
    assert gates.arrived(f"{key}:after") == [str(other.pid)]
    # What a node says while it runs is said again when it runs again; what it did counts once.
    assert run.shown("custom") == ["attempt 1", "attempt 2"]
    assert [list(chunk) for chunk in run.shown("updates")] == [["hold_once"], ["after"]]
    assert len(run.shown("values")) == 3
    assert [chunk["name"] for chunk in run.shown("tasks") if "result" in chunk] == ["hold_once", "after"]
    assert [chunk["name"] for chunk in run.shown("tasks") if "result" not in chunk] == ["hold_once", "after"]


def test_what_a_worker_that_was_taken_for_dead_hands_in_is_refused(
    start_worker: Start, server: RedisServer, queue: str, client: redis.Redis
) -> None:
    stopped = start_worker(HOLD, concurrency=1)
    with Fleet(server.url, queue=queue) as fleet:
        key = new_key()
        run = Running(hold.graph.on(fleet), {"key": key, "count": 1})
        wait_until(lambda: ("custom", "1 holds") in run.chunks)
        stopped.signal(signal.SIGSTOP)
        other = start_worker(HOLD, concurrency=1)
        wait_until(lambda: len(gates.arrived(f"{key}:1")) == 2)
        stopped.signal(signal.SIGCONT)
        gates.open(f"{key}:1")
        result = run.result()
        watched = Watched(client)
        last = watched.last_seq
        wait_until(lambda: not client.exists(keys.rq_worker_executions(stopped.name)))
    assert result["held"] == ["1"]
    assert result["pids"] == [other.pid]
    assert len(run.shown("updates")) == 1
    assert run.shown("custom") == ["1 holds", "1 holds", "1 goes on"]
    assert watched.last_seq == last


def test_a_task_that_kills_every_worker_fails_its_run(
    start_worker: Start, server: RedisServer, queue: str, client: redis.Redis
) -> None:
    with ThreadPoolExecutor() as pool:
        workers = list(pool.map(lambda _: start_worker(KILLER, concurrency=1), range(4)))
    with Fleet(server.url, queue=queue) as fleet:
        key = new_key()
        run = Running(failing.killer.on(fleet), {"key": key})
        for victims in (1, 2, 3):
            wait_until(lambda victims=victims: sum(worker.popen.poll() is not None for worker in workers) == victims)
            expire_leases(client, queue)
        with pytest.raises(TaskLost) as caught:
            run.result()
    assert (caught.value.node, caught.value.attempts) == ("kills", 3)
    assert "'kills' was given to a worker 3 times" in str(caught.value)
    assert len(set(gates.arrived(f"{key}:kills"))) == 3
    assert sum(worker.popen.poll() is None for worker in workers) == 1
    assert client.llen(keys.rq_queue(queue)) == 0


def expire_leases(client: redis.Redis, queue: str) -> None:
    """What the next few seconds would do."""
    held: Any = wait_until(lambda: client.zrange(keys.leases(queue), 0, -1))
    client.zadd(keys.leases(queue), dict.fromkeys(held, 0))
