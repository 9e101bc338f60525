"""Which messages `messages` shows, and which it knows already: what LangGraph shows."""

# pyright: basic, reportInvalidTypeForm=false

import asyncio
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.prebuilt.both import run, same

MODES = ["messages", "updates"]
BOTH_WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class State(TypedDict, total=False):
    messages: Annotated[list, operator.add]
    other: Any


class Model(BaseModel):
    messages: Annotated[list, operator.add] = []
    other: Any = None


@dataclass(slots=True)
class Slotted:
    messages: Annotated[list, operator.add] = field(default_factory=list)
    other: Any = None


def ai(id: str | None, text: str = "text") -> AIMessage:
    return AIMessage(text, id=id)


RETURNED: dict[str, Callable[[Any], Any]] = {
    "dict": lambda lg: {"messages": [ai("1"), ai("2")], "other": ai("3")},
    "no_ids": lambda lg: {"messages": [ai(None)]},
    "twice": lambda lg: {"messages": [ai("1")], "other": ai("1")},
    "known": lambda lg: {"messages": [HumanMessage("edited", id="h1"), RemoveMessage(id="h1"), ai("2")]},
    "tuple": lambda lg: {"messages": [], "other": (ai("1"), "text", ai("2"))},
    "nested": lambda lg: {"messages": [[ai("1")]], "other": {"deep": ai("2")}},
    "text": lambda lg: {"messages": ["text"], "other": "text"},
    "chunk": lambda lg: {"messages": [AIMessageChunk(content="a", id="1")]},
    "no_message": lambda lg: {"messages": [("ai", "pair"), {"role": "ai", "content": "dict", "id": "1"}]},
    "unknown_key": lambda lg: {"messages": [], "nowhere": ai("1")},
    "overwrite": lambda lg: {"messages": {"__overwrite__": [ai("1")]}},
    "pydantic": lambda lg: Model(messages=[ai("1")], other=ai("2")),
    "dataclass": lambda lg: Slotted(messages=[ai("1")], other=ai("2")),
    "command": lambda lg: lg.Command(update={"messages": [ai("1")]}),
    "command_of_pairs": lambda lg: lg.Command(update=[("messages", [ai("1")]), ("other", ai("2"))]),
    "command_of_instance": lambda lg: lg.Command(update=Slotted(messages=[ai("1")], other=ai("2"))),
    "commands": lambda lg: [
        lg.Command(update={"messages": [ai("1")]}),
        {"messages": [ai("2")], "other": ai("3")},
        lg.Command(update={"messages": [ai("4")]}),
    ],
    "command_without_update": lambda lg: [lg.Command(goto="__end__"), {"messages": [ai("1")]}],
    "send": lambda lg: lg.Command(goto=[lg.Send("node", {"messages": [ai("1")], "other": "stop"})]),
    "none": lambda lg: None,
}


@pytest.mark.parametrize("kind", RETURNED)
@pytest.mark.parametrize("schema", [State, Model, Slotted], ids=lambda schema: schema.__name__)
def test_returned(kind: str, schema: Any) -> None:
    def program(lg: Any) -> Any:
        def node(state: Any) -> Any:
            if isinstance(state, dict) and state.get("other") == "stop":
                return {"messages": state["messages"]}
            return RETURNED[kind](lg)

        graph = lg.StateGraph(schema).add_node(node, input_schema=schema).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": [HumanMessage("hi", id="h1")]}, MODES)

    same(program)


ROOTS: dict[str, Any] = {
    "message": ai("1"),
    "list": [ai("1"), HumanMessage("known", id="h1"), ai("2")],
    "nested": [[ai("1")], (ai("2"),), {"x": ai("3")}],
    "texts": ["a", "b"],
}


@pytest.mark.parametrize("kind", ROOTS)
def test_returned_as_the_whole_state(kind: str) -> None:
    def program(lg: Any) -> Any:
        def add(left: Any, right: Any) -> Any:
            return [*left, *(right if isinstance(right, list) else [right])]

        def node(state: Any) -> Any:
            return ROOTS[kind]

        graph = lg.StateGraph(Annotated[list, add]).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, [HumanMessage("hi", id="h1")], MODES)

    same(program)


SENT: dict[str, Callable[[], Any]] = {
    "message": lambda: ai("1"),
    "list": lambda: [ai("1")],
    "dict": lambda: {"any": ai("1")},
    "dict_of_list": lambda: {"any": [ai("1")]},
    "dataclass": lambda: Slotted(other=ai("1")),
    "pydantic": lambda: Model(other=ai("1")),
    "nested": lambda: {"any": {"deep": ai("1")}},
}


@pytest.mark.parametrize("kind", SENT)
def test_given_and_returned(kind: str) -> None:
    """Which messages of its input a node may return without their being shown."""

    def program(lg: Any) -> Any:
        def spread(state: Any) -> Any:
            return [lg.Send("node", SENT[kind]())]

        def node(given: Any) -> Any:
            return {"messages": [ai("1", "again"), ai("2", "new")]}

        graph = lg.StateGraph(State).add_node(node).add_conditional_edges(lg.START, spread, ["node"]).compile()
        return run(graph, {"messages": []}, MODES)

    same(program)


# --- models ------------------------------------------------------------------------------------------------------


def model(*answers: Any, **options: Any) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(answers), **options)


def calls_in_turn(*asks: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A program whose node asks its model in some ways."""

    def program(lg: Any) -> Any:
        def node(state: Any) -> Any:
            for ask in asks:
                ask(model("a b", "c d", "e f"))
            return {"messages": [ai("done")]}

        graph = lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, MODES, config={"tags": ["run"], "metadata": {"k": "v"}})

    return program


def taken(chunks: Any, number: int) -> None:
    for _ in range(number):
        next(chunks)
    chunks.close()


class Silent(BaseCallbackHandler):
    """A callback of the caller's own."""


ASKS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda chat: chat.invoke("?"),
    "own_config": lambda chat: chat.invoke("?", {"tags": ["own"], "metadata": {"m": 1}, "run_name": "mine"}),
    "own_callbacks": lambda chat: chat.invoke("?", {"callbacks": [Silent()]}),
    "own_nostream": lambda chat: chat.invoke("?", {"tags": ["nostream"]}),
    "bound_nostream": lambda chat: chat.with_config(tags=["nostream"]).invoke("?"),
    "stream": lambda chat: list(chat.stream("?")),
    "part_of_a_stream": lambda chat: taken(chat.stream("?"), 2),
    "twice": lambda chat: (chat.invoke("?"), chat.invoke("?")),
    "in_a_chain": lambda chat: (RunnableLambda(lambda text: text) | chat).with_config(tags=["chain"]).invoke("?"),
    "in_a_function": lambda chat: RunnableLambda(lambda text: chat.invoke(text).content).invoke("?"),
    "no_chat_model": lambda chat: FakeListLLM(responses=["a b"]).invoke("?"),
    "batch_of_one": lambda chat: chat.batch(["?"]),
    "one_of_a_batch_at_a_time": lambda chat: chat.batch(["?", "?"], {"max_concurrency": 1}),
    "with_retry": lambda chat: chat.with_retry(stop_after_attempt=2).invoke("?"),
    "in_another_loop": lambda chat: asyncio.run(chat.ainvoke("?")),
}


@pytest.mark.parametrize("kind", ASKS)
def test_models(kind: str) -> None:
    same(calls_in_turn(ASKS[kind]))


def test_models_one_after_the_other() -> None:
    same(calls_in_turn(*ASKS.values()))


@BOTH_WAYS
def test_models_of_async_nodes(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        async def node(state: Any) -> Any:
            chat = model("a b", "c d", "e f")
            await chat.ainvoke("?", {"tags": ["one"]})
            async for _ in chat.astream("?"):
                pass
            return {"messages": [await chat.ainvoke("?")]}

        graph = lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, MODES, is_async=is_async)

    same(program)


@BOTH_WAYS
@pytest.mark.parametrize("tags", [[], ["nostream"]], ids=["plain", "nostream"])
def test_models_and_messages_of_tools(is_async: bool, tags: list[str]) -> None:
    """Those of models inside the tools, those that the tools answer with, and those in their Commands."""

    def program(lg: Any) -> Any:
        @tool
        def ask(question: str) -> str:
            """Ask somebody."""
            return model(f"answer to {question}").with_config(tags=tags).invoke("?").content

        @tool
        def note(runtime: lg.ToolRuntime) -> Any:
            """Note something."""
            own = [ToolMessage("noted", tool_call_id=runtime.tool_call_id, id="t1"), ai("by the way")]
            return lg.Command(update={"messages": own})

        def program_of(*calls: Any) -> Any:
            given = {"messages": [AIMessage("", tool_calls=list(calls), id="a1")]}
            node = lg.ToolNode([ask, note])
            graph = lg.StateGraph(lg.MessagesState).add_node("tools", node).add_edge(lg.START, "tools").compile()
            return run(graph, given, MODES, is_async=is_async)

        question = {"name": "ask", "args": {"question": "q"}, "id": "c1", "type": "tool_call"}
        remark = {"name": "note", "args": {}, "id": "c2", "type": "tool_call"}
        return program_of(question), program_of(remark), program_of(remark, {**remark, "id": "c3"})

    got = same(program)
    assert "noted" in str(got)
    assert ("answer" in str([chunk for chunk in got[1] if "AIMessageChunk" in str(chunk)])) is not bool(tags)


def test_callbacks_of_the_caller_hear_the_models_too() -> None:
    """Ours stands beside them."""

    def program(lg: Any) -> Any:
        heard: list[str] = []

        class Heard(BaseCallbackHandler):
            run_inline = True

            def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
                heard.append(token)

        def node(state: Any) -> Any:
            return {"messages": [model("a b").invoke("?")]}

        graph = lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, MODES, config={"callbacks": [Heard()]}), heard

    assert same(program)[2] == ["a", " ", "b"]


@BOTH_WAYS
@pytest.mark.parametrize("handed_on", [False, True], ids=["alone", "with_config"])
def test_models_of_graphs_that_a_node_calls(is_async: bool, handed_on: bool) -> None:
    """They are not of the graph that is streamed, whether or not its config is handed on."""

    def program(lg: Any) -> Any:
        def inner(state: Any) -> Any:
            return {"messages": [model(ai("in", "a b")).invoke("?")]}

        called = lg.StateGraph(State).add_node(inner).add_edge(lg.START, "inner").compile()

        def node(state: Any, config: RunnableConfig) -> Any:
            answer = called.invoke({"messages": []}, config) if handed_on else called.invoke({"messages": []})
            return {"messages": [model("c d").invoke("?"), *answer["messages"]]}

        graph = lg.StateGraph(State).add_node(node).add_edge(lg.START, "node").compile()
        return run(graph, {"messages": []}, MODES, is_async=is_async, config={"callbacks": [Silent()]})

    shown = [chunk[2][1][1]["content"] for chunk in same(program) if chunk[1] == "messages"]
    assert shown == ["c", " ", "d", "a b"]
