"""The transitions, each tried on a real Redis and on fakeredis: fences, numbering, and what RQ makes of the result."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import fakeredis
import msgpack
import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.utils import utcformat, utcparse
from rq.worker import Worker

from fleetgraph.wire import keys
from fleetgraph.wire.calling import command, execute, execute_all, try_all
from fleetgraph.wire.ownership import open_run
from fleetgraph.wire.rq_serializer import MsgpackSerializer, message_of
from fleetgraph.wire.transitions import (
    Claim,
    Counts,
    Dispatch,
    Events,
    Finished,
    Mark,
    Refusal,
    Route,
    adopt,
    cancel,
    claim,
    dispatch,
    finish,
    heartbeat,
    lost,
    publish_from_coordinator,
    publish_from_task,
    renew,
)

QUEUE = "q"
RUN = "run1"
ME = "coordinator1"
WORKER = "worker1"


@pytest.fixture(params=["fake", "real"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """An empty Redis; must hold no key without an expiry at the end, but RQ's registers."""
    made: redis.Redis = fakeredis.FakeRedis() if request.param == "fake" else request.getfixturevalue("redis_client")
    made.hset(keys.rq_worker(WORKER), "hostname", "here")
    made.expire(keys.rq_worker(WORKER), 60)
    yield made
    kept = {keys.rq_queues(), keys.rq_workers(), keys.rq_queue_workers(QUEUE)}
    leaked = [key.decode() for key in made.scan_iter() if made.ttl(key) == -1 and key.decode() not in kept]
    assert not leaked


def begin(client: redis.Redis, *, epoch: int = 1, **fields: str | int) -> None:
    client.hset(keys.run(RUN), mapping={"status": "running", "epoch": epoch, "coordinator": ME, **fields})
    client.expire(keys.run(RUN), 60)


def work(task: str, attempt: int = 1, message: bytes = b"message") -> Dispatch:
    return Dispatch(task=task, attempt=attempt, graph="joke", node="writer", step=3, message=message)


def put(client: redis.Redis, *tasks: str) -> None:
    put = execute(client, dispatch(RUN, 1, QUEUE, ME, [work(task) for task in tasks]))
    assert put == [True] * len(tasks)


def take(client: redis.Redis, count: int = 1, worker: str = WORKER) -> list[Claim]:
    return execute(client, claim(QUEUE, worker, count, announce=True))


def end(client: redis.Redis, one: Claim, failure: str | None = None, **options: Any) -> Finished:
    finished = execute(client, finish(QUEUE, WORKER, one, b"outcome", failure=failure, **options))
    assert isinstance(finished, Finished)
    return finished


def inbox(client: redis.Redis, coordinator: str = ME) -> list[bytes]:
    return client.lrange(keys.inbox(coordinator), 0, -1)


def event(number: int) -> bytes:
    return cast(bytes, msgpack.packb(["custom", [], "t", 1, 0.5, number]))


def logged(client: redis.Redis) -> list[tuple[int, list[int]]]:
    """(seq of the last, payloads) of each message in the run's log, after a look at its form."""
    found: list[tuple[int, list[int]]] = []
    for entry, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.log(RUN))):
        last, events = cast("tuple[int, list[Any]]", msgpack.unpackb(fields[b"m"]))
        assert entry == f"{last}-0".encode()
        assert fields[b"m"].startswith(b"\x92\xcf")
        found.append((last, [payload for *_, payload in events]))
    return found


# --- publishing --------------------------------------------------------------------------------------------------


def test_events_are_numbered_without_gaps_and_one_call_makes_one_message(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    assert one.route

    first = execute(client, publish_from_coordinator(RUN, 1, [Events(1, event(1))]))
    second = execute(
        client, publish_from_task(RUN, one.route, [Events(2, event(2) + event(3)), Events(1, event(4))], start=0)
    )

    assert (first, second) == (1, 4)
    assert logged(client) == [(1, [1]), (4, [2, 3, 4])]
    end(client, one, items=2)


@pytest.mark.parametrize("count", [1, 15, 16, 65535, 65536])
def test_a_message_of_any_number_of_events_is_msgpack(client: redis.Redis, count: int) -> None:
    begin(client, seq=2**40)
    blob = b"".join(b"\x91" + bytes([number % 128]) for number in range(count))

    assert execute(client, publish_from_coordinator(RUN, 1, [Events(count, blob)])) == 2**40 + count

    (message,) = [fields[b"m"] for _, fields in cast("list[Any]", client.xrange(keys.log(RUN)))]
    last, events = cast("tuple[int, list[list[int]]]", msgpack.unpackb(message))
    assert last == 2**40 + count
    assert events == [[number % 128] for number in range(count)]


def test_what_is_published_is_what_is_logged(redis_client: redis.Redis) -> None:
    begin(redis_client)
    with redis_client.pubsub() as listener:
        listener.subscribe(keys.events(RUN))
        assert listener.get_message(timeout=5)

        execute(redis_client, publish_from_coordinator(RUN, 1, [Events(1, event(7))]))

        heard = listener.get_message(timeout=5)
    assert heard is not None
    (logged_message,) = [fields[b"m"] for _, fields in cast("list[Any]", redis_client.xrange(keys.log(RUN)))]
    assert heard["data"] == logged_message


def test_a_message_known_to_the_run_is_skipped(client: redis.Redis) -> None:
    begin(client)
    items = [
        Events(0, b"", Mark.ADD, "input"),
        Events(1, event(1), Mark.SKIP, "input"),
        Events(1, event(2), Mark.ADD, "token"),
        Events(1, event(3), Mark.ADD, "token"),
        Events(1, event(4), Mark.SKIP, "token"),
        Events(1, event(5), Mark.SKIP, "whole"),
        Events(1, event(6)),
    ]

    assert execute(client, publish_from_coordinator(RUN, 1, items)) == 4
    assert execute(client, publish_from_coordinator(RUN, 1, [Events(1, event(7), Mark.SKIP, "whole")])) == 4

    assert logged(client) == [(4, [2, 3, 5, 6])]


def test_sending_a_batch_again_adds_nothing(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    assert one.route
    batch = publish_from_task(RUN, one.route, [Events(0, b"", Mark.ADD, "m"), Events(1, event(1))], start=0)
    following = publish_from_task(RUN, one.route, [Events(1, event(2))], start=2)
    from_above = publish_from_coordinator(RUN, 1, [Events(1, event(3))], start=0)

    results = execute_all(client, [batch, batch, following, batch, following, from_above, from_above])

    assert results == [1, 1, 2, 2, 2, 3, 3]
    assert [payloads for _, payloads in logged(client)] == [[1], [2], [3]]
    end(client, one, items=3)


def test_a_superseded_attempt_publishes_nothing(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (stale,) = take(client)
    assert stale.route
    execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t", 2)]))

    answer = execute(client, publish_from_task(RUN, stale.route, [Events(1, event(1))], start=0))

    assert answer is Refusal.SUPERSEDED
    assert logged(client) == []
    end(client, take(client)[0])


def test_a_finished_attempt_publishes_nothing_more(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    assert one.route
    end(client, one)

    answer = execute(client, publish_from_task(RUN, one.route, [Events(1, event(1))], start=0))

    assert answer is Refusal.SUPERSEDED


def test_a_coordinator_of_an_older_epoch_can_do_nothing(client: redis.Redis) -> None:
    begin(client, epoch=2)

    assert execute(client, publish_from_coordinator(RUN, 1, [Events(1, event(1))])) is Refusal.SUPERSEDED
    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t")])) is Refusal.SUPERSEDED
    assert execute(client, publish_from_coordinator(RUN, 2, [Events(1, event(2))])) == 1
    assert client.llen(keys.rq_queue(QUEUE)) == 0


def test_a_run_sets_the_cap_of_its_log_and_how_long_it_stays(client: redis.Redis) -> None:
    begin(client, log_events=100, retention=77)
    for number in range(1000):
        execute(client, publish_from_coordinator(RUN, 1, [Events(1, event(number), Mark.ADD, "m")], start=number))

    assert 100 <= client.xlen(keys.log(RUN)) < 300
    for key in (keys.run(RUN), keys.log(RUN), keys.seen(RUN), keys.sent(RUN)):
        assert 0 < client.ttl(key) <= 77


# --- dispatching and claiming ------------------------------------------------------------------------------------


def test_a_dispatched_task_is_an_rq_job(client: redis.Redis) -> None:
    begin(client)

    put(client, "t")

    queue = Queue(QUEUE, connection=client, serializer=MsgpackSerializer)
    assert [q.name for q in Queue.all(client)] == [QUEUE]
    (job,) = queue.jobs
    assert job.id == f"{RUN}-t-1"
    assert job.get_status() == JobStatus.QUEUED
    assert job.func_name == "fleetgraph.worker.run_task"
    assert job.args == [b"message"]
    assert job.kwargs == {}
    assert job.description == "joke.writer (step 3)"
    assert job.origin == QUEUE
    assert job.timeout == -1
    assert job.result_ttl == 0
    assert job.failure_ttl == 86400
    assert job.enqueued_at is not None
    assert abs(datetime.now(UTC) - job.enqueued_at) < timedelta(seconds=30)
    end(client, take(client)[0])


def test_a_claimed_task_is_a_started_rq_job(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")

    (one,) = take(client)

    assert one.route == Route(RUN, "t", 1, ME)
    assert message_of(one.data) == b"message"
    job = Job.fetch(one.job, connection=client, serializer=MsgpackSerializer)
    assert job.get_status() == JobStatus.STARTED
    assert job.worker_name == WORKER
    assert job.started_at is not None
    job.save()  # as `rq requeue` does
    assert message_of(client.hget(f"rq:job:{one.job}", "data")) == b"message"
    registry = StartedJobRegistry(QUEUE, connection=client)
    assert registry.get_job_ids() == [one.job]
    (execution,) = job.get_executions()
    assert execution.worker_name == WORKER
    worker = Worker([], name=WORKER, connection=client, prepare_for_work=False)
    assert [found.job_id for found in worker.get_current_executions()] == [one.job]
    assert client.hget(keys.rq_worker(WORKER), "state") == b"busy"
    assert Queue(QUEUE, connection=client).count == 0
    end(client, one)


def test_a_worker_takes_its_share_of_what_waits(client: redis.Redis) -> None:
    begin(client)
    client.sadd(keys.rq_queue_workers(QUEUE), "rq:worker:a", "rq:worker:b", "rq:worker:c")
    put(client, *"123456789")

    taken = take(client, 8)
    taken += take(client, 1)

    assert [one.route.task for one in taken if one.route] == list("1234")
    execute(client, cancel(QUEUE, RUN))


def test_a_job_that_vanished_is_passed_over(client: redis.Redis) -> None:
    begin(client)
    put(client, "t", "u")
    client.delete(keys.rq_job(f"{RUN}-t-1"))

    assert [one.job for one in take(client, 2)] == [f"{RUN}-u-1"]
    execute(client, cancel(QUEUE, RUN))


def test_a_job_requeued_by_hand_is_passed_over(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    end(client, one, failure="Traceback …")

    FailedJobRegistry(QUEUE, connection=client, serializer=MsgpackSerializer).requeue(one.job)

    assert take(client) == []
    assert not client.exists(keys.rq_job(one.job))


def test_a_foreign_job_is_handed_over_without_a_route(client: redis.Redis) -> None:
    job = Queue(QUEUE, connection=client).enqueue("os.getpid")

    (one,) = take(client)

    assert one.route is None
    end(client, one, failure="none of ours")
    assert FailedJobRegistry(QUEUE, connection=client).get_job_ids() == [job.id]
    assert Result.fetch_latest(job).exc_string == "none of ours"  # pyright: ignore


def test_dispatching_an_outstanding_task_again_does_nothing(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")

    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t"), work("u")])) == [False, True]

    assert Queue(QUEUE, connection=client).job_ids == [f"{RUN}-t-1", f"{RUN}-u-1"]
    execute(client, cancel(QUEUE, RUN))


def test_a_batch_sent_again_does_not_run_what_finished_meanwhile(client: redis.Redis) -> None:
    begin(client)
    batch = dispatch(RUN, 1, QUEUE, ME, [work("t")], batch=1)
    assert execute(client, batch) == [True]
    end(client, take(client)[0])

    assert execute(client, batch) is Refusal.REPEATED

    assert take(client) == []
    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t")], batch=2)) == [True]
    assert execute(client, dispatch(RUN, 2, QUEUE, ME, [work("u")], batch=1)) == [True]
    execute(client, cancel(QUEUE, RUN))


def test_thousands_of_tasks_are_dispatched_at_once(client: redis.Redis) -> None:
    begin(client)
    put(client, *[f"t{number}" for number in range(3000)])

    assert client.llen(keys.rq_queue(QUEUE)) == 3000
    assert execute(client, cancel(QUEUE, RUN)) == 3000
    assert not client.exists(keys.rq_queue(QUEUE))


# --- finishing ---------------------------------------------------------------------------------------------------


def test_an_outcome_reaches_the_inbox_once(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)

    assert end(client, one) == Finished(True, [])
    assert end(client, one) == Finished(False, [])

    assert inbox(client) == [b"outcome"]
    assert not client.exists(keys.tasks(RUN))


def test_success_leaves_nothing_of_the_job(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)

    end(client, one, last=True)

    assert StartedJobRegistry(QUEUE, connection=client).get_job_ids() == []
    assert client.hget(keys.rq_worker(WORKER), "state") == b"idle"
    left = {key.decode() for key in client.scan_iter()}
    assert left == {keys.run(RUN), keys.inbox(ME), keys.rq_queues(), keys.rq_worker(WORKER)}


def test_failure_is_recorded_as_rq_does_it(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)

    assert end(client, one, failure="Traceback: ValueError('nö')").accepted

    job = Job.fetch(one.job, connection=client, serializer=MsgpackSerializer)
    assert job.get_status() == JobStatus.FAILED
    assert job.ended_at is not None
    result = job.latest_result()
    assert result is not None
    assert result.type == Result.Type.FAILED
    assert result.exc_string == "Traceback: ValueError('nö')"
    assert result.worker_name == WORKER
    assert result.execution_started_at is not None
    assert FailedJobRegistry(QUEUE, connection=client).get_job_ids() == [one.job]
    assert StartedJobRegistry(QUEUE, connection=client).get_job_ids() == []
    assert job.get_executions() == []
    assert 86000 < client.ttl(keys.rq_job(one.job)) <= 86400
    assert inbox(client) == [b"outcome"]


def test_a_superseded_attempt_finishes_in_vain(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (stale,) = take(client)
    execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t", 2)]))

    assert end(client, stale, failure="too late") == Finished(False, [])

    assert inbox(client) == []
    assert FailedJobRegistry(QUEUE, connection=client).get_job_ids() == []
    (current,) = take(client)
    assert current.route
    assert current.route.attempt == 2
    assert end(client, current).accepted


def test_an_outcome_waits_for_the_events_before_it(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    assert one.route

    early = execute(client, finish(QUEUE, WORKER, one, b"outcome", failure=None, items=1))
    execute(client, publish_from_task(RUN, one.route, [Events(1, event(1))], start=0))
    late = execute(client, finish(QUEUE, WORKER, one, b"outcome", failure=None, items=1))

    assert early is Refusal.INCOMPLETE
    assert late == Finished(True, [])
    assert not client.exists(keys.sent(RUN))


def test_finishing_hands_out_the_next_tasks(client: redis.Redis) -> None:
    begin(client)
    put(client, "1", "2", "3")
    (one,) = take(client)

    finished = end(client, one, count=1, last=True)

    assert [claimed.job for claimed in finished.claims] == [f"{RUN}-2-1"]
    assert client.hget(keys.rq_worker(WORKER), "state") == b"busy"
    execute(client, cancel(QUEUE, RUN))


def test_an_outcome_goes_to_the_coordinator_that_has_the_run_now(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    client.hset(keys.run(RUN), "coordinator", "successor")

    end(client, one)

    assert inbox(client) == []
    assert inbox(client, "successor") == [b"outcome"]


def test_finishing_under_a_stock_worker_leaves_its_records_to_it(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)

    assert end(client, one, failure="…", settle=False).accepted

    assert StartedJobRegistry(QUEUE, connection=client).get_job_ids() == [one.job]
    assert not client.exists(keys.leases(QUEUE))
    client.delete(keys.rq_started(QUEUE), keys.rq_worker_executions(WORKER), keys.rq_worker(WORKER))
    client.delete(keys.rq_execution(one.job, one.job), keys.rq_executions(one.job), keys.rq_job(one.job))


def test_success_after_rq_took_the_job_for_abandoned_clears_its_failure(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    client.zadd(keys.rq_started(QUEUE), {f"{one.job}:{one.job}": 1})
    registry = StartedJobRegistry(QUEUE, connection=client, serializer=MsgpackSerializer)
    registry.cleanup()
    assert FailedJobRegistry(QUEUE, connection=client).get_job_ids() == [one.job]

    assert end(client, one).accepted

    assert FailedJobRegistry(QUEUE, connection=client).get_job_ids() == []
    assert not client.exists(keys.rq_job(one.job))


# --- signs of life -----------------------------------------------------------------------------------------------


def test_a_heartbeat_names_what_nobody_waits_for(client: redis.Redis) -> None:
    begin(client)
    put(client, "kept", "replaced", "ended")
    kept, replaced, ended = take(client, 3)
    execute(client, dispatch(RUN, 1, QUEUE, ME, [work("replaced", 2)]))
    end(client, ended)

    answer = execute(client, heartbeat(QUEUE, WORKER, [kept, replaced, ended], Counts(2, 1, 0.5)))

    assert (answer.suspended, answer.known) == (False, True)
    assert answer.lost == {replaced.job, ended.job}
    worker = Worker([], name=WORKER, connection=client, prepare_for_work=False)
    worker.refresh()
    assert (worker.successful_job_count, worker.failed_job_count, worker.total_working_time) == (2, 1, 0.5)
    assert worker.last_heartbeat is not None
    assert not client.exists(keys.rq_job(replaced.job))
    execute(client, cancel(QUEUE, RUN))


def test_a_heartbeat_tells_whether_workers_are_suspended_and_known(client: redis.Redis) -> None:
    client.set(keys.rq_suspended(), 1, ex=60)
    client.delete(keys.rq_worker(WORKER))

    answer = execute(client, heartbeat(QUEUE, WORKER, []))

    assert (answer.suspended, answer.known) == (True, False)
    assert not client.exists(keys.rq_worker(WORKER))


def test_a_task_is_lost_when_its_lease_ends(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)
    assert execute(client, lost(QUEUE)) == []

    execute(client, heartbeat(QUEUE, WORKER, [one], lease=timedelta(seconds=-1)))
    found = execute(client, lost(QUEUE))
    still = execute(client, lost(QUEUE))

    assert found == still == [one.route]
    execute(client, heartbeat(QUEUE, WORKER, [one]))
    assert execute(client, lost(QUEUE)) == []
    execute(client, cancel(QUEUE, RUN))


def test_a_job_popped_by_a_worker_that_died_is_lost_after_a_while(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    client.lmove(keys.rq_queue(QUEUE), keys.rq_intermediate(QUEUE))

    assert execute(client, lost(QUEUE, lease=timedelta(seconds=60))) == []
    client.zadd(keys.leases(QUEUE), {f"{RUN}-t-1": 1})
    (route,) = execute(client, lost(QUEUE))

    assert route == Route(RUN, "t", 1, ME)
    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t", 2)])) == [True]
    assert client.llen(keys.rq_intermediate(QUEUE)) == 0
    assert execute(client, lost(QUEUE)) == []
    execute(client, cancel(QUEUE, RUN))


def test_a_lease_without_a_job_is_forgotten(client: redis.Redis) -> None:
    client.zadd(keys.leases(QUEUE), {"gone": 1})

    assert execute(client, lost(QUEUE)) == []

    assert not client.exists(keys.leases(QUEUE))


def test_a_lost_attempt_is_replaced_without_a_trace(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    (one,) = take(client)

    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t", 2)])) == [True]

    assert not client.exists(keys.rq_job(one.job), keys.rq_executions(one.job), keys.rq_execution(one.job, one.job))
    assert StartedJobRegistry(QUEUE, connection=client).get_job_ids() == []
    assert not client.exists(keys.rq_worker_executions(WORKER))
    assert client.hget(keys.tasks(RUN), "t") == b"2"
    assert Queue(QUEUE, connection=client).job_ids == [f"{RUN}-t-2"]
    execute(client, cancel(QUEUE, RUN))


def test_an_attempt_that_ended_after_all_is_not_replaced(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    end(client, take(client)[0])

    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("t", 2)])) == [False]

    assert client.llen(keys.rq_queue(QUEUE)) == 0


def test_a_worker_finds_what_it_claimed_while_the_answer_got_lost(client: redis.Redis) -> None:
    begin(client)
    put(client, "t", "u")
    claimed = take(client, 2)

    assert sorted(execute(client, adopt(WORKER)), key=lambda one: one.job) == claimed
    end(client, claimed[0])
    assert execute(client, adopt(WORKER)) == claimed[1:]
    assert execute(client, adopt("another")) == []
    execute(client, cancel(QUEUE, RUN))


def test_a_run_whose_task_is_held_does_not_expire(client: redis.Redis) -> None:
    begin(client, retention=1000)
    put(client, "t")
    (one,) = take(client)
    assert one.route
    execute(client, publish_from_task(RUN, one.route, [Events(1, event(1), Mark.ADD, "m")], start=0))
    run_keys = [keys.run(RUN), keys.log(RUN), keys.seen(RUN), keys.tasks(RUN), keys.sent(RUN)]

    for sign_of_life in (heartbeat(QUEUE, WORKER, [one]), renew(RUN)):
        for key in run_keys:
            client.expire(key, 10)
        execute(client, sign_of_life)
        assert all(client.ttl(key) > 900 for key in run_keys)

    assert execute(client, renew("gone")) is False
    execute(client, cancel(QUEUE, RUN))


# --- cancelling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 12])
def test_a_cancelled_run_leaves_nothing_in_the_queue(client: redis.Redis, count: int) -> None:
    begin(client)
    put(client, *[str(number) for number in range(count)])
    other = Queue(QUEUE, connection=client).enqueue("os.getpid")
    (running,) = take(client)

    assert execute(client, cancel(QUEUE, RUN)) == count

    assert Queue(QUEUE, connection=client).job_ids == [other.id]
    assert client.hget(keys.run(RUN), "status") == b"cancelled"
    assert execute(client, heartbeat(QUEUE, WORKER, [running])).lost == {running.job}
    assert end(client, running) == Finished(False, [])
    assert inbox(client) == [f"!cancel {RUN}".encode()]
    client.delete(keys.inbox(ME))
    assert execute(client, dispatch(RUN, 1, QUEUE, ME, [work("late")])) is Refusal.CANCELLED
    assert execute(client, cancel(QUEUE, RUN)) is None
    other.delete()


def test_a_run_that_is_over_or_unknown_is_not_cancelled(client: redis.Redis) -> None:
    assert execute(client, cancel(QUEUE, RUN)) is None
    assert not client.exists(keys.run(RUN))
    begin(client, status="success")
    assert execute(client, cancel(QUEUE, RUN)) is None
    assert client.hget(keys.run(RUN), "status") == b"success"


# --- the rest ----------------------------------------------------------------------------------------------------


def test_plain_commands_go_along_and_errors_stay_with_their_call(client: redis.Redis) -> None:
    begin(client)
    client.set("text", "x", ex=60)

    results = try_all(
        client,
        [
            command("SET", "a", 1, "EX", 60),
            command("INCR", "text"),
            publish_from_coordinator(RUN, 1, [Events(1, event(1))]),
        ],
    )

    assert isinstance(results[1], redis.ResponseError)
    assert results[2] == 1
    with pytest.raises(redis.ResponseError):
        execute_all(client, [command("INCR", "text")])


def test_scripts_that_redis_forgot_are_loaded_again(client: redis.Redis) -> None:
    begin(client)
    publish = publish_from_coordinator(RUN, 1, [Events(1, event(1))], start=0)
    assert execute(client, publish) == 1
    client.script_flush()

    assert execute_all(client, [publish, publish_from_coordinator(RUN, 1, [Events(1, event(2))], start=1)]) == [1, 2]

    client.script_flush()
    assert execute(client, publish) == 2
    assert logged(client) == [(1, [1]), (2, [2])]


def test_times_are_written_as_rq_writes_them(client: redis.Redis) -> None:
    begin(client)
    put(client, "t")
    text = cast(bytes, client.hget(keys.rq_job(f"{RUN}-t-1"), "created_at")).decode()

    assert utcformat(utcparse(text)) == text
    assert abs(utcparse(text) - datetime.now(UTC)) < timedelta(seconds=30)
    execute(client, cancel(QUEUE, RUN))


def test_the_calendar_of_the_scripts_is_right(redis_client: redis.Redis) -> None:
    from fleetgraph.wire import calling

    folder = calling.files("fleetgraph.wire") / "scripts" / "parts"
    clock = (folder / "clock.lua").read_text()
    script = re.sub(r"redis\.call\('TIME'\)", "ARGV", clock) + "return stamp()"
    stamp = cast("Callable[..., bytes]", redis_client.register_script(script))
    dates = [datetime(year, month, day, tzinfo=UTC) for year in (1999, 2000, 2024, 2100) for month, day in
             ((1, 1), (2, 28), (3, 1), (12, 31))]  # fmt: skip
    dates += [datetime(2000, 2, 29, tzinfo=UTC), datetime(2400, 2, 29, tzinfo=UTC)]
    chance = random.Random(1)
    dates += [datetime.fromtimestamp(chance.randrange(2**33), UTC) for _ in range(200)]

    for date in dates:
        micros = chance.randrange(1_000_000)
        text = stamp(args=[int(date.timestamp()), micros]).decode()
        assert text == utcformat(date.replace(microsecond=micros))


def test_the_superstep_of_what_was_dispatched_last_is_on_record(client: redis.Redis) -> None:
    execute(client, open_run("run1", "c1", {"graph": "graph", "queue": QUEUE}))
    for batch, step in enumerate((3, 4), start=1):
        task = Dispatch(f"task{batch}", 1, "graph", "node", step, b"message")
        call = dispatch("run1", 1, QUEUE, "c1", [task], batch=batch, step=step)
        execute(client, call)
        execute(client, call)  # once more, since the answer was lost
        assert client.hget(keys.run("run1"), "step") == str(step).encode()
    execute(client, cancel(QUEUE, "run1"))
