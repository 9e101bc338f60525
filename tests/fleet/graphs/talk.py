"""A node that talks, with pauses that last until somebody opens a gate."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter
from tests.fleet import gates


class State(TypedDict):
    key: str
    words: int
    pauses: list[int]
    """Before which words it waits at the gate `<key>:<word>`; one more than there are words: before it ends."""
    size: int
    """Bytes that each word drags along."""
    said: Annotated[int, operator.add]


def talk(state: State, writer: StreamWriter) -> dict[str, Any]:
    for word in range(1, state["words"] + 2):
        if word in state["pauses"]:
            gates.arrive(f"{state['key']}:{word}")
            gates.wait(f"{state['key']}:{word}")
        if word <= state["words"]:
            writer({"word": word, "ballast": b"." * state["size"]})
    return {"said": state["words"]}


def conclude(state: State, writer: StreamWriter) -> dict[str, Any]:
    writer("the end")
    return {"said": 1}


graph = (
    StateGraph(State).add_node(talk).add_node(conclude).add_edge(START, "talk").add_edge("talk", "conclude").compile()
)
