"""`messages`: tokens of chat models, and messages that nodes return."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from collections.abc import Sequence
from typing import Annotated, Any

from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict

from tests.differential.harness import Turn, case


def model(*answers: str | AIMessage, **options: Any) -> GenericFakeChatModel:
    """A model that streams word by word; ids are those of the messages, or drawn."""
    return GenericFakeChatModel(messages=iter(answers), **options)


def asking(chat: Any) -> Any:
    """A node that adds the model's answer to `messages`."""

    def ask(state: Any) -> dict[str, Any]:
        return {"messages": [chat.invoke(state["messages"])]}

    return ask


HI = {"messages": [HumanMessage("hi", id="h1")]}


@case(HI)
def tokens_of_a_model(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState).add_node("ask", asking(model("hello my good friend"))).add_edge(lg.START, "ask")
    )


@case(HI, {"messages": [HumanMessage("more", id="h2")]})
def two_models_in_sequence(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState)
        .add_sequence([("one", asking(model("one a", "one b"))), ("two", asking(model("two a", "two b")))])
        .add_edge(lg.START, "one")
    )


@case(HI, config={"tags": ["run"], "metadata": {"um": 1}, "configurable": {"user": "u"}})
def tags_and_metadata_of_messages(lg: Any) -> Any:
    tagged = model("tagged answer").with_config(tags=["mine"], metadata={"mm": 2})

    def returns(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("not from a model", id="x1")]}

    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("ask", asking(tagged), metadata={"nm": 3})
        .add_node(returns, metadata={"nm": 4})
        .add_edge(lg.START, "ask")
        .add_edge("ask", "returns")
    )


@case(HI)
def tags_of_the_model_itself(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("ask", asking(model("an answer", tags=["of the model"], metadata={"k": "v"})))
        .add_edge(lg.START, "ask")
    )


@case(HI)
def model_that_does_not_stream(lg: Any) -> Any:
    """One whole message, even when the node doesn't return it."""
    quiet = model("all at once", "also at once", disable_streaming=True)

    def asks_for_nothing(state: Any) -> None:
        quiet.invoke("?")

    return (
        lg.StateGraph(lg.MessagesState)
        .add_sequence([("ask", asking(quiet)), asks_for_nothing])
        .add_edge(lg.START, "ask")
    )


@case(HI)
def nostream_tag(lg: Any) -> Any:
    """Its tokens are hidden, the message the node returns is not."""
    hidden = model("hidden words", "never returned").with_config(tags=["nostream"])

    def asks_for_nothing(state: Any) -> None:
        hidden.invoke("?")

    return (
        lg.StateGraph(lg.MessagesState)
        .add_sequence([("ask", asking(hidden)), asks_for_nothing])
        .add_edge(lg.START, "ask")
    )


@case(HI)
def model_streamed_by_the_node(lg: Any) -> Any:
    chat = model(AIMessage("one two three", id="ai-1"))

    def node(state: Any) -> dict[str, Any]:
        whole: Any = None
        for chunk in chat.stream(state["messages"]):
            whole = chunk if whole is None else whole + chunk
        return {"messages": [AIMessage(whole.content, id=whole.id)]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI, async_only=True)
def model_called_by_an_async_node(lg: Any) -> Any:
    chat = model("from an async node")

    async def node(state: Any) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI, async_only=True)
def config_passed_on_by_the_node(lg: Any) -> Any:
    chat = model("with the config")

    def node(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return {"messages": [chat.invoke(state["messages"], config)]}

    async def anode(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return {"messages": [AIMessage("done", id="d")]}

    return lg.StateGraph(lg.MessagesState).add_sequence([node, anode]).add_edge(lg.START, "node")


@case(HI)
def fake_list_model(lg: Any) -> Any:
    """Streams letter by letter."""
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("ask", asking(FakeListChatModel(responses=["abc", "de"])))
        .add_edge(lg.START, "ask")
    )


@case(HI)
def model_is_a_node_of_a_pipe(lg: Any) -> Any:
    from langchain_core.runnables import RunnableLambda

    pipe = RunnableLambda(lambda state: state["messages"]) | model("from a pipe") | (lambda m: {"messages": [m]})
    return lg.StateGraph(lg.MessagesState).add_node("ask", pipe).add_edge(lg.START, "ask")


@case(HI)
def model_called_twice_in_a_node(lg: Any) -> Any:
    chat = model("first answer", "second answer")

    def node(state: Any) -> dict[str, Any]:
        chat.invoke("?")
        return {"messages": [chat.invoke("?")]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI)
def model_in_a_branch_function(lg: Any) -> Any:
    """Its tokens belong to the node before it."""
    chat = model("which way ?")

    def a(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("a", id="a1")]}

    def b(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("b", id="b1")]}

    def route(state: Any) -> str:
        chat.invoke("which way?")
        return "b"

    return (
        lg.StateGraph(lg.MessagesState)
        .add_node(a)
        .add_node(b)
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", route, ["b"])
    )


@case(HI)
def models_in_parallel_nodes(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("zed", asking(model("zed says a few words")))
        .add_node("abe", asking(model("abe says other words")))
        .add_node("end", asking(model("the end")))
        .add_edge(lg.START, "zed")
        .add_edge(lg.START, "abe")
        .add_edge(["abe", "zed"], "end")
    )


@case({"topics": ["b", "a", "c"]})
def models_in_sent_tasks(lg: Any) -> Any:
    class State(TypedDict):
        topics: list[str]
        jokes: Annotated[list[str], operator.add]

    def spread(state: State) -> list[Any]:
        return [lg.Send("joke", topic) for topic in state["topics"]]

    def joke(topic: Any) -> dict[str, Any]:
        return {"jokes": [model(f"a joke about {topic}").invoke("?").content]}

    return lg.StateGraph(State).add_node(joke).add_conditional_edges(lg.START, spread, ["joke"])


@case(HI)
def tool_calls_of_a_model(lg: Any) -> Any:
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "c1", "type": "tool_call"}
    chat = model(AIMessage("", tool_calls=[call], id="ai-1"), AIMessage("three", id="ai-2"), disable_streaming=True)

    def tools(state: Any) -> dict[str, Any]:
        calls = state["messages"][-1].tool_calls
        return {"messages": [ToolMessage("3", tool_call_id=c["id"], id="t1", artifact={"sum": 3}) for c in calls]}

    def route(state: Any) -> str:
        return "tools" if state["messages"][-1].tool_calls else lg.END

    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("agent", asking(chat))
        .add_node(tools)
        .add_edge(lg.START, "agent")
        .add_conditional_edges("agent", route, ["tools", lg.END])
        .add_edge("tools", "agent")
    )


# --- without a model ---------------------------------------------------------------------------------------------


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]
    single: AnyMessage
    nested: dict[str, Any]
    others: Sequence[AnyMessage]


@case({"messages": [HumanMessage("hi", id="h1")]})
def messages_in_what_a_node_returns(lg: Any) -> Any:
    """Found as values and in sequences that are values, of any key; not in dicts, nor deeper."""

    def node(state: Chat) -> dict[str, Any]:
        return {
            "messages": [AIMessage("in a list", id="m1"), AIMessage("also", id="m2")],
            "single": AIMessage("alone", id="m3"),
            "nested": {"deep": AIMessage("not found", id="m4")},
            "others": (HumanMessage("in a tuple", id="m5"),),
        }

    def known(state: Chat) -> dict[str, Any]:
        return {"messages": [AIMessage("edited, with a known id", id="m1"), AIMessage("new", id="m6")]}

    return lg.StateGraph(Chat).add_sequence([node, known]).add_edge(lg.START, "node")


@case(HI)
def messages_in_commands(lg: Any) -> Any:
    def one(state: Any) -> Any:
        return lg.Command(update={"messages": [AIMessage("in a command", id="c1")]}, goto="two")

    def two(state: Any) -> Any:
        return [
            lg.Command(update={"messages": AIMessage("in a list of commands", id="c2")}),
            lg.Command(update={"messages": [AIMessage("the other", id="c3")]}),
        ]

    return lg.StateGraph(lg.MessagesState).add_node(one).add_node(two).add_edge(lg.START, "one")


@case(HI)
def messages_as_dicts_and_pairs(lg: Any) -> Any:
    """What is no message object yet is not streamed."""

    def node(state: Any) -> dict[str, Any]:
        return {"messages": [{"role": "ai", "content": "a dict", "id": "d1"}, AIMessage("a message", id="d2")]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI)
def returned_history_is_not_repeated(lg: Any) -> Any:
    def node(state: Any) -> dict[str, Any]:
        return {"messages": [*state["messages"], AIMessage("new", id="n1")]}

    def again(state: Any) -> dict[str, Any]:
        return {"messages": [*state["messages"], RemoveMessage(id="h1")]}

    return lg.StateGraph(lg.MessagesState).add_sequence([node, again]).add_edge(lg.START, "node")


@case(HI)
def streamed_message_returned_later(lg: Any) -> Any:
    """Streamed in one node, returned by the next: shown once."""

    class State(lg.MessagesState):
        draft: AnyMessage

    chat = model("a draft")

    def writes(state: State) -> dict[str, Any]:
        return {"draft": chat.invoke("?")}

    def publishes(state: State) -> dict[str, Any]:
        return {"messages": [state["draft"], AIMessage("and more", id="n1")]}

    return lg.StateGraph(State).add_sequence([writes, publishes]).add_edge(lg.START, "writes")


@case(HI, config={"metadata": {"um": 1}})
def messages_from_sent_tasks(lg: Any) -> Any:
    def spread(state: Any) -> list[Any]:
        return [lg.Send("say", n) for n in (2, 1, 3)]

    def say(n: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"number {n}", id=f"n{n}")]}

    return lg.StateGraph(lg.MessagesState).add_node(say).add_conditional_edges(lg.START, spread, ["say"])


@case(HI)
def chunks_returned_by_a_node(lg: Any) -> Any:
    def node(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessageChunk(content="a chunk, returned", id="k1")]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(Turn({"messages": "just text"}), Turn({"messages": [("user", "a pair")]}))
def messages_without_ids(lg: Any) -> Any:
    """They get ids, the same in the state and in what is streamed."""

    def node(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("no id")]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI)
def model_raises_midway(lg: Any) -> Any:
    """What was streamed until then is delivered."""

    def broken() -> Any:
        yield AIMessage("a good start", id="ai-1")
        raise ConnectionError("the line went dead")

    chat = GenericFakeChatModel(messages=broken())

    def node(state: Any) -> dict[str, Any]:
        chat.invoke("?")
        return {"messages": [chat.invoke("?")]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")
