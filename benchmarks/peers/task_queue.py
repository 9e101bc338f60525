"""What all peers have in common: single no-op tasks, one after the other, or many at once."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from benchmarks.model import Samples

PATIENCE_SECONDS = 60
"""How long a result is waited for."""


class TaskQueue(ABC):
    """A task queue with its workers; a context manager.

    Args:
        width: Tasks that are sent out at once; 0 to wait for each before the next.
    """

    def __init__(self, width: int = 0) -> None:
        self._width = width

    def __enter__(self) -> Self:
        self.start()
        try:
            self.one()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start workers."""

    @abstractmethod
    def stop(self) -> None:
        """End them."""

    @abstractmethod
    def one(self) -> None:
        """Send out a no-op task, and wait for its result."""

    @abstractmethod
    def many(self, width: int) -> None:
        """Send out so many at once, and wait for all results."""

    def round(self, size: int) -> Samples:
        """The seconds of each of `size` tasks; or per task, of as many fan-outs as make them up."""
        if not self._width:
            return {"superstep": [_timed(self.one) for _ in range(size)]}
        width = min(self._width, size)
        return {"task": [_timed(lambda: self.many(width)) / width for _ in range(size // width)]}


def _timed(do: Callable[[], None]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started
