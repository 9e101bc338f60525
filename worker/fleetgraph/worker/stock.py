"""The job function: one task, run by a stock RQ worker.

Such a worker (`rq worker --serializer fleetgraph.wire.rq_serializer.MsgpackSerializer`) gives a task a process of its
own, and keeps RQ's records itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from functools import cache, partial
from typing import cast

import redis
from rq import get_current_job

from fleetgraph.errors import FleetError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.context import TaskContext
from fleetgraph.types import TimeoutPolicy
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, execute
from fleetgraph.wire.connection import configure
from fleetgraph.wire.outages import Backoff, persistently
from fleetgraph.wire.transitions import LEASE, Claim, Finished, Refusal, Route, finish, heartbeat
from fleetgraph.worker.asking import Asking
from fleetgraph.worker.publisher import Publisher, Sender
from fleetgraph.worker.running import HEARTBEATS_PER_LEASE, Attempt, Result, Runner, log_fields
from fleetgraph.worker.watchdog import Limit, Watchdog

logger = logging.getLogger(__name__)

GRAPHS_VARIABLE = "FLEETGRAPH_GRAPHS"
"""Names the graphs a stock worker has: references as for `fleetgraph worker`, separated by commas or blanks."""


def run_task(message: bytes) -> None:
    """Run the task that an encoded `TaskMessage` asks for, and hand in its outcome.

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
    error = _Run(client, job.origin, job.worker_name or "", Claim(job.id, route, b""), route).run(message)
    if error is not None:
        raise error


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
        self._publisher = Publisher(client, crashed=self._crashed, wait=self._wait)
        self._asking: Asking | None = None
        self._heart = threading.Thread(target=self._beat_until_over, name="fleetgraph-heart", daemon=True)

    def run(self, message: bytes) -> BaseException | None:
        """Run it, unless somebody else does by now, or nobody is to; gives the error it failed with."""
        self._beat()  # before the graphs are loaded, which may take longer than a lease
        if self.sender.refused:
            logger.info(
                "job %s: nobody waits for it any longer", self._claim.job, extra=log_fields("task-lost", self._route)
            )
            return None
        self._heart.start()
        self._publisher.start()
        try:
            error = self._execute(message)
            if self._asking is not None:
                self._asking.stop()
            self._publisher.finish(self)
            self._publisher.stop()
        finally:
            self._over.set()
            self._heart.join()
        if self._crash is not None:
            raise self._crash
        return self.sender.error or error

    def _execute(self, message: bytes) -> BaseException | None:
        self._runner = Runner(GraphRegistry(), self._worker, self._publisher)
        attempt: Attempt | None = None
        try:
            registry = _registry(os.environ.get(GRAPHS_VARIABLE, ""))
            self._runner = Runner(registry, self._worker, self._publisher)
            # Answers go to the job, not to the worker: the process of the next one must not find them.
            self._asking = Asking(self._client, self._claim.job, registry, self._publisher, self._crashed)
            ask = partial(self._asking.ask, self._route, self)
            attempt = self._runner.prepare(message, self.sender, ask, self._limit, lambda _: None)
            writes = asyncio.run(attempt.arun()) if attempt.is_async else attempt.run()
        except BaseException as error:
            self._result = self._runner.failed(self._route, error, attempt and attempt.task)
            return error
        self._result = self._runner.succeeded(self._route, attempt.task.name, writes)
        return None

    def _limit(self, running: TaskContext, policy: TimeoutPolicy) -> Limit:
        return Limit(Watchdog(self._crashed), running, policy, lambda error: None)

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
        if answer is not None and answer.lost:
            self.sender.refused = True

    def _beat_until_over(self) -> None:
        try:
            while not self._over.wait(LEASE.total_seconds() / HEARTBEATS_PER_LEASE):
                self._beat()
        except BaseException as error:
            self._crashed(error)

    def _crashed(self, error: BaseException) -> None:
        self._crash = self._crash or error

    def _wait(self, seconds: float) -> bool:
        return self._over.wait(seconds) or self._crash is not None
