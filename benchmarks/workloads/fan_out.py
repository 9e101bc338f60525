"""One superstep of many `Send` tasks, each of which does nothing but write, and the time per task."""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread


class State(TypedDict):
    tasks: int
    began: float
    done: Annotated[list[int], operator.add]


def plan(state: State) -> dict[str, float]:
    """The node before the fan-out, with whose end the time begins: what follows is for the tasks."""
    return {"began": time.time()}


def work(number: int) -> dict[str, list[int]]:
    """The node of the tasks."""
    return {"done": [number]}


def build(library: str, saver: Any) -> Any:
    """A node that fans out to as many tasks as the input says."""
    graph, types = import_module(f"{library}.graph"), import_module(f"{library}.types")

    def fan_out(state: State) -> Sequence[Any]:
        return [types.Send("work", number) for number in range(state["tasks"])]

    builder = graph.StateGraph(State)
    builder.add_node("plan", plan)
    builder.add_node("work", work)
    builder.add_edge(graph.START, "plan")
    builder.add_conditional_edges("plan", fan_out, ["work"])
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, width: int | None = None) -> Samples:
    """The seconds per task of fan-outs of `width` tasks: one of all `size` by default, or as many as make up `size`."""
    width = size if width is None else min(width, size)
    return {"task": [_one(runnable, width) for _ in range(size // width)]}


def _one(runnable: Any, width: int) -> float:
    chunks = runnable.stream({"tasks": width, "done": []}, new_thread(), stream_mode="updates")
    began: float = next(chunks)["plan"]["began"]
    numbers = [chunk["work"]["done"][0] for chunk in chunks]
    taken = time.time() - began
    if sorted(numbers) != list(range(width)):
        raise AssertionError(f"not the tasks that were asked for: {len(numbers)} of {width}")
    return taken / width
