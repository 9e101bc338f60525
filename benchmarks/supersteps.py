"""Supersteps as their caller sees them: the time from one chunk of the stream to the next."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any


def between_chunks(runnable: Any, steps: int) -> list[float]:
    """Stream a run of `benchmarks.loop` for `steps` measured supersteps; the seconds that each took.

    The run has one more, the first: it also holds what starting a run costs.
    """
    chunks: Iterable[Any] = runnable.stream(
        {"done": 0, "steps": steps + 1}, {"recursion_limit": steps + 10}, stream_mode="updates"
    )
    seen: list[float] = []
    last: Any = None
    for chunk in chunks:
        seen.append(time.perf_counter())
        last = chunk
    if len(seen) != steps + 1 or last != {"count": {"done": steps + 1}}:
        raise AssertionError(f"not the run that was asked for: {len(seen)} chunks, the last one {last!r}")
    return [after - before for before, after in pairwise(seen)]


class InProcess:
    """A compiled graph of either library, run by the process that streams it."""

    def __init__(self, name: str, what: str, runnable: Any) -> None:
        self.name = name
        self.what = what
        self._runnable = runnable

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None

    def round(self, trips: int) -> list[float]:
        return between_chunks(self._runnable, trips)
