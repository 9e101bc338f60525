"""Running one attempt of a task: from the bytes of its message to the bytes of its outcome."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from fleetgraph.errors import EncodeError, GraphBubbleUp, GraphMismatch
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.callee import is_coroutine_function
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.execute import aexecute, execute, node_cancelled
from fleetgraph.pregel.task import Task, Write
from fleetgraph.types import TimeoutPolicy
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import Outcome
from fleetgraph.wire.tasks import completed, from_message, named_values
from fleetgraph.wire.transitions import Route
from fleetgraph.wire.values import Reference
from fleetgraph.worker.emitter import TaskEmitter
from fleetgraph.worker.host import Ask, WorkerHost
from fleetgraph.worker.publisher import Publisher, Sender
from fleetgraph.worker.values import ValueCache

HEARTBEATS_PER_LEASE: Final = 3
"""So that a lost heartbeat, or two, don't cost a worker its tasks."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an attempt."""

    outcome: bytes
    """The encoded `Outcome`."""
    failure: str | None
    """The traceback, for RQ's records; None if it did not fail."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a task, ready to be run."""

    task: Task
    emitter: TaskEmitter
    host: WorkerHost
    asynchronous: bool
    """Whether what can be run in either way is to run on an event loop."""
    references: Mapping[str, Reference]
    """By channel, the values of its state that its message only named."""

    @property
    def is_async(self) -> bool:
        """Whether it has to run on an event loop."""
        task = self.task
        if task.call is not None:
            return is_coroutine_function(task.call.function)
        node = task.frame.program.nodes[task.name]
        return node.is_async or (self.asynchronous and node.callee is not None and node.callee.runnable)

    def run(self) -> list[Write]:
        """Run it in this thread; raises whatever the node raises."""
        return execute(self.task, self.emitter, self.host)

    async def arun(self) -> list[Write]:
        """Run it on this event loop; raises whatever the node raises."""
        return await aexecute(self.task, self.emitter, self.host)


class Runner:
    """Makes attempts of the messages that arrive, and outcomes of what the attempts did.

    Args:
        registry: The graphs this process has.
        worker: The worker's name.
        publisher: Takes the events.
        values: Has the values that messages only name.
    """

    def __init__(self, registry: GraphRegistry, worker: str, publisher: Publisher, values: ValueCache) -> None:
        self._registry = registry
        self._worker = worker
        self._publisher = publisher
        self._values = values

    @property
    def _codec(self) -> Codec:
        return self._registry.codec

    def prepare(
        self,
        data: bytes,
        sender: Sender,
        ask: Ask,
        limit: Callable[[TaskContext, TimeoutPolicy], AbstractContextManager[None]],
        waiting: Callable[[int], None],
    ) -> Attempt:
        """Make an attempt of an encoded task message.

        Args:
            data: The message.
            sender: Where its events come from.
            ask: Sends a request to the run's coordinator.
            limit: Makes the time limit of a plain function.
            waiting: Told when the attempt begins and ceases to wait for tasks it has called.

        Raises:
            DecodeError: It can't be read.
            GraphMismatch: This process does not have the graph, or has it in another shape.
            ValueLost: A value that the message names is not in Redis.
            Exception: What the node's input schema raises.
        """
        message = self._codec.decode_task(data)
        try:
            graph = self._registry.find(message.graph)
        except GraphMismatch as error:
            raise GraphMismatch(error.graph, error.wanted, error.found, error.known, self._worker) from None
        message = completed(message, partial(self._values.value, message.run))
        task = from_message(graph.program, message)
        host = WorkerHost(message, ask, graph.store, limit, waiting)
        return Attempt(
            task,
            TaskEmitter(self._publisher, sender, task, message.attempt, self._codec),
            host,
            message.more.get("async", False),
            named_values(message),
        )

    def succeeded(self, route: Route, attempt: Attempt) -> Result:
        """The result of an attempt that ended well; a failure if what it wrote can't travel."""
        writes = attempt.task.writes
        outcome = Outcome(route.run, route.task, route.attempt, self._worker, writes, None)
        try:
            encoded = self._codec.encode_outcome(outcome, attempt.task.name)
            if attempt.references and not self._codec.encrypts:
                self._values.wrote(route.run, writes, attempt.references)
        except Exception as error:
            return self.failed(route, error)
        return Result(encoded, None)

    def failed(self, route: Route, error: BaseException, task: Task | None = None) -> Result:
        """The result of an attempt that raised `error`, or of one that could not even begin.

        Args:
            route: Which attempt.
            error: What it raised. A node that is cancelled because nobody waits for it may end so too.
            task: What it ran. Its writes are those it had made before a path function behind the node failed.
        """
        writes = None if task is None else task.writes
        if task is not None and isinstance(error, asyncio.CancelledError):
            error = node_cancelled(task.name, error)
        outcome = Outcome(route.run, route.task, route.attempt, self._worker, writes or None, error)
        try:
            encoded = self._codec.encode_outcome(outcome)
        except EncodeError:  # the run fails either way, and `error` says why better
            encoded = self._codec.encode_outcome(replace(outcome, writes=None))
        return Result(encoded, failure_text(error, withheld=self._codec.encrypts))


def failure_text(error: BaseException, *, withheld: bool = False) -> str | None:
    """The traceback that RQ is to keep; None for what is no failure but control flow.

    Withheld is what the error says, which may be about encrypted values: the run's readers are told.
    """
    if isinstance(error, GraphBubbleUp):
        return None
    if withheld:
        return f"{''.join(traceback.format_tb(error.__traceback__))}{type(error).__qualname__}: encrypted\n"
    return "".join(traceback.format_exception(error))


def log_fields(action: str, route: Route | None, **more: Any) -> dict[str, Any]:
    """The structured part of a log entry about a task."""
    about = {} if route is None else {"run": route.run, "task": route.task, "attempt": route.attempt}
    return {"action": action, **about, **more}
