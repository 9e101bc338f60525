"""Tools that ask, remember, and hand over: what they do to the run around them, against LangGraph."""

# pyright: basic, reportInvalidTypeForm=false

from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.prebuilt.both import run, same
from tests.prebuilt.models import ScriptedModel
from tests.prebuilt.test_tool_node import asking, call, graph_of

BOTH_WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])
THREAD: Any = {"configurable": {"thread_id": "1"}}
HI = {"messages": [HumanMessage("hi", id="h1")]}


def calls(*asked: Any, id: str = "ai-1") -> AIMessage:
    return AIMessage("", tool_calls=list(asked), id=id)


# --- interrupts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handle", [True, False, "sorry", None], ids=str)
@BOTH_WAYS
def test_a_tool_that_asks(handle: Any, is_async: bool) -> None:
    """No treatment of errors touches an interrupt."""

    def program(lg: Any) -> Any:
        @tool
        def book(hotel: str) -> str:
            """Book a room."""
            answer = lg.interrupt({"may I book": hotel})
            return f"{hotel} booked: {answer}"

        options = {} if handle is None else {"handle_tool_errors": handle}
        graph = graph_of(lg, book, compile={"checkpointer": lg.InMemorySaver()}, **options)
        turns = [asking(call("book", hotel="Ritz")), lg.Command(resume="yes")]
        return [run(graph, turn, ["updates", "values"], is_async=is_async, config=THREAD) for turn in turns]

    asked, answered = same(program)
    assert "may I book" in str(asked)
    assert "Ritz booked: yes" in str(answered)


@VERSIONS
def test_an_agent_whose_tool_asks(version: str) -> None:
    def program(lg: Any) -> Any:
        @tool
        def book(hotel: str) -> str:
            """Book a room."""
            return f"{hotel}: {lg.interrupt(hotel)}, {lg.interrupt('sure?')}"

        model = ScriptedModel(replies=[calls(call("book", hotel="Ritz")), "done"])
        agent = lg.create_react_agent(model, [book], version=version, checkpointer=lg.InMemorySaver())
        turns = [HI, lg.Command(resume="yes"), lg.Command(resume="very")]
        return [run(agent, turn, ["updates", "tasks"], config=THREAD) for turn in turns]

    assert "Ritz: yes, very" in str(same(program)[-1])


def test_several_calls_that_ask() -> None:
    """Each is a task with a question of its own in v2, and they are answered by their ids."""

    def program(lg: Any) -> Any:
        @tool
        def book(hotel: str) -> str:
            """Book a room."""
            return f"{hotel}: {lg.interrupt(hotel)}"

        asked = calls(call("book", 1, hotel="Ritz"), call("book", 2, hotel="Savoy"))
        model = ScriptedModel(replies=[asked, "done"])
        agent = lg.create_react_agent(model, [book], checkpointer=lg.InMemorySaver())
        first = agent.invoke(HI, THREAD)
        questions = sorted(first["__interrupt__"], key=lambda question: question.value)
        answers = {question.id: f"answer for {question.value}" for question in questions}
        last = agent.invoke(lg.Command(resume=answers), THREAD)
        return [question.value for question in questions], last

    assert "Savoy: answer for Savoy" in str(same(program))


def test_an_answer_that_does_not_fit_is_not_the_models_business() -> None:
    class Answer(BaseModel):
        sure: bool

    def program(lg: Any) -> Any:
        @tool
        def book() -> str:
            """Book a room."""
            return f"booked: {lg.interrupt('sure?', response_schema=Answer).sure}"

        graph = graph_of(lg, book, compile={"checkpointer": lg.InMemorySaver()}, handle_tool_errors=True)
        turns = [asking(call("book")), lg.Command(resume={"sure": "who knows"}), lg.Command(resume={"sure": True})]
        return [run(graph, turn, ["updates"], config=THREAD) for turn in turns]

    _, refused, answered = same(program)
    assert refused[-1]["raised"] == "ValidationError"
    assert "booked: True" in str(answered)


@VERSIONS
@pytest.mark.parametrize("stop", ["interrupt_before", "interrupt_after"])
def test_stops_around_the_tools(version: str, stop: str) -> None:
    def program(lg: Any) -> Any:
        def add(a: int, b: int) -> int:
            """Add."""
            return a + b

        model = ScriptedModel(replies=[calls(call("add", a=1, b=2)), "done"])
        agent = lg.create_react_agent(
            model, [add], version=version, checkpointer=lg.InMemorySaver(), **{stop: ["tools"]}
        )
        turns = [HI, None]
        return [(run(agent, turn, ["updates"], config=THREAD), agent.get_state(THREAD).next) for turn in turns]

    assert "done" in str(same(program)[-1])


# --- the store ---------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_tools_that_remember(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        @tool
        def remember(what: str, store: Annotated[Any, lg.InjectedStore()]) -> str:
            """Remember something."""
            store.put(("notes",), "one", {"what": what})
            return "noted"

        @tool
        def recall(runtime: lg.ToolRuntime) -> str:
            """Recall it."""
            return str(runtime.store.get(("notes",), "one").value)

        graph = graph_of(lg, remember, recall, compile={"store": lg.InMemoryStore()})
        turns = [asking(call("remember", what="this", store="forged")), asking(call("recall"))]
        return [run(graph, turn, is_async=is_async) for turn in turns]

    assert "{'what': 'this'}" in str(same(program)[-1])


# --- agents in graphs --------------------------------------------------------------------------------------------

SUBGRAPHS = pytest.mark.parametrize("subgraphs", [False, True], ids=["outermost", "all"])


@SUBGRAPHS
@VERSIONS
@BOTH_WAYS
def test_an_agent_that_is_a_node(subgraphs: bool, version: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        @tool
        def think(about: str) -> str:
            """Think."""
            lg.get_stream_writer()({"thinking": about})
            return ScriptedModel(replies=[f"thought about {about}"]).invoke("?").content

        model = ScriptedModel(replies=[calls(call("think", about="cats")), "all thought through"])
        agent = lg.create_react_agent(model, [think], version=version, name="thinker")
        graph = (
            lg.StateGraph(lg.MessagesState)
            .add_node("agent", agent)
            .add_node("after", lambda state: {"messages": [AIMessage("after", id="x")]})
            .add_edge(lg.START, "agent")
            .add_edge("agent", "after")
            .compile()
        )
        return run(graph, HI, ["messages", "updates", "custom"], is_async=is_async, subgraphs=subgraphs)

    got = same(program)
    assert ("AIMessageChunk" in str(got)) is subgraphs


@SUBGRAPHS
def test_a_handover_to_another_agent(subgraphs: bool) -> None:
    """A tool of one agent leaves its graph for a node of the graph around it."""

    def program(lg: Any) -> Any:
        @tool
        def hand_over(runtime: lg.ToolRuntime) -> Any:
            """Hand over to Bob."""
            message = ToolMessage("handed over", tool_call_id=runtime.tool_call_id, id="t1")
            history = [*runtime.state["messages"], message]
            return lg.Command(graph=lg.Command.PARENT, goto="bob", update={"messages": history})

        ann = lg.create_react_agent(ScriptedModel(replies=[calls(call("hand_over"))]), [hand_over], name="ann")
        bob = lg.create_react_agent(ScriptedModel(replies=["Bob here"]), [], name="bob")
        graph = (
            lg.StateGraph(lg.MessagesState)
            .add_node("ann", ann, destinations=("bob",))
            .add_node("bob", bob)
            .add_edge(lg.START, "ann")
            .compile()
        )
        return run(graph, HI, ["messages", "updates", "values"], subgraphs=subgraphs)

    assert "handed over" in str(same(program))


def test_several_handovers_at_once() -> None:
    def program(lg: Any) -> Any:
        @tool
        def delegate(to: str) -> Any:
            """Delegate."""
            return lg.Command(graph=lg.Command.PARENT, goto=[lg.Send(to, {"messages": [HumanMessage(to, id=to)]})])

        def worker(state: Any) -> Any:
            return {"messages": [AIMessage(f"did {state['messages'][0].content}", id=state["messages"][0].content)]}

        asked = calls(call("delegate", 1, to="one"), call("delegate", 2, to="two"))
        # All calls in one task: only then do they leave the graph together.
        boss = lg.create_react_agent(ScriptedModel(replies=[asked]), [delegate], version="v1")
        graph = (
            lg.StateGraph(lg.MessagesState)
            .add_node("boss", boss, destinations=("one", "two"))
            .add_node("one", worker)
            .add_node("two", worker)
            .add_edge(lg.START, "boss")
            .compile()
        )
        return graph.invoke(HI)

    assert [message[1]["content"] for message in same(program)["messages"]] == ["hi", "did one", "did two"]


@SUBGRAPHS
@BOTH_WAYS
def test_an_agent_that_is_a_tool(subgraphs: bool, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        inner = lg.create_react_agent(ScriptedModel(replies=["the answer"]), [], name="inner")

        if is_async:

            @tool
            async def ask(question: str) -> str:
                """Ask somebody."""
                answer = await inner.ainvoke({"messages": [HumanMessage(question, id="q")]})
                return answer["messages"][-1].content

        else:

            @tool
            def ask(question: str) -> str:
                """Ask somebody."""
                return inner.invoke({"messages": [HumanMessage(question, id="q")]})["messages"][-1].content

        model = ScriptedModel(replies=[calls(call("ask", question="why?")), "because"])
        agent = lg.create_react_agent(model, [ask], name="outer")
        return run(agent, HI, ["messages", "updates"], is_async=is_async, subgraphs=subgraphs)

    assert "the answer" in str(same(program))


def test_an_agent_that_is_a_tool_and_asks() -> None:
    def program(lg: Any) -> Any:
        @tool
        def confirm(what: str) -> str:
            """Confirm."""
            return f"{what}: {lg.interrupt(what)}"

        inner = lg.create_react_agent(
            ScriptedModel(replies=[calls(call("confirm", what="all"), id="in-1"), "confirmed"]), [confirm]
        )

        @tool
        def ask(question: str) -> str:
            """Ask somebody."""
            return inner.invoke({"messages": [HumanMessage(question, id="q")]})["messages"][-2].content

        model = ScriptedModel(replies=[calls(call("ask", question="why?")), "because"])
        agent = lg.create_react_agent(model, [ask], checkpointer=lg.InMemorySaver())
        turns = [HI, lg.Command(resume="yes")]
        return [run(agent, turn, ["updates"], config=THREAD) for turn in turns]

    asked, answered = same(program)
    assert "Interrupt" in str(asked)
    assert "all: yes" in str(answered)
