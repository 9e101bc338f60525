"""`messages` across graphs: whose tokens are shown, under which namespace, and which are not shown twice."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from typing_extensions import TypedDict

from tests.differential.cases.chat import HI, asking, model
from tests.differential.cases.functional import Workflow
from tests.differential.cases.subgraphs import at_once
from tests.differential.harness import case, resume


def sub_of(lg: Any, *answers: str, node: str = "inner") -> Any:
    """A graph of one node that asks a model."""
    return lg.StateGraph(lg.MessagesState).add_node(node, asking(model(*answers))).add_edge(lg.START, node).compile()


@case(HI, config={"tags": ["run"], "metadata": {"um": 1}})
def tokens_of_a_subgraph(lg: Any) -> Any:
    """Without subgraphs the caller gets the whole message once the subgraph's node has returned it."""
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("sub", sub_of(lg, "from the subgraph"), metadata={"nm": 2})
        .add_node("outer", asking(model("from the parent")))
        .add_edge(lg.START, "sub")
        .add_edge("sub", "outer")
    )


@case(HI)
def tokens_of_a_subgraph_two_deep(lg: Any) -> Any:
    middle = (
        lg.StateGraph(lg.MessagesState)
        .add_node("deep", sub_of(lg, "from deep down"))
        .add_node("own", asking(model("from the middle")))
        .add_edge(lg.START, "deep")
        .add_edge("deep", "own")
        .compile()
    )
    return lg.StateGraph(lg.MessagesState).add_node("sub", middle).add_edge(lg.START, "sub")


@case(HI)
def tokens_of_a_called_subgraph(lg: Any) -> Any:
    sub = sub_of(lg, "first answer here", "second answer here")

    def calls(state: Any) -> dict[str, Any]:
        first = sub.invoke({"messages": state["messages"]})["messages"]
        sub.invoke({"messages": first})
        return {"messages": first}

    return lg.StateGraph(lg.MessagesState).add_node(calls).add_edge(lg.START, "calls")


@case(HI)
def tokens_of_a_called_subgraph_that_are_not_returned(lg: Any) -> Any:
    sub = sub_of(lg, "kept to itself")

    def calls(state: Any) -> dict[str, Any]:
        found = sub.invoke({"messages": [HumanMessage("?", id="q1")]})["messages"]
        return {"messages": [AIMessage(f"{len(found)} messages", id="m1")]}

    return lg.StateGraph(lg.MessagesState).add_node(calls).add_edge(lg.START, "calls")


@case(HI)
def tokens_streamed_from_a_subgraph_by_a_node(lg: Any) -> Any:
    """A node that reads the tokens of a subgraph itself."""

    def calls(state: Any) -> dict[str, Any]:
        sub = sub_of(lg, "one two three")
        words = [message.content for message, _ in sub.stream(state, stream_mode="messages")]
        return {"messages": [AIMessage("|".join(words), id="m1")]}

    return lg.StateGraph(lg.MessagesState).add_node(calls).add_edge(lg.START, "calls")


@case(HI)
def tokens_of_parallel_subgraphs(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("zed", sub_of(lg, "zed says a few words"))
        .add_node("abe", sub_of(lg, "abe says other words"))
        .add_node("end", asking(model("the end")))
        .add_edge(lg.START, "zed")
        .add_edge(lg.START, "abe")
        .add_edge(["abe", "zed"], "end")
    )


@case(HI)
def tokens_of_sent_subgraphs(lg: Any) -> Any:
    class Topic(TypedDict):
        topic: str
        messages: Annotated[list[AnyMessage], lg.add_messages]

    def joke(state: Topic) -> dict[str, Any]:
        return {"messages": [model(f"a joke about {state['topic']}").invoke("?")]}

    sub = lg.StateGraph(Topic).add_node(joke).add_edge(lg.START, "joke").compile()

    def spread(state: Any) -> list[Any]:
        return [lg.Send("sub", {"topic": topic}) for topic in ("cats", "ants")]

    return lg.StateGraph(lg.MessagesState).add_node("sub", sub).add_conditional_edges(lg.START, spread, ["sub"])


@case(HI)
def messages_returned_in_a_subgraph(lg: Any) -> Any:
    """Without any model."""

    def returns(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("made by hand", id="m1"), HumanMessage("and so on", id="m2")]}

    def again(state: Any) -> dict[str, Any]:
        return {"messages": [*state["messages"], AIMessage("new", id="m3")]}

    sub = lg.StateGraph(lg.MessagesState).add_sequence([returns, again]).add_edge(lg.START, "returns").compile()
    return lg.StateGraph(lg.MessagesState).add_sequence([("sub", sub), ("after", again)]).add_edge(lg.START, "sub")


@case(HI)
def model_of_a_subgraph_that_does_not_stream(lg: Any) -> Any:
    quiet = model("all at once", disable_streaming=True)
    hidden = model("hidden").with_config(tags=["nostream"])
    sub = (
        lg.StateGraph(lg.MessagesState)
        .add_sequence([("quiet", asking(quiet)), ("hidden", asking(hidden))])
        .add_edge(lg.START, "quiet")
        .compile()
    )
    return lg.StateGraph(lg.MessagesState).add_node("sub", sub).add_edge(lg.START, "sub")


@case(HI)
def messages_of_a_command_to_the_parent(lg: Any) -> Any:
    """A handoff: the messages go with the command."""
    chat = model("I hand over")

    def hands_over(state: Any) -> Any:
        answer = chat.invoke(state["messages"])
        return lg.Command(graph=lg.Command.PARENT, update={"messages": [answer]}, goto="other")

    sub = lg.StateGraph(lg.MessagesState).add_node(hands_over).add_edge(lg.START, "hands_over").compile()
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("sub", sub)
        .add_node("other", sub_of(lg, "I take over"))
        .add_edge(lg.START, "sub")
    )


@case(HI, resume("yes"), without_saver=False)
def tokens_before_and_after_an_interrupt_in_a_subgraph(lg: Any) -> Any:
    chat = model("before the question", "after the answer")

    def before(state: Any) -> dict[str, Any]:
        return {"messages": [chat.invoke("?")]}

    def ask(state: Any) -> dict[str, Any]:
        return {"messages": [HumanMessage(lg.interrupt("sure?"), id="h2")]}

    sub = (
        lg.StateGraph(lg.MessagesState)
        .add_sequence([before, ask, ("after", before)])
        .add_edge(lg.START, "before")
        .compile()
    )
    return lg.StateGraph(lg.MessagesState).add_node("sub", sub).add_edge(lg.START, "sub")


@case(HI, {"messages": [HumanMessage("more", id="h2")]}, without_saver=False)
def tokens_of_a_subgraph_that_keeps_its_messages(lg: Any) -> Any:
    inner = lg.StateGraph(lg.MessagesState).add_node("inner", asking(model("first words", "later words")))
    sub = inner.add_edge(lg.START, "inner").compile(checkpointer=True)
    return lg.StateGraph(lg.MessagesState).add_node("sub", sub).add_edge(lg.START, "sub")


@case(HI)
def tokens_of_a_subgraph_that_is_retried(lg: Any) -> Any:
    """What the failed attempt said stays said."""
    chat = model("said in vain", "said again")

    def calls(state: Any, runtime: lg.Runtime) -> dict[str, Any]:
        answer = chat.invoke("?")
        if runtime.execution_info.node_attempt < 2:
            raise ValueError("not yet")
        return {"messages": [answer]}

    inner = lg.StateGraph(lg.MessagesState).add_node("calls", calls, retry_policy=at_once(lg))
    sub = inner.add_edge(lg.START, "calls").compile()
    return lg.StateGraph(lg.MessagesState).add_node("sub", sub).add_edge(lg.START, "sub")


@case("hi", config={"tags": ["run"], "metadata": {"um": 1}})
def tokens_of_tasks(lg: Any) -> Any:
    chat = model("what a task says", "what the workflow says")

    @lg.task
    def ask(text: str) -> str:
        return str(chat.invoke(text).content)

    def workflow(text: str) -> str:
        return ask(text).result() + str(chat.invoke("?").content)

    return Workflow(lg, workflow)


@case("hi")
def messages_returned_by_tasks(lg: Any) -> Any:
    @lg.task
    def ask(text: str) -> AIMessage:
        return AIMessage(text, id="m1")

    def workflow(text: str) -> list[Any]:
        return [ask(text).result(), HumanMessage("at the end", id="m2")]

    return Workflow(lg, workflow)


@case("hi")
def tokens_of_a_graph_called_by_a_task(lg: Any) -> Any:
    sub = sub_of(lg, "from a graph in a task")

    @lg.task
    def ask(text: str) -> Any:
        return sub.invoke({"messages": [HumanMessage(text, id="h1")]})["messages"][-1]

    def workflow(text: str) -> Any:
        return ask(text).result()

    return Workflow(lg, workflow)


@case(HI)
def tokens_of_tasks_called_by_a_node(lg: Any) -> Any:
    chat = model("a task of a node speaks")
    ask = lg.task(name="ask")(lambda text: chat.invoke(text))

    def node(state: Any) -> dict[str, Any]:
        return {"messages": [ask("?").result()]}

    return lg.StateGraph(lg.MessagesState).add_node(node).add_edge(lg.START, "node")


@case(HI, async_only=True)
def tokens_of_async_subgraphs(lg: Any) -> Any:
    chat = model("first from within", "then from within")

    async def ask(state: Any) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    sub = lg.StateGraph(lg.MessagesState).add_node(ask).add_edge(lg.START, "ask").compile()

    async def calls(state: Any) -> dict[str, Any]:
        return {"messages": (await sub.ainvoke({"messages": state["messages"]}))["messages"]}

    return lg.StateGraph(lg.MessagesState).add_sequence([("sub", sub), calls]).add_edge(lg.START, "sub")
