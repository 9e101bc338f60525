"""The demo's graph: the one of LangGraph's streaming guide, with a poem written beside the joke."""

from __future__ import annotations

import operator
import os
from importlib.util import find_spec
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.config import get_stream_writer
from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    topic: str
    joke: str
    poem: str
    ran_on: Annotated[list[str], operator.add]


def _model(text: str) -> Any:
    """A chat model that says `text`, word by word, without a network."""
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    return GenericFakeChatModel(messages=iter([AIMessage(text)]))


def _place(node: str) -> list[str]:
    return [f"{node}: process {os.getpid()}"]


def refine_topic(state: State) -> dict[str, Any]:
    return {"topic": state["topic"] + " and cats", "ran_on": _place("refine_topic")}


def generate_joke(state: State) -> dict[str, Any]:
    text = f"This is a joke about {state['topic']}"
    if find_spec("langchain_core"):
        text = _model(text).invoke(f"Generate a joke about {state['topic']}").content
    return {"joke": text, "ran_on": _place("generate_joke")}


def generate_poem(state: State) -> dict[str, Any]:
    writer = get_stream_writer()
    for line in range(1, 4):
        writer({"poem": f"line {line} of 3, written in process {os.getpid()}"})
    return {"poem": f"This is a poem about {state['topic']}", "ran_on": _place("generate_poem")}


graph = (
    StateGraph(State)
    .add_node(refine_topic)
    .add_node(generate_joke)
    .add_node(generate_poem)
    .add_edge(START, "refine_topic")
    .add_edge("refine_topic", "generate_joke")
    .add_edge("refine_topic", "generate_poem")
    .compile(InMemorySaver(), name="demo")
)
