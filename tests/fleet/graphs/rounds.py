"""A loop with two branches, whose every chunk tells which run it belongs to."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, Literal, TypedDict

from fleetgraph.graph import END, START, StateGraph
from fleetgraph.types import StreamWriter
from tests.fleet import gates


class State(TypedDict):
    run: str
    key: str
    together: int
    """How many runs have to be under way at the same time."""
    rounds: int
    log: Annotated[list[str], operator.add]


def gather(state: State) -> dict[str, Any]:
    if state["together"]:
        gates.meet(state["key"], state["together"], state["run"])
    return {"log": [f"{state['run']} is here"]}


def left(state: State, writer: StreamWriter) -> dict[str, Any]:
    for number in range(3):
        writer({"task": "left", "run": state["run"], "number": number})
    return {"log": [f"{state['run']} left"]}


async def right(state: State, writer: StreamWriter) -> dict[str, Any]:
    for number in range(3):
        writer({"task": "right", "run": state["run"], "number": number})
        await asyncio.sleep(0)
    return {"log": [f"{state['run']} right"]}


def count(state: State) -> dict[str, Any]:
    return {"rounds": state["rounds"] - 1}


def again(state: State) -> Literal["left", "__end__"]:
    return "left" if state["rounds"] > 0 else END


graph = (
    StateGraph(State)
    .add_node(gather)
    .add_node(left)
    .add_node(right)
    .add_node(count)
    .add_edge(START, "gather")
    .add_edge("gather", "left")
    .add_edge("gather", "right")
    .add_edge("left", "count")
    .add_conditional_edges("count", again)
    .compile()
)
