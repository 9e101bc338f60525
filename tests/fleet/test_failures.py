"""Nodes that raise, on a worker, and what their caller and RQ get to know."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.worker import Worker as RqWorker

from fleetgraph.errors import RemoteNodeError, RemoteTraceback
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.rq_serializer import MsgpackSerializer
from tests.fleet import gates
from tests.fleet.graphs import failing, hold
from tests.fleet.graphs.failing import OutOfStock
from tests.fleet.observing import Running, Watched, comparable, new_key
from tests.fleet.processes import Worker, environment
from tests.waiting import wait_until

RQ = Path(sys.executable).parent / "rq"


def failure(fleet: Fleet, how: str) -> BaseException:
    """What the caller gets of a node that fails in a certain way."""
    try:
        failing.graph.on(fleet).invoke({"how": how})
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def remote_traceback(error: BaseException) -> str:
    """The traceback of the process where it was raised."""
    assert isinstance(error.__cause__, RemoteTraceback)
    return error.__cause__.text


def test_a_builtin_exception_arrives_as_it_was_raised(fleet: Fleet) -> None:
    error = failure(fleet, "builtin")
    assert type(error) is ValueError
    assert error.args == ("no such number: 42",)
    [note] = error.__notes__
    assert re.fullmatch(r"During task with name 'fails' and id '[0-9a-f-]{36}'", note)
    text = remote_traceback(error)
    assert 'raise ValueError("no such number: 42")  # the line that the traceback shows' in text
    assert f'File "{failing.__file__}"' in text


def test_the_notes_and_the_message_are_those_of_a_run_in_this_process(fleet: Fleet) -> None:
    here = None
    try:
        failing.graph.invoke({"how": "own"})
    except OutOfStock as error:
        here = error
    there = failure(fleet, "own")
    assert comparable([], "updates", there) == comparable([], "updates", here)


def test_an_exception_of_the_graphs_own_module_arrives_with_its_fields(fleet: Fleet) -> None:
    error = failure(fleet, "own")
    assert type(error) is OutOfStock
    assert (error.article, error.wanted, error.left) == ("umbrella", 3, 1)
    assert str(error) == "umbrella: 3 wanted, 1 left"
    assert 'raise OutOfStock("umbrella", wanted=3, left=1)' in remote_traceback(error)


def test_the_cause_of_an_exception_is_in_its_traceback(fleet: Fleet) -> None:
    error = failure(fleet, "caused")
    assert type(error) is RuntimeError
    text = remote_traceback(error)
    assert "KeyError: 'missing'" in text
    assert "The above exception was the direct cause of the following exception" in text


def test_an_exception_that_only_one_call_of_the_node_knows_is_named(fleet: Fleet) -> None:
    error = failure(fleet, "local")
    assert type(error) is RemoteNodeError
    assert error.kind == "tests.fleet.graphs.failing.fails.<locals>.Local"
    assert str(error) == f"{error.kind}: only this call knows me"
    assert "During task with name 'fails'" in error.__notes__[0]
    assert 'raise Local("only this call knows me")' in remote_traceback(error)


def test_an_exception_that_only_the_worker_can_import_is_named(
    start_worker: Callable[..., Worker], server: RedisServer, client: redis.Redis, queue: str, tmp_path: Path
) -> None:
    (tmp_path / "known_to_the_worker.py").write_text("class Odd(Exception):\n    pass\n")
    start_worker("tests.fleet.graphs.failing:graph", paths=(tmp_path,))
    with Fleet(server.url, queue=queue) as fleet:
        error = failure(fleet, "worker only")
    assert type(error) is RemoteNodeError
    assert (error.kind, error.message) == ("known_to_the_worker.Odd", "strange")


def test_sys_exit_in_a_node_ends_the_run_and_not_the_worker(fleet: Fleet) -> None:
    error = failure(fleet, "exit")
    assert type(error) is SystemExit
    assert error.code == 3
    # The fixture checks that both workers are alive.


def test_what_the_node_said_before_it_failed_is_streamed(fleet: Fleet) -> None:
    chunks: list[Any] = []
    with pytest.raises(ValueError, match="42"):
        for chunk in failing.graph.on(fleet).stream({"how": "builtin"}, stream_mode=["custom", "tasks"]):
            chunks.append(chunk)
    assert [mode for mode, _ in chunks] == ["tasks", "custom", "tasks"]
    assert chunks[1][1] == "about to fail"
    assert repr(chunks[2][1]["error"]) == "ValueError('no such number: 42')"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_updates_of_siblings_come_before_the_error(fleet: Fleet, is_async: bool) -> None:
    key = new_key()
    given: Any = {"key": key, "log": []}
    chunks: list[Any] = []
    with pytest.raises(ValueError, match="later") as caught:
        if is_async:
            async for chunk in failing.siblings.on(fleet).astream(given):
                chunks.append(chunk)
                gates.open(f"{key}:fast was read")
        else:
            for chunk in failing.siblings.on(fleet).stream(given):
                chunks.append(chunk)
                gates.open(f"{key}:fast was read")
    assert chunks == [{"fast": {"log": ["fast"]}}]
    assert "During task with name 'fails_later'" in caught.value.__notes__[0]
    # The third one still runs, and can't be stopped; nobody waits for it.
    gates.open(f"{key}:slow")
    wait_until(lambda: gates.arrived(f"{key}:slow ended"))


def test_rq_keeps_the_traceback(fleet: Fleet, client: redis.Redis) -> None:
    failure(fleet, "own")
    queue = Queue("pair", connection=client, serializer=MsgpackSerializer)
    registry = FailedJobRegistry(queue=queue)
    newest = max(registry.get_job_ids(), key=lambda job_id: client.hget(keys.rq_job(job_id), "ended_at") or b"")
    job = Job.fetch(newest, connection=client, serializer=MsgpackSerializer)
    assert job.is_failed
    latest = job.latest_result()
    assert latest is not None
    assert latest.exc_string is not None
    assert 'raise OutOfStock("umbrella", wanted=3, left=1)' in latest.exc_string
    assert "fails (step 1)" in (job.description or "")
    assert 0 < client.ttl(keys.rq_job(newest)) <= 24 * 3600


def test_rq_info_shows_queues_busy_workers_and_failures(
    start_worker: Callable[..., Worker], server: RedisServer, client: redis.Redis, queue: str
) -> None:
    def info() -> str:
        command = [str(RQ), "info", "--raw", "--url", server.url, queue]
        answer = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=20, check=True)
        return answer.stdout

    worker = start_worker("tests.fleet.graphs.hold:graph", "tests.fleet.graphs.failing:graph", concurrency=1)
    with Fleet(server.url, queue=queue) as fleet:
        failure(fleet, "builtin")
        key = new_key()
        run = Running(hold.graph.on(fleet), {"key": key, "count": 2})
        wait_until(lambda: gates.arrived(f"{key}:1"))
        wait_until(lambda: client.llen(keys.rq_queue(queue)) == 1)
        while_busy = info()
        [seen] = RqWorker.all(queue=Queue(queue, connection=client))
        busy_with = str(seen.get_current_job_id())
        watched = Watched(client)
        gates.open(f"{key}:1")
        gates.open(f"{key}:2")
        assert run.result()["held"] == ["1", "2"]
        wait_until(lambda: client.hget(keys.rq_worker(worker.name), "state") == b"idle")
        when_idle = info()
    assert f"queue {queue} 1, 1 executing, 0 finished, 1 failed" in while_busy
    assert re.search(rf"worker {re.escape(worker.name)} .*busy", while_busy), while_busy
    assert busy_with.startswith(watched.id)
    assert f"queue {queue} 0, 0 executing, 0 finished, 1 failed" in when_idle
    assert re.search(rf"worker {re.escape(worker.name)} .*idle", when_idle), when_idle
