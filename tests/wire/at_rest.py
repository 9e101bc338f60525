"""A graph that has a marker wherever an application can put something, for whoever looks for it in Redis."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from fleetgraph.cache.redis import RedisCache
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.config import get_stream_writer
from fleetgraph.func import task
from fleetgraph.graph import START, StateGraph
from fleetgraph.store.base import BaseStore
from fleetgraph.store.redis import RedisStore
from fleetgraph.types import CachePolicy, Send, interrupt
from fleetgraph.wire.connection import url_of_environment

MARKER = "marker-4711"


@dataclass
class Note:
    text: str


class State(TypedDict, total=False):
    text: str
    notes: Annotated[list[Note], operator.add]
    answer: str


@task
def called(text: str) -> str:
    return f"{text} called"


def write(state: State, *, store: BaseStore) -> State:
    get_stream_writer()({"progress": state["text"]})
    store.put(("notes",), "one", {"text": state["text"]})
    found = store.get(("notes",), "one")
    assert found is not None
    return {"text": f"{called(found.value['text']).result()} written", "notes": [Note(state["text"] * 1000)]}


def fan_out(state: State) -> list[Send]:
    return [Send("sent", {"text": f"{state['text']} {number}"}) for number in range(3)]


def sent(state: State) -> State:
    return {"notes": [Note(state["text"])]}


def ask(state: State) -> State:
    return {"answer": interrupt({"question": state["text"]})}


def finish(state: State) -> State:
    if state["answer"] == f"{MARKER} fail":
        raise ValueError(f"failed on {state['text']}")
    return {}


def _graph() -> Any:
    url = url_of_environment()
    builder = StateGraph(State)
    builder.add_node("write", write, cache_policy=CachePolicy())
    builder.add_node("sent", sent, cache_policy=CachePolicy())
    builder.add_node("ask", ask)
    builder.add_node("finish", finish)
    builder.add_edge(START, "write")
    builder.add_conditional_edges("write", fan_out, ["sent"])
    builder.add_edge("sent", "ask")
    builder.add_edge("ask", "finish")
    return builder.compile(checkpointer=RedisSaver(url), store=RedisStore(url), cache=RedisCache(url))


graph = _graph() if "FLEETGRAPH_TEST_AT_REST" in os.environ else None
