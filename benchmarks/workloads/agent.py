"""A ready-made agent that asks a model, and calls the tool that it wants, again and again."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from benchmarks.model import Samples
from benchmarks.workloads.whole_runs import timed


def look_up(word: str) -> str:
    """Look a word up."""
    return f"There is much to be said about {word}."


def build(library: str, saver: Any, calls: int) -> Any:
    """An agent whose model wants so many calls of its tool."""
    from benchmarks.workloads.chat_model import Caller

    create = import_module(f"{library}.prebuilt").create_react_agent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangGraph has a successor to it, in another package
        return create(Caller(calls=calls), [look_up], checkpointer=saver)


def round(runnable: Any, size: int, *, calls: int) -> Samples:
    """One run; `size` does not matter."""
    inputs = {"messages": [("user", "Tell me about words.")]}
    return timed(runnable, inputs, chunks=2 * calls + 1, limit=2 * calls + 2)
