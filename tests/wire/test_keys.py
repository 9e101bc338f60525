"""The key names: those of RQ as RQ has them, and job ids that RQ takes."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import fakeredis
import pytest
from rq import Queue
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job, validate_job_id
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import Worker
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from fleetgraph.wire import keys

REPOSITORY = Path(__file__).parent.parent.parent


def test_rq_keys_are_those_that_rq_uses() -> None:
    redis = fakeredis.FakeRedis()
    queue = Queue("q", connection=redis)
    execution = Execution("e", "j", redis, worker_name="w")
    worker = Worker.redis_worker_namespace_prefix

    assert keys.rq_queues() == Queue.redis_queues_keys
    assert keys.rq_queue("q") == queue.key
    assert keys.rq_intermediate("q") == queue.intermediate_queue_key
    assert keys.rq_job("j") == Job.key_for("j")
    assert keys.rq_started("q") == StartedJobRegistry(queue=queue).key
    assert keys.rq_failed("q") == FailedJobRegistry(queue=queue).key
    assert keys.rq_results("j") == Result.get_key("j")
    assert keys.rq_executions("j") == ExecutionRegistry("j", redis).key
    assert keys.rq_execution("j", "e") == execution.key
    assert keys.rq_workers() == Worker.redis_workers_keys
    assert keys.rq_queue_workers("q") == WORKERS_BY_QUEUE_KEY % "q"
    assert keys.rq_worker("w") == worker + "w"
    assert keys.rq_worker_executions("w") == execution.worker_executions_key
    assert keys.rq_suspended() == WORKERS_SUSPENDED


def test_a_job_id_is_one_that_rq_takes() -> None:
    made = keys.job_id("run_1", "5f0e-77", 2)

    assert made == "run_1-5f0e-77-2"
    validate_job_id(made)


@pytest.mark.parametrize("bad", ["a b", "a:b", "a%sb", "é", "a\n"])
def test_a_job_id_that_rq_would_not_take_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="RQ job id"):
        keys.job_id(bad, "t", 1)


def test_every_key_says_what_it_holds_and_how_long() -> None:
    functions = inspect.getmembers(keys, inspect.isfunction)
    for name, function in functions:
        about = inspect.getdoc(function) or ""
        if name == "job_id":
            continue
        assert about.startswith(("Hash", "List", "Set", "Sorted set", "Stream", "String", "Pub/sub channel")), name
        assert any(word in about.lower() for word in ("expir", "channel", "_ttl", "like the run", "as the run")), name


def test_no_other_module_spells_a_key() -> None:
    roots = [REPOSITORY / root / "fleetgraph" for root in ("coordinator", "worker", "shared")]
    spelled = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}: {node.value!r}"
        for root in roots
        for path in root.rglob("*.py")
        if path.name != "keys.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.startswith(("rq:", "fleetgraph:run:", "fleetgraph:inbox", "fleetgraph:leases"))
    ]
    assert not spelled
