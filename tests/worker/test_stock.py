"""Tasks run by stock RQ workers: the same outcomes and events, RQ's records kept by RQ."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry

from fleetgraph.errors import DecodeError, FleetError, NodeCancelledError
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.connection import connect
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.rq_serializer import MsgpackSerializer
from fleetgraph.wire.transitions import Dispatch, lost
from fleetgraph.worker import run_task, stock
from tests.waiting import wait_until
from tests.worker import graphs
from tests.worker.conftest import QUEUE, Desk, actions

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def stock_worker(redis_url: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts `rq worker` processes; kills what is left of them at the end."""
    serializer = "fleetgraph.wire.rq_serializer.MsgpackSerializer"
    command = [str(Path(sys.executable).parent / "rq"), "worker", "--url", redis_url, "--serializer", serializer, QUEUE]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(["shared", "worker", "coordinator", "."]),
        "FLEETGRAPH_GRAPHS": graphs.NAME,
        graphs.FOLDER: str(tmp_path),
    }
    with ExitStack() as stack:

        def start() -> subprocess.Popen[str]:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, text=True, start_new_session=True)
            stack.enter_context(process)
            stack.callback(kill_all, process)
            return process

        yield start


def kill_all(process: subprocess.Popen[str]) -> None:
    """End a worker, and with it the process that runs a job, which would outlive it."""
    horses = children(process.pid)
    process.kill()
    for horse in horses:
        with suppress(ProcessLookupError):
            os.kill(horse, signal.SIGKILL)


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client, graphs.graph, name=graphs.NAME)


def test_a_stock_worker_runs_tasks(
    stock_worker: Callable[[], subprocess.Popen[str]], desk: Desk, redis_client: redis.Redis, no_leaked_keys: None
) -> None:
    stock_worker()

    desk.give("echo", "1")
    desk.give("aecho", "2")
    desk.give("failing", "3")
    desk.put([Dispatch("4", 1, "graph", "echo", 1, b"\xc1")])
    desk.give("cancelled", "6")

    found = desk.outcomes(5, timeout=45)
    assert found["1"].writes == [("items", ["echo 1"])]
    assert found["2"].writes == [("items", ["aecho 2"])]
    assert repr(found["3"].error) == "ValueError('a reason')"
    assert isinstance(found["4"].error, DecodeError)
    assert isinstance(found["6"].error, NodeCancelledError)
    assert [event.payload for event in desk.events()] == ["echoing"]
    failed = FailedJobRegistry(QUEUE, connection=redis_client, serializer=MsgpackSerializer)
    wait_until(lambda: sorted(failed.get_job_ids()) == [f"run1-{task}-1" for task in "346"], timeout=20)
    result = Job.fetch("run1-3-1", connection=redis_client, serializer=MsgpackSerializer).latest_result()
    assert result is not None
    assert "ValueError: a reason" in str(result.exc_string)
    wait_until(lambda: not StartedJobRegistry(QUEUE, connection=redis_client).get_job_ids())
    assert not redis_client.exists(keys.leases(QUEUE), keys.rq_job("run1-1-1"), keys.rq_job("run1-2-1"))
    redis_client.expire(failed.key, 60)  # RQ's own workers never let it


def test_a_task_of_a_graph_that_it_does_not_have_is_left_to_others(
    stock_worker: Callable[[], subprocess.Popen[str]], desk: Desk, redis_client: redis.Redis
) -> None:
    stock_worker()
    desk.give("echo", "1", graph=GraphRef(graphs.NAME, "another"))

    [worker] = wait_until(lambda: redis_client.smembers(keys.rq_workers()), timeout=30)
    about = wait_until(lambda: redis_client.hget(worker, "fleetgraph"), timeout=30)
    assert json.loads(about)["graphs"] == {graphs.NAME: graphs.graph.program.fingerprint}
    wait_until(lambda: int(redis_client.hget(keys.rq_job("run1-1-1"), "number_of_retries") or 0) >= 2, timeout=30)
    assert execute(redis_client, lost(QUEUE)) == []
    assert desk.client.llen(keys.inbox(desk.id)) == 0
    desk.cancel()


def test_a_task_of_a_killed_stock_worker_is_lost_after_its_lease(
    stock_worker: Callable[[], subprocess.Popen[str]], desk: Desk, redis_client: redis.Redis, tmp_path: Path
) -> None:
    process = stock_worker()
    desk.give("held", "1")
    wait_until((tmp_path / "1.began").exists, timeout=30)
    assert Job.fetch("run1-1-1", redis_client, MsgpackSerializer).get_status() == JobStatus.STARTED
    assert execute(redis_client, lost(QUEUE)) == []

    kill_all(process)

    wait_until(lambda: execute(redis_client, lost(QUEUE)), timeout=20)


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_run_task_is_for_rq_workers() -> None:
    with pytest.raises(FleetError, match="inside an RQ worker"):
        run_task(b"")


def test_a_task_that_somebody_else_runs_by_now_is_not_run(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FLEETGRAPH_GRAPHS", graphs.NAME)
    monkeypatch.setenv(graphs.FOLDER, str(tmp_path))
    (tmp_path / "go").touch()
    desk.give("held", "1")
    desk.client.hset(keys.tasks(desk.run), "1", 2)

    with connect(redis_url) as client:
        job = Job.fetch("run1-1-1", client, MsgpackSerializer)
        monkeypatch.setattr(stock, "get_current_job", lambda: job)
        run_task(*job.args)

    assert not (tmp_path / "1.began").exists()
    assert desk.client.llen(keys.inbox(desk.id)) == 0
    assert "task-lost" in actions(caplog)
