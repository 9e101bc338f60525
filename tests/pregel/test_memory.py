"""What a run keeps does not grow with the number of its supersteps."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
from itertools import islice
from typing import Any, TypedDict

import pytest

from fleetgraph.graph import END, START, StateGraph

STEPS = 600
BYTES_PER_STEP = 20
"""Less than the id of a task takes."""


class State(TypedDict):
    steps: int


def step(state: State) -> dict[str, Any]:
    return {"steps": state["steps"] + 1}


def again(state: State) -> str:
    return "step" if state["steps"] < 3 * STEPS else END


def loop_around(node: Any) -> Any:
    builder = StateGraph(State).add_node("step", node).add_edge(START, "step")
    return builder.add_conditional_edges("step", again, ["step", END]).compile()


PLAIN = loop_around(step)
INSIDE = loop_around(StateGraph(State).add_node(step).add_edge(START, "step").compile())


def collect() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests have left, which is not for this one
        gc.collect()


@pytest.mark.parametrize("graph", [PLAIN, INSIDE], ids=["a function", "a graph"])
def test_what_a_run_keeps_of_supersteps_that_are_over(graph: Any) -> None:
    chunks = graph.stream({"steps": 0}, {"recursion_limit": 4 * STEPS}, stream_mode="updates")
    kept: list[int] = []
    tracemalloc.start()
    try:
        for _ in range(2):
            assert len(list(islice(chunks, STEPS))) == STEPS
            collect()
            snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/fleetgraph/*")])
            kept.append(sum(trace.size for trace in snapshot.traces))
    finally:
        tracemalloc.stop()
        chunks.close()
    assert (kept[1] - kept[0]) / STEPS < BYTES_PER_STEP
