"""Graphs whose nodes wait for their reader, to show what happens before what without a sleep.

`Signals` of this process stand for time: a node waits for one, the test sets it once it has seen what must come first.
So these programs run where their nodes share a process with the test: on LangGraph, in-process, and on an inline fleet.
"""

# pyright: reportInvalidTypeForm=false, reportUnknownParameterType=false, reportUnknownMemberType=false

import asyncio
import operator
import threading
from collections import defaultdict
from typing import Annotated, Any
from uuid import uuid4

from typing_extensions import TypedDict

from tests.differential.libraries import Library

TIMEOUT_SECONDS = 20.0
"""Below the time limit of a test, so that a signal that never comes fails the test where it is waited for."""


class Signals:
    """Named events, and a list of what happened."""

    def __init__(self) -> None:
        self._events: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self.log: list[str] = []

    def set(self, name: str) -> None:
        self._events[name].set()

    def wait(self, name: str) -> None:
        """Raises TimeoutError when the signal doesn't come."""
        if not self._events[name].wait(TIMEOUT_SECONDS):
            raise TimeoutError(f"nobody set {name!r}; so far: {self.log}")


_SIGNALS: defaultdict[str, Signals] = defaultdict(Signals)


def signals(key: str) -> Signals:
    """The signals of one run, the same object for the test and the nodes."""
    return _SIGNALS[key]


class State(TypedDict):
    key: str
    log: Annotated[list[str], operator.add]


def new_input() -> State:
    return {"key": uuid4().hex, "log": []}


def speaking(lg: Library) -> Any:
    """A node that waits after each word until the reader has it."""

    def speaks(state: State, writer: lg.StreamWriter) -> dict[str, Any]:
        for n in range(3):
            signals(state["key"]).log.append(f"said {n}")
            writer({"task": "speaks", "n": n})
            signals(state["key"]).wait(f"heard {n}")
        return {"log": ["spoke"]}

    return lg.StateGraph(State).add_node(speaks).add_edge(lg.START, "speaks").compile()


def counting(lg: Library) -> Any:
    """Three nodes in a row that note when they run."""

    def noting(name: str) -> Any:
        def node(state: State) -> dict[str, Any]:
            signals(state["key"]).log.append(name)
            return {"log": [name]}

        return node

    builder = lg.StateGraph(State).add_sequence([(name, noting(name)) for name in "abc"])
    return builder.add_edge(lg.START, "a").compile()


def early_and_late(lg: Library) -> Any:
    """Two parallel nodes: `late` waits until the reader has the update of `early`."""

    def early(state: State) -> dict[str, Any]:
        return {"log": ["early"]}

    def late(state: State) -> dict[str, Any]:
        signals(state["key"]).wait("early was read")
        return {"log": ["late"]}

    builder = lg.StateGraph(State).add_node(late).add_node(early)
    return builder.add_edge(lg.START, "early").add_edge(lg.START, "late").compile()


def failing_after_a_sibling(lg: Library) -> Any:
    """Two parallel nodes: `fails` fails when the reader has the update of `fast`."""

    def fast(state: State) -> dict[str, Any]:
        return {"log": ["fast"]}

    def fails(state: State) -> dict[str, Any]:
        signals(state["key"]).wait("fast was read")
        raise ValueError("boom")

    builder = lg.StateGraph(State).add_node(fast).add_node(fails)
    return builder.add_edge(lg.START, "fast").add_edge(lg.START, "fails").compile()


def failing_before_a_sibling(lg: Library) -> Any:
    """Two parallel nodes: when `slow` was heard, `fails` fails, and `slow` goes on until the failure was read."""

    def slow(state: State, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "slow"})
        signals(state["key"]).wait("the failure was read")
        signals(state["key"]).log.append("slow ended")
        return {"log": ["slow"]}

    def fails(state: State) -> dict[str, Any]:
        signals(state["key"]).wait("slow was heard")
        raise ValueError("boom")

    builder = lg.StateGraph(State).add_node(slow).add_node(fails)
    return builder.add_edge(lg.START, "slow").add_edge(lg.START, "fails").compile()


def failing_before_an_async_sibling(lg: Library) -> Any:
    """The same with nodes on the event loop, where what goes on can be cancelled."""

    async def slow(state: State) -> dict[str, Any]:
        signals(state["key"]).set("slow started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            signals(state["key"]).log.append("slow was cancelled")
            raise
        return {}

    async def fails(state: State) -> dict[str, Any]:
        await asyncio.to_thread(signals(state["key"]).wait, "slow started")
        raise ValueError("boom")

    builder = lg.StateGraph(State).add_node(slow).add_node(fails)
    return builder.add_edge(lg.START, "slow").add_edge(lg.START, "fails").compile()
