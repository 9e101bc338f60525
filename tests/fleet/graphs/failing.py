"""Nodes that raise, each in its own way."""

from __future__ import annotations

import importlib
import operator
import os
import signal
from typing import Annotated, Any, TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter
from tests.fleet import gates


class State(TypedDict, total=False):
    key: str
    how: str
    log: Annotated[list[str], operator.add]


class OutOfStock(Exception):
    """An error with a constructor of its own, as applications have them."""

    def __init__(self, article: str, *, wanted: int, left: int) -> None:
        super().__init__(f"{article}: {wanted} wanted, {left} left")
        self.article = article
        self.wanted = wanted
        self.left = left


def fails(state: State, writer: StreamWriter) -> dict[str, Any]:
    writer("about to fail")
    match state["how"]:
        case "builtin":
            raise ValueError("no such number: 42")  # the line that the traceback shows
        case "own":
            raise OutOfStock("umbrella", wanted=3, left=1)
        case "local":

            class Local(Exception):
                pass

            raise Local("only this call knows me")
        case "caused":
            try:
                _ = {}["missing"]
            except KeyError as error:
                raise RuntimeError("could not look it up") from error
        case "worker only":
            raise importlib.import_module("known_to_the_worker").Odd("strange")
        case "exit":
            raise SystemExit(3)
    return {"log": ["did not fail"]}


graph = StateGraph(State).add_node(fails).add_edge(START, "fails").compile()


def fast(state: State) -> dict[str, Any]:
    return {"log": ["fast"]}


def fails_later(state: State) -> dict[str, Any]:
    gates.wait(f"{state['key']}:fast was read")
    raise ValueError("later")


def slow(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:slow")
    gates.wait(f"{state['key']}:slow")
    gates.arrive(f"{state['key']}:slow ended")
    return {"log": ["slow"]}


siblings = (
    StateGraph(State)
    .add_node(fast)
    .add_node(fails_later)
    .add_node(slow)
    .add_edge(START, "fast")
    .add_edge(START, "fails_later")
    .add_edge(START, "slow")
    .compile()
)
"""One ends, one fails after it, and one goes on."""


def kills(state: State) -> dict[str, Any]:
    gates.arrive(f"{state['key']}:kills")
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


killer = StateGraph(State).add_node(kills).add_edge(START, "kills").compile()
