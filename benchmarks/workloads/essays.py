"""A fan-out of subgraphs, in each of which a draft is revised a few times."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final, TypedDict

from benchmarks.model import Samples
from benchmarks.workloads.whole_runs import timed

REVISIONS: Final = 3


class Essay(TypedDict):
    topic: str
    draft: str
    revisions: int
    essays: Annotated[list[str], operator.add]


class State(TypedDict):
    topics: list[str]
    essays: Annotated[list[str], operator.add]


def draft(essay: Essay) -> dict[str, Any]:
    """The first node of the subgraph."""
    return {"draft": f"On {essay['topic']}.", "revisions": 0}


def revise(essay: Essay) -> dict[str, Any]:
    """The node that it comes back to."""
    return {"draft": f"{essay['draft']} More of it.", "revisions": essay["revisions"] + 1}


def hand_in(essay: Essay) -> dict[str, Any]:
    """The last node of the subgraph."""
    return {"essays": [essay["draft"]]}


def is_good(essay: Essay) -> str:
    """The branch behind `revise`."""
    return "hand_in" if essay["revisions"] == REVISIONS else "revise"


def build(library: str, saver: Any) -> Any:
    """A subgraph for each topic."""
    graph, types = import_module(f"{library}.graph"), import_module(f"{library}.types")

    inner = graph.StateGraph(Essay)
    inner.add_node("draft", draft)
    inner.add_node("revise", revise)
    inner.add_node("hand_in", hand_in)
    inner.add_edge(graph.START, "draft")
    inner.add_edge("draft", "revise")
    inner.add_conditional_edges("revise", is_good, ["revise", "hand_in"])

    def assign(state: State) -> Sequence[Any]:
        return [types.Send("write", {"topic": topic}) for topic in state["topics"]]

    outer = graph.StateGraph(State)
    outer.add_node("write", inner.compile())
    outer.add_conditional_edges(graph.START, assign, ["write"])
    return outer.compile(checkpointer=saver)


def round(runnable: Any, size: int, *, topics: int) -> Samples:
    """One run; `size` does not matter."""
    inputs = {"topics": [f"topic {number}" for number in range(topics)], "essays": []}
    return timed(runnable, inputs, chunks=topics, limit=25)
