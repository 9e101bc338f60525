"""A long chain of nodes, one after the other."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.whole_runs import timed


class State(TypedDict):
    seen: int


def build(library: str, saver: Any, nodes: int) -> Any:
    """So many nodes."""
    graph = import_module(f"{library}.graph")

    def step(state: State) -> dict[str, int]:
        return {"seen": state["seen"] + 1}

    builder = graph.StateGraph(State)
    before = graph.START
    for number in range(nodes):
        builder.add_node(f"step{number}", step)
        builder.add_edge(before, f"step{number}")
        before = f"step{number}"
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, nodes: int) -> Samples:
    """One run; `size` does not matter."""
    return timed(runnable, {"seen": 0}, chunks=nodes, limit=nodes + 1)
