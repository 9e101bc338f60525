"""Where nodes run: one thread for each synchronous node, one event loop for all asynchronous ones."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class CodeThreads:
    """Threads that run user code; they do no I/O of the worker's.

    Daemons, so that a node that hangs can't keep the process from exiting. Who was busy last is the first to get the
    next job: a `queue` would wake the others in turn, and one more of them for nothing.

    Args:
        count: How many there are.
        crashed: Told when one dies of an error, which must not happen.
    """

    def __init__(self, count: int, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        """Those that no thread is free for."""
        self._idle: list[_Slot] = []
        self._own = threading.local()
        """Of each thread: `next`, the job that it is to do next, if it has been found already."""
        self._count = 0
        self._threads = [self._thread() for _ in range(count)]
        self._superfluous = 0
        self._stopping = False

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def _thread(self) -> threading.Thread:
        self._count += 1
        return threading.Thread(target=self._run, name=f"fleetgraph-node-{self._count}", daemon=True)

    def lend(self) -> None:
        """One of the threads is going to wait: have another one in its place."""
        with self._lock:
            if self._superfluous:
                self._superfluous -= 1
                return
            thread = self._thread()
            self._threads.append(thread)
        thread.start()

    def take_back(self) -> None:
        """It waits no more: one of the threads is to end after its job."""
        with self._lock:
            self._superfluous += 1

    def submit(self, job: Callable[[], None]) -> None:
        """Call `job`, which must not raise, in a thread, as soon as one is free."""
        with self._lock:
            if not self._idle:
                self._jobs.append(job)
                return
            slot = self._idle.pop()
        slot.give(job)

    def follow(self, job: Callable[[], None]) -> None:
        """As `submit`; if it is the last thing that a job does, its own thread is free, and takes the first one."""
        if getattr(self._own, "next", job) is None:
            self._own.next = job
        else:
            self.submit(job)

    def stop(self) -> None:
        """End the threads when all jobs are done, without waiting for it."""
        with self._lock:
            self._stopping = True
            idle, self._idle = self._idle, []
        for slot in idle:
            slot.give(None)

    def _run(self) -> None:
        slot = _Slot()
        try:
            while (job := self._next(slot)) is not None:
                following: Callable[[], None] | None = job
                while following is not None:
                    self._own.next = None
                    following()
                    following = self._own.next
                    if self._is_superfluous():
                        if following is not None:
                            self.submit(following)
                        return
        except BaseException as error:
            self._crashed(error)

    def _next(self, slot: _Slot) -> Callable[[], None] | None:
        """Wait for the next job of this thread; None if there will be none."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            if self._stopping:
                return None
            self._idle.append(slot)
        return slot.take()

    def _is_superfluous(self) -> bool:
        with self._lock:
            if not self._superfluous:
                return False
            self._superfluous -= 1
            self._threads.remove(threading.current_thread())
            return True


class _Slot:
    """Where an idle thread waits for its job."""

    def __init__(self) -> None:
        self._job: Callable[[], None] | None = None
        self._given = threading.Lock()
        self._given.acquire()

    def give(self, job: Callable[[], None] | None) -> None:
        """Let the thread go on."""
        self._job = job
        self._given.release()

    def take(self) -> Callable[[], None] | None:
        """What it is given."""
        self._given.acquire()
        return self._job


class LoopThread:
    """The event loop on which asynchronous nodes run, in a thread of its own.

    Args:
        crashed: Told when the thread dies of an error, which must not happen.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="fleetgraph-loop", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, object], done: Callable[[BaseException | None], None]) -> Running:
        """Run `work` on the loop; `done`, which must not raise or block, gets its error, or None if it has none."""
        running = Running(self._loop)
        self._loop.call_soon_threadsafe(running.start, work, done)
        return running

    def stop(self) -> None:
        """Cancel what still runs, end the thread, and return when it has ended."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.set_event_loop(self._loop)
            while not self._stopping:
                try:
                    self._loop.run_forever()
                except (KeyboardInterrupt, SystemExit) as error:
                    # Raised by a task that a node started by itself, beside its own coroutine. That must not end
                    # a process in which other runs' nodes are at work.
                    logger.error(
                        "a task on the event loop raised %r; the loop goes on",
                        error,
                        extra={"action": "loop-interrupted"},
                    )
            self._end()
        except BaseException as error:
            self._crashed(error)

    def _end(self) -> None:
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class Running:
    """A coroutine on the event loop; made and cancelled from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None

    def start(self, work: Coroutine[Any, Any, object], done: Callable[[BaseException | None], None]) -> None:
        """Start it; on the event loop."""
        self._task = self._loop.create_task(_held_back(work))
        self._task.add_done_callback(lambda task: done(_ending(task)))

    def cancel(self) -> None:
        """Cancel it, if it still runs."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _held_back(work: Coroutine[Any, Any, object]) -> BaseException | None:
    """Await `work`, and return what it raises: asyncio lets some exceptions end the whole loop."""
    try:
        await work
    except BaseException as error:
        return error
    return None


def _ending(task: asyncio.Task[BaseException | None]) -> BaseException | None:
    # One that is cancelled before it begins can't return anything.
    return asyncio.CancelledError() if task.cancelled() else task.result()
