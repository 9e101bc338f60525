"""The in-process driver: feeds the superstep machine from threads, or from the event loop."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from fleetgraph.pregel.execute import aexecute, execute, node_cancelled
from fleetgraph.pregel.instructions import Emit, Finished, Instruction, RunTasks, SaveCheckpoint, SaveWrites
from fleetgraph.pregel.machine import Machine
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.run import RunRequest
from fleetgraph.pregel.saving import CheckpointStore
from fleetgraph.pregel.task import Task, Write

logger = logging.getLogger(__name__)

MOST_THREADS: Final = 128
"""How many tasks of a run that does not say run at once; threads start only when all others are busy."""

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
    """Puts a task's own chunks where the driver finds them."""

    __slots__ = ("_put", "_seen", "_task", "modes")

    def __init__(self, task: Task, modes: frozenset[str], seen: SeenMessages, put: Callable[[Emit], None]) -> None:
        self._task = task
        self.modes = modes
        self._seen = seen
        self._put = put

    def custom(self, payload: Any) -> None:
        self._put(Emit("custom", payload, self._task.id))

    def message(self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool) -> None:
        if self._seen.add(message.id) or not unless_seen:
            self._put(Emit("messages", (message, metadata), self._task.id))

    def saw_messages(self, ids: list[str]) -> None:
        self._seen.add(*ids)


def stream(program: Program, request: RunRequest) -> Iterator[Any]:
    """Run a graph in this process and yield its chunks.

    A superstep of one task runs in the caller's thread unless the task streams while it runs; more run in threads.
    Nothing starts before the chunks that precede it have been taken, and closing the iterator starts nothing more.
    """
    store = CheckpointStore(request.checkpointer, request.config)
    machine = Machine(program, store.settings(request), store.load())
    arrived: queue.SimpleQueue[Emit | Outcome] = queue.SimpleQueue()
    seen = SeenMessages()
    pool: ThreadPoolExecutor | None = None
    width = request.config.get("max_concurrency") or MOST_THREADS
    crowded = False

    def run(task: Task) -> Outcome:
        emit = LocalEmitter(task, request.format.modes, seen, arrived.put)
        try:
            return task, execute(program, task, emit, request.config, request.context), None
        except asyncio.CancelledError as error:
            return task, None, node_cancelled(task.name, error)
        except BaseException as error:
            return task, None, error

    def run_and_put(task: Task) -> None:
        arrived.put(run(task))

    pending = deque(machine.start(request.input))
    try:
        while True:
            while pending:
                match pending.popleft():
                    case Emit(mode, payload):
                        yield request.format.chunk(mode, payload)
                    case RunTasks([task]) if not request.live:
                        outcome = run(task)
                        if isinstance(outcome[2], KeyboardInterrupt | SystemExit | GeneratorExit):
                            raise outcome[2]
                        pending.extend(_tell(machine, outcome))
                    case RunTasks(tasks):
                        if pool is None:
                            pool = ThreadPoolExecutor(width, thread_name_prefix="fleetgraph")
                        crowded = len(tasks) > width
                        for task in tasks:
                            pool.submit(copy_context().run, run_and_put, task)
                    case Finished(error):
                        if error is not None:
                            raise error
                        return
                    case SaveCheckpoint() as save:
                        store.put(save)
                    case SaveWrites() as save:
                        store.put_writes(save)
            arrival = arrived.get()
            if isinstance(arrival, Emit):
                yield request.format.chunk(arrival.mode, arrival.payload)
            else:
                pending.extend(_tell(machine, arrival))
    finally:
        if pool is not None:
            # Siblings that run can't be stopped; what they wrote is kept for a later run of the same checkpoint. Those
            # that still wait for a slot never start; where there are slots for all, none waits, however late its
            # thread gets going.
            pool.shutdown(wait=True, cancel_futures=crowded)
            for outcome in _outcomes(arrived):
                for instruction in _tell(machine, outcome):
                    if isinstance(instruction, SaveWrites):
                        _keep(store, instruction)


def _tell(machine: Machine, outcome: Outcome) -> list[Instruction]:
    task, writes, error = outcome
    if error is not None:
        return machine.failed(task.id, error, task.writes)
    return machine.finished(task.id, writes or [])


def _keep(store: CheckpointStore, late: SaveWrites) -> None:
    try:
        store.put_writes(late)
    except Exception:  # the run has failed already, of something else that its caller must see
        logger.exception("what node %r wrote after its run had failed could not be saved", late.task.name)


def _outcomes(arrived: queue.SimpleQueue[Emit | Outcome]) -> Iterator[Outcome]:
    while not arrived.empty():
        if not isinstance(arrival := arrived.get(), Emit):
            yield arrival


async def astream(program: Program, request: RunRequest) -> AsyncIterator[Any]:
    """The same as `stream`, on the event loop. When a task fails or the iterator is closed, others are cancelled."""
    store = CheckpointStore(request.checkpointer, request.config)
    machine = Machine(program, store.settings(request), await store.aload())
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Emit | Outcome] = asyncio.Queue()
    seen = SeenMessages()
    running: set[asyncio.Task[None]] = set()
    width = request.config.get("max_concurrency")
    slots = asyncio.Semaphore(width) if width else None

    def put(emit: Emit) -> None:
        # A synchronous node emits from a thread of its own; order within the task is kept either way.
        loop.call_soon_threadsafe(arrived.put_nowait, emit)

    async def run(task: Task) -> Outcome:
        emit = LocalEmitter(task, request.format.modes, seen, put)
        try:
            return task, await aexecute(program, task, emit, request.config, request.context), None
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return task, None, node_cancelled(task.name, error)
        except BaseException as error:
            return task, None, error

    async def run_and_put(task: Task) -> None:
        if slots is None:
            outcome = await run(task)
        else:
            async with slots:
                outcome = await run(task)
        loop.call_soon_threadsafe(arrived.put_nowait, outcome)  # behind what the task emitted

    pending = deque(machine.start(request.input))
    try:
        while True:
            while pending:
                match pending.popleft():
                    case Emit(mode, payload):
                        yield request.format.chunk(mode, payload)
                    case RunTasks([task]) if not request.live:
                        pending.extend(_tell(machine, await run(task)))
                    case RunTasks(tasks):
                        for task in tasks:
                            running.add(child := loop.create_task(run_and_put(task)))
                            child.add_done_callback(running.discard)
                    case Finished(error):
                        if error is not None:
                            raise error
                        return
                    case SaveCheckpoint() as save:
                        await store.aput(save)
                    case SaveWrites() as save:
                        await store.aput_writes(save)
            arrival = await arrived.get()
            if isinstance(arrival, Emit):
                yield request.format.chunk(arrival.mode, arrival.payload)
            else:
                pending.extend(_tell(machine, arrival))
    finally:
        for child in running:
            child.cancel()
        if running:
            await asyncio.gather(*running, return_exceptions=True)
