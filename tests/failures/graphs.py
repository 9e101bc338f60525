"""Graphs whose nodes do what they are told, tell what happens to them, and may be told to go on by a test."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import time
from typing import Annotated, Any, TypedDict

from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send, StreamWriter
from tests.fleet import gates


class State(TypedDict, total=False):
    key: str
    how: str
    count: int
    log: Annotated[list[str], operator.add]


def one_node(node: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


def perhaps_kills(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:node")
    if state["how"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"log": ["alive"]}


poison = one_node(perhaps_kills)


def says(state: State, writer: StreamWriter) -> dict[str, Any]:
    """Says something before and after a gate, and tells when it has ended."""
    attempt = gates.arrive(f"{state['key']}:began")
    writer(f"before, {attempt}")
    gates.wait(f"{state['key']}:go")
    writer(f"after, {attempt}")
    gates.arrive(f"{state['key']}:ended")
    return {"log": [f"said by {attempt}"]}


saying = one_node(says)


def weighs(state: State) -> dict[str, Any]:
    """Tells how much of the state it has got, after a gate."""
    attempt = gates.arrive(f"{state['key']}:began")
    gates.wait(f"{state['key']}:go")
    return {"log": [f"{len(state['how'])} and {len(state['log'])} weighed by {attempt}"]}


weighing = one_node(weighs)


def each(state: State) -> list[Send]:
    return [Send("part", {"key": state["key"], "count": number}) for number in range(state["count"])]


def part(state: State, writer: StreamWriter) -> dict[str, Any]:
    """One of many: counts how often it runs, and takes a moment."""
    name = f"{state['key']}:{state['count']}"
    gates.arrive(name)
    writer(state["count"])
    time.sleep(0.05)  # this is the node's work
    return {"log": [str(state["count"])]}


parts = StateGraph(State).add_node(part).add_conditional_edges(START, each).compile()


@task
def called(key: str, number: int) -> int:
    gates.arrive(f"{key}:{number}")
    time.sleep(0.05)  # this is the task's work
    return number


@entrypoint()
def calling(key: str) -> list[int]:
    """Waits for tasks, one after the other."""
    gates.arrive(f"{key}:caller")
    return [called(key, number).result() for number in range(10)]


# --- nodes that go on for ever, each in its own way --------------------------------------------------------------


def computes(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:began")
    try:
        while True:
            pass
    finally:
        gates.arrive(f"{state['key']}:stopped")


def sits(state: State) -> dict[str, Any]:
    """In a single call, which nothing but the process's end can end."""
    gates.arrive(f"{state['key']}:began")
    time.sleep(3600)
    return {}


async def awaits(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:began")
    try:
        await asyncio.sleep(3600)
    finally:
        gates.arrive(f"{state['key']}:stopped")
    return {}


def quick(state: State) -> dict[str, Any]:
    return {"log": ["quick"]}


builder = StateGraph(State)
for node in (computes, sits, awaits, quick):
    builder.add_node(node.__name__, node)
endless = builder.add_conditional_edges(START, lambda state: state["how"], ["computes", "sits", "awaits", "quick"])
endless = endless.compile()
