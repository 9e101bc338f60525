"""Ends plain functions from outside.

A thread can't be stopped from outside. An exception can be raised in it, which takes effect as soon as Python code runs
there: a function that computes ends at once. One that is inside a single long call (`time.sleep`, a request without a
timeout, a C extension) ends with that call.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from fleetgraph.errors import TaskStopped

T = TypeVar("T")

GRACE_SECONDS: Final = 1.0
"""How long a function has to end after the exception was raised in its thread, before the worker does without it."""


class _Spent(BaseException):
    """Raised in the place of an exception that is taken back."""


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Have an exception raised in a thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _take_back(thread: int) -> None:
    """Undo `_raise_in`, if it has had no effect yet; in the thread itself.

    Python can remove such an exception, but goes on looking for it then: at each step, in all threads, for ever.
    """
    try:
        _raise_in(thread, _Spent)
        while True:  # it takes effect here
            pass
    except _Spent:
        return


class Interruptible:
    """A call that other threads can interrupt."""

    def __init__(self) -> None:
        # A plain lock: one in Python code could be taken, and never be freed, by a thread that is interrupted there.
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._kind: type[BaseException] | None = None
        """What was raised in it last."""

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` in this thread; what interrupts it is raised inside of it, and nothing after it.

        Raises:
            TaskStopped: It was stopped, maybe before it began.
            BaseException: What `function` raises.
        """
        try:
            self._enter()
            return function()
        finally:
            while True:
                try:
                    self._leave()
                    break
                except BaseException:  # raised from outside just here, when there is nothing to be ended
                    continue

    def stop(self) -> None:
        """Raise `TaskStopped` in it; or as soon as it begins."""
        with self._lock:
            self._kind = TaskStopped
            if self._thread is not None:
                _raise_in(self._thread, TaskStopped)

    def interrupt(self, kind: type[BaseException]) -> None:
        """Raise an exception in it, unless it was stopped."""
        with self._lock:
            if self._thread is not None and self._kind is not TaskStopped:
                self._kind = kind
                _raise_in(self._thread, kind)

    def withdraw(self, kind: type[BaseException]) -> None:
        """Take back an `interrupt` that has had no effect yet; in the thread itself."""
        with self._lock:
            if self._thread is not None and self._kind is kind:
                _take_back(self._thread)

    def _enter(self) -> None:
        with self._lock:
            if self._kind is not None:
                raise self._kind
            self._thread = threading.get_ident()

    def _leave(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None and self._kind is not None:
                _take_back(thread)
