"""Plays a program with LangGraph's names and with ours, and compares what came of it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

from tests.differential.normalise import Ids, canonical_error, freeze

LibraryName = Literal["langgraph", "fleetgraph"]

Program = Callable[[Any], Any]
"""A function of a library's names. What it returns or raises is compared."""


_HOMES = {
    "graph": ("START", "END", "StateGraph", "MessagesState"),
    "graph.message": ("REMOVE_ALL_MESSAGES", "add_messages", "push_message"),
    "types": ("Send", "Command", "RetryPolicy", "interrupt"),
    "config": ("get_config", "get_stream_writer"),
    "checkpoint.memory": ("InMemorySaver",),
    "store.memory": ("InMemoryStore",),
    "prebuilt": (
        *("InjectedState", "InjectedStore", "ToolNode", "ToolRuntime"),
        *("create_react_agent", "tools_condition"),
    ),
    "prebuilt.chat_agent_executor": ("AgentState", "AgentStatePydantic"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


class Names:
    """The names of one library, found where users find them."""

    def __init__(self, name: LibraryName) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(f"{self._name}.{_HOME[name]}"), name)


def played(program: Program, name: LibraryName) -> Any:
    """What a program returns or raises, as plain data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return freeze(program(Names(name)), Ids())
        except Exception as error:
            return canonical_error(error, Ids())


def same(program: Program) -> Any:
    """What both libraries make of a program, once it is known to be the same."""
    theirs, ours = played(program, "langgraph"), played(program, "fleetgraph")
    assert ours == theirs
    return ours


def run(graph: Any, given: Any, mode: Any = "updates", *, is_async: bool = False, **arguments: Any) -> list[Any]:
    """The chunks of a run; what it raises is the last of them."""
    chunks: list[Any] = []

    def sync_run() -> None:
        chunks.extend(graph.stream(given, stream_mode=mode, **arguments))

    async def async_run() -> None:
        async for chunk in graph.astream(given, stream_mode=mode, **arguments):
            chunks.append(chunk)

    try:
        if is_async:
            asyncio.run(async_run())
        else:
            sync_run()
    except Exception as error:
        chunks.append(canonical_error(error, Ids()))
    return chunks
