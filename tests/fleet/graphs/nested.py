"""Graphs inside graphs, functions called as tasks, questions: what a worker's slot must not be held by."""

from __future__ import annotations

import operator
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.store.base import BaseStore
from fleetgraph.store.memory import InMemoryStore
from fleetgraph.types import RetryPolicy, interrupt
from tests.fleet import gates


class State(TypedDict):
    key: str
    log: Annotated[list[str], operator.add]


def leaf(state: State) -> dict[str, Any]:
    return {"log": ["leaf"]}


def inside(name: str, node: Any) -> Any:
    """A graph with one node, which may be a graph."""
    return StateGraph(State).add_node(name, node).add_edge(START, name).compile()


three_deep = inside("outer", inside("middle", inside("inner", inside("leaf", leaf))))


def calls_a_graph(state: State) -> dict[str, Any]:
    return {"log": inside("leaf", leaf).invoke({"key": "", "log": []})["log"]}


calling = inside("calls", calls_a_graph)


@task
def double(number: int) -> int:
    return 2 * number


@task
def gated(key: str, number: int) -> int:
    """Ends once its gate is open, and tells each time it runs."""
    gates.arrive(f"{key}:{number}")
    gates.wait(f"{key}:{number}")
    return number


@entrypoint()
def ten_tasks(start: int) -> int:
    """Waits for ten tasks that run at once."""
    return sum(future.result() for future in [double(start + number) for number in range(10)])


@entrypoint()
def two_gates(key: str) -> list[int]:
    """Waits for one task, then for another."""
    gates.arrive(f"{key}:caller")
    return [gated(key, 1).result(), gated(key, 2).result()]


def ask(name: str) -> Any:
    def node(state: State) -> dict[str, Any]:
        gates.meet(f"{state['key']}:{len(state['log'])}", 2)  # both ask at the same time
        return {"log": [f"{name} in {os.getpid()}: {interrupt(name)}"]}

    return node


asking = (
    StateGraph(State)
    .add_node("one", ask("one"))
    .add_node("two", ask("two"))
    .add_edge(START, "one")
    .add_edge(START, "two")
)
"""Two nodes that ask at the same time, wherever they run; to be compiled with the test's saver."""


def busy(state: State) -> dict[str, Any]:
    """Computes for ever at its first try."""
    if gates.arrive(f"{state['key']}:busy") == 1:
        while True:
            pass
    return {"log": ["done"]}


def blocked(state: State) -> dict[str, Any]:
    """Sits in a single call."""
    time.sleep(6)
    return {"log": ["never seen"]}


impatient = (
    StateGraph(State)
    .add_node(busy, timeout=0.3, retry_policy=RetryPolicy(initial_interval=0.01, jitter=False))
    .add_edge(START, "busy")
    .compile()
)
stuck = StateGraph(State).add_node(blocked, timeout=0.3).add_edge(START, "blocked").compile()

store = InMemoryStore()


def remember(state: State, store: BaseStore) -> dict[str, Any]:
    known = store.search(("notes",))
    store.put(("notes",), state["key"], {"pid": os.getpid(), "known": len(known)})
    return {"log": [item.key for item in store.search(("notes",), filter={"known": len(known)})]}


remembering = StateGraph(State).add_node(remember).add_edge(START, "remember").compile(store=store)


def asks_and_stays(state: State) -> dict[str, Any]:
    """Is still at work, after it was answered, when its worker dies."""
    answer = interrupt("go on?")
    if gates.arrive(f"{state['key']}:answered") == 1:
        gates.wait(f"{state['key']}:never")
    return {"log": [answer]}


staying = StateGraph(State).add_node(asks_and_stays).add_edge(START, "asks_and_stays").compile(InMemorySaver())


def asks_in_threads(state: State) -> dict[str, Any]:
    """Three threads ask at once, as a `ToolNode`'s tools do."""
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(copy_context().run, interrupt, number) for number in range(3)]
    return {"log": [future.result() for future in futures]}


crowd = StateGraph(State).add_node(asks_in_threads).add_edge(START, "asks_in_threads").compile(InMemorySaver())
