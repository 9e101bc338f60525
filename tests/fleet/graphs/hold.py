"""Tasks that stay in their node until a gate opens; and how often they were started."""

from __future__ import annotations

import operator
import os
from typing import Annotated, Any, TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send, StreamWriter
from tests.fleet import gates


class State(TypedDict):
    key: str
    count: int
    held: Annotated[list[str], operator.add]
    pids: Annotated[list[int], operator.add]


class Place(TypedDict):
    key: str
    number: int


def places(state: State) -> list[Send]:
    return [Send("hold", {"key": state["key"], "number": number}) for number in range(1, state["count"] + 1)]


def hold(state: Place, writer: StreamWriter) -> dict[str, Any]:
    name = f"{state['key']}:{state['number']}"
    gates.arrive(name)
    writer(f"{state['number']} holds")
    try:
        gates.wait(name)
        writer(f"{state['number']} goes on")
    finally:  # it is stopped there, if nobody waits for it any more and its worker knows
        gates.arrive(f"{name}:ended")
    return {"held": [str(state["number"])], "pids": [os.getpid()]}


def hold_once(state: State, writer: StreamWriter) -> dict[str, Any]:
    """Stays for ever, but only the first time it is started."""
    attempt = gates.arrive(f"{state['key']}:once")
    writer(f"attempt {attempt}")
    if attempt == 1:
        gates.wait(f"{state['key']}:never")
    return {"held": ["once"], "pids": [os.getpid()]}


def after(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:after")
    return {"held": ["after"]}


graph = StateGraph(State).add_node(hold).add_conditional_edges(START, places).compile()

once = (
    StateGraph(State)
    .add_node(hold_once)
    .add_node(after)
    .add_edge(START, "hold_once")
    .add_edge("hold_once", "after")
    .compile()
)
