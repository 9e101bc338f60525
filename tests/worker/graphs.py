"""A graph for workers in processes of their own; it talks to its test through files."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from fleetgraph.config import get_stream_writer
from fleetgraph.constants import START
from fleetgraph.graph import StateGraph

FOLDER = "FLEETGRAPH_TEST_FOLDER"
"""Environment variable: where the files are."""


NAME = "tests.worker.graphs:graph"
"""Where workers find it."""


class State(TypedDict):
    """The same as that of the other test graphs."""

    items: Annotated[list[Any], lambda old, new: old + new]


def echo(state: State) -> dict[str, Any]:
    get_stream_writer()("echoing")
    return {"items": [f"echo {state['items'][0]}"]}


async def aecho(state: State) -> dict[str, Any]:
    return {"items": [f"aecho {state['items'][0]}"]}


def failing(state: State) -> dict[str, Any]:
    raise ValueError("a reason")


async def cancelled(state: State) -> dict[str, Any]:
    raise asyncio.CancelledError


def held(state: State) -> dict[str, Any]:
    """Tell that it began, and go on when the test says so."""
    folder = Path(os.environ[FOLDER])
    task = state["items"][0]
    (folder / f"{task}.began").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)  # this is the node's work
    return {"items": [task]}


builder = StateGraph(State)
for node in (echo, aecho, failing, cancelled, held):
    builder.add_node(node.__name__, node)
    builder.add_edge(START, node.__name__)
graph = builder.compile()
