"""Describing graphs."""

from typing import TYPE_CHECKING, Any

from fleetgraph.constants import END, START
from fleetgraph.graph.message import MessagesState, add_messages
from fleetgraph.graph.state import StateGraph

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledStateGraph


def __getattr__(name: str) -> Any:
    # What runs graphs is not needed to describe them, and takes longer to import.
    if name == "CompiledStateGraph":
        from fleetgraph.graph.compiled import CompiledStateGraph

        return CompiledStateGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["END", "START", "CompiledStateGraph", "MessagesState", "StateGraph", "add_messages"]
