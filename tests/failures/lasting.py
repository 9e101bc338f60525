"""Graphs with threads and called functions, whose runs leave many sorts of keys behind for a while."""

from __future__ import annotations

import operator
import os
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import interrupt
from tests.fleet import gates


class State(TypedDict):
    said: Annotated[list[str], operator.add]


def ask(state: State) -> dict[str, Any]:
    return {"said": [interrupt("well?")]}


asking = (
    StateGraph(State)
    .add_node(ask)
    .add_edge(START, "ask")
    .compile(RedisSaver(os.environ.get(gates.VARIABLE, "redis://localhost")))
)


@task
def double(number: int) -> int:
    return 2 * number


@entrypoint()
def calling(number: int) -> int:
    return double(number).result()
