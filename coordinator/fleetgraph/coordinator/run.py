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

from fleetgraph.channels.base import MISSING
from fleetgraph.errors import EncodeError, FleetError, NotSupported, RunCancelled, TaskLost
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.pregel.instructions import (
    CacheWrites,
    Emit,
    EmitMessages,
    Finished,
    Instruction,
    KnowMessages,
    Load,
    LookUp,
    RunTasks,
    SaveCheckpoint,
    SaveWrites,
    WakeLater,
)
from fleetgraph.pregel.machine import Machine
from fleetgraph.pregel.payloads import returned
from fleetgraph.pregel.run import RunRequest
from fleetgraph.pregel.saving import CheckpointStore
from fleetgraph.pregel.task import Task, Write
from fleetgraph.pregel.tree import Tree
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import RUN, End, encode_event
from fleetgraph.wire.messages import Answer, GraphRef, Outcome, Request
from fleetgraph.wire.remote import serve_saver, serve_store
from fleetgraph.wire.requests import CALL, DRAIN, RESUME, SAVER, STORE, encode_answer
from fleetgraph.wire.tasks import RunFacts, to_message
from fleetgraph.wire.transitions import Dispatch, Events, Mark, RunStatus, cancel, dispatch, publish_from_coordinator

MAX_ATTEMPTS: Final = 3
"""How often a task is given to a worker that then vanishes, before it is taken for what kills them."""

RENEWALS: Final = 3
"""How often the expiry of a silent run is put off while it would take place once, so that a late one does no harm."""

_STEP: Final = "step "

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

    graph: CompiledGraph
    ref: GraphRef
    request: RunRequest
    codec: Codec
    queue: str
    coordinator: str
    limits: Limits
    asynchronous: bool = False
    """Whether its caller is a coroutine."""
    id: str = field(default_factory=lambda: uuid4().hex)
    error: BaseException | None = None
    """What ended the run, as it was raised; None while it goes on and after success."""
    ended: bool = False
    unreachable: Exception | None = None
    """Why its readers will not hear how it ended."""

    def __post_init__(self) -> None:
        self._store = CheckpointStore(self.request)
        self._tree: Tree | None = None
        self._callers: dict[str, list[Request]] = {}
        """By task that was called, who waits for it."""
        self._waiting_tasks: dict[str, int] = {}
        """How many tasks each outstanding one has called that have not ended."""
        self._wakes: list[tuple[float, str]] = []
        """When to wake the machines, and what of them: a task that is a graph, or a superstep that takes too long."""
        self._timed_step: int | None = None
        self._outstanding: dict[str, _Outstanding] = {}
        self._backlog: deque[Task] = deque()
        self._width: int | None = self.request.config.get("max_concurrency")
        self._reported: Outcome | None = None
        self._sent = 0
        self._batches = 0
        self._renewal = time.monotonic() + self.limits.retention.total_seconds() / RENEWALS
        store = self.request.store
        self._facts = RunFacts(
            run=self.id,
            inbox=self.coordinator,
            graph=self.ref,
            saving=self.request.checkpointer is not None,
            at_exit=self.request.durability == "exit",
            asynchronous=self.asynchronous,
            remote_store=store is not None and not getattr(store, "shared", False),
        )

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
            machine = Machine(self._store.settings(), self._store.load())
            self._tree = Tree(machine, subgraphs=self.request.frame.subgraphs)
            return self._carry_out(self._tree.start(self.request.input))
        except BaseException as error:
            return self._abort(error)

    def deliver(self, outcome: Outcome) -> list[Call[Any]]:
        """A worker reported what became of a task."""
        tree = self._tree
        if self.ended or tree is None:
            return []
        known = self._outstanding.pop(outcome.task, None)
        self._waiting_tasks.pop(outcome.task, None)
        self._reported = outcome
        try:
            if outcome.error is not None:
                instructions = tree.failed(outcome.task, outcome.error, outcome.writes or ())
            else:
                instructions = tree.finished(outcome.task, outcome.writes or [])
            calls = self._carry_out(instructions)
            if known is not None and outcome.task in self._callers:
                calls += self._answer_callers(outcome.task, outcome.writes or [], outcome.error)
            return [*calls, *self._dispatch_next()]
        except BaseException as error:
            return self._abort(error)

    def asked(self, request: Request) -> list[Call[Any]]:
        """A running task asks something of its run."""
        known = self._outstanding.get(request.task)
        if self.ended or self._tree is None or known is None or known.attempt != request.attempt:
            return []  # nobody waits for what it does with the answer
        try:
            match request.kind:
                case kind if kind == CALL:
                    return self._called(self._tree, request)
                case kind if kind == RESUME:
                    found = self._tree.claim_resume(request.payload[0])
                    return self._answer(request, [] if found is MISSING else [found])
                case kind if kind == SAVER and self.request.checkpointer is not None:
                    return self._answer(request, serve_saver(self.request.checkpointer, request.payload))
                case kind if kind == STORE and self.request.store is not None:
                    return self._answer(request, serve_store(self.request.store, request.payload))
                case kind if kind == DRAIN and self.request.control is not None:
                    return self._answer(request, self.request.control.request_drain(request.payload))
                case kind:
                    raise FleetError(f"a task asked for {kind!r}, which its run does not have")
        except Exception as error:
            return self._answer(request, None, error)
        except BaseException as error:
            return self._abort(error)

    def _called(self, tree: Tree, request: Request) -> list[Call[Any]]:
        index, reference, args, kwargs = request.payload
        from fleetgraph.pregel import functions

        call = functions.find(reference).call(tuple(args), kwargs)
        task, instructions = tree.called(request.task, index, call)
        if task is None:
            raise FleetError(f"{call.name} was called by a task of a run that is over")
        if not task.writes and task.cache_key is not None and task.id not in self._outstanding:
            key = (task.cache_key.ns, task.cache_key.key)
            if found := task.frame.program.cache.get((key,)):
                instructions += tree.finished(task.id, list(found[key]), cached=True)
        calls = self._carry_out(instructions)
        if task.writes:
            return calls + self._answer(request, returned(task.writes))
        callers = self._callers.setdefault(task.id, [])
        if any((one.task, one.number, one.worker) == (request.task, request.number, request.worker) for one in callers):
            return calls  # it was asked before, and still waits
        callers.append(request)
        self._waiting_tasks[request.task] = self._waiting_tasks.get(request.task, 0) + 1
        if task.id not in self._outstanding and task not in self._backlog:
            self._backlog.append(task)
        return [*calls, *self._dispatch_next()]

    def _answer_callers(self, task_id: str, writes: list[Write], error: BaseException | None) -> list[Call[Any]]:
        calls: list[Call[Any]] = []
        for request in self._callers.pop(task_id, ()):
            if request.task in self._waiting_tasks:
                self._waiting_tasks[request.task] -= 1
            calls += self._answer(request, None if error is not None else returned(writes), error)
        return calls

    def _answer(self, request: Request, value: Any, error: BaseException | None = None) -> list[Call[Any]]:
        where = f"graph {self.ref.name!r}, answer to a {request.kind} of task {request.task}"
        try:
            data = encode_answer(self.codec, Answer(request.number, value, error), where)
        except EncodeError as refused:
            data = encode_answer(self.codec, Answer(request.number, None, refused), where)
        key = keys.answers(request.worker)
        return [command("RPUSH", key, data), command("EXPIRE", key, int(keys.INBOX_TTL.total_seconds()))]

    @property
    def next_wake(self) -> float | None:
        """When, by a monotonic clock, it wants to be woken."""
        return min(self._wakes)[0] if self._wakes else None

    def wake(self, now: float) -> list[Call[Any]]:
        """Do what was put off until now."""
        due = [task for when, task in self._wakes if when <= now]
        self._wakes = [(when, task) for when, task in self._wakes if when > now]
        calls: list[Call[Any]] = []
        for task in due:
            if not self.ended and self._tree is not None:
                try:
                    calls += self._carry_out(self._woken(self._tree, task))
                except BaseException as error:
                    calls += self._abort(error)
        return calls

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

    def _woken(self, tree: Tree, what: str) -> list[Instruction]:
        if not what.startswith(_STEP):
            return tree.woken(what)
        late = what == f"{_STEP}{tree.root.step}"
        return tree.cancel(TimeoutError("Timed out")) if late else []

    def _time_superstep(self) -> None:
        """See to it that a superstep that has just begun does not take too long."""
        timeout, step = self.request.step_timeout, self._started.root.step
        if timeout is not None and step != self._timed_step:
            self._timed_step = step
            self._wakes.append((time.monotonic() + timeout, f"{_STEP}{step}"))

    def _carry_out(self, instructions: Iterable[Instruction]) -> list[Call[Any]]:
        events: list[Events] = []
        calls: list[Call[Any]] = []
        pending = deque(instructions)
        try:
            while pending:
                match pending.popleft():
                    case Emit(mode, payload, task, ns):
                        events.append(Events(1, self._event(mode, payload, task, ns)))
                    case EmitMessages(messages, task, ns):
                        for message, metadata in messages:
                            blob = self._event("messages", (message, metadata), task, ns)
                            events.append(Events(1, blob, Mark.SKIP, message.id))
                    case KnowMessages(ids):
                        events += [Events(0, b"", Mark.ADD, message_id) for message_id in ids]
                    case RunTasks(tasks):
                        self._time_superstep()
                        self._backlog.extend(tasks)
                        dispatched = self._dispatch_next()
                        calls += [*self._publish(events), *dispatched]
                        events = []
                    case Load() as load:
                        pending.extend(self._started.loaded(load.task, self._store.load_inside(load)))
                    case LookUp(tasks):
                        pending.extendleft(reversed(self._started.looked_up(tasks, _cached(tasks))))
                    case CacheWrites(task, key, writes):
                        task.frame.program.cache.set({(key.ns, key.key): (writes, key.ttl)})
                    case WakeLater(task_id, seconds):
                        self._wakes.append((time.monotonic() + seconds, task_id))
                    case SaveCheckpoint() as save:
                        self._store.put(save)
                    case SaveWrites() as save:
                        self._store.put_writes(save)
                    case Finished(error, interrupt):
                        status = RunStatus.SUCCESS if error is None else RunStatus.ERROR
                        if interrupt is not None:
                            status = RunStatus.INTERRUPTED
                        return [*calls, *self._end(status, error, events)]
        except BaseException as error:  # a saver that fails, a value that can't travel; what came before has happened
            return [*calls, *self._end(RunStatus.ERROR, error, events)]
        return [*calls, *self._publish(events)]

    @property
    def _started(self) -> Tree:
        assert self._tree is not None
        return self._tree

    def _event(self, mode: str, payload: Any, task: str | None, ns: tuple[str, ...] = ()) -> bytes:
        attempt = 0
        if task is not None:
            reported = self._reported
            attempt = reported.attempt if reported is not None and reported.task == task else 1
        where = f"graph {self.ref.name!r}, {mode} chunk"
        return encode_event(self.codec, mode, ns, task or "", attempt, time.time(), payload, where)

    def _publish(self, events: list[Events]) -> list[Call[Any]]:
        if not events:
            return []
        items = list(_merged(events))
        start = self._sent
        self._sent += len(items)
        return [publish_from_coordinator(self.id, _EPOCH, items, start=start)]

    def _dispatch_next(self) -> list[Call[Any]]:
        """Give workers the tasks that wait, as many as the run may have running at once."""
        count = len(self._backlog)
        if self._width is not None:
            waiting = sum(count > 0 for count in self._waiting_tasks.values())
            count = min(count, self._width - len(self._outstanding) + waiting)
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
        message = to_message(one.task, self._facts, attempt=one.attempt, resumable=self._started.resumable)
        return self.codec.encode_task(message)

    def _abort(self, error: BaseException) -> list[Call[Any]]:
        """End the run for a reason its machine does not know."""
        return [] if self.ended else self._end(RunStatus.ERROR, error)

    def _end(
        self, status: RunStatus, error: BaseException | None, events: list[Events] | None = None
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
            *self._publish([*(events or []), Events(1, last)]),
            command("DEL", keys.tasks(self.id), keys.seen(self.id), keys.sent(self.id)),
        ]


def _merged(events: Iterable[Events]) -> Iterable[Events]:
    """The same events, those that follow each other without a mark as one item."""
    number, blobs = 0, list[bytes]()
    for one in events:
        if one.mark is Mark.NONE:
            number += one.number
            blobs.append(one.blob)
            continue
        if number:
            yield Events(number, b"".join(blobs))
            number, blobs = 0, []
        yield one
    if number:
        yield Events(number, b"".join(blobs))


def _cached(tasks: list[Task]) -> dict[str, list[Write]]:
    """What the cache has of tasks of one graph, by id."""
    keys = {(task.cache_key.ns, task.cache_key.key): task.id for task in tasks if task.cache_key is not None}
    found = tasks[0].frame.program.cache.get(tuple(keys))
    return {keys[key]: list(writes) for key, writes in found.items()}
