"""Jobs that somebody with rights to the queue makes up: no worker runs anything but nodes of the graphs it has."""

from __future__ import annotations

import pickle
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
import redis
from rq.job import Job
from rq.queue import Queue

from fleetgraph.errors import DecodeError, FunctionNotFound, GraphMismatch
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.calling import load
from fleetgraph.wire.connection import connect
from fleetgraph.wire.messages import GraphRef, Outcome
from fleetgraph.wire.rq_serializer import JOB_FUNCTION, MsgpackSerializer, job_data
from fleetgraph.wire.tasks import decode_outcome
from fleetgraph.wire.transitions import Dispatch, dispatch
from fleetgraph.worker import FleetWorker
from tests.waiting import wait_until
from tests.worker.conftest import Desk, graph_of

QUEUE = "q"

DECOY = """
from pathlib import Path

def strike(*args, **kwargs):
    Path({struck!r}).touch()

class Thing(Exception):
    def __init__(self, *args):
        strike()

graph = Thing
strike()
"""


class Decoy:
    """A module that could be imported, and tells if it is."""

    def __init__(self, folder: Path) -> None:
        self.name = f"decoy_{uuid.uuid4().hex}"
        self._struck = folder / "struck"
        (folder / f"{self.name}.py").write_text(DECOY.format(struck=str(self._struck)))

    @property
    def struck(self) -> bool:
        return self._struck.exists() or self.name in sys.modules


@pytest.fixture
def decoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoy]:
    """It must not have been imported by the end of the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    decoy = Decoy(tmp_path)
    yield decoy
    assert not decoy.struck


def test_the_decoy_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    twin = Decoy(tmp_path)
    assert not twin.struck
    __import__(twin.name)
    assert twin.struck


ran: list[str] = []


def note(state: Any) -> dict[str, Any]:
    ran.append("note")
    return {"items": ["noted"]}


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    ran.clear()
    return Desk(redis_client, graph_of(note=note))


@pytest.fixture
def worker(desk: Desk, redis_url: str) -> Iterator[FleetWorker]:
    """A worker that is to live on whatever it is given."""
    client = connect(redis_url)
    registry = GraphRegistry()
    registry.add_graph(desk.graph, desk.name)
    worker = FleetWorker(QUEUE, client, registry, concurrency=2, name="w1")
    stop = worker.start_in_thread()
    yield worker
    assert outcome_of(desk, "sound") == [("items", ["noted"])]
    assert ran == ["note"], "nothing ran before"
    stop()
    assert worker.error is None
    client.close()


def outcome_of(desk: Desk, task: str, **changed: Any) -> Any:
    """What becomes of a task of the graph, as it is or with something else in its message."""
    message = desk.registry.codec.encode_task(desk.message("note", task, [], **changed))
    return dispatched(desk, task, job_data(message))


def dispatched(desk: Desk, task: str, data: bytes) -> Any:
    """What becomes of a job that the run waits for: the writes, or the error."""
    untyped: Any = desk.client
    load(desk.client)
    *words, _ = dispatch(desk.run, 1, QUEUE, desk.id, [Dispatch(task, 1, desk.name, "note", 1, b"")]).words
    untyped.execute_command(*words, data)
    found = wait_until(lambda: untyped.lpop(keys.inbox(desk.id)), 20, "an outcome")
    outcome: Outcome = decode_outcome(desk.registry.codec, found)
    assert outcome.task == task
    return outcome.error or outcome.writes


def queued(desk: Desk, fields: dict[str, Any]) -> str:
    """Put a job into the queue that is none of Fleetgraph's; returns when the worker has settled it."""
    job = f"made-up-{uuid.uuid4().hex}"
    untyped: Any = desk.client
    untyped.hset(keys.rq_job(job), mapping={"status": "queued", "origin": QUEUE, "timeout": 10, **fields})
    untyped.expire(keys.rq_job(job), 60)
    untyped.rpush(keys.rq_queue(QUEUE), job)
    wait_until(lambda: untyped.zscore(keys.rq_failed(QUEUE), job), 20, "the job's failure")
    return job


class Exploit:
    """What pickle would run."""

    def __init__(self, decoy: Decoy) -> None:
        self.code = f"import {decoy.name}"

    def __reduce__(self) -> Any:
        return exec, (self.code,)


def test_the_exploit_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    decoy = Decoy(tmp_path)
    pickle.loads(pickle.dumps(Exploit(decoy)))
    assert decoy.struck


def jobs(decoy: Decoy) -> dict[str, bytes]:
    """Data of jobs that call something, for a worker that would do what they say."""
    dumps = MsgpackSerializer.dumps
    return {
        "another function": dumps((f"{decoy.name}.strike", None, (), {})),
        "a shell": dumps(("os.system", None, ("touch /nowhere",), {})),
        "a method": dumps(("strike", decoy.name, (b"",), {})),
        "our function, with more": dumps((JOB_FUNCTION, None, (b"", b""), {})),
        "our function of an object": dumps((JOB_FUNCTION, decoy.name, (b"",), {})),
        "a pickled call": pickle.dumps((f"{decoy.name}.strike", None, (), {})),
        "a pickled exploit": pickle.dumps(Exploit(decoy)),
        "our function of a pickle": job_data(pickle.dumps(Exploit(decoy))),
        "our function of rubbish": job_data(b"\xc1\xff\x00rubbish"),
        "rubbish": b"\xc1\xff\x00rubbish",
    }


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("what", jobs(cast(Decoy, type("", (), {"name": "decoy"})())))
def test_a_job_that_calls_something_else(desk: Desk, decoy: Decoy, what: str) -> None:
    data = jobs(decoy)[what]
    assert isinstance(dispatched(desk, "t1", data), DecodeError)
    job = queued(desk, {"data": data})
    assert (
        b"none of Fleetgraph's"
        in Job.fetch(job, desk.client, serializer=MsgpackSerializer).latest_result().exc_string.encode()
    )


@pytest.mark.usefixtures("worker")
def test_a_graph_that_the_worker_was_not_started_with(desk: Desk, decoy: Decoy) -> None:
    for name in (f"{decoy.name}:graph", f"/tmp/{decoy.name}.py:graph", "os:system"):
        error = outcome_of(desk, f"t-{len(name)}", graph=GraphRef(name, desk.graph.program.fingerprint))
        assert isinstance(error, GraphMismatch)


@pytest.mark.usefixtures("worker")
def test_a_function_that_the_worker_does_not_have(desk: Desk, decoy: Decoy) -> None:
    for number, reference in enumerate((f"{decoy.name}:strike", "os:system", "builtins:exec")):
        error = outcome_of(desk, f"t{number}", name="strike", input=[[""], {}], more={"call": reference})
        assert isinstance(error, FunctionNotFound), error


@pytest.mark.usefixtures("worker")
def test_a_node_that_the_graph_does_not_have(desk: Desk, decoy: Decoy) -> None:
    for number, name in enumerate((f"{decoy.name}.strike", "__class__", "note.__globals__")):
        assert isinstance(outcome_of(desk, f"t{number}", name=name), Exception)


@pytest.mark.usefixtures("worker")
def test_values_of_classes_that_a_message_names(desk: Desk, decoy: Decoy) -> None:
    """As an object, as an enum, as an exception: a class is looked for among those that are known, if at all."""
    codec = desk.registry.codec
    sound = codec.encode_task(desk.message("note", "t1", ["@@@"]))
    for number, code in enumerate(range(128)):
        value = msgpack.packb([f"{decoy.name}:Thing", {"a": 1}])
        forged = sound.replace(msgpack.packb("@@@"), msgpack.packb(msgpack.ExtType(code, value)))
        assert forged != sound
        result = dispatched(desk, f"t{number}", job_data(forged))
        assert isinstance(result, Exception) or result == [("items", ["noted"])]
    ran.clear()


def test_rqs_housekeeping_calls_nothing_that_a_job_names(desk: Desk, worker: FleetWorker, decoy: Decoy) -> None:
    """RQ's own would call the failure callback of a job whose worker seems to have died, and its webhooks."""
    untyped: Any = desk.client
    job, called = "abandoned", f"{decoy.name}.strike"
    untyped.hset(
        keys.rq_job(job),
        mapping={
            "status": "started",
            "origin": QUEUE,
            "data": MsgpackSerializer.dumps((called, None, (), {})),
            "failure_callback_name": called,
            "stopped_callback_name": called,
            "success_callback_name": called,
            "webhooks": '[{"url": "http://127.0.0.1:1/", "job_status": "failed"}]',
            "retries_left": 3,
            "dependency_ids": '["other"]',
            "failure_ttl": 60,
        },
    )
    untyped.expire(keys.rq_job(job), 60)
    untyped.zadd(keys.rq_started(QUEUE), {f"{job}:{job}": 1})
    wait_until(lambda: worker.last_cleaned_at, 10, "the housekeeping at the start")
    worker.clean_registries()
    assert untyped.hget(keys.rq_job(job), "status") == b"failed"
    assert untyped.zscore(keys.rq_failed(QUEUE), job) is not None
    assert not untyped.llen(keys.rq_queue(QUEUE))


def test_rqs_own_housekeeping_would(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    decoy = Decoy(tmp_path)
    untyped: Any = desk.client
    data = MsgpackSerializer.dumps(("f", None, (), {}))
    fields = {"status": "started", "origin": QUEUE, "data": data, "failure_callback_name": f"{decoy.name}.strike"}
    untyped.hset(keys.rq_job("abandoned"), mapping=fields)
    untyped.zadd(keys.rq_started(QUEUE), {"abandoned:abandoned": 1})
    Queue(QUEUE, desk.client, serializer=MsgpackSerializer).started_job_registry.cleanup()
    assert decoy.struck
