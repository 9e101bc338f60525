"""`add_messages` and `push_message` against LangGraph's."""

# pyright: basic, reportInvalidTypeForm=false

import inspect
import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from typing_extensions import TypedDict

from fleetgraph.graph import START, StateGraph
from fleetgraph.graph.message import add_messages
from tests.prebuilt.both import run, same

BLOCKS: Any = [
    {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "1234"}},
]

MERGES: dict[str, tuple[Any, Any]] = {
    "append": ([HumanMessage("a", id="1")], [AIMessage("b", id="2")]),
    "replace": ([HumanMessage("a", id="1"), HumanMessage("b", id="2")], [AIMessage("c", id="1")]),
    "twice_in_one": ([], [HumanMessage("a", id="1"), HumanMessage("b", id="1")]),
    "remove": ([HumanMessage("a", id="1"), HumanMessage("b", id="2")], [RemoveMessage(id="1")]),
    "remove_and_add": ([HumanMessage("a", id="1")], [RemoveMessage(id="1"), HumanMessage("b", id="1")]),
    "add_and_remove": ([], [HumanMessage("a", id="1"), RemoveMessage(id="1")]),
    "remove_nothing": ([HumanMessage("a", id="1")], [RemoveMessage(id="9")]),
    "remove_all": (
        [HumanMessage("a", id="1")],
        [HumanMessage("lost", id="2"), RemoveMessage(id="__remove_all__"), HumanMessage("kept", id="3")],
    ),
    "remove_all_twice": (
        [],
        [RemoveMessage(id="__remove_all__"), HumanMessage("lost", id="2"), RemoveMessage(id="__remove_all__")],
    ),
    "remove_all_of_conversation": ([RemoveMessage(id="__remove_all__"), HumanMessage("a", id="1")], []),
    "without_ids": ([HumanMessage("a")], [AIMessage("b")]),
    "one_of_each": (HumanMessage("a", id="1"), AIMessage("b", id="2")),
    "texts": ("a", ["b", ("system", "c"), {"role": "user", "content": "d", "id": "4"}]),
    "chunks": ([], [AIMessageChunk(content="a", id="1")]),
    "chunk_replaces": ([AIMessage("x", id="1")], [AIMessageChunk(content="a", id="1")]),
    "empty": ([], []),
    "no_message": ([], [5]),
    "blocks": ([HumanMessage(BLOCKS, id="1")], [SystemMessage("s", id="2")]),
    "calls": (
        [AIMessage("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}], id="1")],
        [ToolMessage("r", tool_call_id="c1", id="2")],
    ),
}


@pytest.mark.parametrize("kind", MERGES)
@pytest.mark.parametrize("format", [None, "langchain-openai", "other"])
def test_merging(kind: str, format: Any) -> None:
    left, right = MERGES[kind]

    def copied(messages: Any) -> Any:
        copy = lambda message: message.model_copy() if hasattr(message, "model_copy") else message  # noqa: E731
        return [copy(message) for message in messages] if isinstance(messages, list) else copy(messages)

    def program(lg: Any) -> Any:
        given = copied(left), copied(right)
        both = lg.add_messages(*given, format=format), lg.add_messages(format=format)(*given)
        return both, given  # messages are given their ids in place

    same(program)


@pytest.mark.parametrize("arguments", [(["a"], None), (None, ["a"])], ids=str)
def test_only_one_side(arguments: Any) -> None:
    got = same(lambda lg: lg.add_messages(*arguments))
    assert "Must specify non-null arguments" in got["text"]


def test_the_conversation_itself_is_left_alone() -> None:
    old = [HumanMessage("a", id="1")]
    new = add_messages(old, [AIMessage("b", id="2")])
    assert (len(old), len(new)) == (1, 2)
    assert new[0] is old[0]


def test_it_can_be_a_reducer_with_a_format() -> None:
    def program(lg: Any) -> Any:
        class State(TypedDict):
            messages: Annotated[list[AnyMessage], lg.add_messages(format="langchain-openai")]

        def node(state: Any) -> Any:
            return {"messages": [AIMessage("seen", id="2")]}

        graph = lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": [HumanMessage(BLOCKS, id="1")]}, ["values"])

    assert "data:image/jpeg;base64,1234" in str(same(program))


def test_both_uses_look_like_reducers() -> None:
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for reducer in (add_messages, add_messages(format="langchain-openai")):
        kinds = [parameter.kind for parameter in inspect.signature(reducer).parameters.values()]
        assert kinds.count(positional) == 2


# --- push_message ------------------------------------------------------------------------------------------------

MODES = ["messages", "updates", "values", "custom"]
BOTH_WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH_WAYS
def test_pushed_messages_come_at_once_and_are_kept(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        def node(state: Any) -> Any:
            lg.push_message(AIMessage("one moment", id="p1"))
            lg.get_stream_writer()("after the first")
            lg.push_message({"role": "assistant", "content": "nearly", "id": "p2"})
            lg.push_message(AIMessage("not kept", id="p3"), state_key=None)
            lg.push_message(AIMessage("again", id="p1"))
            return {"messages": [AIMessage("done", id="p4"), AIMessage("nearly, edited", id="p2")]}

        def silent(state: Any) -> Any:
            lg.push_message(AIMessage("all", id="p5"))

        graph = lg.StateGraph(lg.MessagesState).add_sequence([node, silent]).add_edge(lg.START, "node").compile()
        given = {"messages": [HumanMessage("hi", id="h1")]}
        return run(graph, given, MODES, is_async=is_async, config={"tags": ["t"], "metadata": {"k": "v"}})

    got = same(program)
    pushed = [chunk[2][1][1]["id"] for chunk in got if chunk[1] == "messages"]
    assert pushed == ["p1", "p2", "p3", "p1", "p4", "p5"]
    assert got[-1][2]["messages"][-1][1]["id"] == "p5"


def test_pushed_to_another_key() -> None:
    def program(lg: Any) -> Any:
        class State(TypedDict):
            notes: Annotated[list, operator.add]
            note: Any

        def node(state: Any) -> Any:
            lg.push_message(AIMessage("a note", id="n1"), state_key="note")

        return run(lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile(), {"notes": []}, MODES)

    assert "a note" in str(same(program))


def test_pushed_without_an_id() -> None:
    def program(lg: Any) -> Any:
        def node(state: Any) -> Any:
            lg.push_message(AIMessage("which?"))

        graph = lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, MODES)

    assert same(program)[-1]["text"] == "Message ID is required"


def test_pushed_outside_of_a_node() -> None:
    assert same(lambda lg: lg.push_message(AIMessage("nobody", id="1")))["raised"] == "RuntimeError"


def test_pushed_by_an_attempt_that_failed() -> None:
    """It was shown, but is not in the state: writes of failed attempts don't count."""

    def program(lg: Any) -> Any:
        attempts: list[int] = []

        def node(state: Any) -> Any:
            attempts.append(1)
            lg.push_message(AIMessage(f"attempt {len(attempts)}", id=f"p{len(attempts)}"))
            if len(attempts) == 1:
                raise ConnectionError("again")

        policy = lg.RetryPolicy(initial_interval=0.001, jitter=False)
        graph = lg.StateGraph(lg.MessagesState).add_node(node, retry_policy=policy).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, ["messages", "values"])

    got = same(program)
    assert [chunk[1] for chunk in got].count("messages") == 2
    assert [message[1]["id"] for message in got[-1][2]["messages"]] == ["p2"]


def test_pushed_out_of_a_tool_in_a_thread() -> None:
    from langchain_core.tools import tool

    def program(lg: Any) -> Any:
        @tool
        def say(n: int) -> str:
            """Say."""
            lg.push_message(AIMessage(f"in tool {n}", id=f"p{n}"))
            return "said"

        calls: Any = [{"name": "say", "args": {"n": n}, "id": f"c{n}", "type": "tool_call"} for n in (1, 2)]
        given = {"messages": [AIMessage("", tool_calls=calls, id="a1")]}
        graph = (
            lg.StateGraph(lg.MessagesState).add_node("tools", lg.ToolNode([say])).add_edge(lg.START, "tools").compile()
        )
        chunks = run(graph, given, ["messages", "values"])
        shown = sorted(payload[0].content for mode, payload in chunks if mode == "messages")
        return shown, sorted(message.content for message in chunks[-1][1]["messages"])

    assert same(program)[1] == ["in tool 1", "in tool 2", "said", "said"]


def test_a_state_without_langchain_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain_core", None)
    with pytest.raises(ImportError, match="fleetgraph\\[langchain\\]"):
        add_messages([], [])


def test_importing_the_reducer_needs_no_langchain() -> None:
    """A graph of other states is described and run without it."""

    class State(TypedDict):
        n: Annotated[int, operator.add]

    graph = StateGraph(State).add_node("more", lambda state: {"n": 1}).add_edge(START, "more").compile()
    assert graph.invoke({"n": 1}) == {"n": 2}
