"""A node that asks a chat model over the network."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig

from fleetgraph.graph import START, StateGraph
from fleetgraph.graph.message import add_messages


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


def model(config: RunnableConfig) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=config["configurable"]["model_url"], api_key="none", model="scripted", max_retries=0)


def answer(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"messages": [model(config).invoke(state["messages"])]}


async def async_answer(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"messages": [await model(config).ainvoke(state["messages"])]}


graph = StateGraph(State).add_node(answer).add_edge(START, "answer").compile()
async_graph = StateGraph(State).add_node("answer", async_answer).add_edge(START, "answer").compile()
