"""Graphs for clients that do not have them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, NamedTuple, TypedDict

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.func import entrypoint
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter, interrupt
from tests.fleet import gates

# --- values of classes that a client may not know --------------------------------------------------------------------


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Place(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Note:
    text: str
    mood: Mood


class Typed(TypedDict):
    note: Note
    place: Place
    seen: set[Note]


def typed_node(state: Typed) -> dict[str, Any]:
    note = Note(f"{state['note'].text}!", Mood.BAD)
    return {"note": note, "place": Place(1, 2), "seen": {note}}


typed = StateGraph(Typed).add_node("write", typed_node).add_edge(START, "write").compile()


@dataclass
class Settings:
    greeting: str


class Given(TypedDict):
    name: str
    scratch: str
    answer: str


class Answer(TypedDict):
    answer: str


def greet(state: Given, runtime: Any) -> dict[str, Any]:
    return {"scratch": "used", "answer": f"{runtime.context.greeting} {state['name']}"}


narrow = (
    StateGraph(Given, context_schema=Settings, output_schema=Answer).add_node(greet).add_edge(START, "greet").compile()
)


@entrypoint()
def nothing(given: str) -> None:
    """Returns None, as its whole state."""


# --- graphs in graphs ------------------------------------------------------------------------------------------------


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def say(name: str) -> Any:
    def node(state: Log, writer: StreamWriter) -> dict[str, Any]:
        writer(f"{name} speaks")
        return {"log": [name]}

    return node


_inner = StateGraph(Log).add_node("deep", say("deep")).add_edge(START, "deep").compile()
_child = (
    StateGraph(Log)
    .add_node("before", say("before"))
    .add_node("inner", _inner)
    .add_edge(START, "before")
    .add_edge("before", "inner")
    .compile()
)
family = (
    StateGraph(Log)
    .add_node("top", say("top"))
    .add_node("child", _child)
    .add_edge(START, "top")
    .add_edge("top", "child")
    .compile()
)

# --- threads ---------------------------------------------------------------------------------------------------------


class Asked(TypedDict):
    topic: str
    log: Annotated[list[str], operator.add]


def think(state: Asked) -> dict[str, Any]:
    return {"log": [f"thought of {state['topic']}"]}


def review(state: Asked) -> dict[str, Any]:
    return {"log": [f"review: {interrupt({'ok?': state['topic']})}"]}


asking = (
    StateGraph(Asked)
    .add_node(think)
    .add_node(review)
    .add_edge(START, "think")
    .add_edge("think", "review")
    .compile(InMemorySaver())
)


class Held(TypedDict):
    key: str
    log: Annotated[list[str], operator.add]


def hold(state: Held, writer: StreamWriter) -> dict[str, Any]:
    writer("holds")
    gates.arrive(state["key"])
    gates.wait(state["key"])
    writer("goes on")
    return {"log": [state["key"]]}


def after(state: Held, writer: StreamWriter) -> dict[str, Any]:
    writer("after")
    return {"log": [f"after {len(state['log'])}"]}


holding = (
    StateGraph(Held)
    .add_node(hold)
    .add_node(after)
    .add_edge(START, "hold")
    .add_edge("hold", "after")
    .compile(InMemorySaver())
)
"""Stays in its first node until the gate `key` opens."""

held_without_saver = (
    StateGraph(Held).add_node(hold).add_node(after).add_edge(START, "hold").add_edge("hold", "after").compile()
)
