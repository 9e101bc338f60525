"""A loop over a state of many channels, all of which its node reads, and some of which it writes."""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Annotated, Any, Final, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.whole_runs import timed

STEPS: Final = 20

WRITTEN: Final = 10
"""Channels that a superstep writes."""


def _state(channels: int) -> Any:
    make: Any = TypedDict  # its fields are known when it runs only
    return make(
        "State",
        {"done": Annotated[int, operator.add], **{f"value{number}": dict[str, int] for number in range(channels)}},
    )


def build(library: str, saver: Any, channels: int) -> Any:
    """A state of so many channels, beside one that counts."""
    graph = import_module(f"{library}.graph")

    def change(state: dict[str, Any]) -> dict[str, Any]:
        first = state["done"] * WRITTEN
        names = (f"value{number % channels}" for number in range(first, first + WRITTEN))
        return {"done": 1, **{name: {**state[name], str(first): first} for name in names}}

    def again(state: dict[str, Any]) -> str:
        return "change" if state["done"] < STEPS else "__end__"

    builder = graph.StateGraph(_state(channels))
    builder.add_node("change", change)
    builder.add_edge(graph.START, "change")
    builder.add_conditional_edges("change", again, ["change", graph.END])
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, channels: int) -> Samples:
    """One run; `size` does not matter."""
    inputs = {"done": 0, **{f"value{number}": {"number": number} for number in range(channels)}}
    return timed(runnable, inputs, chunks=STEPS, limit=STEPS + 1)
