"""A node that uses processes of its own."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypedDict

from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    numbers: list[int]


def node(state: State) -> dict[str, Any]:
    with ProcessPoolExecutor(2) as pool:
        return {"numbers": list(pool.map(abs, state["numbers"]))}


graph = StateGraph(State).add_node(node).add_edge(START, "node").compile()
