"""`create_react_agent` against LangGraph's."""

# pyright: basic, reportInvalidTypeForm=false

import warnings
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel

from fleetgraph.errors import NotSupported
from fleetgraph.prebuilt import ToolNode, create_react_agent
from tests.prebuilt.both import run, same
from tests.prebuilt.models import ScriptedModel
from tests.prebuilt.test_tool_node import call

HI = {"messages": [HumanMessage("hi", id="h1")]}
MODES = ["updates", "values", "messages", "custom"]
BOTH_WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(return_direct=True)
def final(text: str) -> str:
    """Have the last word."""
    return text


def calls(*asked: Any, text: str = "", id: str = "ai-1") -> AIMessage:
    return AIMessage(text, tool_calls=list(asked), id=id)


def adding() -> ScriptedModel:
    """Asks for a sum, then tells it."""
    return ScriptedModel(
        replies=[calls(call("add", 1, a=1, b=2), text="let me see"), lambda messages: f"it is {messages[-1].content}"]
    )


# --- the loop ----------------------------------------------------------------------------------------------------


@VERSIONS
@BOTH_WAYS
def test_an_agent(version: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        model = adding()
        agent = lg.create_react_agent(model, [add], prompt="be brief", version=version, name="calculator")
        chunks = run(agent, HI, MODES, is_async=is_async, config={"tags": ["t"], "metadata": {"k": "v"}})
        return chunks, model.asked, model.bound, agent.name

    _, chunks, asked, bound, name = same(program)
    assert chunks[-1][2]["messages"][-1][1]["content"] == "it is 3"
    assert asked[0][0][1:3] == ("system", "be brief")
    assert (bound, name) == ([["add"]], "calculator")


@VERSIONS
def test_tasks_of_an_agent(version: str) -> None:
    """The tool calls are tasks of their own in v2, one task in v1."""

    def program(lg: Any) -> Any:
        model = ScriptedModel(replies=[calls(call("add", 1, a=1, b=2), call("add", 2, a=3, b=4)), "done"])
        agent = lg.create_react_agent(model, [add], version=version)
        return run(agent, HI, "tasks", config={"max_concurrency": 1})  # else either of the two calls may end first

    starts = [chunk for chunk in same(program) if "triggers" in chunk and chunk["name"] == "tools"]
    assert len(starts) == (2 if version == "v2" else 1)


@VERSIONS
def test_several_calls_and_rounds(version: str) -> None:
    replies = [
        calls(call("add", 1, a=1, b=2), call("nope", 2), id="one"),
        calls(call("add", 3, a="x", b=1), id="two"),
        "done",
    ]

    def program(lg: Any) -> Any:
        agent = lg.create_react_agent(ScriptedModel(replies=replies), [add], version=version)
        return agent.invoke(HI)

    kinds = [message[0] for message in same(program)["messages"]]
    assert kinds == ["HumanMessage", "AIMessage", "ToolMessage", "ToolMessage", "AIMessage", "ToolMessage", "AIMessage"]


@VERSIONS
@pytest.mark.parametrize("asked", [["final"], ["final", "add"], ["add", "final"]], ids=str)
def test_tools_whose_answer_is_the_agents(version: str, asked: list[str]) -> None:
    arguments: dict[str, Any] = {"final": {"text": "so be it"}, "add": {"a": 1, "b": 2}}

    def program(lg: Any) -> Any:
        asking = calls(*(call(name, number, **arguments[name]) for number, name in enumerate(asked)))
        model = ScriptedModel(replies=[asking, "not this"])
        return lg.create_react_agent(model, [add, final], version=version).invoke(HI), len(model.asked)

    assert same(program)[2] == 1


@VERSIONS
@pytest.mark.parametrize("limit", [2, 3, 4, 5])
def test_few_steps_left(version: str, limit: int) -> None:
    def program(lg: Any) -> Any:
        model = ScriptedModel(replies=[lambda messages: calls(call("add", 1, a=1, b=2), id=f"m{len(messages)}")])
        agent = lg.create_react_agent(model, [add], version=version)
        return run(agent, HI, ["values"], config={"recursion_limit": limit})

    same(program)


def test_an_agent_without_tools() -> None:
    def program(lg: Any) -> Any:
        model = ScriptedModel(replies=["hello"])
        return run(lg.create_react_agent(model, []), HI, MODES), model.bound

    assert same(program)[2] == []


def test_conversations() -> None:
    def program(lg: Any) -> Any:
        replies = [lambda messages: calls(call("add", 1, a=1, b=2), id=f"m{len(messages)}"), "done"]
        agent = lg.create_react_agent(ScriptedModel(replies=replies), [add], checkpointer=lg.InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        return [agent.invoke({"messages": [HumanMessage(text, id=text)]}, thread) for text in ("one", "two")]

    assert len(same(program)[1]["messages"]) == 8


def test_an_unanswered_call_in_the_history() -> None:
    def program(lg: Any) -> Any:
        agent = lg.create_react_agent(ScriptedModel(replies=["?"]), [add])
        return agent.invoke({"messages": [calls(call("add", a=1, b=2)), HumanMessage("well?", id="h")]})

    assert "do not have a corresponding ToolMessage" in same(program)["text"]


# --- models ------------------------------------------------------------------------------------------------------


def test_models_with_their_tools_bound() -> None:
    def program(lg: Any) -> Any:
        model = adding()
        chain = RunnableLambda(lambda given: given) | model.bind_tools([tool(add)])
        answers = [lg.create_react_agent(bound, [add]).invoke(HI) for bound in (model.bind_tools([tool(add)]), chain)]
        return answers, model.bound

    assert same(program)[2] == [["add"], ["add"]]


@pytest.mark.parametrize(
    "bound",
    [
        [],
        [{"name": "add"}, {"name": "other"}],
        [{"name": "other"}],
        [{"type": "function", "function": {"name": "other"}}],
    ],
    ids=["none", "too_many", "other", "other_of_openai"],
)
def test_models_with_other_tools_bound(bound: list[Any]) -> None:
    assert same(lambda lg: lg.create_react_agent(adding().bind(tools=bound), [add]))["raised"] == "ValueError"


def test_tools_of_the_provider() -> None:
    def program(lg: Any) -> Any:
        model = adding()
        return lg.create_react_agent(model, [add, {"type": "web_search"}]).invoke(HI), model.bound

    assert same(program)[2] == [["add", {"type": "web_search"}]]


@pytest.mark.parametrize("kind", ["function", "coroutine"])
@BOTH_WAYS
def test_models_chosen_for_each_state(kind: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        model = adding()

        def choose(state: Any, runtime: Any) -> Any:
            model.asked.append((len(state["messages"]), runtime.context))
            return model.bind_tools([tool(add)])

        async def achoose(state: Any, runtime: Any) -> Any:
            return choose(state, runtime)

        agent = lg.create_react_agent(
            choose if kind == "function" else achoose, [add], prompt="hey", context_schema=dict
        )
        return run(agent, HI, ["values"], is_async=is_async, context={"user": "Ann"}), model.asked

    same(program)


def test_a_model_by_name_needs_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain", None)
    assert same(lambda lg: lg.create_react_agent("openai:gpt-4", []))["raised"] == "ImportError"


# --- prompts -----------------------------------------------------------------------------------------------------

PROMPTS: dict[str, Any] = {
    "text": "be brief",
    "message": SystemMessage("be brief"),
    "function": lambda state: [SystemMessage(f"{len(state['messages'])} so far"), *state["messages"]],
    "runnable": ChatPromptTemplate.from_messages([("system", "be brief"), ("placeholder", "{messages}")]),
    "number": 5,
}


@pytest.mark.parametrize("kind", PROMPTS)
@BOTH_WAYS
def test_prompts(kind: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        model = adding()
        return run(lg.create_react_agent(model, [add], prompt=PROMPTS[kind]), HI, is_async=is_async), model.asked

    same(program)


@BOTH_WAYS
def test_async_prompts(is_async: bool) -> None:
    async def prompt(state: Any) -> Any:
        return [SystemMessage("from afar"), *state["messages"]]

    def program(lg: Any) -> Any:
        model = adding()
        return run(lg.create_react_agent(model, [add], prompt=prompt), HI, is_async=is_async), model.asked

    same(program)


# --- states ------------------------------------------------------------------------------------------------------


@VERSIONS
@BOTH_WAYS
def test_states_of_ones_own(version: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        class State(lg.AgentState):
            user: str

        class Model(lg.AgentStatePydantic):
            user: str

        @tool
        def who(state: Annotated[Any, lg.InjectedState], user: Annotated[str, lg.InjectedState("user")]) -> str:
            """Tell who asks."""
            keys = sorted(state) if isinstance(state, dict) else sorted(type(state).model_fields)
            return f"{user} {keys}"

        results = []
        for schema in (State, Model):
            model = ScriptedModel(replies=[calls(call("who", 1)), "done"])
            agent = lg.create_react_agent(model, [who], state_schema=schema, version=version)
            results.append(run(agent, {**HI, "user": "Ann"}, ["updates", "values"], is_async=is_async))
        return results

    assert "Ann ['messages', 'remaining_steps', 'user']" in str(same(program))


def test_states_that_lack_something() -> None:
    class Bare(BaseModel):
        messages: list[Any]

    got = same(lambda lg: lg.create_react_agent(adding(), [add], state_schema=Bare))
    assert "remaining_steps" in got["text"]


def test_arguments_that_are_wrong() -> None:
    assert same(lambda lg: lg.create_react_agent(adding(), [add], version="v3"))["raised"] == "ValueError"


def test_arguments_that_are_not_supported() -> None:
    with pytest.raises(NotSupported, match="config_schema"):
        create_react_agent(adding(), [add], config_schema=dict)


def test_nothing_warns() -> None:
    """It is deprecated in LangGraph, in favour of an agent that is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_react_agent(adding(), ToolNode([add]))


# --- answers of a shape ------------------------------------------------------------------------------------------


class Shape(BaseModel):
    answer: int


@pytest.mark.parametrize("tools", [[add], []], ids=["tools", "no_tools"])
@pytest.mark.parametrize(
    "shape", [Shape, {"title": "answer"}, ("look back", Shape)], ids=["model", "schema", "with_prompt"]
)
@BOTH_WAYS
def test_structured_responses(tools: list[Any], shape: Any, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        model = adding() if tools else ScriptedModel(replies=["hello"])
        agent = lg.create_react_agent(model, tools, response_format=shape)
        return run(agent, HI, ["updates", "values"], is_async=is_async), model.asked

    assert "structured_response" in str(same(program))


# --- hooks -------------------------------------------------------------------------------------------------------


@VERSIONS
@BOTH_WAYS
def test_hooks_before_the_model(version: str, is_async: bool) -> None:
    def program(lg: Any) -> Any:
        def trim(state: Any) -> Any:
            return {"llm_input_messages": state["messages"][-1:]}

        def rewrite(state: Any) -> Any:
            kept = [message.model_copy(update={"content": "rewritten"}) for message in state["messages"][:1]]
            return {"messages": [RemoveMessage(id=lg.REMOVE_ALL_MESSAGES), *kept, *state["messages"][1:]]}

        results: list[Any] = []
        for hook in (trim, rewrite):
            model = ScriptedModel(replies=[calls(call("add", 1, a=1, b=2)), "done"])
            if hook is trim:  # the last message alone, an answer, must have its question
                model.replies = ["done"]
            agent = lg.create_react_agent(model, [add], pre_model_hook=hook, version=version)
            given = {"messages": [HumanMessage("zero", id="h0"), HumanMessage("hi", id="h1")]}
            results.append((run(agent, given, ["updates", "values"], is_async=is_async), model.asked))
        return results

    assert "rewritten" in str(same(program))


def test_hooks_of_a_state_that_is_a_model() -> None:
    def program(lg: Any) -> Any:
        def trim(state: Any) -> Any:
            return {"llm_input_messages": state.messages[-1:]}

        model = ScriptedModel(replies=["done"])
        agent = lg.create_react_agent(model, [add], pre_model_hook=trim, state_schema=lg.AgentStatePydantic)
        given = {"messages": [HumanMessage("zero", id="h0"), HumanMessage("hi", id="h1")]}
        return run(agent, given, ["updates", "values"]), model.asked

    assert len(same(program)[2][0]) == 1


@BOTH_WAYS
def test_hooks_after_the_model(is_async: bool) -> None:
    def program(lg: Any) -> Any:
        def answer_one(state: Any) -> Any:
            last = state["messages"][-1]
            if getattr(last, "tool_calls", None):
                first = last.tool_calls[0]
                return {"messages": [ToolMessage("by the hook", tool_call_id=first["id"], id="by-hook")]}
            return None

        results: list[Any] = []
        for number in (1, 2):
            asking = calls(*(call("add", n, a=n, b=n) for n in range(number)))
            for shape in (None, Shape):
                model = ScriptedModel(replies=[asking, "done"])
                agent = lg.create_react_agent(model, [add], post_model_hook=answer_one, response_format=shape)
                results.append(run(agent, HI, ["updates", "values"], is_async=is_async))
        return results

    assert "by the hook" in str(same(program))


def test_a_hook_after_a_model_without_tools() -> None:
    def program(lg: Any) -> Any:
        def note(state: Any) -> Any:
            return {"messages": [AIMessage("noted", id="n1")]}

        agent = lg.create_react_agent(ScriptedModel(replies=["hi"]), [], post_model_hook=note, response_format=Shape)
        return run(agent, HI, ["updates"])

    assert len(same(program)) == 3


def test_a_tool_node_of_ones_own() -> None:
    def program(lg: Any) -> Any:
        def fail() -> str:
            """Fail."""
            raise ValueError("no")

        node = lg.ToolNode([fail], handle_tool_errors="sorry")
        return lg.create_react_agent(ScriptedModel(replies=[calls(call("fail")), "done"]), node).invoke(HI)

    assert "sorry" in str(same(program))


def test_tools_that_update_the_state() -> None:
    def program(lg: Any) -> Any:
        class State(lg.AgentState):
            mood: str

        @tool
        def cheer(runtime: lg.ToolRuntime) -> Any:
            """Cheer up."""
            message = ToolMessage("cheered", tool_call_id=runtime.tool_call_id)
            return lg.Command(update={"mood": "good", "messages": [message]})

        model = ScriptedModel(replies=[calls(call("cheer", 1)), "done"])
        return lg.create_react_agent(model, [cheer], state_schema=State).invoke(HI)

    assert same(program)["mood"] == "good"
