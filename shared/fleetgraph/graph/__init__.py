"""Describing graphs."""

from typing import TYPE_CHECKING, Any

from fleetgraph.constants import END, START
from fleetgraph.graph import state
from fleetgraph.graph.message import MessagesState, add_messages
from fleetgraph.graph.state import StateGraph

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledStateGraph


def __getattr__(name: str) -> Any:
    # What runs graphs is not needed to describe them, and takes longer to import: it is there when it is asked for.
    if name == "CompiledStateGraph":
        return state.CompiledStateGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["END", "START", "CompiledStateGraph", "MessagesState", "StateGraph", "add_messages"]
