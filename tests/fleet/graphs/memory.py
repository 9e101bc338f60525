"""A graph that remembers its threads."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    said: str
    log: Annotated[list[str], operator.add]


def hear(state: State) -> dict[str, Any]:
    return {"log": [f"heard {state['said']}"]}


def reply(state: State) -> dict[str, Any]:
    return {"log": [f"reply {len(state['log'])}"]}


graph = (
    StateGraph(State)
    .add_node(hear)
    .add_node(reply)
    .add_edge(START, "hear")
    .add_edge("hear", "reply")
    .compile(InMemorySaver())
)
