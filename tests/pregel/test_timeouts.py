"""Time limits of nodes that are graphs."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest

from fleetgraph.errors import NodeTimeoutError, NotSupported
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import RetryPolicy, TimeoutPolicy


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def graph(waiting: list[bool], **options: Any) -> Any:
    """A graph in a node; it waits for ever as often as there are items."""

    async def waits(state: State) -> dict[str, Any]:
        if waiting:
            waiting.pop()
            await asyncio.Event().wait()
        return {"log": ["done"]}

    inner = StateGraph(State).add_node(waits).add_edge(START, "waits").compile()
    return StateGraph(State).add_node("inner", inner, **options).add_edge(START, "inner").compile()


async def test_a_graph_that_takes_too_long_is_ended() -> None:
    with pytest.raises(NodeTimeoutError, match=r"Node 'inner' exceeded its run timeout of 0\.200s"):
        await graph([True], timeout=0.2).ainvoke({"log": []})


async def test_and_tried_again_if_its_policy_says_so() -> None:
    retry = RetryPolicy(initial_interval=0.01, jitter=False)
    assert await graph([True], timeout=0.2, retry_policy=retry).ainvoke({"log": []}) == {"log": ["done"]}


def test_a_time_without_progress_is_not_measured_there() -> None:
    with pytest.raises(NotSupported, match="idle_timeout"):
        graph([], timeout=TimeoutPolicy(idle_timeout=1))
