"""A node that emits an event now and then, and the time from there to the caller."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, Final, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread

PAUSE_SECONDS: Final = 0.01
"""Between two events: long enough for each to travel alone."""


class State(TypedDict):
    events: int


def build(library: str, saver: Any) -> Any:
    """One node that emits the time, again and again."""
    graph, config = import_module(f"{library}.graph"), import_module(f"{library}.config")

    def emit(state: State) -> None:
        write = config.get_stream_writer()
        for _ in range(state["events"]):
            time.sleep(PAUSE_SECONDS)
            write(time.time())

    builder = graph.StateGraph(State)
    builder.add_node("emit", emit)
    builder.add_edge(graph.START, "emit")
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int) -> Samples:
    """The seconds that each of `size` events took."""
    taken = [time.time() - sent for sent in runnable.stream({"events": size}, new_thread(), stream_mode="custom")]
    if len(taken) != size:
        raise AssertionError(f"{len(taken)} events of {size}")
    return {"latency": taken}
