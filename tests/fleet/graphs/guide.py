"""The graph of the streaming guide, saying something in every stream mode; with and without a saver."""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.config import get_stream_writer
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter


class State(TypedDict):
    topic: str
    joke: str


def refine_topic(state: State, writer: StreamWriter) -> dict[str, Any]:
    writer({"refining": state["topic"]})
    return {"topic": state["topic"] + " and cats"}


def generate_joke(state: State) -> dict[str, Any]:
    writer = get_stream_writer()
    writer("thinking")
    model = GenericFakeChatModel(messages=iter([AIMessage(f"This is a joke about {state['topic']}")]))
    answer = model.invoke(f"Generate a joke about {state['topic']}")
    writer("done")
    return {"joke": answer.content}


builder = (
    StateGraph(State)
    .add_node(refine_topic)
    .add_node(generate_joke)
    .add_edge(START, "refine_topic")
    .add_edge("refine_topic", "generate_joke")
)

graph = builder.compile()
saved = builder.compile(InMemorySaver())
