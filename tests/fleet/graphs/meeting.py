"""Tasks of one superstep that can only end if they all run at the same time."""

from __future__ import annotations

import operator
import os
from typing import Annotated, Any, TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send
from tests.fleet import gates


class State(TypedDict):
    key: str
    count: int
    places: Annotated[list[int], operator.add]


def everybody(state: State) -> list[Send]:
    return [Send("guest", state) for _ in range(state["count"])]


def guest(state: State) -> dict[str, Any]:
    gates.meet(state["key"], state["count"])
    return {"places": [os.getpid()]}


async def async_guest(state: State) -> dict[str, Any]:
    await gates.meet_async(state["key"], state["count"])
    return {"places": [os.getpid()]}


graph = StateGraph(State).add_node(guest).add_conditional_edges(START, everybody).compile()
"""`count` tasks meet."""

async_graph = StateGraph(State).add_node("guest", async_guest).add_conditional_edges(START, everybody).compile()
