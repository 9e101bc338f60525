"""The loop, with a list that every node is given and adds an item to."""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Annotated, Any, Final, TypedDict

ITEM_BYTES: Final = 1000


class State(TypedDict):
    steps: int
    items: Annotated[list[str], operator.add]


def append(state: State) -> dict[str, list[str]]:
    """The node."""
    number = len(state["items"])
    return {"items": [f"{number:>{ITEM_BYTES}}"]}


def again(state: State) -> str:
    """The branch after it."""
    return "append" if len(state["items"]) < state["steps"] else "__end__"


def build(library: str, saver: Any) -> Any:
    """One node that runs `steps` times."""
    graph = import_module(f"{library}.graph")
    builder = graph.StateGraph(State)
    builder.add_node("append", append)
    builder.add_edge(graph.START, "append")
    builder.add_conditional_edges("append", again, ["append", graph.END])
    return builder.compile(checkpointer=saver)
