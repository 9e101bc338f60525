"""The names a graph program uses, from LangGraph or from Fleetgraph, behind one object.

A program that takes its names from a `Library` can be built with either, which is what makes two runs of it
comparable. Both libraries lay out their modules alike, so one loader serves both: moving a program from one to the
other changes nothing but the first word of its imports.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

LibraryName = Literal["langgraph", "fleetgraph"]


@dataclass(frozen=True)
class Library:
    """What graph programs import from a graph library. Programs are untyped in it, on purpose: there are two."""

    name: LibraryName
    START: Any
    END: Any
    StateGraph: Any
    MessagesState: Any
    add_messages: Any
    Send: Any
    Command: Any
    Overwrite: Any
    StreamWriter: Any
    Runtime: Any
    get_runtime: Any
    get_config: Any
    get_stream_writer: Any
    InMemorySaver: Any


_HOMES = {
    "graph": ("START", "END", "StateGraph", "MessagesState", "add_messages"),
    "types": ("Send", "Command", "Overwrite", "StreamWriter"),
    "runtime": ("Runtime", "get_runtime"),
    "config": ("get_config", "get_stream_writer"),
    "checkpoint.memory": ("InMemorySaver",),
}


@cache
def library(name: LibraryName) -> Library:
    """The library called `name`. Raises ImportError or AttributeError when a name is not where users look for it."""
    names = {
        attribute: getattr(import_module(f"{name}.{home}"), attribute)
        for home, attributes in _HOMES.items()
        for attribute in attributes
    }
    return Library(name=name, **names)
