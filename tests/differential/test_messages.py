"""The `messages` mode: what LangGraph streams of chat models and returned messages, token by token, and no later."""

import os
from functools import partial
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from tests.differential.libraries import Library, LibraryName, library
from tests.differential.normalise import Chunk, Ids, canonical_run, freeze, open_envelope
from tests.openai_server import Gate, OpenAIServer, Reply, ToolCall

BOTH: list[LibraryName] = ["langgraph", "fleetgraph"]


# --- a model at the other end of a socket ------------------------------------------------------------------------

URL = "FLEETGRAPH_TEST_MODEL_URL"


def ask_openai(state: Any) -> dict[str, Any]:
    """A node as people write it; the server's address comes through the environment."""
    model = ChatOpenAI(base_url=os.environ[URL], api_key="x", model="fake", max_retries=0)  # type: ignore[arg-type]
    return {"messages": [model.invoke(state["messages"])]}


async def ask_openai_async(state: Any) -> dict[str, Any]:
    model = ChatOpenAI(base_url=os.environ[URL], api_key="x", model="fake", max_retries=0)  # type: ignore[arg-type]
    return {"messages": [await model.ainvoke(state["messages"])]}


def answer(chat: Any, state: Any) -> dict[str, Any]:
    return {"messages": [chat.invoke(state["messages"])]}


def chatbot(lg: Library, node: Any) -> Any:
    return lg.StateGraph(lg.MessagesState).add_node("ask", node).add_edge(lg.START, "ask").compile()


HI = {"messages": [HumanMessage("hi", id="h1")]}


@pytest.mark.parametrize(
    "reply",
    [Reply("Hello there friend"), Reply(tool_calls=[ToolCall("add", {"a": 1})]), Reply("one two", drop_after=1)],
    ids=["text", "tool_call", "drops"],
)
def test_openai_tokens_are_the_same(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed: list[Any] = []
    for name in BOTH:
        with OpenAIServer(reply) as server:
            monkeypatch.setenv(URL, server.url)
            chunks: list[Chunk] = []
            error: Exception | None = None
            try:
                for raw in chatbot(library(name), ask_openai).stream(HI, stream_mode=["messages", "updates"]):
                    chunks.append(open_envelope(raw, ["messages", "updates"], "v1"))
            except Exception as raised:
                error = raised
            assert (error is None) == (reply.drop_after is None)
            streamed.append(canonical_run(chunks, error, [], Ids()))
    assert streamed[0] == streamed[1]


@pytest.mark.parametrize("name", BOTH)
def test_a_token_arrives_before_the_next_is_sent(name: LibraryName, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two three", gate=gate)) as server:
        monkeypatch.setenv(URL, server.url)
        chunks = chatbot(library(name), ask_openai).stream(HI, stream_mode="messages")
        assert next(chunks)[0].content == ""
        for sent, token in enumerate(["one", " two", " three"]):
            assert server.exchanges[0].sent == sent
            gate.let()
            assert next(chunks)[0].content == token
        assert not any(message.content for message, _ in chunks)


@pytest.mark.parametrize("name", BOTH)
async def test_a_token_arrives_before_the_next_is_sent_async(
    name: LibraryName, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two three", gate=gate)) as server:
        monkeypatch.setenv(URL, server.url)
        chunks = chatbot(library(name), ask_openai_async).astream(HI, stream_mode="messages")
        assert (await anext(chunks))[0].content == ""
        for sent, token in enumerate(["one", " two", " three"]):
            assert server.exchanges[0].sent == sent
            gate.let()
            assert (await anext(chunks))[0].content == token
        assert not any([message.content async for message, _ in chunks])


def test_ids_of_streamed_and_saved_messages_agree() -> None:
    """A client that shows tokens can replace them by the message of the state."""
    for name in BOTH:
        chat = GenericFakeChatModel(messages=iter(["a few words"]))
        graph = chatbot(library(name), partial(answer, chat))
        chunks = list(graph.stream(HI, stream_mode=["messages", "values"]))
        streamed = {payload[0].id for mode, payload in chunks if mode == "messages"}
        assert streamed == {chunks[-1][1]["messages"][-1].id}
        assert freeze(streamed, Ids()) == ("set", "lc_run--<id 0>")
