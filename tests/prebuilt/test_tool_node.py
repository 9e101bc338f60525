"""`ToolNode` against LangGraph's, on the same calls."""

# pyright: basic, reportInvalidTypeForm=false

import operator
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, ToolException, tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from fleetgraph.errors import NotSupported
from fleetgraph.graph import START, MessagesState, StateGraph
from fleetgraph.prebuilt import InjectedState, ToolNode, ToolRuntime
from fleetgraph.types import Send
from tests.prebuilt.both import run, same

MODES = ["updates", "custom", "messages", "values"]
BOTH_WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def call(name: str, number: int = 1, /, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": f"c{number}", "type": "tool_call"}


def asking(*calls: Any, **more: Any) -> dict[str, Any]:
    """A state whose last message asks for these calls."""
    return {"messages": [HumanMessage("hi", id="h1"), AIMessage("", tool_calls=list(calls), id="a1")], **more}


def graph_of(lg: Any, *tools: Any, state: Any = None, compile: dict[str, Any] | None = None, **options: Any) -> Any:
    """A graph whose only node runs the tools."""
    return (
        lg.StateGraph(state or lg.MessagesState)
        .add_node("tools", lg.ToolNode(list(tools), **options))
        .add_edge(lg.START, "tools")
        .compile(**(compile or {}))
    )


# --- tools -------------------------------------------------------------------------------------------------------


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def aadd(a: int, b: int) -> int:
    """Add two numbers, without a thread."""
    return a + b


@tool
def fails(kind: str) -> str:
    """Raise something."""
    raise {"value": ValueError, "type": TypeError, "tool": ToolException, "key": KeyError}[kind](f"of kind {kind}")


@tool("shout", return_direct=True)
def shouting(text: str, config: RunnableConfig) -> str:
    """Say it louder."""
    return text.upper() + str(config["configurable"].get("mark"))


@tool(response_format="content_and_artifact")
def with_artifact(n: int) -> tuple[str, dict[str, int]]:
    """Answer, and keep the data."""
    return f"n is {n}", {"n": n}


class Doubler(BaseTool):
    """A tool that is a class."""

    name: str = "doubler"
    description: str = "Doubles a number."

    def _run(self, n: int) -> int:
        return 2 * n


@BOTH_WAYS
def test_answers(is_async: bool) -> None:
    calls = [
        call("add", 1, a=1, b=2),
        call("shout", 2, text="hey"),
        call("with_artifact", 3, n=3),
        call("doubler", 4, n=4),
        call("nope", 5),
        call("add", 6, a="x"),
        call("add", 7, a="5", b=6),
    ]
    got = same(
        lambda lg: run(
            graph_of(lg, add, shouting, with_artifact, Doubler()),
            asking(*calls),
            MODES,
            is_async=is_async,
            config={"configurable": {"mark": "!"}},
        )
    )
    texts = [message[1]["content"] for message in got[-1][2]["messages"][2:]]
    assert texts[:2] == ["3", "HEY!"]
    assert "nope is not a valid tool, try one of [add, shout, with_artifact, doubler]" in texts[4]
    assert "Error invoking tool 'add' with kwargs {'a': 'x'}" in texts[5]


@BOTH_WAYS
def test_async_tools(is_async: bool) -> None:
    """They can't be called synchronously: LangChain says so."""
    got = same(lambda lg: run(graph_of(lg, aadd, add), asking(call("aadd", a=1, b=2)), is_async=is_async))
    assert ("does not support sync" in str(got)) is not is_async


class Shape(BaseModel):
    """A result of a class of its own."""

    sides: int = 3


RESULTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "dict": lambda: {"ä": [1, None]},
    "list": lambda: [1, "b"],
    "empty_list": list,
    "set": lambda: {1},
    "model": lambda: Shape(),
    "blocks": lambda: [{"type": "text", "text": "a block"}],
    "unknown_block": lambda: [{"type": "mystery"}],
    "message": lambda: ToolMessage("own", tool_call_id="c1", name="other", id="m1"),
    "message_of_another_call": lambda: ToolMessage("own", tool_call_id="c9"),
    "message_with_blocks": lambda: ToolMessage([{"type": "text", "text": "x"}, "y"], tool_call_id="c1"),
    "messages": lambda: [ToolMessage("a", tool_call_id="c1"), ToolMessage("b", tool_call_id="c7")],
    "messages_without_answer": lambda: [ToolMessage("b", tool_call_id="c7")],
    "two_answers": lambda: [ToolMessage("a", tool_call_id="c1"), ToolMessage("b", tool_call_id="c1")],
    "messages_and_more": lambda: [ToolMessage("a", tool_call_id="c1"), "text"],
}


@pytest.mark.parametrize("kind", RESULTS)
def test_what_tools_return(kind: str) -> None:
    def produce() -> Any:
        """Return it."""
        return RESULTS[kind]()

    same(lambda lg: run(graph_of(lg, produce), asking(call("produce")), ["updates", "messages"]))


# --- inputs ------------------------------------------------------------------------------------------------------


def test_a_list_of_messages_is_answered_by_a_list() -> None:
    def program(lg: Any) -> Any:
        graph = graph_of(lg, add, state=Annotated[list, lg.add_messages])
        return run(graph, asking(call("add", a=1, b=2))["messages"], MODES)

    assert "ToolMessage" in str(same(program))


def test_another_key_for_messages() -> None:
    class State(TypedDict):
        chat: Annotated[list, operator.add]

    given = {"chat": asking(call("add", a=1, b=2))["messages"]}
    same(lambda lg: run(graph_of(lg, add, state=State, messages_key="chat"), given))


def test_states_of_classes() -> None:
    @dataclass
    class Data:
        messages: Annotated[list, operator.add]

    class Model(BaseModel):
        messages: Annotated[list[AnyMessage], operator.add] = Field(default_factory=list)

    for state in (Data, Model):
        got = same(lambda lg, state=state: run(graph_of(lg, add, state=state), asking(call("add", a=1, b=2))))
        assert "ToolMessage" in str(got)


@pytest.mark.parametrize(
    "given",
    [{}, {"messages": []}, {"messages": [HumanMessage("no AI", id="h")]}, asking(), {"other": 1}],
    ids=["empty", "no_messages", "no_ai", "no_calls", "other_key"],
)
def test_nothing_to_call(given: Any) -> None:
    class State(TypedDict, total=False):
        messages: Annotated[list, operator.add]
        other: int

    same(lambda lg: run(graph_of(lg, add, state=State), given))


def test_calls_are_those_of_the_last_ai_message() -> None:
    given = asking(call("add", a=1, b=2))
    given["messages"] += [ToolMessage("3", tool_call_id="c1", id="t"), HumanMessage("again", id="h2")]
    same(lambda lg: run(graph_of(lg, add), given))


def test_calls_that_are_sent_one_by_one() -> None:
    """As `create_react_agent` sends them: with the state, which is not the state of the graph by then."""

    @tool
    def look(n: int, seen: Annotated[str, InjectedState("secret")]) -> str:
        """Look."""
        return f"{n} {seen}"

    def program(lg: Any) -> Any:
        @tool
        def look(n: int, seen: Annotated[str, lg.InjectedState("secret")]) -> str:
            """Look."""
            return f"{n} {seen}"

        def spread(state: Any) -> Any:
            return [
                lg.Send("tools", {"__type": "tool_call_with_context", "tool_call": one, "state": {"secret": f"s{n}"}})
                for n, one in enumerate(state["messages"][-1].tool_calls)
            ]

        graph = (
            lg.StateGraph(lg.MessagesState)
            .add_node("tools", lg.ToolNode([look]))
            .add_conditional_edges(lg.START, spread, ["tools"])
            .compile()
        )
        return graph.invoke(asking(call("look", 1, n=1), call("look", 2, n=2)))

    assert [message[1]["content"] for message in same(program)["messages"][2:]] == ["1 s0", "2 s1"]


def test_calls_that_are_sent_without_the_state() -> None:
    def program(lg: Any) -> Any:
        def spread(state: Any) -> Any:
            return [lg.Send("tools", [one]) for one in state["messages"][-1].tool_calls]

        graph = (
            lg.StateGraph(lg.MessagesState)
            .add_node("tools", lg.ToolNode([add]))
            .add_conditional_edges(lg.START, spread, ["tools"])
            .compile()
        )
        return graph.invoke(asking(call("add", 1, a=1, b=1), call("add", 2, a=2, b=2)))

    assert [message[1]["content"] for message in same(program)["messages"][2:]] == ["2", "4"]


def test_a_tool_that_wants_a_state_it_was_not_sent_says_so() -> None:
    def injected(state: Annotated[dict, InjectedState]) -> str:
        """Want the state."""
        return str(state)

    def through_runtime(runtime: ToolRuntime) -> str:
        """Want it too."""
        return runtime.state["messages"]

    def spread(state: Any) -> Any:
        return [Send("tools", state["messages"][-1].tool_calls)]

    for wanting in (injected, through_runtime):
        graph = (
            StateGraph(MessagesState)
            .add_node("tools", ToolNode([wanting]))
            .add_conditional_edges(START, spread, ["tools"])
            .compile()
        )
        with pytest.raises(NotSupported, match="was sent without the state"):
            graph.invoke(asking(call(wanting.__name__)))


def test_outside_of_a_graph() -> None:
    """LangGraph's needs a graph around it; ours can be tried without."""
    node = ToolNode([add])
    assert [message.content for message in node.invoke(asking(call("add", a=1, b=2)))["messages"]] == ["3"]
    [message] = node.invoke([call("add", a=1, b=2)])["messages"]
    assert (message.name, message.tool_call_id) == ("add", "c1")


# --- errors ------------------------------------------------------------------------------------------------------


def only_values(error: ValueError) -> str:
    return f"values only: {error}"


def values_and_types(error: ValueError | TypeError) -> str:
    return f"either: {error!r}"


def anything(error) -> str:
    return f"anything: {type(error).__name__}"


def no_exception(error: int) -> str:
    return "never"


def no_exceptions(error: int | ValueError) -> str:
    return "never"


def raises(error: Exception) -> str:
    raise RuntimeError("while handling") from error


class Handler:
    def method(self, error: ToolException) -> str:
        return f"a method: {error}"


HANDLERS: dict[str, Any] = {
    "default": ...,
    "true": True,
    "false": False,
    "text": "sorry",
    "empty_text": "",
    "class": ValueError,
    "classes": (ValueError, ToolException),
    "no_classes": (),
    "function": only_values,
    "union": values_and_types,
    "unannotated": anything,
    "not_of_an_exception": no_exception,
    "not_of_exceptions": no_exceptions,
    "raises": raises,
    "method": Handler().method,
    "number": 5,
}


@pytest.mark.parametrize("handler", HANDLERS)
@BOTH_WAYS
def test_error_handling(handler: str, is_async: bool) -> None:
    options = {} if handler == "default" else {"handle_tool_errors": HANDLERS[handler]}
    kinds = ["value", "type", "tool", "key"]

    def program(lg: Any) -> Any:
        graph = graph_of(lg, fails, add, **options)
        asked = [call("fails", kind=kind) for kind in kinds] + [call("add", a="x"), call("nope")]
        return [run(graph, asking(one), is_async=is_async) for one in asked]

    same(program)


def test_an_error_of_several_calls_is_that_of_the_first() -> None:
    calls = [call("add", 1, a=1, b=1), call("fails", 2, kind="type"), call("fails", 3, kind="value")]
    got = same(lambda lg: run(graph_of(lg, fails, add), asking(*calls)))
    assert got[-1]["raised"] == "TypeError"


@BOTH_WAYS
def test_tools_that_handle_their_errors_themselves(is_async: bool) -> None:
    def fail() -> str:
        """Fail."""
        raise ToolException("its own")

    def program(lg: Any) -> Any:
        own = StructuredTool.from_function(fail, handle_tool_error=lambda error: f"handled: {error}")
        numbers = StructuredTool.from_function(add, handle_validation_error="not like this")
        return run(graph_of(lg, own, numbers), asking(call("fail"), call("add", 2, a="x")), is_async=is_async)

    assert "handled: its own" in str(same(program))


def test_injected_arguments_are_not_told_to_the_model() -> None:
    class State(TypedDict):
        messages: Annotated[list, operator.add]
        secret: str

    def program(lg: Any) -> Any:
        @tool
        def wants(n: int, secret: Annotated[int, lg.InjectedState("secret")]) -> str:
            """Want."""
            return f"{n}{secret}"

        graph = graph_of(lg, wants, state=State)
        return run(graph, asking(call("wants", n="x", secret="forged"), secret="not a number"))

    got = str(same(program))
    assert "n: Input should be a valid integer" in got
    assert "not a number" not in got


# --- commands ----------------------------------------------------------------------------------------------------


class Named(TypedDict):
    messages: Annotated[list, operator.add]
    user: str


@BOTH_WAYS
def test_a_command_updates_the_state_and_goes_on(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        @tool
        def rename(to: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
            """Rename."""
            message = ToolMessage(f"now {to}", tool_call_id=tool_call_id)
            return lg.Command(update={"user": to, "messages": [message]}, goto="after")

        @tool
        def plain() -> str:
            """Say."""
            return "plain"

        def after(state: Any) -> Any:
            return {"messages": [AIMessage(f"hello {state['user']}", id="x")]}

        graph = (
            lg.StateGraph(Named)
            .add_node("tools", lg.ToolNode([rename, plain]))
            .add_node(after)
            .add_edge(lg.START, "tools")
            .compile()
        )
        given = asking(call("plain"), call("rename", 2, to="Ann"), call("plain", 3), user="Bob")
        return run(graph, given, ["updates", "messages", "values"], is_async=is_async)

    assert "hello Ann" in str(same(program))


def answer_of(id: str = "c1") -> ToolMessage:
    return ToolMessage("done", tool_call_id=id)


COMMANDS: dict[str, Callable[[Any], Any]] = {
    "without_update": lambda lg: lg.Command(goto="nowhere"),
    "without_messages": lambda lg: lg.Command(update={"user": "x"}),
    "for_another_call": lambda lg: lg.Command(update={"messages": [answer_of("c9")]}),
    "as_bad_dicts": lambda lg: lg.Command(update={"messages": [{"role": "tool", "content": "no id of a call"}]}),
    "as_dicts": lambda lg: lg.Command(
        update={"messages": [{"role": "tool", "content": "a dict", "tool_call_id": "c1"}]}
    ),
    "removes_all": lambda lg: lg.Command(update={"messages": [RemoveMessage(id=lg.REMOVE_ALL_MESSAGES)]}),
    "list_update": lambda lg: lg.Command(update=[answer_of()]),
    "pairs": lambda lg: lg.Command(update=[("user", "x")]),
    "several": lambda lg: [lg.Command(update={"user": "x"}), answer_of()],
    "several_without_answer": lambda lg: [lg.Command(update={"user": "x"})],
    "several_two_answers": lambda lg: [lg.Command(update={"messages": [answer_of()]}), answer_of()],
    "of_the_parent": lambda lg: lg.Command(graph=lg.Command.PARENT, goto="x", update={"user": "y"}),
    "sends": lambda lg: lg.Command(goto=[lg.Send("tools", asking())], update={"messages": [answer_of()]}),
}


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("shape", ["dict", "list"])
def test_commands(kind: str, shape: str) -> None:
    def program(lg: Any) -> Any:
        @tool
        def go() -> Any:
            """Go."""
            return COMMANDS[kind](lg)

        given = asking(call("go"))
        if shape == "dict":
            return run(graph_of(lg, go, state=Named), given, ["updates", "messages"])
        graph = graph_of(lg, go, state=Annotated[list, operator.add])
        return run(graph, given["messages"], ["updates", "messages"])

    same(program)


def test_handovers_to_the_parent_are_one() -> None:
    """A node ends with one Command for its parent, so the Sends of several are put together."""

    def program(lg: Any) -> Any:
        @tool
        def hand_over(to: str) -> Any:
            """Hand over."""
            return lg.Command(graph=lg.Command.PARENT, goto=[lg.Send(to, {"for": to})])

        graph = graph_of(lg, hand_over, state=Named)
        try:
            graph.invoke(asking(call("hand_over", to="x"), call("hand_over", 2, to="y")))
        except Exception as error:
            return type(error).__name__, error.args
        return None

    kind, (_, command) = same(program)[1:]
    assert kind == "ParentCommand"
    assert [target[1]["node"] for target in command[1]["goto"]] == ["x", "y"]


def test_a_handover_keeps_its_update() -> None:
    """LangGraph loses it."""
    from fleetgraph.errors import ParentCommand
    from fleetgraph.types import Command

    def hand_over(to: str) -> Any:
        """Hand over."""
        return Command(graph=Command.PARENT, goto=[Send(to, {})], update={to: 1})

    graph = StateGraph(MessagesState).add_node("tools", ToolNode([hand_over])).add_edge(START, "tools").compile()
    for targets, update in ((["x"], {"x": 1}), (["x", "y"], [("x", 1), ("y", 1)])):
        with pytest.raises(ParentCommand) as caught:
            graph.invoke(asking(*(call("hand_over", n, to=to) for n, to in enumerate(targets))))
        [command] = caught.value.args
        assert command.update == update
        assert [target.node for target in command.goto] == targets


def test_the_messages_of_a_command_stay_the_tools_own() -> None:
    kept = ToolMessage("done", tool_call_id="c1", name="my name")

    def program(lg: Any) -> Any:
        def go() -> Any:
            """Go."""
            return lg.Command(update={"messages": [kept]})

        return graph_of(lg, go).invoke(asking(call("go"))), kept.name

    assert "my name" in str(same(program))


# --- what tools are given ----------------------------------------------------------------------------------------


@BOTH_WAYS
def test_injected_state(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        @tool
        def look(
            n: int,
            whole: Annotated[Any, lg.InjectedState],
            called: Annotated[Any, lg.InjectedState()],
            user: Annotated[str, lg.InjectedState("user")],
            missing: Annotated[str, lg.InjectedState("not there")] = "by default",
        ) -> str:
            """Look."""
            return f"{n} {sorted(whole)} {sorted(called)} {user} {missing}"

        given = asking(call("look", n=1, user="forged", whole={}), user="Ann")
        return run(graph_of(lg, look, state=Named), given, is_async=is_async)

    assert "1 ['messages', 'user'] ['messages', 'user'] Ann by default" in str(same(program))


def test_injected_state_that_is_not_there() -> None:
    def program(lg: Any) -> Any:
        def look(user: Annotated[str, lg.InjectedState("user")]) -> str:
            """Look."""
            return user

        @dataclass
        class Data:
            messages: Annotated[list, operator.add]

        listed = graph_of(lg, look, state=Annotated[list, operator.add])
        return [
            run(graph_of(lg, look), asking(call("look"))),
            run(graph_of(lg, look, state=Data), asking(call("look"))),
            run(listed, asking(call("look"))["messages"]),
        ]

    assert [chunks[-1]["raised"] for chunks in same(program)] == ["KeyError", "AttributeError", "ValueError"]


def test_injected_state_of_a_list() -> None:
    def program(lg: Any) -> Any:
        def look(whole: Annotated[dict, lg.InjectedState]) -> str:
            """Look."""
            return str(sorted(whole))

        def read(messages: Annotated[list, lg.InjectedState("messages")]) -> str:
            """Read."""
            return str(len(messages))

        graph = graph_of(lg, look, read, state=Annotated[list, operator.add])
        return run(graph, asking(call("look"), call("read", 2))["messages"])

    assert "['messages']" in str(same(program))


def test_injected_twice() -> None:
    @tool
    def look(whole: Annotated[dict, InjectedState("a"), InjectedState("b")]) -> str:
        """Look."""
        return ""

    with pytest.raises(ValueError, match="should not be annotated with InjectedState more than once"):
        ToolNode([look])


def test_a_store_that_is_not_there() -> None:
    def program(lg: Any) -> Any:
        def remember(store: Annotated[Any, lg.InjectedStore()]) -> str:
            """Remember."""
            return str(store)

        return run(graph_of(lg, remember), asking(call("remember")))

    assert "please compile your graph with a store" in str(same(program))


@BOTH_WAYS
def test_runtime(is_async: bool) -> None:
    class Context(TypedDict):
        user: str

    def program(lg: Any) -> Any:
        @tool
        def look(n: int, runtime: lg.ToolRuntime[Context, Any]) -> str:
            """Look."""
            runtime.stream_writer({"n": n})
            runtime.emit_output_delta("nothing")
            return str(
                [
                    n,
                    runtime.tool_call_id,
                    sorted(runtime.state),
                    runtime.context,
                    runtime.store,
                    sorted(item.name for item in runtime.tools),
                    runtime.execution_info.node_attempt,
                    sorted(set(runtime.config) - {"callbacks"}),
                    runtime.config["configurable"]["mark"],
                    runtime.config["metadata"]["langgraph_node"],
                ]
            )

        @tool
        def by_name(runtime: Any) -> str:
            """Look too."""
            return runtime.tool_call_id

        graph = (
            lg.StateGraph(lg.MessagesState, context_schema=Context)
            .add_node("tools", lg.ToolNode([look, by_name]))
            .add_edge(lg.START, "tools")
            .compile()
        )
        return run(
            graph,
            asking(call("look", n=1, runtime="forged"), call("by_name", 2)),
            ["updates", "custom"],
            is_async=is_async,
            context={"user": "Ann"},
            config={"configurable": {"mark": "!"}, "tags": ["t"]},
        )

    assert "'Ann'" in str(same(program))


def test_markers_of_langgraph_do_as_well() -> None:
    """`langchain.tools` hands them out, and who moves a program over does not change that import."""
    import langgraph.prebuilt as theirs

    @tool
    def look(user: Annotated[str, theirs.InjectedState("user")], runtime: theirs.ToolRuntime) -> str:
        """Look."""
        assert isinstance(runtime, theirs.ToolRuntime)
        return f"{user} {runtime.tool_call_id} {sorted(runtime.state)}"

    graph = StateGraph(Named).add_node("tools", ToolNode([look])).add_edge(START, "tools").compile()
    got = graph.invoke(asking(call("look"), user="Ann"))
    assert got["messages"][-1].content == "Ann c1 ['messages', 'user']"


# --- inside the run ----------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_tools_stream(is_async: bool) -> None:
    """Their custom chunks and the tokens of models inside them belong to the node."""

    def program(lg: Any) -> Any:
        @tool
        def think(about: str) -> str:
            """Think."""
            lg.get_stream_writer()({"thinking about": about, "node": lg.get_config()["metadata"]["langgraph_node"]})
            model = GenericFakeChatModel(messages=iter([f"thought about {about}"]))
            return model.with_config(tags=["inner"]).invoke("?").content

        @tool
        async def athink(about: str) -> str:
            """Think on the event loop."""
            lg.get_stream_writer()({"thinking about": about})
            return (await GenericFakeChatModel(messages=iter([f"thought about {about}"])).ainvoke("?")).content

        return run(
            graph_of(lg, think, athink),
            asking(call("athink" if is_async else "think", about="cats")),
            ["custom", "messages", "updates"],
            is_async=is_async,
            config={"tags": ["run"], "metadata": {"k": "v"}, "configurable": {"user": "u", "thread_id": "t"}},
        )

    got = same(program)
    assert [chunk[1] for chunk in got].count("messages") == 6  # five tokens and the tool's message


@BOTH_WAYS
def test_streaming_out_of_threads(is_async: bool) -> None:
    """Several calls run in threads, where they find their task all the same."""

    def program(lg: Any) -> Any:
        @tool
        def say(what: str) -> str:
            """Say."""
            lg.get_stream_writer()(what)
            return lg.get_config()["metadata"]["langgraph_node"]

        calls = [call("say", n, what=f"word {n}") for n in range(5)]
        chunks = run(graph_of(lg, say), asking(*calls), ["custom", "updates"], is_async=is_async)
        return sorted(payload for mode, payload in chunks if mode == "custom"), chunks[-1]

    assert same(program)[1] == [f"word {n}" for n in range(5)]


@BOTH_WAYS
def test_calls_run_at_the_same_time(is_async: bool) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meet() -> str:
        """Wait for the others."""
        meeting.wait()
        return "met"

    graph = StateGraph(MessagesState).add_node("tools", ToolNode([meet])).add_edge(START, "tools").compile()
    chunks = run(graph, asking(*(call("meet", n) for n in range(3))), is_async=is_async)
    assert [message.content for message in chunks[-1]["tools"]["messages"]] == ["met"] * 3


def test_one_after_the_other_when_the_run_says_so() -> None:
    """`max_concurrency` holds for calls too, where they run in threads of the node."""
    threads: set[int] = set()

    def note() -> str:
        """Note the thread."""
        threads.add(threading.get_ident())
        return "noted"

    graph = StateGraph(MessagesState).add_node("tools", ToolNode([note])).add_edge(START, "tools").compile()
    graph.invoke(asking(*(call("note", n) for n in range(8))), {"max_concurrency": 1})
    assert len(threads) == 1


def test_siblings_of_a_failing_tool_are_done_when_the_node_fails() -> None:
    """Nothing of a failed node goes on behind the back of its next attempt."""
    import asyncio

    ended: list[str] = []

    async def slow() -> str:
        """Take a few turns of the loop."""
        for _ in range(10):
            await asyncio.sleep(0)
        ended.append("slow")
        return "slow"

    async def bad() -> str:
        """Fail at once."""
        raise RuntimeError("bad")

    graph = StateGraph(MessagesState).add_node("tools", ToolNode([slow, bad])).add_edge(START, "tools").compile()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="bad"):
            await graph.ainvoke(asking(call("bad", 1), call("slow", 2)))
        assert ended == ["slow"]

    asyncio.run(main())


# --- wrappers ----------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_wrapped_calls(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        seen: list[Any] = []

        def wrap(request: Any, execute: Any) -> Any:
            name = request.tool_call["name"]
            seen.append((name, request.tool is None, sorted(request.state), request.runtime.tool_call_id))
            if name == "short":
                return ToolMessage("never called", tool_call_id=request.tool_call["id"])
            if name == "unknown":
                return execute(request.override(tool=doubler))
            if name == "broken":
                raise ValueError("in the wrapper")
            first = execute(request)
            again = execute(request.override(tool_call={**request.tool_call, "args": {"a": 10, "b": 20}}))
            return [first, ToolMessage(again.content, tool_call_id="other")]

        doubler = Doubler(name="unknown")
        calls = [call("add", 1, a=1, b=2), call("short", 2), call("unknown", 3, n=4)]
        chunks = run(graph_of(lg, add, wrap_tool_call=wrap), asking(*calls), is_async=is_async)
        broken = [
            run(graph_of(lg, add, wrap_tool_call=wrap, handle_tool_errors=handle), asking(call("broken")))
            for handle in (True, False, "sorry", only_values, KeyError)
        ]
        return chunks, broken, sorted(seen, key=str)

    assert "never called" in str(same(program))


def test_wrapped_on_the_event_loop() -> None:
    def program(lg: Any) -> Any:
        async def wrap(request: Any, execute: Any) -> Any:
            message = await execute(request)
            message.content += " wrapped"
            return message

        return run(graph_of(lg, aadd, awrap_tool_call=wrap), asking(call("aadd", a=1, b=2)), is_async=True)

    assert "3 wrapped" in str(same(program))


# --- where to go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        asking(call("add", a=1, b=1)),
        asking(),
        asking(call("add"))["messages"],
        {"messages": [HumanMessage("hi")]},
        {"messages": []},
        {},
        Shape(),
    ],
    ids=["calls", "no_calls", "list", "human", "no_messages", "empty", "object"],
)
def test_tools_condition(state: Any) -> None:
    same(lambda lg: lg.tools_condition(state))


def test_tools_condition_of_another_key() -> None:
    assert same(lambda lg: lg.tools_condition({"chat": [AIMessage("", tool_calls=[call("a")])]}, "chat")) == "tools"
