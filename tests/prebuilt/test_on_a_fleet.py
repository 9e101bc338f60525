"""Agents and their tools over Redis, RQ and the wire give what they give in this process."""

# pyright: basic, reportInvalidTypeForm=false

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool

from fleetgraph.config import get_stream_writer
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph
from fleetgraph.prebuilt import InjectedState, ToolNode, ToolRuntime, create_react_agent
from fleetgraph.prebuilt.chat_agent_executor import AgentState, AgentStatePydantic
from fleetgraph.prebuilt.tool_node import ToolInvocationError
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import Command
from tests.differential.normalise import Ids, canonical_run, layout_of, open_envelope
from tests.prebuilt.models import ScriptedModel
from tests.prebuilt.test_tool_node import call

MODES: Any = ["updates", "values", "messages", "custom", "tasks"]


class State(AgentState):
    user: str


class Model(AgentStatePydantic):
    user: str = "nobody"


@tool
def greet(word: str, user: Annotated[str, InjectedState("user")]) -> str:
    """Greet the user."""
    get_stream_writer()({"task": f"tools#{word}", "greeting": user})
    return f"{word} {user}"


@tool
def rename(to: str, tool_call_id: Annotated[str, InjectedToolCallId], runtime: ToolRuntime) -> Any:
    """Rename the user."""
    runtime.stream_writer({"task": "tools#rename", "was": dict(runtime.state)["user"]})
    return Command(update={"user": to, "messages": [ToolMessage(f"now {to}", tool_call_id=tool_call_id)]})


def calls(*asked: Any, id: str) -> AIMessage:
    return AIMessage("", tool_calls=list(asked), id=id)


def agent(schema: Any, version: Any) -> Any:
    replies = [
        calls(call("greet", 1, word="hello"), call("greet", 2, word="hi"), id="one"),
        calls(call("rename", 3, to="Bob"), call("nope", 4), call("greet", 5, wrong=1), id="two"),
        "all done",
    ]
    return create_react_agent(
        ScriptedModel(replies=replies), [greet, rename], state_schema=schema, version=version, prompt="be kind"
    )


@pytest.fixture(scope="module")
def fleet(redis_server: RedisServer) -> Iterator[Fleet]:
    with Fleet.inline(workers=2, url=redis_server.url) as fleet:
        yield fleet


def comparable(chunks: Any) -> list[Any]:
    opened = [open_envelope(chunk, MODES, "v1") for chunk in chunks]
    return canonical_run(opened, None, layout_of(opened), Ids())


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("schema", [State, Model], ids=lambda schema: schema.__name__)
def test_an_agent(schema: Any, version: str, fleet: Fleet) -> None:
    given = {"messages": [HumanMessage("hi", id="h1")], "user": "Ann"}
    here = list(agent(schema, version).stream(given, stream_mode=MODES))
    there = list(agent(schema, version).on(fleet).stream(given, stream_mode=MODES))
    assert comparable(there) == comparable(here)
    last = there[-1][1]
    assert last["user"] == "Bob"
    texts = [message.content for message in last["messages"]]
    assert texts[2:4] == ["hello Ann", "hi Ann"]
    assert texts[5] == "now Bob"
    assert texts[6].startswith("Error: nope is not a valid tool")
    assert texts[7].startswith("Error invoking tool 'greet'")


def test_an_error_of_a_call_arrives_as_what_it_is(fleet: Fleet) -> None:
    builder = StateGraph(State).add_node("tools", ToolNode([greet], handle_tool_errors=False))
    graph = builder.add_edge(START, "tools").compile()
    given = {"messages": [calls(call("greet", 1, wrong=1), id="a1")], "user": "Ann"}
    with pytest.raises(ToolInvocationError) as here:
        graph.invoke(given)
    with pytest.raises(ToolInvocationError) as there:
        graph.on(fleet).invoke(given)
    for name in ("message", "tool_name", "tool_kwargs", "filtered_errors"):
        assert getattr(there.value, name) == getattr(here.value, name)
    assert str(there.value) == str(here.value)
    assert str(there.value.source) == str(here.value.source)
