"""Ends plain functions that take too long.

One that can't be ended (see `interrupting`) is not waited for: its task fails, and its thread is replaced until it is
back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from fleetgraph.errors import NodeTimeoutError
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.timeouts import Deadline
from fleetgraph.types import TimeoutPolicy
from fleetgraph.worker.interrupting import GRACE_SECONDS, Interruptible


class _TimedOut(Exception):
    """Raised in a function's thread; never seen outside of it."""


class Watchdog:
    """Watches the functions of one worker that have a time limit; its thread runs only while there are any.

    Args:
        crashed: Told when the thread dies of an error, which must not happen.
    """

    def __init__(self, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self.lock = threading.Lock()
        """A plain one, since the threads that take it may be interrupted there."""
        self._changed = threading.Condition(self.lock)
        self._limits: set[Limit] = set()
        self._thread: threading.Thread | None = None

    def add(self, limit: Limit) -> None:
        """Watch a function; the caller holds the lock."""
        self._limits.add(limit)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="fleetgraph-watchdog", daemon=True)
            thread.start()
            self._thread = thread  # not before: whoever is interrupted here must leave none that never starts
        self._changed.notify_all()

    def remove(self, limit: Limit) -> None:
        """Watch it no more; the caller holds the lock."""
        self._limits.discard(limit)

    def _run(self) -> None:
        try:
            with self.lock:
                while self._limits:
                    for limit in list(self._limits):
                        limit.look()
                    if self._limits:
                        self._changed.wait(max(0.0, min(limit.next for limit in self._limits) - time.monotonic()))
                self._thread = None
        except BaseException as error:
            self._crashed(error)


class Limit:
    """The time that one attempt of a function may take, in the thread that enters it.

    Args:
        watchdog: Sees to it.
        call: What the function runs in.
        running: The task.
        policy: Its timeout.
        stuck: Told the error, when the function does not end in time even so.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        call: Interruptible,
        running: TaskContext,
        policy: TimeoutPolicy,
        stuck: Callable[[NodeTimeoutError], None],
    ) -> None:
        self._watchdog = watchdog
        self._call = call
        self._deadline = Deadline(running, policy)
        self._stuck = stuck
        self._error: NodeTimeoutError | None = None
        self.next = self._deadline.next
        """When to look, by `time.monotonic`."""

    def look(self) -> None:
        """See whether it has taken too long; the caller holds the lock."""
        if time.monotonic() < self.next:
            return
        if self._error is not None:
            self._watchdog.remove(self)
            self._stuck(self._error)
            return
        self._error = self._deadline.error()
        if self._error is None:
            self.next = self._deadline.next
        else:
            self.next = time.monotonic() + GRACE_SECONDS
            self._call.interrupt(_TimedOut)

    def __enter__(self) -> None:
        try:
            with self._watchdog.lock:
                self._watchdog.add(self)
        except BaseException:
            self._leave()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        struck: BaseException | None = None
        while True:
            try:
                self._leave()
                break
            except BaseException as raised:  # from outside, just here
                struck = raised
        if struck is not None and not isinstance(struck, _TimedOut):
            raise struck
        if self._error is not None:
            raise self._error from (None if isinstance(error, _TimedOut) else error)

    def _leave(self) -> None:
        with self._watchdog.lock:
            self._watchdog.remove(self)
        self._call.withdraw(_TimedOut)
