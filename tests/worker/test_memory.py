"""What a worker keeps of tasks that have ended: nothing, and not only when Python collects its garbage."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph
from tests.waiting import wait_until


@dataclass
class Large:
    text: str


class State(TypedDict):
    large: Large


seen: list[weakref.ref[Large]] = []


def look(state: State) -> None:
    seen.append(weakref.ref(state["large"]))


async def look_later(state: State) -> None:
    seen.append(weakref.ref(state["large"]))
    await asyncio.sleep(0)


def graph_of(node: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


GRAPHS = {"function": graph_of(look), "coroutine": graph_of(look_later)}


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", ["function", "coroutine"])
def test_the_input_of_a_task_that_has_ended(redis_url: str, name: str) -> None:
    seen.clear()
    with Fleet.inline(url=redis_url, concurrency=2) as fleet:
        graph = GRAPHS[name].on(fleet)
        for number in range(5):
            graph.invoke({"large": Large(f"{number}")})
        assert len(seen) == 5
        wait_until(lambda: all(reference() is None for reference in seen))
