"""Messages of models that are not LangChain's: `fleetgraph.messages`."""

# pyright: basic

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from fleetgraph import messages
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, MessagesState, StateGraph
from fleetgraph.messages import MessageWriter, astream_message, stream_message
from fleetgraph.prebuilt import ToolNode
from fleetgraph.redis_server import RedisServer
from tests.openai_server import Gate, OpenAIServer, Reply, ToolCall

REPOSITORY = Path(__file__).parents[2]
URL = "FLEETGRAPH_TEST_MODEL_URL"
TEXT = "Cats sleep all day"
TOKENS = ["Cats", " sleep", " all", " day"]


def graph_of(node: Any) -> Any:
    return StateGraph(MessagesState).add_node("say", node).add_edge(START, "say").compile()


def shown(chunks: Any) -> list[tuple[Any, Any]]:
    """The (message, metadata) pairs among chunks of several modes."""
    return [payload for mode, payload in chunks if mode == "messages"]


@pytest.fixture
def model_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts a server, and tells the nodes where it is."""
    servers: list[OpenAIServer] = []

    def start(*replies: Any) -> OpenAIServer:
        server = OpenAIServer(*replies)
        servers.append(server.__enter__())
        monkeypatch.setenv(URL, server.url)
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


# --- the openai client -------------------------------------------------------------------------------------------

REQUEST: Any = {
    "model": "fake",
    "messages": [{"role": "user", "content": "Tell me about cats"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def ask_openai(state: Any) -> Any:
    with openai.OpenAI(base_url=os.environ[URL], api_key="x", max_retries=0) as client:
        return {"messages": [stream_message(client.chat.completions.create(**REQUEST), tags=["cats"])]}


async def ask_openai_async(state: Any) -> Any:
    async with openai.AsyncOpenAI(base_url=os.environ[URL], api_key="x", max_retries=0) as client:
        chunks = await client.chat.completions.create(**REQUEST)
        return {"messages": [await astream_message(chunks, tags=["cats"])]}


graph, async_graph = graph_of(ask_openai), graph_of(ask_openai_async)
CONFIG: Any = {"tags": ["run"], "metadata": {"k": "v"}}


async def every(graph: Any, mode: Any, *, is_async: bool) -> list[Any]:
    if is_async:
        return [chunk async for chunk in graph.astream({"messages": []}, CONFIG, stream_mode=mode)]
    return await asyncio.to_thread(lambda: list(graph.stream({"messages": []}, CONFIG, stream_mode=mode)))


def check_openai_chunks(chunks: list[Any]) -> None:
    tokens = shown(chunks)
    assert [message.content for message, _ in tokens if message.content] == TOKENS
    assert {type(message) for message, _ in tokens} == {AIMessageChunk}
    assert len({message.id for message, _ in tokens}) == 1
    for _, metadata in tokens:
        assert metadata["tags"] == ["run", "cats"]
        assert metadata["k"] == "v"
        assert metadata["langgraph_node"] == "say"
        assert metadata["langgraph_step"] == 1
    [answer] = chunks[-1][1]["say"]["messages"]
    assert type(answer) is AIMessage
    assert (answer.content, answer.id) == (TEXT, tokens[0][0].id)
    assert answer.response_metadata == {"finish_reason": "stop", "model_name": "fake"}
    assert answer.usage_metadata == {"input_tokens": 4, "output_tokens": 4, "total_tokens": 8}
    whole = tokens[0][0]
    for chunk, _ in tokens[1:]:
        whole += chunk
    assert message_chunk_to_message(whole) == answer


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_tokens_of_the_openai_client(is_async: bool, model_url: Any) -> None:
    model_url(TEXT)
    chunks = await every(async_graph if is_async else graph, ["messages", "updates"], is_async=is_async)
    check_openai_chunks(chunks)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_tokens_of_the_openai_client_on_a_fleet(
    is_async: bool, model_url: Any, redis_server: RedisServer
) -> None:
    model_url(TEXT)
    there = async_graph if is_async else graph
    with Fleet.inline(url=redis_server.url) as fleet:
        chunks = await every(there.on(fleet), ["messages", "updates"], is_async=is_async)
    check_openai_chunks(chunks)


def test_each_token_arrives_before_the_next_is_sent(model_url: Any) -> None:
    gate = Gate()
    server = model_url(Reply(TEXT, gate=gate))
    chunks = graph.stream({"messages": []}, stream_mode="messages")
    for sent, token in enumerate(TOKENS):
        gate.let()
        assert next(chunks)[0].content == token
        assert server.exchanges[0].sent == sent + 1
    assert not any(message.content for message, _ in chunks)


async def test_each_token_arrives_before_the_next_is_sent_async(model_url: Any) -> None:
    gate = Gate()
    server = model_url(Reply(TEXT, gate=gate))
    chunks = async_graph.astream({"messages": []}, stream_mode="messages")
    for sent, token in enumerate(TOKENS):
        gate.let()
        assert (await anext(chunks))[0].content == token
        assert server.exchanges[0].sent == sent + 1
    assert not any([message.content async for message, _ in chunks])


def test_tool_calls_of_the_openai_client_are_run(model_url: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    calls = [ToolCall("add", {"a": 1, "b": 2}, "c1"), ToolCall("add", {"a": 3, "b": 4}, "c2")]
    model_url(Reply(tool_calls=calls))
    builder = StateGraph(MessagesState).add_sequence([("ask", ask_openai), ("tools", ToolNode([add]))])
    agent = builder.add_edge(START, "ask").compile()
    chunks = list(agent.stream({"messages": []}, stream_mode=["messages", "values"]))
    asked, *answers = chunks[-1][1]["messages"]
    assert [(call["name"], call["args"], call["id"]) for call in asked.tool_calls] == [
        ("add", {"a": 1, "b": 2}, "c1"),
        ("add", {"a": 3, "b": 4}, "c2"),
    ]
    assert [(answer.content, answer.tool_call_id) for answer in answers] == [("3", "c1"), ("7", "c2")]
    parts = [message for message, _ in shown(chunks) if message.id == asked.id]
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    assert whole.tool_calls == asked.tool_calls


def test_a_connection_that_breaks_raises_after_what_it_said(model_url: Any) -> None:
    model_url(Reply(TEXT, drop_after=2))
    seen: list[str] = []
    with pytest.raises(openai.APIConnectionError):
        for message, _ in graph.stream({"messages": []}, stream_mode="messages"):
            seen.append(message.content)
    assert seen == TOKENS[:2]


# --- other sources -----------------------------------------------------------------------------------------------


def chunk_of(content: Any = None, **more: Any) -> dict[str, Any]:
    """A chunk as clients have it that give dicts."""
    return {"choices": [{"index": 0, "delta": {"content": content, **more}, "finish_reason": None}], "model": "m"}


SOURCES: dict[str, list[Any]] = {
    "texts": ["a", "", "b"],
    "dicts": [chunk_of(role="assistant"), chunk_of("a"), chunk_of("b"), {"choices": []}],
    "objects": [
        SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content=text), index=0)]) for text in "ab"
    ],
    "several_answers": [
        {"choices": [{"index": 1, "delta": {"content": "x"}}]},
        *(chunk_of("a"), chunk_of("b")),
        {"choices": [{"index": 1, "delta": {"content": "y"}}, {"index": 0, "delta": {}}]},
    ],
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_sources(kind: str, is_async: bool) -> None:
    async def items() -> AsyncIterator[Any]:
        for item in SOURCES[kind]:
            yield item

    def say(state: Any) -> Any:
        return {"messages": [stream_message(SOURCES[kind], id="m1", metadata={"ls_model_name": "mine"})]}

    async def asay(state: Any) -> Any:
        return {"messages": [await astream_message(items(), id="m1", metadata={"ls_model_name": "mine"})]}

    chunks = await every(graph_of(asay if is_async else say), ["messages", "values"], is_async=is_async)
    assert [(message.content, message.id) for message, _ in shown(chunks)] == [("a", "m1"), ("b", "m1")]
    assert {metadata["ls_model_name"] for _, metadata in shown(chunks)} == {"mine"}
    [answer] = chunks[-1][1]["messages"]
    assert (answer.content, answer.id) == ("ab", "m1")


def test_items_in_which_the_text_must_be_found() -> None:
    events = [("delta", "a"), ("other", None), ("delta", "b")]

    def say(state: Any) -> Any:
        return {"messages": [stream_message(events, text=lambda event: event[1])]}

    assert [message.content for message, _ in graph_of(say).stream({"messages": []}, stream_mode="messages")] == [
        "a",
        "b",
    ]


def test_items_that_are_nothing_of_the_kind() -> None:
    def say(state: Any) -> Any:
        stream_message([object()])

    with pytest.raises(TypeError, match=r"got builtins\.object\. Say where its text is: text=lambda item"):
        graph_of(say).invoke({"messages": []})


def test_a_writer_lets_the_node_look() -> None:
    def say(state: Any) -> Any:
        writer = MessageWriter()
        for token in ["go ", "on ", "STOP ", "never"]:
            writer.write(token)
            if "STOP" in writer.content:
                break
        return {"messages": [writer.message()]}

    chunks = list(graph_of(say).stream({"messages": []}, stream_mode=["messages", "values"]))
    assert [message.content for message, _ in shown(chunks)] == ["go ", "on ", "STOP "]
    assert chunks[-1][1]["messages"][0].content == "go on STOP "


def test_a_writer_in_a_thread_of_the_node() -> None:
    def say(state: Any) -> Any:
        writer = MessageWriter()
        thread = threading.Thread(target=lambda: [writer.write(token) for token in TOKENS])
        thread.start()
        thread.join()
        return {"messages": [writer.message()]}

    assert [message.content for message, _ in graph_of(say).stream({"messages": []}, stream_mode="messages")] == TOKENS


def test_nothing_said_is_a_message_all_the_same() -> None:
    """It was not shown yet, so it is when the node returns it: once, empty, as an empty answer of any model."""

    def say(state: Any) -> Any:
        return {"messages": [stream_message([])]}

    chunks = list(graph_of(say).stream({"messages": []}, stream_mode=["messages", "values"]))
    assert [(type(message), message.content) for message, _ in shown(chunks)] == [(AIMessage, "")]


def test_nostream_hides_the_tokens_but_not_the_message() -> None:
    def say(state: Any) -> Any:
        return {"messages": [stream_message(["a", "b"], tags=["nostream"])]}

    assert [message.content for message, _ in graph_of(say).stream({"messages": []}, stream_mode="messages")] == ["ab"]


def test_a_message_that_is_not_returned_was_shown() -> None:
    def say(state: Any) -> None:
        stream_message(["a", "b"])

    assert [message.content for message, _ in graph_of(say).stream({"messages": []}, stream_mode="messages")] == [
        "a",
        "b",
    ]


def test_tags_are_left_out_where_there_are_none() -> None:
    def say(state: Any) -> None:
        stream_message(["a"])

    [(_, metadata)] = graph_of(say).stream({"messages": []}, stream_mode="messages")
    assert "tags" not in metadata


def test_an_attempt_that_failed_has_another_id() -> None:
    """What it said stays shown; the next attempt is another message, not the rest of that one."""
    from fleetgraph.types import RetryPolicy

    attempts: list[int] = []

    def source() -> Iterator[str]:
        attempts.append(1)
        yield "a"
        if len(attempts) == 1:
            raise ConnectionError("again")
        yield "b"

    def say(state: Any) -> Any:
        return {"messages": [stream_message(source())]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    graph = StateGraph(MessagesState).add_node(say, retry_policy=policy).add_edge(START, "say").compile()
    chunks = list(graph.stream({"messages": []}, stream_mode=["messages", "values"]))
    first, *rest = [message.id for message, _ in shown(chunks)]
    assert len(rest) == 2
    assert set(rest) == {chunks[-1][1]["messages"][0].id}
    assert first not in rest


def test_chunks_are_not_made_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> Any:
        raise AssertionError("made a chunk that nobody asked for")

    monkeypatch.setattr(messages, "_chunk", never)

    def say(state: Any) -> Any:
        return {"messages": [stream_message(["a", "b"])]}

    graph = graph_of(say)
    assert graph.invoke({"messages": []})["messages"][0].content == "ab"
    with pytest.raises(AssertionError, match="nobody asked for"):
        list(graph.stream({"messages": []}, stream_mode="messages"))


def test_outside_of_a_node() -> None:
    with pytest.raises(RuntimeError):
        stream_message(["a"])


CALLS: dict[str, tuple[list[Any], Any]] = {
    "no_arguments": ([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}], {}),
    "in_pieces": (
        [
            {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a'}},
            {"index": 0, "function": {"arguments": '": 1}'}},
        ],
        {"a": 1},
    ),
    "broken": ([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a'}}], '{"a'),
    "no_object": ([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "[1]"}}], "[1]"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_tool_calls(kind: str) -> None:
    pieces, arguments = CALLS[kind]
    answers: list[Any] = []

    def say(state: Any) -> None:
        answers.append(stream_message([chunk_of(tool_calls=[piece]) for piece in pieces]))

    graph_of(say).invoke({"messages": []})
    [answer] = answers
    found = answer.tool_calls if isinstance(arguments, dict) else answer.invalid_tool_calls
    assert [(call["name"], call["args"], call["id"]) for call in found] == [("f", arguments, "c1")]
    assert len(answer.tool_calls) + len(answer.invalid_tool_calls) == 1


# --- without LangChain -------------------------------------------------------------------------------------------

WITHOUT_LANGCHAIN = """
import sys
for name in ("langchain_core", "langgraph"):
    sys.modules[name] = None

import json, operator, os
from typing import Annotated, Any, TypedDict
import openai
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph
from fleetgraph.messages import stream_message

class State(TypedDict):
    said: Annotated[list[Any], operator.add]

def say(state: State):
    with openai.OpenAI(base_url=os.environ["URL"], api_key="x", max_retries=0) as client:
        chunks = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}], stream=True)
        return {"said": [stream_message(chunks, tags=["t"])]}

def repeat(state: State):
    return {"said": state["said"]}

graph = StateGraph(State).add_sequence([say, repeat]).add_edge(START, "say").compile()

def played(graph: Any) -> Any:
    shown, last = [], None
    for mode, payload in graph.stream({"said": []}, stream_mode=["messages", "values"]):
        if mode == "messages":
            message, metadata = payload
            calls = message.tool_call_chunks
            shown.append([type(message).__name__, message.type, message.id, message.content, calls, metadata["tags"]])
        else:
            last = [[type(m).__name__, m.type, m.id, m.content, m.tool_calls] for m in payload["said"]]
    return shown, last

here = played(graph)
with Fleet.inline(url=os.environ["REDIS"]) as fleet:
    there = played(graph.on(fleet))
print(json.dumps([here, there]))
"""


def test_without_langchain(redis_server: RedisServer) -> None:
    """In a process that has none: here, and over the wire."""
    reply = Reply("one two", tool_calls=[ToolCall("add", {"a": 1})])
    with OpenAIServer(reply) as server:
        roots = [str(REPOSITORY / name) for name in ("coordinator", "worker", "shared")]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_LANGCHAIN],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(roots), "URL": server.url, "REDIS": redis_server.url},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr
    for chunks, said in json.loads(done.stdout):
        call = {"name": "add", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}
        assert [message[:2] + message[3:] for message in said] == [["Message", "ai", "one two", [call]]] * 2
        assert {chunk[2] for chunk in chunks} == {said[0][2]}
        assert {(chunk[0], chunk[1]) for chunk in chunks} == {("MessageChunk", "AIMessageChunk")}
        assert [chunk[3] for chunk in chunks if chunk[3]] == ["one", " two"]
        assert "".join(part["args"] or "" for chunk in chunks for part in chunk[4]) == '{"a": 1}'
        assert chunks[0][5] == ["t"]
