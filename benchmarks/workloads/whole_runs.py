"""Runs as a whole: until their first chunk, and until their end."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread


def timed(runnable: Any, inputs: Any, *, chunks: int, limit: int) -> Samples:
    """The seconds that a run takes, and those until its first chunk.

    Args:
        runnable: The graph.
        inputs: Its input.
        chunks: How many chunks of the mode `updates` there have to be.
        limit: How many supersteps it may take.
    """
    seen, first = 0, 0.0
    started = time.perf_counter()
    for _ in runnable.stream(inputs, new_thread(recursion_limit=limit), stream_mode="updates"):
        first = first or time.perf_counter() - started
        seen += 1
    taken = time.perf_counter() - started
    if seen != chunks:
        raise AssertionError(f"{seen} chunks instead of {chunks}")
    return {"run": [taken], "first": [first]}
