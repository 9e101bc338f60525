"""A node that emits events as fast as it can, and the time per event until the caller has them all."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.threads import new_thread


class State(TypedDict):
    events: int


def build(library: str, saver: Any, tokens: bool = False) -> Any:
    """One node that emits.

    Args:
        library: `langgraph` or `fleetgraph`.
        saver: Its saver.
        tokens: Whether the events are the tokens of a chat model, which the mode `messages` shows, and not
            `custom` events.
    """
    graph, config = import_module(f"{library}.graph"), import_module(f"{library}.config")

    def custom(state: State) -> None:
        write = config.get_stream_writer()
        write({"at": time.time()})
        for number in range(state["events"]):
            write({"number": number})

    def talk(state: State) -> None:
        from benchmarks.workloads.chat_model import Talker

        model = Talker(tokens=state["events"])
        config.get_stream_writer()({"at": time.time()})
        for _ in model.stream("go on"):
            pass

    builder = graph.StateGraph(State)
    builder.add_node("emit", talk if tokens else custom)
    builder.add_edge(graph.START, "emit")
    return builder.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, tokens: bool = False) -> Samples:
    """The seconds per event of a flood of `size`: from the first one's making to the last one's arrival."""
    modes = ["custom", "messages"] if tokens else ["custom"]
    began, seen = 0.0, 0
    for mode, chunk in runnable.stream({"events": size}, new_thread(), stream_mode=modes):
        if mode == "custom" and "at" in chunk:
            began = chunk["at"]
        else:
            seen += 1
    taken = time.time() - began
    # A model's last chunk may be an empty one that says so.
    if seen not in (size, size + tokens):
        raise AssertionError(f"{seen} events of {size}")
    return {"event": [taken / size]}
