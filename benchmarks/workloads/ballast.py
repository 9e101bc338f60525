"""The loop, beside a large channel that every node is given and none changes."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypedDict


class State(TypedDict):
    done: int
    steps: int
    ballast: bytes


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
