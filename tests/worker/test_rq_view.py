"""RQ's own view of a worker and its tasks: true while they run, and afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.suspension import resume, suspend
from rq.worker import Worker, WorkerStatus

from fleetgraph.wire.rq_serializer import MsgpackSerializer
from fleetgraph.worker import FleetWorker
from tests.waiting import wait_until
from tests.worker.conftest import QUEUE, Desk, Started

Start = Callable[..., FleetWorker]
DeskFor = Callable[..., Desk]


def rq_info(url: str) -> str:
    command = [str(Path(sys.executable).parent / "rq"), "info", "--raw", "--url", url]
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout


def seen_by_rq(client: redis.Redis) -> Worker:
    (worker,) = Worker.all(connection=client)
    return worker  # pyright: ignore


def test_rq_sees_the_worker_and_what_it_runs(
    desk_for: DeskFor, start_worker: Start, gate: Started, redis_client: redis.Redis, redis_url: str
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    desk = desk_for(waiting=waiting)
    worker = start_worker(desk, concurrency=2, name="w1", lease_seconds=0.6)
    assert seen_by_rq(redis_client).get_state() == WorkerStatus.IDLE
    desk.give("waiting", *"123")
    wait_until(lambda: gate.now == 2)

    seen = seen_by_rq(redis_client)
    assert (seen.name, seen.pid, seen.queue_names()) == ("w1", os.getpid(), [QUEUE])
    assert seen.get_state() == WorkerStatus.BUSY
    assert sorted(one.job_id for one in seen.get_current_executions()) == ["run1-1-1", "run1-2-1"]
    assert seen.get_current_job_id() in ("run1-1-1", "run1-2-1")
    started = StartedJobRegistry(QUEUE, connection=redis_client)
    assert sorted(started.get_job_ids()) == ["run1-1-1", "run1-2-1"]
    assert Queue(QUEUE, connection=redis_client).job_ids == ["run1-3-1"]
    job = Job.fetch("run1-1-1", connection=redis_client, serializer=MsgpackSerializer)
    assert job.get_status() == JobStatus.STARTED
    assert job.worker_name == worker.name
    began = job.last_heartbeat
    assert began is not None
    wait_until(
        lambda: Job.fetch(job.id, redis_client, MsgpackSerializer).last_heartbeat > began,  # pyright: ignore
        what="a heartbeat of the job",
    )
    shown = rq_info(redis_url)
    assert f"queue {QUEUE} 1, 2 executing, 0 finished, 0 failed" in shown
    assert "worker w1" in shown
    assert f"busy {QUEUE}. jobs: 0 finished, 0 failed" in shown

    gate.release()
    desk.outcomes(3)
    wait_until(lambda: seen_by_rq(redis_client).successful_job_count == 3)
    seen = seen_by_rq(redis_client)
    assert seen.get_state() == WorkerStatus.IDLE
    assert seen.get_current_executions() == []
    assert seen.total_working_time > 0
    assert started.get_job_ids() == []
    shown = rq_info(redis_url)
    assert f"queue {QUEUE} 0, 0 executing, 0 finished, 0 failed" in shown
    assert f"idle {QUEUE}. jobs: 3 finished, 0 failed" in shown

    worker.stop()
    worker.join()
    assert Worker.all(connection=redis_client) == []
    assert worker.death_date is not None


def test_rq_keeps_the_traceback_of_a_failure(
    desk_for: DeskFor, start_worker: Start, redis_client: redis.Redis, redis_url: str
) -> None:
    def failing(state: Any) -> Any:
        raise ValueError("a reason")

    desk = desk_for(failing=failing)
    start_worker(desk, lease_seconds=0.6)

    desk.give("failing", "t")
    desk.outcome("t")

    registry = FailedJobRegistry(QUEUE, connection=redis_client)
    assert registry.get_job_ids() == ["run1-t-1"]
    job = Job.fetch("run1-t-1", connection=redis_client, serializer=MsgpackSerializer)
    assert job.get_status() == JobStatus.FAILED
    assert job.description == "graph.failing (step 1)"
    result = job.latest_result()
    assert result is not None
    text = str(result.exc_string)
    assert text.startswith("Traceback (most recent call last):")
    assert "in failing" in text
    assert "ValueError: a reason\nDuring task with name 'failing' and id 't'" in text
    wait_until(lambda: seen_by_rq(redis_client).failed_job_count == 1)
    assert f"queue {QUEUE} 0, 0 executing, 0 finished, 1 failed" in rq_info(redis_url)


def test_a_suspended_worker_takes_nothing(desk_for: DeskFor, start_worker: Start, redis_client: redis.Redis) -> None:
    def echo(state: Any) -> Any:
        return {"items": []}

    desk = desk_for(echo=echo)
    start_worker(desk, lease_seconds=0.3)
    suspend(redis_client, ttl=60)
    wait_until(lambda: seen_by_rq(redis_client).get_state() == WorkerStatus.SUSPENDED)

    desk.give("echo", "t")
    assert Queue(QUEUE, connection=redis_client).job_ids == ["run1-t-1"]

    resume(redis_client)
    assert desk.outcome("t").error is None
    wait_until(lambda: seen_by_rq(redis_client).get_state() == WorkerStatus.IDLE)


def test_rqs_maintenance_does_not_take_a_long_task_for_abandoned(
    desk_for: DeskFor, start_worker: Start, gate: Started, redis_client: redis.Redis
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    desk = desk_for(waiting=waiting)
    worker = start_worker(desk, lease_seconds=0.3)
    desk.give("waiting", "t")
    wait_until(lambda: gate.now == 1)
    registry = StartedJobRegistry(QUEUE, connection=redis_client, serializer=MsgpackSerializer)
    (key,) = redis_client.zrange(registry.key, 0, -1)
    redis_client.zadd(registry.key, {key: 1})

    wait_until(lambda: (redis_client.zscore(registry.key, key) or 0) > 1, what="a heartbeat")
    worker.clean_registries()

    assert registry.get_job_ids() == ["run1-t-1"]
    gate.release()
    assert desk.outcome("t").error is None
