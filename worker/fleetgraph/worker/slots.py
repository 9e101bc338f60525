"""Where nodes run: one thread for each synchronous node, one event loop for all asynchronous ones."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

logger = logging.getLogger(__name__)


class CodeThreads:
    """Threads that run user code.

    Daemons, so that a node that hangs can't keep the process from exiting. One of them at a time does what is the
    worker's own: more would only take the interpreter from each other. Before it goes away into user code, or to wait
    for something, it sees to it that another one does what there is to do.

    Args:
        count: How many there are.
        crashed: Told when one dies of an error, which must not happen.
    """

    def __init__(self, count: int, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle: list[threading.Lock] = []
        """What each of those that have nothing to do waits for; who was busy last is the first to be woken."""
        self._own = threading.local()
        """Of each of these threads: `away`, in how many ways."""
        self._count = 0
        self._threads = [self._thread() for _ in range(count)]
        self._present = count
        """How many are neither idle nor away."""
        self._superfluous = 0
        self._stopping = False
        self.away: AbstractContextManager[None] = _Away(self._leave, self._come_back)
        """Entered by a job while what it does is not the worker's own, or waits. In other threads it means nothing."""

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def _thread(self) -> threading.Thread:
        self._count += 1
        return threading.Thread(target=self._run, name=f"fleetgraph-node-{self._count}", daemon=True)

    def lend(self) -> None:
        """One of the threads is going to wait: have another one in its place.

        Raises:
            RuntimeError: The system gives no more threads.
        """
        with self._lock:
            if self._superfluous:
                self._superfluous -= 1
                return
            thread = self._thread()
            thread.start()
            self._present += 1
            self._threads.append(thread)

    def take_back(self) -> None:
        """It waits no more: one of the threads is to end after its job."""
        with self._lock:
            self._superfluous += 1

    def submit(self, job: Callable[[], None]) -> None:
        """Call `job`, which must not raise, in a thread, as soon as one is free."""
        with self._lock:
            self._jobs.append(job)
            self._wake_one()

    def stop(self) -> None:
        """End the threads when all jobs are done, without waiting for it."""
        with self._lock:
            self._stopping = True
            idle, self._idle = self._idle, []
            self._present += len(idle)
        for one in idle:
            one.release()

    def _leave(self) -> None:
        away: int | None = getattr(self._own, "away", None)
        if away is None:
            return
        self._own.away = away + 1
        if away:
            return
        with self._lock:
            self._present -= 1
            self._wake_one()

    def _come_back(self) -> None:
        away: int | None = getattr(self._own, "away", None)
        if away is None:
            return
        self._own.away = away - 1
        if away == 1:
            with self._lock:
                self._present += 1

    def _wake_one(self) -> None:
        """Wake a thread, if there is something to do and nobody is there to do it; to be called with the lock held."""
        if self._jobs and self._idle and not self._present:
            self._present += 1
            self._idle.pop().release()

    def _run(self) -> None:
        self._own.away = 0
        woken = threading.Lock()
        woken.acquire()
        try:
            while (job := self._job(woken)) is not None:
                job()
                del job  # it knows its task, which may be large
        except BaseException as error:
            self._crashed(error)

    def _job(self, woken: threading.Lock) -> Callable[[], None] | None:
        """Wait for what this thread is to do next, idle until `woken` is released; None if it is to end."""
        while True:
            with self._lock:
                ends = self._superfluous > 0 or (self._stopping and not self._jobs)
                if self._jobs and not ends:
                    return self._jobs.popleft()
                self._present -= 1
                if ends:
                    self._superfluous = max(0, self._superfluous - 1)
                    self._threads.remove(threading.current_thread())
                    self._wake_one()
                    return None
                self._idle.append(woken)
            woken.acquire()


class _Away:
    """What a generator would do, in a fraction of its time."""

    def __init__(self, leave: Callable[[], None], come_back: Callable[[], None]) -> None:
        self._leave = leave
        self._come_back = come_back

    def __enter__(self) -> None:
        self._leave()

    def __exit__(self, *exc_info: object) -> None:
        self._come_back()


class LoopThread:
    """The event loop on which asynchronous nodes run, in a thread of its own.

    Args:
        crashed: Told when the thread dies of an error, which must not happen.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self._lock = threading.Lock()
        self._starting: list[Callable[[], None]] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="fleetgraph-loop", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, object], done: Callable[[BaseException | None], None]) -> Running:
        """Run `work` on the loop; `done`, which must not raise or block, gets its error, or None if it has none."""
        running = Running(self._loop)
        with self._lock:
            self._starting.append(partial(running.start, work, done))
            if len(self._starting) == 1:  # waking the loop takes longer than starting something
                self._loop.call_soon_threadsafe(self._start)  # before others know of theirs, and may cancel them
        return running

    def _start(self) -> None:
        with self._lock:
            starting, self._starting = self._starting, []
        for start in starting:
            start()

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

        def ended(task: asyncio.Task[BaseException | None]) -> None:
            work.close()  # if it was cancelled before it began
            done(_ending(task))

        self._task = self._loop.create_task(_held_back(work))
        self._task.add_done_callback(ended)

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
