"""One run, as the coordinator holds it: a machine, and the Redis calls that carry out what it says.

Reducers and savers are user code that runs here. Whatever they raise ends their run, SystemExit included, and no other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from fleetgraph.errors import EncodeError, NotSupported, RunCancelled, TaskLost
from fleetgraph.graph.compiled import CompiledStateGraph
from fleetgraph.pregel.instructions import Emit, Finished, Instruction, RunTasks, SaveCheckpoint, SaveWrites
from fleetgraph.pregel.machine import Machine
from fleetgraph.pregel.run import RunRequest
from fleetgraph.pregel.saving import CheckpointStore
from fleetgraph.pregel.task import Task
from fleetgraph.wire import keys
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import RUN, End, encode_event
from fleetgraph.wire.messages import GraphRef, Outcome
from fleetgraph.wire.tasks import to_message
from fleetgraph.wire.transitions import (
    Call,
    Dispatch,
    Events,
    RunStatus,
    cancel,
    command,
    dispatch,
    publish_from_coordinator,
)

MAX_ATTEMPTS: Final = 3
"""How often a task is given to a worker that then vanishes, before it is taken for what kills them."""

RENEWALS: Final = 3
"""How often the expiry of a silent run is put off while it would take place once, so that a late one does no harm."""

_EPOCH: Final = 1
"""An embedded coordinator never hands a run over, so its first epoch is its last."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fleet's runs may take up in Redis."""

    retention: timedelta
    """How long a run stays in Redis after its last event."""
    log_events: int
    """About how many messages its log keeps."""

    @property
    def seconds(self) -> int:
        """`retention` as Redis takes it, where 0 would mean at once."""
        return max(1, int(self.retention.total_seconds()))


@dataclass(slots=True)
class _Outstanding:
    task: Task
    attempt: int = 1


@dataclass(eq=False)
class Run:
    """A run that this coordinator drives. Its methods answer with what to send to Redis, in order."""

    graph: CompiledStateGraph
    ref: GraphRef
    request: RunRequest
    codec: Codec
    queue: str
    coordinator: str
    limits: Limits
    id: str = field(default_factory=lambda: uuid4().hex)
    error: BaseException | None = None
    """What ended the run, as it was raised; None while it goes on and after success."""
    ended: bool = False
    unreachable: Exception | None = None
    """Why its readers will not hear how it ended."""

    def __post_init__(self) -> None:
        self._store = CheckpointStore(self.request.checkpointer, self.request.config)
        self._machine: Machine | None = None
        self._outstanding: dict[str, _Outstanding] = {}
        self._backlog: deque[Task] = deque()
        self._width: int | None = self.request.config.get("max_concurrency")
        self._reported: Outcome | None = None
        self._sent = 0
        self._batches = 0
        self._renewal = time.monotonic() + self.limits.retention.total_seconds() / RENEWALS
        self._worker_modes = tuple(sorted(self.request.format.modes & {"custom", "messages"}))
        self._config = {k: v for k, v in self.request.config.items() if k != "callbacks"}

    # --- what happens to it --------------------------------------------------------------------------------------

    def record(self) -> list[Call[Any]]:
        """Put it on record, unless it is; done by the caller's thread, while the coordinator's may begin it."""
        return [
            command("HSETNX", keys.run(self.id), "status", RunStatus.PENDING.value),
            command("EXPIRE", keys.run(self.id), self.limits.seconds),
        ]

    def begin(self) -> list[Call[Any]]:
        """Load the thread and start."""
        opened = command(
            "HSET",
            keys.run(self.id),
            *("status", RunStatus.RUNNING.value),
            *("epoch", _EPOCH),
            *("coordinator", self.coordinator),
            *("graph", self.ref.name),
            *("queue", self.queue),
            *("created", time.time()),
            *("retention", self.limits.seconds),
            *("log_events", self.limits.log_events),
        )
        expiring = command("EXPIRE", keys.run(self.id), self.limits.seconds)
        return [opened, expiring, *self._begin()]

    def _begin(self) -> list[Call[Any]]:
        try:
            if self.request.config.get("callbacks"):
                raise NotSupported("config['callbacks'] on a fleet: they are objects of this process")
            self._machine = Machine(self.graph.program, self._store.settings(self.request), self._store.load())
            return self._carry_out(self._machine.start(self.request.input))
        except BaseException as error:
            return self._abort(error)

    def deliver(self, outcome: Outcome) -> list[Call[Any]]:
        """A worker reported what became of a task."""
        if self.ended or self._machine is None:
            return []
        self._outstanding.pop(outcome.task, None)
        self._reported = outcome
        try:
            if outcome.error is not None:
                instructions = self._machine.failed(outcome.task, outcome.error, outcome.writes or ())
            else:
                instructions = self._machine.finished(outcome.task, outcome.writes or [])
            return [*self._carry_out(instructions), *self._dispatch_next()]
        except BaseException as error:
            return self._abort(error)

    def lose(self, task_id: str, attempt: int) -> list[Call[Any]]:
        """The worker that held an attempt of a task has vanished: give the task to another one."""
        known = self._outstanding.get(task_id)
        if self.ended or known is None or known.attempt != attempt:
            return []
        if attempt >= MAX_ATTEMPTS:
            return self._abort(TaskLost(known.task.name, task_id, attempt))
        known.attempt += 1
        try:
            return [self._dispatch([known])]
        except BaseException as error:
            return self._abort(error)

    def cancel(self) -> list[Call[Any]]:
        """Somebody cancelled the run."""
        return [] if self.ended else self._end(RunStatus.CANCELLED, RunCancelled(f"run {self.id} was cancelled"))

    def give_up(self, error: Exception) -> list[Call[Any]]:
        """Redis refused a call of the run: its readers may not hear how it ended, but its tasks are called off."""
        self.unreachable = error
        return self._abort(error)

    def is_to_be_renewed(self, now: float) -> bool:
        """Whether it is time to put off its expiry, by a monotonic clock; then not again for a while."""
        if now < self._renewal:
            return False
        self._renewal = now + self.limits.retention.total_seconds() / RENEWALS
        return True

    @property
    def waiting(self) -> bool:
        """Whether workers have, or should soon have, tasks of this run."""
        return bool(self._outstanding)

    # --- what it says --------------------------------------------------------------------------------------------

    def _carry_out(self, instructions: Iterable[Instruction]) -> list[Call[Any]]:
        events: list[bytes] = []
        calls: list[Call[Any]] = []
        try:
            for instruction in instructions:
                match instruction:
                    case Emit(mode, payload, task):
                        events.append(self._event(mode, payload, task))
                    case RunTasks(tasks):
                        self._backlog.extend(tasks)
                        dispatched = self._dispatch_next()
                        calls += [*self._publish(events), *dispatched]
                        events = []
                    case SaveCheckpoint() as save:
                        self._store.put(save)
                    case SaveWrites() as save:
                        self._store.put_writes(save)
                    case Finished(error):
                        status = RunStatus.SUCCESS if error is None else RunStatus.ERROR
                        return [*calls, *self._end(status, error, events)]
        except BaseException as error:  # a saver that fails, a value that can't travel; what came before has happened
            return [*calls, *self._end(RunStatus.ERROR, error, events)]
        return [*calls, *self._publish(events)]

    def _event(self, mode: str, payload: Any, task: str | None) -> bytes:
        attempt = 0
        if task is not None:
            reported = self._reported
            attempt = reported.attempt if reported is not None and reported.task == task else 1
        where = f"graph {self.ref.name!r}, {mode} chunk"
        return encode_event(self.codec, mode, (), task or "", attempt, time.time(), payload, where)

    def _publish(self, events: list[bytes]) -> list[Call[Any]]:
        if not events:
            return []
        start = self._sent
        self._sent += len(events)
        return [publish_from_coordinator(self.id, _EPOCH, [Events(len(events), b"".join(events))], start=start)]

    def _dispatch_next(self) -> list[Call[Any]]:
        """Give workers the tasks that wait, as many as the run may have running at once."""
        count = len(self._backlog)
        if self._width is not None:
            count = min(count, self._width - len(self._outstanding))
        if count <= 0 or self.ended:
            return []
        started = [_Outstanding(self._backlog.popleft()) for _ in range(count)]
        self._outstanding.update((one.task.id, one) for one in started)
        return [self._dispatch(started)]

    def _dispatch(self, started: list[_Outstanding]) -> Call[Any]:
        self._batches += 1
        return dispatch(
            self.id,
            _EPOCH,
            self.queue,
            self.coordinator,
            [
                Dispatch(
                    task=one.task.id,
                    attempt=one.attempt,
                    graph=self.graph.name,
                    node=one.task.name,
                    step=one.task.step,
                    message=self._message(one),
                )
                for one in started
            ],
            batch=self._batches,
        )

    def _message(self, one: _Outstanding) -> bytes:
        message = to_message(
            one.task,
            run=self.id,
            inbox=self.coordinator,
            graph=self.ref,
            attempt=one.attempt,
            modes=self._worker_modes,
            config=self._config,
            context=self.request.context,
        )
        return self.codec.encode_task(message)

    def _abort(self, error: BaseException) -> list[Call[Any]]:
        """End the run for a reason its machine does not know."""
        return [] if self.ended else self._end(RunStatus.ERROR, error)

    def _end(
        self, status: RunStatus, error: BaseException | None, events: list[bytes] | None = None
    ) -> list[Call[Any]]:
        self.ended = True
        self.error = error
        shown = End(status.value, error).payload()
        try:
            last = self._event(RUN, shown, None)
        except EncodeError:  # readers elsewhere get its text; the caller in this process has the error itself
            last = self._event(RUN, End(status.value).payload() | {"error": repr(error)}, None)
        calls: list[Call[Any]] = []
        if self._outstanding:
            calls.append(cancel(self.queue, self.id))
            self._outstanding.clear()
        return [
            *calls,
            command("HSET", keys.run(self.id), "status", status.value),
            *self._publish([*(events or []), last]),
            command("DEL", keys.tasks(self.id), keys.seen(self.id), keys.sent(self.id)),
        ]
