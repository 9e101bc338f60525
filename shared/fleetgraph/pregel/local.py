"""The in-process driver: feeds the machines of a run from threads, or from the event loop."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, Final, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.errors import GraphInterrupt
from fleetgraph.pregel.callee import is_coroutine_function
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.execute import aexecute, execute, node_cancelled
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
from fleetgraph.pregel.run import RunRequest
from fleetgraph.pregel.saving import CheckpointStore
from fleetgraph.pregel.task import Call, Task, Write
from fleetgraph.pregel.timeouts import sync_timeout
from fleetgraph.pregel.tree import Tree
from fleetgraph.types import Durability

logger = logging.getLogger(__name__)

MOST_THREADS: Final = 128
"""How many tasks of a run that does not say run at once; threads start only when all others are busy."""

_UNLIMITED: Final = nullcontext()

Outcome = tuple[Task, list[Write] | None, BaseException | None]


class SeenMessages:
    """The ids of messages a run has streamed or was given; tasks in several threads ask at once."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def add(self, *ids: str) -> bool:
        """Remember ids. Returns whether any of them was new."""
        with self._lock:
            known = len(self._ids)
            self._ids.update(ids)
            return len(self._ids) > known


class LocalEmitter:
    """Puts a task's own chunks where the driver finds them, and where the reader of a run around it does."""

    __slots__ = ("_put", "_request", "_seen", "_task", "modes")

    def __init__(self, task: Task, request: RunRequest, seen: SeenMessages, put: Callable[[Emit], None]) -> None:
        self._task = task
        self._request = request
        self.modes = task.frame.modes
        self._seen = seen
        self._put = put

    def custom(self, payload: Any) -> None:
        self._put(Emit("custom", payload, self._task.id, self._task.frame.path))

    def message(
        self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None:
        path = self._task.graph_path if ns is None else ns
        if (outer := self._request.outer) is not None and "messages" in self._request.forwarded:
            outer.emit.message(message, metadata, unless_seen=unless_seen, ns=path)
        if (message.id is None or self._seen.add(message.id)) or not unless_seen:
            self._put(Emit("messages", (message, metadata), self._task.id, path))

    def saw_messages(self, ids: list[str]) -> None:
        if (outer := self._request.outer) is not None and "messages" in self._request.forwarded:
            outer.emit.saw_messages(ids)
        self._seen.add(*ids)

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None:
        self._put(Emit(mode, payload, self._task.id, ns))


class _Run:
    """What the drivers have in common: one run's machines, its store, and what its tasks may ask for."""

    def __init__(self, request: RunRequest, store: CheckpointStore, checkpoint: Checkpoint | None) -> None:
        self.request = request
        self.checkpoints = store
        self.tree = Tree(Machine(store.settings(), checkpoint), subgraphs=request.frame.subgraphs)
        self.seen = SeenMessages()
        self.lock = threading.RLock()
        self.step = -3
        self.step_ends: float | None = None
        outer = request.outer
        self.saver = request.checkpointer or (outer.host.saver if outer is not None else None)
        self.store = request.store
        self.durability: Durability = request.durability
        self.control = request.control

    def claim_resume(self, task: Task) -> Any:
        with self.lock:
            given = self.tree.claim_resume(task.id)
        outer = self.request.outer
        return outer.host.claim_resume(task) if given is MISSING and outer is not None else given

    def time_limit(self, running: TaskContext) -> AbstractContextManager[None]:
        return _UNLIMITED  # a graph with a function that would need a limit is refused

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def tell(self, outcome: Outcome) -> list[Instruction]:
        """Tell the machines of an outcome."""
        task, writes, error = outcome
        with self.lock:
            if error is not None:
                return self.tree.failed(task.id, error, task.writes)
            return self.tree.finished(task.id, writes or [])

    def chunk(self, emit: Emit) -> Any:
        """The chunk that the caller gets for this, or MISSING; the reader of the run around it may get it, too."""
        request = self.request
        if emit.mode in request.forwarded and emit.mode != "messages":
            cast(Any, request.outer).emit.chunk(emit.mode, emit.payload, emit.ns)
        return request.format.chunk(emit.mode, emit.payload, emit.ns)

    def messages(self, emit: EmitMessages) -> Iterator[Emit]:
        """The messages that the run does not know."""
        for message, metadata in emit.messages:
            if self.seen.add(message.id):
                yield Emit("messages", (message, metadata), emit.task, emit.ns)

    def cached(self, tasks: Iterable[Task]) -> dict[str, list[Write]]:
        """What the cache has of tasks, by id."""
        keys = {(task.cache_key.ns, task.cache_key.key): task.id for task in tasks if task.cache_key is not None}
        cache = next(iter(tasks)).frame.program.cache
        return {keys[key]: list(writes) for key, writes in cache.get(tuple(keys)).items()}

    async def acached(self, tasks: Iterable[Task]) -> dict[str, list[Write]]:
        """The async twin of `cached`."""
        keys = {(task.cache_key.ns, task.cache_key.key): task.id for task in tasks if task.cache_key is not None}
        cache = next(iter(tasks)).frame.program.cache
        return {keys[key]: list(writes) for key, writes in (await cache.aget(tuple(keys))).items()}

    def in_order(
        self, told: list[Instruction], waiting: Iterable[Any], put_back: Callable[[Any], None]
    ) -> list[Instruction]:
        """What the machines say, behind what they said of called functions before, if it ends the run.

        Args:
            told: What they say.
            waiting: What has arrived, and is not taken yet.
            put_back: Takes what came of tasks, of which nothing more is to be shown.
        """
        if not self.tree.root.over or not any(isinstance(instruction, Finished) for instruction in told):
            return told
        earlier: list[Instruction] = []
        for item in list(waiting):
            match item:
                case Emit():
                    earlier.append(item)
                case list():
                    earlier += cast("list[Instruction]", item)
                case _:
                    put_back(item)
        return earlier + told

    def time_left(self) -> float | None:
        """Seconds until the superstep at hand has taken too long."""
        timeout = self.request.step_timeout
        if timeout is None:
            return None
        if self.step != self.tree.root.step:
            self.step = self.tree.root.step
            self.step_ends = time.monotonic() + timeout
        return max(0.0, cast(float, self.step_ends) - time.monotonic())


def _settle(future: Future[Any], outcome: Outcome) -> None:
    """Tell the caller of a function what came of it."""
    task, writes, error = outcome
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(returned(writes or task.writes))


class _SyncRun(_Run):
    def __init__(self, request: RunRequest, store: CheckpointStore) -> None:
        super().__init__(request, store, store.load())
        self.arrived: queue.SimpleQueue[Emit | Outcome | list[Instruction]] = queue.SimpleQueue()
        self.pools: dict[int, ThreadPoolExecutor] = {}
        self.width = request.config.get("max_concurrency") or MOST_THREADS
        self.crowded = False
        self._calls: dict[str, Future[Any]] = {}

    def pool(self, depth: int = 0) -> ThreadPoolExecutor:
        """The threads for tasks, or for those called at this depth: who waits must not hold up what is waited for."""
        with self.lock:
            if depth not in self.pools:
                self.pools[depth] = ThreadPoolExecutor(self.width, thread_name_prefix="fleetgraph")
            return self.pools[depth]

    def take_pools(self) -> list[ThreadPoolExecutor]:
        """All pools, callers before those they wait for; there are new ones from then on."""
        with self.lock:
            pools, self.pools = self.pools, {}
        return [pool for _, pool in sorted(pools.items())]

    def run(self, task: Task) -> Outcome:
        if task.timeout is not None:
            return task, None, sync_timeout(task.name)
        try:
            return task, execute(task, LocalEmitter(task, self.request, self.seen, self.arrived.put), self), None
        except asyncio.CancelledError as error:
            return task, None, node_cancelled(task.name, error)
        except BaseException as error:
            return task, None, error

    def submit(self, tasks: list[Task]) -> None:
        """Run tasks in threads."""
        self.crowded = len(tasks) > self.width
        pool = self.pool()
        for task in tasks:
            pool.submit(copy_context().run, self._run_and_put, task)

    def _run_and_put(self, task: Task) -> None:
        self.arrived.put(self.run(task))

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        if is_coroutine_function(call.function):
            raise RuntimeError("In an sync context async tasks cannot be called")
        with self.lock:
            child, instructions = self.tree.called(task.id, index, call)
            if child is None:
                raise RuntimeError(f"{call.name} was called by a task of a run that is over")
            known = self._calls.get(child.id)
            if known is not None and (not known.done() or child.writes):
                return known
            future = self._calls[child.id] = Future[Any]()
            if not child.writes and child.cache_key is not None and (found := self.cached([child])):
                instructions += self.tree.finished(child.id, found[child.id], cached=True)
            self._late(instructions)
            if child.writes:
                _settle(future, (child, child.writes, None))
            else:
                self.pool(child.call_depth).submit(copy_context().run, self._run_call, child, future)
        return future

    def _run_call(self, child: Task, future: Future[Any]) -> None:
        outcome = self.run(child)
        with self.lock:  # until the driver can find it: it may be about to end the run
            try:
                self._late(super().tell(outcome))
            except Exception as error:  # what it wrote could not be saved
                outcome = child, None, error
                self.arrived.put(self.tree.cancel(error))
        _settle(future, outcome)

    def tell(self, outcome: Outcome) -> list[Instruction]:
        with self.lock:
            return self.ordered(super().tell(outcome))

    def ordered(self, told: list[Instruction]) -> list[Instruction]:
        """What the machines say, in its place behind what has arrived; to be asked with the lock held."""
        return self.in_order(told, self._arrived(), self.arrived.put)

    def _arrived(self) -> Iterator[Emit | Outcome | list[Instruction]]:
        while not self.arrived.empty():
            yield self.arrived.get()

    def _late(self, instructions: list[Instruction]) -> None:
        """Leave instructions to the driver, which may be busy; but save what others may come to rely on."""
        left: list[Instruction] = []
        for instruction in instructions:
            match instruction:
                case SaveWrites() as save:
                    self.checkpoints.put_writes(save)
                case CacheWrites() as entry:
                    _keep_in_cache(entry)
                case other:
                    left.append(other)
        if left:
            self.arrived.put(left)


def _keep_in_cache(entry: CacheWrites) -> None:
    entry.task.frame.program.cache.set({(entry.key.ns, entry.key.key): (entry.writes, entry.key.ttl)})


async def _akeep_in_cache(entry: CacheWrites) -> None:
    await entry.task.frame.program.cache.aset({(entry.key.ns, entry.key.key): (entry.writes, entry.key.ttl)})


def stream(request: RunRequest) -> Iterator[Any]:
    """Run a graph in this process and yield its chunks.

    A superstep of one task runs in the caller's thread unless the task streams while it runs; more run in threads.
    Nothing starts before the chunks that precede it have been taken, and closing the iterator starts nothing more.

    Raises:
        GraphInterrupt: It is run by a task of another graph, and waits for an answer.
    """
    run = _SyncRun(request, CheckpointStore(request))
    arrived = run.arrived
    inline = not request.live and request.step_timeout is None
    timers: list[threading.Timer] = []
    pending: deque[Instruction] = deque(run.tree.start(request.input))
    try:
        while True:
            while pending:
                match pending.popleft():
                    case Emit() as emit:
                        if (chunk := run.chunk(emit)) is not MISSING:
                            yield chunk
                    case SaveCheckpoint() as save:
                        run.checkpoints.put(save)
                    case SaveWrites() as save:
                        run.checkpoints.put_writes(save)
                    case RunTasks([task]) if inline and not pending and not timers:
                        outcome = run.run(task)
                        if isinstance(outcome[2], KeyboardInterrupt | SystemExit | GeneratorExit):
                            raise outcome[2]
                        while not arrived.empty():
                            pending.extend(_instructions(run, arrived.get()))
                        pending.extend(run.tell(outcome))
                    case RunTasks(tasks):
                        run.submit(tasks)
                    case Finished(error, interrupt):
                        _end(request, error, interrupt)
                        return
                    case EmitMessages() as emit:
                        pending.extendleft(reversed(list(run.messages(emit))))
                    case KnowMessages(ids):
                        run.seen.add(*ids)
                    case Load() as load:
                        checkpoint = run.checkpoints.load_inside(load)
                        with run.lock:
                            pending.extend(run.ordered(run.tree.loaded(load.task, checkpoint)))
                    case LookUp(tasks):
                        found = run.cached(tasks)
                        with run.lock:
                            pending.extendleft(reversed(run.ordered(run.tree.looked_up(tasks, found))))
                    case CacheWrites() as entry:
                        _keep_in_cache(entry)
                    case WakeLater(task_id, seconds):
                        timers.append(timer := threading.Timer(seconds, _wake, (run, task_id)))
                        timer.start()
            try:
                arrival = arrived.get(timeout=run.time_left())
            except queue.Empty:
                with run.lock:
                    pending.extend(run.tree.cancel(TimeoutError("Timed out")))
            else:
                pending.extend(_instructions(run, arrival))
    finally:
        for timer in timers:
            timer.cancel()
        while pools := run.take_pools():  # again, as a task that still runs may call functions
            for pool in pools:
                # Siblings that run can't be stopped; what they wrote is kept for a later run of the same checkpoint.
                # Those that still wait for a slot never start; where there are slots for all, none waits, however late
                # its thread gets going.
                pool.shutdown(wait=True, cancel_futures=run.crowded)
        while not arrived.empty():
            for instruction in _instructions(run, arrived.get()):
                if isinstance(instruction, SaveWrites):
                    _keep(run.checkpoints, instruction)


def _wake(run: _SyncRun, task_id: str) -> None:
    with run.lock:
        run.arrived.put(run.tree.woken(task_id))


def _instructions(run: _SyncRun, arrival: Emit | Outcome | list[Instruction]) -> list[Instruction]:
    if isinstance(arrival, Emit):
        return [arrival]
    return arrival if isinstance(arrival, list) else run.tell(arrival)


def _end(request: RunRequest, error: BaseException | None, interrupt: GraphInterrupt | None) -> None:
    if error is not None:
        raise error
    if interrupt is not None and request.outer is not None:
        raise interrupt


def _keep(store: CheckpointStore, late: SaveWrites) -> None:
    try:
        store.put_writes(late)
    except Exception:  # the run has failed already, of something else that its caller must see
        logger.exception("what task %r wrote after its run had failed could not be saved", late.task)


class _AsyncRun(_Run):
    """On the event loop, where alone the machines are touched."""

    def __init__(self, request: RunRequest, store: CheckpointStore, checkpoint: Checkpoint | None) -> None:
        super().__init__(request, store, checkpoint)
        self.loop = asyncio.get_running_loop()
        self.arrived: asyncio.Queue[Emit | Outcome | list[Instruction]] = asyncio.Queue()
        self.running: set[asyncio.Task[None]] = set()
        width = request.config.get("max_concurrency")
        self.slots = asyncio.Semaphore(width) if width else None
        self._calls: dict[str, Future[Any]] = {}

    def put(self, item: Emit | Outcome | list[Instruction]) -> None:
        # A synchronous node emits from a thread of its own; order within the task is kept either way.
        self.loop.call_soon_threadsafe(self.arrived.put_nowait, item)

    async def run(self, task: Task) -> Outcome:
        try:
            return task, await aexecute(task, LocalEmitter(task, self.request, self.seen, self.put), self), None
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return task, None, node_cancelled(task.name, error)
        except BaseException as error:
            return task, None, error

    async def _run_and_put(self, task: Task) -> None:
        if self.slots is None:
            outcome = await self.run(task)
        else:
            async with self.slots:
                outcome = await self.run(task)
        self.put(outcome)  # behind what the task emitted

    def submit(self, tasks: list[Task]) -> None:
        """Run tasks on the loop."""
        for task in tasks:
            self._start(self._run_and_put(task))

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        self.running.add(child := self.loop.create_task(coroutine))
        child.add_done_callback(self.running.discard)
        return child

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        future = Future[Any]()
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            self._call(task, index, call, future)
        else:
            context = copy_context()
            self.loop.call_soon_threadsafe(self._call, task, index, call, future, context=context)
        return future

    def _call(self, task: Task, index: int, call: Call, future: Future[Any]) -> None:
        child, instructions = self.tree.called(task.id, index, call)
        if child is None:
            future.set_exception(RuntimeError(f"{call.name} was called by a task of a run that is over"))
            return
        self.put(instructions)
        known = self._calls.get(child.id)
        if known is not None and (not known.done() or child.writes):
            known.add_done_callback(lambda done: _copy(done, future))
            return
        self._calls[child.id] = future
        if child.writes:
            _settle(future, (child, child.writes, None))
        else:
            running = self._start(self._run_call(child, future))

            def cancel_if_nobody_waits(done: Future[Any]) -> None:
                if done.cancelled():
                    self.loop.call_soon_threadsafe(running.cancel)

            future.add_done_callback(cancel_if_nobody_waits)

    async def _run_call(self, child: Task, future: Future[Any]) -> None:
        try:
            if child.cache_key is not None and (found := await self.acached([child])):
                self.put(self.tree.finished(child.id, found[child.id], cached=True))
                _settle(future, (child, child.writes, None))
                return
            outcome = await self.run(child)
        except asyncio.CancelledError as error:
            if not future.cancelled():
                raise
            outcome = child, None, node_cancelled(child.name, error)  # by its caller, and not with the run
        # Behind what the task emitted, and before its caller hears of it.
        self.loop.call_soon_threadsafe(self._called_ended, outcome, future)

    def _called_ended(self, outcome: Outcome, future: Future[Any]) -> None:
        self.arrived.put_nowait(super().tell(outcome))
        _settle(future, outcome)

    def tell(self, outcome: Outcome) -> list[Instruction]:
        return self.ordered(super().tell(outcome))

    def ordered(self, told: list[Instruction]) -> list[Instruction]:
        """What the machines say, in its place behind what has arrived."""
        return self.in_order(told, self._arrived(), self.arrived.put_nowait)

    def _arrived(self) -> Iterator[Emit | Outcome | list[Instruction]]:
        while not self.arrived.empty():
            yield self.arrived.get_nowait()


def _copy(done: Future[Any], to: Future[Any]) -> None:
    if to.done():
        return
    if done.cancelled():
        to.cancel()
    elif (error := done.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(done.result())


async def astream(request: RunRequest) -> AsyncIterator[Any]:
    """The same as `stream`, on the event loop. When a task fails or the iterator is closed, others are cancelled."""
    store = CheckpointStore(request)
    run = _AsyncRun(request, store, await store.aload())
    arrived = run.arrived
    # With a saver not: functions that the task calls are saved as they end, and not when it has ended itself.
    inline = not request.live and request.step_timeout is None and request.checkpointer is None
    timers: list[asyncio.TimerHandle] = []
    pending: deque[Instruction] = deque(run.tree.start(request.input))

    def wake(task_id: str) -> None:
        arrived.put_nowait(run.tree.woken(task_id))

    try:
        while True:
            while pending:
                match pending.popleft():
                    case Emit() as emit:
                        if (chunk := run.chunk(emit)) is not MISSING:
                            yield chunk
                    case SaveCheckpoint() as save:
                        await store.aput(save)
                    case SaveWrites() as save:
                        await store.aput_writes(save)
                    case RunTasks([task]) if inline and not pending and not timers:
                        outcome = await run.run(task)
                        await asyncio.sleep(0)  # what the task put from other threads comes first
                        while not arrived.empty():
                            pending.extend(_async_instructions(run, arrived.get_nowait()))
                        pending.extend(run.tell(outcome))
                    case RunTasks(tasks):
                        run.submit(tasks)
                    case Finished(error, interrupt):
                        _end(request, error, interrupt)
                        return
                    case EmitMessages() as emit:
                        pending.extendleft(reversed(list(run.messages(emit))))
                    case KnowMessages(ids):
                        run.seen.add(*ids)
                    case Load() as load:
                        checkpoint = await store.aload_inside(load)
                        pending.extend(run.ordered(run.tree.loaded(load.task, checkpoint)))
                    case LookUp(tasks):
                        found = await run.acached(tasks)
                        pending.extendleft(reversed(run.ordered(run.tree.looked_up(tasks, found))))
                    case CacheWrites() as entry:
                        await _akeep_in_cache(entry)
                    case WakeLater(task_id, seconds):
                        timers.append(run.loop.call_later(seconds, wake, task_id))
            try:
                arrival = (
                    await asyncio.wait_for(arrived.get(), left)
                    if (left := run.time_left()) is not None
                    else (await arrived.get())
                )
            except TimeoutError:
                pending.extend(run.tree.cancel(TimeoutError()))
            else:
                pending.extend(_async_instructions(run, arrival))
    finally:
        for timer in timers:
            timer.cancel()
        for child in run.running:
            child.cancel()
        if run.running:
            await asyncio.gather(*run.running, return_exceptions=True)


def _async_instructions(run: _AsyncRun, arrival: Emit | Outcome | list[Instruction]) -> list[Instruction]:
    if isinstance(arrival, Emit):
        return [arrival]
    return arrival if isinstance(arrival, list) else run.tell(arrival)
