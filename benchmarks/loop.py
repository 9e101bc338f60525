"""The graph that is measured: one function builds it for LangGraph and for Fleetgraph."""

from __future__ import annotations

from typing import Any, TypedDict


class State(TypedDict):
    done: int
    steps: int


def count(state: State) -> dict[str, int]:
    return {"done": state["done"] + 1}


def again(state: State) -> str:
    return "count" if state["done"] < state["steps"] else "__end__"


def build(graph: Any) -> Any:
    """One node that runs `steps` times, compiled; `graph` is `langgraph.graph` or `fleetgraph.graph`."""
    builder = graph.StateGraph(State)
    builder.add_node("count", count)
    builder.add_edge(graph.START, "count")
    builder.add_conditional_edges("count", again, ["count", graph.END])
    return builder.compile()
