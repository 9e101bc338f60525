"""The clients that people use get along with the fake server."""

import threading
from collections.abc import Mapping
from typing import Any, cast

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI

from tests.openai_server import Gate, OpenAIServer, Reply, ToolCall
from tests.waiting import wait_until


def chat(server: OpenAIServer, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.url, api_key="x", model="fake", max_retries=0, **options)  # type: ignore[arg-type]


def client(server: OpenAIServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="x", max_retries=0)


HI: Any = [{"role": "user", "content": "say hi"}]


# --- the plain client --------------------------------------------------------------------------------------------


def test_a_whole_reply() -> None:
    with OpenAIServer("Hello  there, friend") as server, client(server) as api:
        completion = api.chat.completions.create(model="fake", messages=HI)
        assert completion.choices[0].message.content == "Hello  there, friend"
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (2, 3)
        (exchange,) = server.exchanges
        assert exchange.prompt == "say hi"
        assert exchange.headers["authorization"] == "Bearer x"


def test_a_streamed_reply() -> None:
    with OpenAIServer("Hello  there, friend") as server, client(server) as api:
        stream = api.chat.completions.create(model="fake", messages=HI, stream=True)
        chunks = [chunk.choices[0] for chunk in stream]
        assert [choice.delta.content for choice in chunks] == ["", "Hello", "  there,", " friend", None]
        assert [choice.finish_reason for choice in chunks] == [None, None, None, None, "stop"]


def test_usage_at_the_end_of_a_stream_when_asked_for() -> None:
    with OpenAIServer("Hello there") as server, client(server) as api:
        options: Any = {"include_usage": True}
        stream = list(api.chat.completions.create(model="fake", messages=HI, stream=True, stream_options=options))
        assert [chunk.usage.total_tokens if chunk.usage else None for chunk in stream] == [None] * 4 + [4]
        assert stream[-1].choices == []


def test_replies_in_order_and_the_last_one_again() -> None:
    with OpenAIServer("one", "two") as server, client(server) as api:
        said = [api.chat.completions.create(model="fake", messages=HI).choices[0].message.content for _ in range(3)]
        assert said == ["one", "two", "two"]


def test_a_reply_by_what_is_asked() -> None:
    def echo(request: Mapping[str, Any]) -> str:
        return f"you said: {request['messages'][-1]['content']}"

    with OpenAIServer(echo) as server, client(server) as api:
        assert api.chat.completions.create(model="fake", messages=HI).choices[0].message.content == "you said: say hi"


@pytest.mark.parametrize("stream", [False, True])
def test_an_error(stream: bool) -> None:
    with OpenAIServer(Reply("overloaded", status=500)) as server, client(server) as api:
        with pytest.raises(openai.InternalServerError, match="overloaded"):
            api.chat.completions.create(model="fake", messages=HI, stream=stream)
        assert not server.exchanges[0].complete


def test_a_connection_that_drops_before_a_whole_reply() -> None:
    with (
        OpenAIServer(Reply("Hello there", drop_after=0)) as server,
        client(server) as api,
        pytest.raises(openai.APIConnectionError),
    ):
        api.chat.completions.create(model="fake", messages=HI)


def test_a_connection_that_drops_in_the_middle() -> None:
    with OpenAIServer(Reply("one two three", drop_after=2)) as server, client(server) as api:
        got: list[str | None] = []
        stream = api.chat.completions.create(model="fake", messages=HI, stream=True)
        with pytest.raises(openai.APIConnectionError):
            got.extend(chunk.choices[0].delta.content for chunk in stream)
        assert got == ["", "one", " two"]
        assert server.exchanges[0].ended.wait(5)
        assert not server.exchanges[0].complete


def test_a_request_that_makes_no_sense() -> None:
    with OpenAIServer("x") as server, client(server) as api:
        with pytest.raises(openai.BadRequestError, match="needs a model and messages"):
            api.chat.completions.create(model="fake", messages=[])
        with pytest.raises(openai.NotFoundError, match="/v1/embeddings"):
            api.embeddings.create(model="fake", input="x")


def test_a_server_that_was_not_told_what_to_say() -> None:
    with OpenAIServer() as server, client(server) as api, pytest.raises(openai.BadRequestError, match="no reply"):
        api.chat.completions.create(model="fake", messages=HI)


# --- the gate ----------------------------------------------------------------------------------------------------


def test_no_token_before_it_is_let_through() -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two three", gate=gate)) as server, client(server) as api:
        stream = iter(api.chat.completions.create(model="fake", messages=HI, stream=True))
        assert next(stream).choices[0].delta.content == ""
        for sent, token in enumerate(["one", " two", " three"]):
            assert server.exchanges[0].sent == sent
            gate.let()
            assert next(stream).choices[0].delta.content == token
        assert next(stream).choices[0].finish_reason == "stop"
        assert list(stream) == []
        assert server.exchanges[0].ended.wait(5)
        assert server.exchanges[0].complete


def test_an_open_gate_holds_nothing_back() -> None:
    gate = Gate()
    gate.open()
    with OpenAIServer(Reply("one two three", gate=gate)) as server, client(server) as api:
        assert len(list(api.chat.completions.create(model="fake", messages=HI, stream=True))) == 5


def test_leaving_opens_the_gates() -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two three", gate=gate)) as server, client(server) as api:
        stream = api.chat.completions.create(model="fake", messages=HI, stream=True)
        next(iter(stream))
        threading.Thread(target=stream.close).start()
    assert server.exchanges[0].ended.is_set()


def test_a_client_that_goes_away_ends_the_exchange() -> None:
    gate = Gate()
    with OpenAIServer(Reply("word " * 1000, gate=gate)) as server, client(server) as api:
        with api.chat.completions.create(model="fake", messages=HI, stream=True) as stream:
            next(iter(stream))
        gate.open()
        wait_until(server.exchanges[0].ended.is_set, what="the end of the exchange")
        assert not server.exchanges[0].complete


# --- LangChain's client ------------------------------------------------------------------------------------------


def test_chat_model_invoke() -> None:
    with OpenAIServer("Hello there") as server:
        answer = chat(server).invoke([HumanMessage("say hi")])
        assert (type(answer), answer.content) == (AIMessage, "Hello there")
        assert answer.response_metadata["finish_reason"] == "stop"
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["total_tokens"] == 4


def test_chat_model_stream() -> None:
    with OpenAIServer("Hello there friend") as server:
        chunks = list(chat(server, stream_usage=True).stream("say hi"))
        assert [chunk.content for chunk in chunks if chunk.content] == ["Hello", " there", " friend"]
        whole: Any = sum(chunks[1:], chunks[0])
        assert isinstance(whole, AIMessageChunk)
        assert whole.usage_metadata is not None
        assert whole.usage_metadata["output_tokens"] == 3


async def test_chat_model_async() -> None:
    with OpenAIServer("Hello there friend") as server:
        model = chat(server)
        assert (await model.ainvoke("say hi")).content == "Hello there friend"
        assert [chunk.content async for chunk in model.astream("say hi") if chunk.content] == [
            "Hello",
            " there",
            " friend",
        ]
        assert [exchange.request.get("stream", False) for exchange in server.exchanges] == [False, True]


ADD: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}


@pytest.mark.parametrize("stream", [False, True])
def test_chat_model_tool_calls(stream: bool) -> None:
    reply = Reply(tool_calls=[ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3}, id="call_2")])
    with OpenAIServer(reply) as server:
        model: Any = cast(Any, chat(server)).bind_tools([ADD])
        answer = sum(list(model.stream("add")), AIMessageChunk(content="")) if stream else model.invoke("add")
        assert [(call["name"], call["args"], call["id"]) for call in answer.tool_calls] == [
            ("add", {"a": 1, "b": 2}, "call_1"),
            ("add", {"a": 3}, "call_2"),
        ]
        assert server.exchanges[0].request["tools"][0]["function"]["name"] == "add"


def test_chat_model_stream_that_drops() -> None:
    with OpenAIServer(Reply("one two three", drop_after=1)) as server:
        got: list[Any] = []
        with pytest.raises(openai.APIConnectionError):
            got.extend(chunk.content for chunk in chat(server).stream("say hi"))
        assert got == ["", "one"]


async def test_chat_model_tokens_one_by_one() -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two", gate=gate)) as server:
        stream = chat(server).astream("say hi")
        assert (await anext(stream)).content == ""
        for sent, token in enumerate(["one", " two"]):
            assert server.exchanges[0].sent == sent
            gate.let()
            assert (await anext(stream)).content == token
        assert not any([chunk.content async for chunk in stream])
