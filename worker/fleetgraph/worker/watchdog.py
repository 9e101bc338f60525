"""Ends plain functions that take too long.

A thread can't be stopped from outside. An exception can be raised in it, which takes effect as soon as Python code runs
there: a function that computes ends at once, and is tried again where its retry policy says so. One that is inside a
single long call (`time.sleep`, a request without a timeout, a C extension) ends with that call; its task does not wait
for it, but fails, and its thread is replaced until it is back.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from fleetgraph.errors import NodeTimeoutError
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.timeouts import Deadline
from fleetgraph.types import TimeoutPolicy

GRACE_SECONDS: Final = 1.0
"""How long a function has to end after the exception was raised in its thread, before its task fails without it."""


class _TimedOut(Exception):
    """Raised in a function's thread; never seen outside of it."""


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have an exception raised in a thread; None takes it back, if it was not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind))


class Watchdog:
    """Watches the functions of one worker that have a time limit; its thread runs only while there are any.

    Args:
        crashed: Told when the thread dies of an error, which must not happen.
    """

    def __init__(self, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self.lock = threading.Condition()
        self._limits: set[Limit] = set()
        self._thread: threading.Thread | None = None

    def add(self, limit: Limit) -> None:
        """Watch a function; the caller holds the lock."""
        self._limits.add(limit)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fleetgraph-watchdog", daemon=True)
            self._thread.start()
        self.lock.notify_all()

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
                        self.lock.wait(max(0.0, min(limit.next for limit in self._limits) - time.monotonic()))
                self._thread = None
        except BaseException as error:
            self._crashed(error)


class Limit:
    """The time that one attempt of a function may take, in the thread that enters it.

    Args:
        watchdog: Sees to it.
        running: The task.
        policy: Its timeout.
        stuck: Told the error, when the function does not end in time even so.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        running: TaskContext,
        policy: TimeoutPolicy,
        stuck: Callable[[NodeTimeoutError], None],
    ) -> None:
        self._watchdog = watchdog
        self._deadline = Deadline(running, policy)
        self._stuck = stuck
        self._thread = threading.get_ident()
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
            _raise_in(self._thread, _TimedOut)

    def __enter__(self) -> None:
        with self._watchdog.lock:
            self._watchdog.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._watchdog.lock:
            self._watchdog.remove(self)
            if self._error is None:
                return
            _raise_in(self._thread, None)
        raise self._error from (None if isinstance(error, _TimedOut) else error)
