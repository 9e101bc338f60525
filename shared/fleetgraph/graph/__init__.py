"""Describing graphs."""

from fleetgraph.constants import END, START
from fleetgraph.graph.compiled import CompiledStateGraph
from fleetgraph.graph.message import MessagesState, add_messages
from fleetgraph.graph.state import StateGraph

__all__ = ["END", "START", "CompiledStateGraph", "MessagesState", "StateGraph", "add_messages"]
