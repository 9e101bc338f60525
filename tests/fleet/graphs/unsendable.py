"""Values that can't travel, everywhere one can put a value."""

from __future__ import annotations

import threading
from typing import Any, TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send, StreamWriter


class State(TypedDict, total=False):
    where: str
    value: Any
    result: Any


class Context(TypedDict, total=False):
    lock: Any


def node(state: State, writer: StreamWriter) -> Any:
    match state["where"]:
        case "return":
            return {"result": {"items": [1, threading.Lock()]}}
        case "custom":
            writer({"progress": [threading.Lock()]})
        case "wrong update":
            return ["not", "an", "update"]
    return {"result": "fine"}


def fan_out(state: State) -> list[Send]:
    return [Send("worked", {"lock": threading.Lock()})] if state["where"] == "send" else []


def worked(state: Any) -> dict[str, Any]:
    return {"result": "worked"}


graph = (
    StateGraph(State, context_schema=Context)
    .add_node(node)
    .add_node(worked)
    .add_edge(START, "node")
    .add_conditional_edges("node", fan_out, ["worked"])
    .compile()
)
