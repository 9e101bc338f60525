"""A fan-out of nodes that wait, as those do that call a model, and the time until all are done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread

NAP_SECONDS: Final = 0.1


class State(TypedDict):
    naps: int


def nap(number: int) -> None:
    """The node, as a plain function."""
    time.sleep(NAP_SECONDS)


async def anap(number: int) -> None:
    """The node, as a coroutine."""
    await asyncio.sleep(NAP_SECONDS)


def build(library: str, saver: Any, asynchronous: bool) -> Any:
    """As many naps at once as the input says."""
    graph, types = import_module(f"{library}.graph"), import_module(f"{library}.types")

    def fan_out(state: State) -> Sequence[Any]:
        return [types.Send("nap", number) for number in range(state["naps"])]

    builder = graph.StateGraph(State)
    builder.add_node("nap", anap if asynchronous else nap)
    builder.add_conditional_edges(graph.START, fan_out, ["nap"])
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, asynchronous: bool, slots: int | None = None) -> Samples:
    """The seconds that a run of `size` naps takes; in one process, `slots` of them at once."""
    config = new_thread(max_concurrency=slots) if slots else new_thread()
    started = time.perf_counter()
    seen = asyncio.run(_acount(runnable, size, config)) if asynchronous else _count(runnable, size, config)
    taken = time.perf_counter() - started
    if seen != size:
        raise AssertionError(f"{seen} naps of {size}")
    return {"run": [taken]}


def _count(runnable: Any, size: int, config: Any) -> int:
    return sum(1 for _ in runnable.stream({"naps": size}, config, stream_mode="updates"))


async def _acount(runnable: Any, size: int, config: Any) -> int:
    seen = 0
    async for _ in runnable.astream({"naps": size}, config, stream_mode="updates"):
        seen += 1
    return seen
