"""Supersteps of one node, one after the other, and the time from one chunk of their stream to the next."""

from __future__ import annotations

import time
from contextlib import closing
from importlib import import_module
from itertools import pairwise
from typing import Any, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread


class State(TypedDict):
    done: int
    steps: int


def count(state: State) -> dict[str, int]:
    """The node."""
    return {"done": state["done"] + 1}


def again(state: State) -> str:
    """The branch after it."""
    return "count" if state["done"] < state["steps"] else "__end__"


def build(library: str, saver: Any) -> Any:
    """One node that runs `steps` times."""
    graph = import_module(f"{library}.graph")
    builder = graph.StateGraph(State)
    builder.add_node("count", count)
    builder.add_edge(graph.START, "count")
    builder.add_conditional_edges("count", again, ["count", graph.END])
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, of: int | None = None, late: bool = False) -> Samples:
    """The seconds that each of `size` supersteps took.

    The run has one more, the first: it also holds what starting a run costs.

    Args:
        runnable: The graph.
        size: How many supersteps to measure.
        of: How many the run has; as many as are measured, if that is less.
        late: Whether to measure the last ones, and not the first. Who measures the first reads no further.
    """
    steps = max(size, of or 0) + 1
    seen: list[float] = []
    last: Any = None
    config = new_thread(recursion_limit=steps + 10)
    with closing(runnable.stream({"done": 0, "steps": steps}, config, stream_mode="updates")) as chunks:
        for chunk in chunks:
            seen.append(time.perf_counter())
            last = chunk
            if len(seen) > size and not late and steps > size + 1:
                break
    if last != {"count": {"done": len(seen)}} or (late and len(seen) != steps):
        raise AssertionError(f"not the run that was asked for: {len(seen)} chunks, the last one {last!r}")
    return {"superstep": [after - before for before, after in pairwise(seen[-size - 1 :])]}
