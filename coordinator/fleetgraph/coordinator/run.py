"""One run, as the coordinator holds it: a machine, and the Redis calls that carry out what it says.

Reducers and savers are user code that runs here. Whatever they raise ends their run, SystemExit included, and no other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Final, TypeVar
from uuid import uuid4

from fleetgraph.channels.base import MISSING
from fleetgraph.coordinator.batches import batches, event_batches
from fleetgraph.coordinator.journal import (
    CACHED,
    DRAINED,
    DRAINED_BEFORE,
    INSIDE,
    LOADED,
    STOP,
    UNSAVED,
    WOKEN,
    Journal,
    built_checkpoint,
    encode_order,
    plain_checkpoint,
)
from fleetgraph.coordinator.patience import Bear, patiently
from fleetgraph.coordinator.saves import Saves
from fleetgraph.coordinator.shelf import Given, Shelf
from fleetgraph.coordinator.workers import GRAPH_PATIENCE
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
from fleetgraph.pregel.machine import Checkpoint, Machine
from fleetgraph.pregel.payloads import returned
from fleetgraph.pregel.repeatable import drawing_from
from fleetgraph.pregel.run import CheckpointIds, RunRequest
from fleetgraph.pregel.saving import CheckpointStore
from fleetgraph.pregel.task import Task, Write
from fleetgraph.pregel.tree import Tree
from fleetgraph.runtime import RunControl
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import RUN, End, encode_event
from fleetgraph.wire.messages import Answer, GraphRef, Order, Outcome, Request
from fleetgraph.wire.ownership import Opened, Recalled, close_run, open_run, start_run
from fleetgraph.wire.remote import serve_saver, serve_store
from fleetgraph.wire.requests import CALL, DRAIN, RESUME, SAVER, STORE, decode_request, encode_answer, is_request
from fleetgraph.wire.tasks import RunFacts, decode_outcome, to_message
from fleetgraph.wire.transitions import (
    WORKER_TTL,
    Dispatch,
    Events,
    Mark,
    Refusal,
    RunStatus,
    dispatch,
    publish_from_coordinator,
)
from fleetgraph.wire.unreadable import UNREADABLE
from fleetgraph.wire.values import store

T = TypeVar("T")

MAX_ATTEMPTS: Final = 3
"""How often a task is given to a worker that then vanishes, before it is taken for what kills them."""

DISPATCHED_AT_ONCE: Final = 100
"""Tasks in one call, at most: while Redis is busy with the next ones, workers have begun these."""

RENEWALS: Final = 3
"""How often the expiry of a silent run is put off while it would take place once, so that a late one does no harm."""

_STEP: Final = "step "

ERROR_LENGTH: Final = 500
"""Of the text of an error, as much as a run's record shows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fleet's runs may take up in Redis."""

    retention: timedelta
    """How long a run stays in Redis after its last event."""
    log_events: int
    """About how many messages its log keeps."""
    patience: timedelta = GRAPH_PATIENCE
    """How long a run waits for a worker that has its graph, while only others listen."""

    @property
    def seconds(self) -> int:
        """`retention` as Redis takes it, where 0 would mean at once."""
        return max(1, int(self.retention.total_seconds()))


@dataclass(slots=True)
class _Outstanding:
    task: Task
    attempt: int = 1
    given: Given | None = None
    """Its values that are stored; None while this coordinator has not given it any."""


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
    bear: Bear
    """Waits while a saver or a store is out of reach."""
    saves: Saves[Run]
    """Takes what savers are to keep that are in the same Redis."""
    holds: Callable[[Run], bool]
    """Whether no other coordinator has it: savers know no epochs."""
    asynchronous: bool = False
    """Whether its caller is a coroutine."""
    id: str = field(default_factory=lambda: uuid4().hex)
    survives: bool = False
    """Whether it goes on with another coordinator when this one dies; else it is cancelled then."""
    needs_reader: bool = False
    """Whether it is cancelled when nobody has read it for a while."""
    begun: float = field(default_factory=time.time)
    """When it was ordered: Unix time, in seconds."""
    thread_line: str = ""
    """The key of the line that runs of its thread stand in; empty if they may run side by side."""
    epoch: int = 1
    """One more with each coordinator that takes it over: what those before it send is refused."""
    error: BaseException | None = None
    """What ended the run, as it was raised; None while it goes on and after success."""
    ended: bool = False
    unreachable: Exception | None = None
    """Why its readers will not hear how it ended."""
    superseded: bool = False
    """Whether another coordinator has it: then it has ended here, and goes on there."""

    def __post_init__(self) -> None:
        self.journal = Journal(self.codec, kept=self.survives)
        # Whoever takes it over draws the same, since the same is drawn in the same places.
        self._source = Random(self.id)
        self._shelf = Shelf(self.codec, self.id)
        self._control = RunControl()
        """What the machine looks at: it changes only when that is noted, whatever its caller does to the request's."""
        request = replace(self.request, control=self._control)
        self._saves_ride = self.saves.ride(self.request.checkpointer)
        self._store = CheckpointStore(request)
        if self.survives:
            self._store = CheckpointStore(request, CheckpointIds(self.begun, self._source), self._source)
        self._checkpoint: Checkpoint | None = None
        self._unloaded: BaseException | None = None
        self._replaying = False
        """Whether it is told what was told to another coordinator before."""
        self._saved = False
        """Whether savers and caches have been told, then, too."""
        self._arrived = 0
        """How many items of its events Redis has from the coordinators before this one."""
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
        self._told_why: str | None = ""
        """What its record says that it waits for; None if another coordinator may have written there."""
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

    def order(self) -> Order:
        """What it takes to begin it anew."""
        request, frame = self.request, self.request.frame
        options = {
            "context": frame.context,
            "stream_mode": sorted(frame.modes),
            "output_keys": _listed(request.output_keys),
            "interrupt_before": _listed(request.interrupt_before),
            "interrupt_after": _listed(request.interrupt_after),
            "durability": request.durability,
            "subgraphs": frame.subgraphs,
        }
        return Order(self.id, self.ref, self.queue, request.input, frame.config, options, self.asynchronous, self.begun)

    def open(self, *, refuse: bool = False) -> Call[Opened]:
        """Put it on record.

        Args:
            refuse: Whether not to wait while another run of its thread goes on.

        Raises:
            EncodeError: It is to survive its coordinator, and its input, config or context can't travel.
        """
        record: dict[str, str | int | float] = {
            "graph": self.ref.name,
            "fingerprint": self.ref.fingerprint,
            "queue": self.queue,
            "log_events": self.limits.log_events,
            "survives": int(self.survives),
        }
        if self.needs_reader:
            record["on_disconnect"] = "cancel"
        thread = self.request.config.get("configurable", {}).get("thread_id")
        if thread is not None:
            record["thread"] = str(thread)
        return open_run(
            self.id,
            self.coordinator,
            record,
            retention=self.limits.retention,
            thread=self.thread_line,
            refuse=refuse,
            order=encode_order(self.codec, self.order()) if self.survives else b"",
        )

    def load(self) -> None:
        """Load the thread. What it finds has to be noted before `begin`, which writes to it."""
        try:
            self._checkpoint = self._loaded()
        except BaseException as error:
            self._unloaded = error
        asked = self.request.control
        known = self.journal.recall(DRAINED_BEFORE, "")
        if known is not MISSING:
            self._drain(known)
        elif asked is not None and asked.drain_requested:
            self.journal.note(DRAINED_BEFORE, "", str(asked.drain_reason))
            self._drain(str(asked.drain_reason))

    def begin(self) -> list[Call[Any]]:
        """Start. The thread has to be loaded."""
        return [start_run(self.id, self.epoch), *self._begin()]

    def recover(self, recalled: Recalled, reported: set[str]) -> list[Call[Any]]:
        """Go on with what another coordinator has begun.

        Args:
            recalled: What Redis has of it.
            reported: The tasks whose outcomes have come, but are not in the journal yet: they are told later.
        """
        self.epoch = recalled.epoch
        self._told_why = None
        try:
            self.journal = Journal(self.codec, kept=self.survives, entries=recalled.journal[1:])
            return self._recover(recalled, reported)
        except BaseException as error:
            return self._abort(error)

    def _recover(self, recalled: Recalled, reported: set[str]) -> list[Call[Any]]:
        self._arrived = recalled.sent
        self.load()
        # What follows has been done before, but for events that may not have arrived; of the beginning nobody knows.
        self._replaying, self._saved = True, self.journal.saved > 0
        calls = self.begin()
        for number, told in enumerate(self.journal.told, start=1):
            if not self.holds(self):  # a long run takes long to be told
                return []
            self._saved = number < self.journal.saved
            calls += self._tell_again(told)
        self._replaying = False
        self._saved = False
        if self.ended:
            return calls
        self._shelf.inherits(recalled.outstanding)
        for task, attempt in recalled.outstanding.items():
            if task in self._outstanding:
                self._outstanding[task].attempt = attempt
        never_sent = [
            one for task, one in self._outstanding.items() if task not in recalled.outstanding and task not in reported
        ]
        return [*calls, *self._dispatch(never_sent)] if never_sent else calls

    def _wait_for_redis(self, error: Exception) -> bool:
        """Wait a moment while a saver or a store is out of reach; tells whether there is sense in trying again."""
        if not self.bear(error) and self.survives:
            self.supersede()  # its coordinator has to go: another one will try
        return not self.ended

    def _tell_again(self, told: bytes | str) -> list[Call[Any]]:
        if isinstance(told, str) and told.startswith(STOP):
            self._drain(told.removeprefix(STOP))
            return []
        if isinstance(told, str):
            self._wakes = [(when, what) for when, what in self._wakes if what != told]
            return self._wake(told)
        if is_request(told):
            return self.asked(decode_request(self.codec, told))
        return self.deliver(decode_outcome(self.codec, told))

    def _begin(self) -> list[Call[Any]]:
        try:
            if self.request.config.get("callbacks"):
                raise NotSupported("config['callbacks'] on a fleet: they are objects of this process")
            if self._unloaded is not None:
                raise self._unloaded
            with drawing_from(self._source):
                machine = Machine(self._store.settings(), self._checkpoint)
                self._tree = Tree(machine, subgraphs=self.request.frame.subgraphs)
                return self._carry_out(self._tree.start(self.request.input))
        except BaseException as error:
            return self._abort(error)

    def _loaded(self) -> Checkpoint | None:
        known = self.journal.recall(LOADED, "")
        if known is not MISSING:
            plain, self._store.newest = known
            return built_checkpoint(plain)
        checkpoint = self._read(self._store.load)
        self.journal.note(LOADED, "", [plain_checkpoint(checkpoint), self._store.newest])
        return checkpoint

    def _read(self, do: Callable[[], T]) -> T:
        """What a saver gives, which knows of all that was saved before."""

        def flush_and_do() -> T:
            self.saves.flush(self)
            return do()

        return patiently(flush_and_do, self._wait_for_redis)

    def _loaded_inside(self, load: Load) -> Checkpoint | None:
        known = self.journal.recall(INSIDE, load.task)
        if known is not MISSING:
            return built_checkpoint(known)
        checkpoint = self._read(lambda: self._store.load_inside(load))
        self.journal.note(INSIDE, load.task, plain_checkpoint(checkpoint))
        return checkpoint

    def _cached(self, tasks: list[Task]) -> dict[str, list[Write]]:
        """What the cache has of tasks of one graph, by id."""
        if self._replaying:
            known = {task.id: self.journal.recall(CACHED, task.id) for task in tasks}
            return {task: [tuple(write) for write in writes] for task, writes in known.items() if writes is not MISSING}
        found = _cached(tasks)
        for task, writes in found.items():
            self.journal.note(CACHED, task, writes)
        return found

    def deliver(self, outcome: Outcome) -> list[Call[Any]]:
        """A worker reported what became of a task."""
        tree = self._tree
        if self.ended or tree is None:
            return []
        self.listen()
        known = self._outstanding.pop(outcome.task, None)
        self._shelf.ended(outcome.task)
        self._waiting_tasks.pop(outcome.task, None)
        self._reported = outcome
        try:
            with drawing_from(self._source):
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

    def heeds(self, request: Request) -> bool:
        """Whether anybody waits for what the task does with the answer."""
        known = self._outstanding.get(request.task)
        return not self.ended and known is not None and known.attempt == request.attempt

    def asked(self, request: Request) -> list[Call[Any]]:
        """A running task asks something of its run, which heeds it."""
        if self.ended or self._tree is None:
            return []
        try:
            match request.kind:
                case kind if kind == CALL:
                    return self._called(self._tree, request)
                case kind if kind == RESUME:
                    found = self._tree.claim_resume(request.payload[0])
                    return self._answer(request, [] if found is MISSING else [found])
                case kind if kind == SAVER and self.request.checkpointer is not None:
                    return self._answer(
                        request, self._read(partial(serve_saver, self.request.checkpointer, request.payload))
                    )
                case kind if kind == STORE and self.request.store is not None:
                    served = partial(serve_store, self.request.store, request.payload)
                    return self._answer(request, patiently(served, self._wait_for_redis))
                case kind if kind == DRAIN and self.request.control is not None:
                    return self._answer(request, self._drain(request.payload))
                case kind if kind == UNREADABLE:
                    raise request.payload
                case kind:
                    raise FleetError(f"a task asked for {kind!r}, which its run does not have")
        except Exception as error:
            return self._answer(request, None, error)
        except BaseException as error:
            return self._abort(error)

    def _called(self, tree: Tree, request: Request) -> list[Call[Any]]:
        with drawing_from(self._source):
            return self._call(tree, request)

    def _call(self, tree: Tree, request: Request) -> list[Call[Any]]:
        index, reference, args, kwargs = request.payload
        from fleetgraph.pregel import functions

        call = functions.find(reference).call(tuple(args), kwargs)
        task, instructions = tree.called(request.task, index, call)
        if task is None:
            raise FleetError(f"{call.name} was called by a task of a run that is over")
        unknown = not task.writes and task.id not in self._outstanding
        if unknown and task.cache_key is not None and (found := self._cached([task])):
            instructions += tree.finished(task.id, found[task.id], cached=True)
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
        if self._replaying:
            return []  # what got lost is asked again
        where = f"graph {self.ref.name!r}, answer to a {request.kind} of task {request.task}"
        try:
            data = encode_answer(self.codec, Answer(request.number, value, error), where)
        except EncodeError as refused:
            data = encode_answer(self.codec, Answer(request.number, None, refused), where)
        key = keys.answers(request.worker)
        # A worker that does not come for it for so long is dead; its tasks are others' then, who ask again.
        return [command("RPUSH", key, data), command("EXPIRE", key, int(WORKER_TTL.total_seconds()))]

    def listen(self) -> bool:
        """Take notice of what its caller has asked through its control; tells whether there was something new."""
        asked = self.request.control
        if asked is None or not asked.drain_requested or self._control.drain_requested:
            return False
        if self.ended or self._replaying:
            return False
        self.journal.note(DRAINED, str(asked.drain_reason), first=True)
        self._drain(str(asked.drain_reason))
        return True

    def _drain(self, reason: str) -> None:
        self._control.request_drain(reason)
        if self.request.control is not None:
            self.request.control.request_drain(reason)

    @property
    def next_wake(self) -> float | None:
        """When, by a monotonic clock, it wants to be woken."""
        return min(self._wakes)[0] if self._wakes else None

    def wake(self, now: float) -> list[Call[Any]]:
        """Do what was put off until now."""
        self.listen()
        due = [what for when, what in self._wakes if when <= now]
        self._wakes = [(when, what) for when, what in self._wakes if when > now]
        calls: list[Call[Any]] = []
        for what in due:
            self.journal.note(WOKEN, what)
            calls += self._wake(what)
        return calls

    def _wake(self, what: str) -> list[Call[Any]]:
        if self.ended or self._tree is None:
            return []
        try:
            with drawing_from(self._source):
                return self._carry_out(self._woken(self._tree, what))
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
        self._shelf.ended(task_id)
        try:
            return self._dispatch([known])
        except BaseException as error:
            return self._abort(error)

    def cancel(self, why: str = "") -> list[Call[Any]]:
        """Somebody cancelled the run, or it is cancelled because of `why`."""
        text = f"run {self.id} was cancelled{': ' if why else ''}{why}"
        return [] if self.ended else self._end(RunStatus.CANCELLED, RunCancelled(text))

    def cancel_anew(self) -> list[Call[Any]]:
        """Somebody cancelled the run while it was about to end otherwise, which its readers do not know."""
        self.ended = False
        return self.cancel()

    def fail(self, error: Exception) -> list[Call[Any]]:
        """There is no sense in going on with it."""
        return self._abort(error)

    def give_up(self, error: Exception) -> list[Call[Any]]:
        """Redis refused a call of the run: its readers may not hear how it ended, but its tasks are called off."""
        self.unreachable = error
        self.ended = False  # if it had, its end may have been refused as well
        return self._abort(error)

    def supersede(self) -> None:
        """Another coordinator has it."""
        self.ended = self.superseded = True

    def is_to_be_renewed(self, now: float) -> bool:
        """Whether it is time to put off its expiry, by a monotonic clock; then not again for a while."""
        if now < self._renewal:
            return False
        self._renewal = now + self.limits.retention.total_seconds() / RENEWALS
        return True

    def tell_why(self, waits: str) -> list[Call[Any]]:
        """Put on record what keeps it from going on; empty if nothing does."""
        if waits == self._told_why:
            return []
        self._told_why = waits
        key = keys.run(self.id)
        told = command("HSET", key, "waits", waits) if waits else command("HDEL", key, "waits")
        return [told, command("EXPIRE", key, self.limits.seconds)]  # where Redis has lost the record, too

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
                        pending.extend(self._started.loaded(load.task, self._loaded_inside(load)))
                    case LookUp(tasks):
                        pending.extendleft(reversed(self._started.looked_up(tasks, self._cached(tasks))))
                    case CacheWrites() | SaveCheckpoint() | SaveWrites() if self._saved:
                        pass  # it was done before the journal had what led to it
                    case CacheWrites(task, key, writes):
                        task.frame.program.cache.set({(key.ns, key.key): (writes, key.ttl)})
                    case WakeLater(task_id, seconds):
                        self._wakes.append((time.monotonic() + seconds, task_id))
                    case SaveCheckpoint() | SaveWrites() if not self.holds(self):
                        return []  # what it says is refused
                    case SaveCheckpoint() as save:
                        self._save(partial(self._store.put, save))
                    case SaveWrites() as save:
                        self._save(partial(self._store.put_writes, save))
                    case Finished(error, interrupt):
                        # Whoever is told that the run is over may delete its thread: nothing is saved any more by then,
                        # not even once more because an answer got lost.
                        patiently(partial(self.saves.flush, self), self._wait_for_redis)
                        status = RunStatus.SUCCESS if error is None else RunStatus.ERROR
                        if interrupt is not None:
                            status = RunStatus.INTERRUPTED
                        return [*calls, *self._end(status, error, events)]
        except BaseException as error:  # a saver that fails, a value that can't travel; what came before has happened
            return [*calls, *self._end(RunStatus.ERROR, error, events)]
        return [*calls, *self._publish(events)]

    def _save(self, do: Callable[[], None]) -> None:
        try:
            if self._saves_ride:
                self.saves.collect(self, self.request.checkpointer, do)
            else:
                patiently(do, self._wait_for_redis)
        except BaseException:
            self.journal.note(UNSAVED, "")
            raise

    @property
    def _started(self) -> Tree:
        assert self._tree is not None
        return self._tree

    def _event(self, mode: str, payload: Any, task: str | None, ns: tuple[str, ...] = ()) -> bytes:
        attempt = 0
        if task is not None:
            reported = self._reported
            attempt = reported.attempt if reported is not None and reported.task == task else 1
        what = "the state" if mode == "values" else f"{mode} chunk"
        where = f"graph {self.ref.name!r}, {what}"
        return encode_event(self.codec, mode, ns, task or "", attempt, time.time(), payload, where)

    def _publish(self, events: list[Events]) -> list[Call[Any]]:
        if not events:
            return []
        return [call for batch in event_batches(events) for call in self._publish_batch(batch)]

    def _publish_batch(self, items: list[Events]) -> list[Call[Any]]:
        start = self._sent
        self._sent += len(items)
        if self._sent <= self._arrived:
            return []
        return [publish_from_coordinator(self.id, self.epoch, items, start=start)]

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
        return [] if self._replaying else self._dispatch(started)

    def _dispatch(self, started: list[_Outstanding]) -> list[Call[Any]]:
        messages = [self._message(one) for one in started]
        calls = self._stored()
        name = self.graph.name
        attempts = [
            Dispatch(one.task.id, one.attempt, name, one.task.name, one.task.step, message)
            for one, message in zip(started, messages, strict=True)
        ]
        together = batches(attempts, lambda one: len(one.message), DISPATCHED_AT_ONCE)
        return [*calls, *(self._dispatch_batch(batch) for batch in together)]

    def _stored(self) -> list[Call[Any]]:
        """Store the values that the tasks that follow need."""
        changes = self._shelf.changes()
        if changes is None:
            return []
        *most, last = [*batches(changes.new.items(), lambda item: len(item[1]))] or [[]]
        calls = [self._store_batch(dict(batch), []) for batch in most]
        return [*calls, self._store_batch(dict(last), changes.gone, sweep=changes.sweep)]

    def _store_batch(self, new: dict[str, bytes], gone: list[str], *, sweep: bool = False) -> Call[Any]:
        self._batches += 1
        return store(self.id, self.epoch, new, gone, batch=self._batches, sweep=sweep)

    def _dispatch_batch(self, batch: list[Dispatch]) -> Call[Any]:
        self._batches += 1
        step = self._started.root.step
        return dispatch(self.id, self.epoch, self.queue, self.coordinator, batch, batch=self._batches, step=step)

    def _message(self, one: _Outstanding) -> bytes:
        if one.given is None:
            one.given = self._shelf.given(one.task, self.epoch)
        message = to_message(
            one.task,
            self._facts,
            attempt=one.attempt,
            resumable=self._started.resumable,
            kept=one.given.input,
            seen=one.given.seen,
        )
        return self.codec.encode_task(message)

    def _abort(self, error: BaseException) -> list[Call[Any]]:
        """End the run for a reason its machine does not know."""
        return [] if self.ended else self._end(RunStatus.ERROR, error)

    def _end(
        self, status: RunStatus, error: BaseException | None, events: list[Events] | None = None
    ) -> list[Call[Any]]:
        if self.superseded:
            return []
        if self.saves:
            try:
                self.saves.flush(self)
            except Exception as refused:
                if error is not None:
                    error.add_note(f"What its saver was to keep was refused: {refused!r}")
        self.ended = True
        self.error = error
        shown = End(status.value, error).payload()
        try:
            last = self._event(RUN, shown, None)
        except EncodeError:  # readers elsewhere get its text; the caller in this process has the error itself
            last = self._event(RUN, End(status.value).payload() | {"error": repr(error)[:ERROR_LENGTH]}, None)
        self._outstanding.clear()
        *most, items = event_batches([*(events or []), Events(1, last)])
        # The text of an error may tell what the state holds, which is not to be read where that is encrypted.
        text = "" if error is None else type(error).__name__
        if error is not None and not self.codec.encrypts:
            text = f"{text}: {error}"[:ERROR_LENGTH]
        published = [call for batch in most for call in self._publish_batch(batch)]
        before = self._sent if self.unreachable is None else None
        return [
            *published,
            close_run(self.id, self.epoch, self.coordinator, self.queue, status, items, error=text, start=before),
        ]


def closing(
    recalled: Recalled, coordinator: str, codec: Codec, status: RunStatus, why: BaseException
) -> Call[int | Refusal]:
    """Ends a run that is not gone on with."""
    end = encode_event(codec, RUN, (), "", 0, time.time(), End(status.value, why).payload())
    items = [Events(1, end)]
    return close_run(recalled.run, recalled.epoch, coordinator, recalled.queue, status, items, error=type(why).__name__)


def _listed(names: Any) -> Any:
    """Names as a message holds them: one, or a list."""
    return names if names is None or isinstance(names, str) else list(names)


def _cached(tasks: list[Task]) -> dict[str, list[Write]]:
    """What the cache has of tasks of one graph, by id."""
    keys = {(task.cache_key.ns, task.cache_key.key): task.id for task in tasks if task.cache_key is not None}
    found = tasks[0].frame.program.cache.get(tuple(keys))
    return {keys[key]: list(writes) for key, writes in found.items()}
