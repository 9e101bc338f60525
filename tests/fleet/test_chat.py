"""Tokens of a real chat-model client, in a node on a worker, reach the caller one by one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from tests.fleet.graphs import chat
from tests.fleet.observing import comparable
from tests.fleet.processes import Worker
from tests.openai_server import Gate, OpenAIServer, Reply

TEXT = "Cats sleep all day long"
TOKENS = ["Cats", " sleep", " all", " day", " long"]
GIVEN = {"messages": [("user", "Tell me about cats")]}


def config(server: OpenAIServer) -> Any:
    return {"configurable": {"model_url": server.url}, "tags": ["about cats"], "metadata": {"asked_by": "a test"}}


def test_each_token_arrives_before_the_next_is_sent(fleet: Fleet, pair: list[Worker]) -> None:
    gate = Gate()
    seen: list[str] = []
    with OpenAIServer(Reply(TEXT, gate=gate)) as server:
        gate.let()
        for message, metadata in chat.graph.on(fleet).stream(GIVEN, config(server), stream_mode="messages"):
            if not message.content:
                continue
            seen.append(message.content)
            [exchange] = server.exchanges
            assert exchange.sent == len(seen)
            assert metadata["langgraph_node"] == "answer"
            assert metadata["langgraph_step"] == 1
            assert metadata["langgraph_checkpoint_ns"].startswith("answer:")
            assert metadata["asked_by"] == "a test"
            assert metadata["tags"] == ["about cats"]
            assert metadata["ls_provider"] == "openai"
            gate.let()
    assert seen == TOKENS
    assert exchange.complete


async def test_each_token_of_an_async_node_arrives_before_the_next_is_sent(fleet: Fleet) -> None:
    gate = Gate()
    seen: list[str] = []
    with OpenAIServer(Reply(TEXT, gate=gate)) as server:
        gate.let()
        async for message, metadata in chat.async_graph.on(fleet).astream(
            GIVEN, config(server), stream_mode="messages"
        ):
            if not message.content:
                continue
            seen.append(message.content)
            assert server.exchanges[0].sent == len(seen)
            assert metadata["langgraph_node"] == "answer"
            gate.let()
    assert seen == TOKENS


@pytest.mark.parametrize("modes", ["messages", ["messages", "updates", "values", "tasks"]], ids=["one mode", "several"])
async def test_chunks_are_those_of_a_run_in_this_process(fleet: Fleet, modes: Any) -> None:
    with OpenAIServer(TEXT) as server:
        here = list(chat.graph.stream(GIVEN, config(server), stream_mode=modes))
        there = list(chat.graph.on(fleet).stream(GIVEN, config(server), stream_mode=modes))
        async_here = [c async for c in chat.async_graph.astream(GIVEN, config(server), stream_mode=modes)]
        async_there = [c async for c in chat.async_graph.on(fleet).astream(GIVEN, config(server), stream_mode=modes)]
    assert without_ids(comparable(there, modes)) == without_ids(comparable(here, modes))
    assert without_ids(comparable(async_there, modes)) == without_ids(comparable(async_here, modes))


def without_ids(value: Any) -> Any:
    """The scripted server numbers its answers, and so the messages' ids."""
    if isinstance(value, dict):
        return {key: without_ids(part) for key, part in value.items() if key not in ("id", "model_url")}
    if isinstance(value, list | tuple):
        return [without_ids(part) for part in value]
    return value


def test_a_conversation_comes_out_the_same(fleet: Fleet) -> None:
    with OpenAIServer(TEXT) as server:
        here = chat.graph.invoke(GIVEN, config(server))
        there = chat.graph.on(fleet).invoke(GIVEN, config(server))
    assert [(m.type, m.content) for m in there["messages"]] == [("human", "Tell me about cats"), ("ai", TEXT)]
    assert [type(message) for message in there["messages"]] == [type(message) for message in here["messages"]]


def test_two_conversations_at_once_do_not_mix(fleet: Fleet) -> None:
    def reply(request: Any) -> str:
        return " ".join([str(request["messages"][-1]["content"])] * 5)

    async def talk(word: str, server: OpenAIServer) -> list[str]:
        stream = chat.async_graph.on(fleet).astream(
            {"messages": [("user", word)]}, config(server), stream_mode="messages"
        )
        return [message.content async for message, _ in stream if message.content]

    async def all_of_them(server: OpenAIServer) -> list[list[str]]:
        return await asyncio.gather(*(talk(word, server) for word in ("miau", "wuff", "muh", "quak")))

    with OpenAIServer(reply) as server:
        answers = asyncio.run(all_of_them(server))
    assert ["".join(answer) for answer in answers] == [" ".join([word] * 5) for word in ("miau", "wuff", "muh", "quak")]


def test_a_model_that_fails_raises_at_the_caller(fleet: Fleet) -> None:
    import langchain_openai  # an exception is rebuilt where its package is in use  # noqa: F401
    import openai

    with OpenAIServer(Reply("out of cats", status=500)) as server, pytest.raises(openai.InternalServerError) as caught:
        chat.graph.on(fleet).invoke(GIVEN, config(server))
    assert "out of cats" in str(caught.value)
    assert "During task with name 'answer'" in caught.value.__notes__[0]
