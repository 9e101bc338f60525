"""The job function: one task, run by a stock RQ worker.

Such a worker (`rq worker --serializer fleetgraph.wire.rq_serializer.MsgpackSerializer`) gives a task a process of its
own, and keeps RQ's records itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from typing import cast

import redis
from rq import Retry, get_current_job

from fleetgraph.errors import FleetError, GraphMismatch
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.task import Write
from fleetgraph.types import TimeoutPolicy
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command, execute, execute_all
from fleetgraph.wire.connection import configure
from fleetgraph.wire.outages import Backoff, persistently
from fleetgraph.wire.transitions import LEASE, Claim, Finished, Refusal, Route, finish, heartbeat
from fleetgraph.worker.asking import Asking
from fleetgraph.worker.interrupting import GRACE_SECONDS, Interruptible
from fleetgraph.worker.publisher import Publisher, Sender
from fleetgraph.worker.running import HEARTBEATS_PER_LEASE, Attempt, Result, Runner, log_fields
from fleetgraph.worker.values import ValueCache
from fleetgraph.worker.watchdog import Limit, Watchdog

logger = logging.getLogger(__name__)

GRAPHS_VARIABLE = "FLEETGRAPH_GRAPHS"
"""Names the graphs a stock worker has: references as for `fleetgraph worker`, separated by commas or blanks."""


FIRST_LEFT_SECONDS = 0.05
"""How long a job is kept, before it is put back, whose graph this worker does not have: others may be there for it."""

LONGEST_LEFT_SECONDS = 2.0
"""And at most, each time being twice as long as the one before; less than a lease."""


def run_task(message: bytes) -> Retry | None:
    """Run the task that an encoded `TaskMessage` asks for, and hand in its outcome.

    Returns:
        None; or what makes RQ put the job back, if this worker does not have the task's graph.

    Raises:
        FleetError: It was not called by an RQ worker, as one of Fleetgraph's jobs.
        BaseException: What the node raised, or why it could not run; the coordinator is told already.
    """
    job = get_current_job()
    if job is None:
        raise FleetError("run_task runs inside an RQ worker; to run a graph, use graph.on(fleet)")
    client = configure(job.connection)
    text = client.hget(keys.rq_job(job.id), "fleetgraph")
    route = Route.parse(cast("bytes | None", text) or b"")
    if route is None:
        raise FleetError(f"job {job.id} is none of Fleetgraph's")
    run = _Run(client, job.origin, job.worker_name or "", Claim(job.id, route, b""), route)
    error = run.run(message)
    if run.left:
        time.sleep(min(LONGEST_LEFT_SECONDS, FIRST_LEFT_SECONDS * 2 ** min(job.number_of_retries or 0, 10)))
        run.leave()
        return Retry(max=sys.maxsize)
    if error is not None:
        if _registry(os.environ.get(GRAPHS_VARIABLE, "")).codec.encrypts:
            # RQ keeps what is raised here, and what it says may be about encrypted values.
            raise FleetError(f"the task failed with {type(error).__qualname__}; what it says is encrypted")
        raise error
    return None


@cache
def _registry(references: str) -> GraphRegistry:
    registry = GraphRegistry()
    for reference in filter(None, re.split(r"[,\s]+", references)):
        registry.add(reference)
    return registry


class _Run:
    """One task, from the job's start to its outcome. The publisher takes it as the `Finish` of its attempt."""

    def __init__(self, client: redis.Redis, queue: str, worker: str, claim: Claim, route: Route) -> None:
        self._client = client
        self._queue = queue
        self._worker = worker
        self._claim = claim
        self._route = route
        self._over = threading.Event()
        self._backoff = Backoff(f"job {claim.job}")
        self._crash: BaseException | None = None
        self._result: Result | None = None
        self._runner: Runner | None = None
        self.sender = Sender(route)
        self._call = Interruptible()
        self._stop: Callable[[], object] = self._call.stop
        """Stops the node, from another thread."""
        self._lost_at: float | None = None
        self.left = False
        """Whether it is left to other workers, since this one does not have its graph."""
        self._publisher = Publisher(client, crashed=self._crashed, wait=self._wait)
        self._asking: Asking | None = None
        self._heart = threading.Thread(target=self._beat_until_over, name="fleetgraph-heart", daemon=True)

    def run(self, message: bytes) -> BaseException | None:
        """Run it, unless somebody else does by now, or nobody is to; gives the error it failed with."""
        self._beat()  # before the graphs are loaded, which may take longer than a lease
        if self._lost_at is not None:
            return None
        self._heart.start()
        self._publisher.start()
        try:
            error = self._execute(message)
            if self._asking is not None:
                self._asking.stop()
            if not self.left:
                self._publisher.finish(self)
            self._publisher.stop()
        finally:
            self._over.set()
            self._heart.join()
        if self._crash is not None:
            raise self._crash
        return None if self._lost_at is not None else self.sender.error or error

    def _execute(self, message: bytes) -> BaseException | None:
        self._runner = self._runner_of(GraphRegistry())
        attempt: Attempt | None = None
        try:
            registry = _registry(os.environ.get(GRAPHS_VARIABLE, ""))
            self._runner = self._runner_of(registry)
            # Answers go to the job, not to the worker: the process of the next one must not find them.
            self._asking = Asking(self._client, self._claim.job, registry, self._publisher, self._crashed)
            ask = partial(self._asking.ask, self._route, self)
            attempt = self._runner.prepare(message, self.sender, ask, self._limit, lambda _: None)
            if attempt.is_async:
                asyncio.run(self._arun(attempt))
            else:
                self._call.run(attempt.run)
        except BaseException as error:
            self.left = isinstance(error, GraphMismatch) and attempt is None
            self._result = self._runner.failed(self._route, error, attempt and attempt.task)
            return error
        self._result = self._runner.succeeded(self._route, attempt)
        return None

    def _runner_of(self, registry: GraphRegistry) -> Runner:
        values = ValueCache(self._client, registry.codec, self._wait)
        return Runner(registry, self._worker, self._publisher, values)

    def leave(self) -> None:
        """Hold it no longer; and tell which graphs this worker has, so that its run need not wait in vain."""
        about = {"graphs": _registry(os.environ.get(GRAPHS_VARIABLE, "")).fingerprints, "concurrency": 1}
        calls = [
            command("HSET", keys.rq_worker(self._worker), "fleetgraph", json.dumps(about)),
            command("ZREM", keys.leases(self._queue), self._claim.job),
        ]
        persistently(lambda: execute_all(self._client, calls), self._backoff, self._wait)

    async def _arun(self, attempt: Attempt) -> list[Write]:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._lost_at is not None:
            task.cancel()
        return await attempt.arun()

    def _limit(self, running: TaskContext, policy: TimeoutPolicy) -> Limit:
        return Limit(Watchdog(self._crashed), self._call, running, policy, lambda error: None)

    def call(self) -> Call[Finished | Refusal]:
        """The call that hands in the result."""
        assert self._result is not None
        assert self._runner is not None
        if self.sender.error is not None:
            self._result = self._runner.failed(self._route, self.sender.error)
        return finish(
            self._queue,
            self._worker,
            self._claim,
            self._result.outcome,
            failure=None,
            items=None if self.sender.error is not None else self.sender.items,
            settle=False,
        )

    def done(self, finished: Finished | None) -> None:
        """Take the answer to it."""
        if finished is None or not finished.accepted:
            logger.info(
                "job %s: nobody waited for its outcome",
                self._claim.job,
                extra=log_fields("outcome-refused", self._route),
            )

    def _beat(self) -> None:
        answer = persistently(
            lambda: execute(self._client, heartbeat(self._queue, self._worker, [self._claim], settle=False)),
            self._backoff,
            self._wait,
        )
        if answer is not None and answer.lost and self._lost_at is None:
            logger.info(
                "job %s: nobody waits for it any longer", self._claim.job, extra=log_fields("task-lost", self._route)
            )
            self._lost_at = time.monotonic()
            self.sender.refused = True
            self._stop()
            if self._asking is not None:
                self._asking.forget(self)

    def _beat_until_over(self) -> None:
        try:
            while not self._over.wait(LEASE.total_seconds() / HEARTBEATS_PER_LEASE):
                self._beat()
                if self._lost_at is not None and time.monotonic() - self._lost_at >= GRACE_SECONDS:
                    logger.warning(
                        "job %s does not end: its process does",
                        self._claim.job,
                        extra=log_fields("task-stuck", self._route),
                    )
                    os._exit(1)  # nobody waits for it, and RQ no longer knows it
        except BaseException as error:
            self._crashed(error)

    def _crashed(self, error: BaseException) -> None:
        self._crash = self._crash or error

    def _wait(self, seconds: float) -> bool:
        return self._over.wait(seconds) or self._crash is not None
