"""`create_react_agent`: a chat model and its tools, in turns, until the model has an answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast, get_type_hints

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, RunnableSequence
from langchain_core.tools import BaseTool
from pydantic import BaseModel, create_model

from fleetgraph.constants import END
from fleetgraph.errors import ErrorCode, NotSupported, coded
from fleetgraph.graph.compiled import CompiledStateGraph
from fleetgraph.graph.message import add_messages
from fleetgraph.graph.state import StateGraph
from fleetgraph.managed import RemainingSteps
from fleetgraph.prebuilt.tool_node import ToolNode
from fleetgraph.pregel.callee import Callee, is_coroutine_function
from fleetgraph.pregel.context import current
from fleetgraph.types import Send

StructuredResponse = dict[str, Any] | BaseModel


class AgentState(TypedDict):
    """The state of an agent; a `state_schema` of one's own has these keys too."""

    messages: Annotated[Sequence[BaseMessage], add_messages]
    remaining_steps: NotRequired[RemainingSteps]


class AgentStatePydantic(BaseModel):
    """The same as a pydantic model."""

    messages: Annotated[Sequence[BaseMessage], add_messages]
    remaining_steps: RemainingSteps = 25


class AgentStateWithStructuredResponse(AgentState):
    """The state of an agent that has a `response_format`."""

    structured_response: StructuredResponse


class AgentStateWithStructuredResponsePydantic(AgentStatePydantic):
    """The same as a pydantic model."""

    structured_response: StructuredResponse


def create_react_agent(
    model: Any,
    tools: Sequence[BaseTool | Callable[..., Any] | dict[str, Any]] | ToolNode,
    *,
    prompt: Any = None,
    response_format: Any = None,
    pre_model_hook: Any = None,
    post_model_hook: Any = None,
    state_schema: Any = None,
    context_schema: type[Any] | None = None,
    checkpointer: Any = None,
    store: Any = None,
    interrupt_before: list[str] | None = None,
    interrupt_after: list[str] | None = None,
    debug: bool = False,
    version: Literal["v1", "v2"] = "v2",
    name: str | None = None,
    **others: Any,
) -> CompiledStateGraph:
    """An agent: a graph in which a chat model is asked, its tools are run, and it is asked again, until it is done.

    Its nodes are `agent` and `tools`, and those that the arguments below add.

    Args:
        model: A chat model, its tools bound or not yet; a text for LangChain's `init_chat_model`; or a function of
            (state, runtime) that returns the model to ask, whose tools it has bound itself.
        tools: The tools, or functions to be made into such, or a `ToolNode`. A dict describes a tool that the model's
            provider runs.
        prompt: What comes before the messages: a text or a `SystemMessage`; or what makes the model's input out of the
            state, a function or a runnable.
        response_format: A schema. When the agent is done, the model is asked once more for an answer of that shape,
            which becomes `structured_response`. May be a pair of a prompt for that and the schema.
        pre_model_hook: A node before `agent`; the model is given what it returns as `llm_input_messages`, if anything,
            instead of the state's messages.
        post_model_hook: A node after `agent`, before the tools are called.
        state_schema: The state, with at least the keys of `AgentState`.
        context_schema: The class of the `context` that runs are given.
        checkpointer: A saver, which keeps conversations.
        store: A store for the tools and hooks.
        interrupt_before: Nodes before which the run stops.
        interrupt_after: Nodes after which it stops.
        debug: As in `compile`.
        version: `v2` runs each tool call as a task of its own, on workers in parallel; `v1` runs all calls of one
            message in one task.
        name: What the graph is called, and the name of its messages.

    Raises:
        ValueError: An argument does not fit the others; the message says which.
        NotSupported: An argument that Fleetgraph does not have; the error names it.

    Example:
        >>> agent = create_react_agent(ChatOpenAI(model="gpt-5"), [search], prompt="Be brief.")
        >>> agent.invoke({"messages": [("user", "Who won?")]})
    """
    for option in others:
        raise NotSupported(f"create_react_agent({option}=...)")
    if version not in ("v1", "v2"):
        raise ValueError(f"Invalid version {version}. Supported versions are 'v1' and 'v2'.")
    if state_schema is None:
        state_schema = AgentState if response_format is None else AgentStateWithStructuredResponse
    else:
        _check_schema(state_schema, structured=response_format is not None)
    builtin: list[dict[str, Any]] = []
    if isinstance(tools, ToolNode):
        tool_node = tools
    else:
        builtin = [tool for tool in tools if isinstance(tool, dict)]
        tool_node = ToolNode([tool for tool in tools if not isinstance(tool, dict)])
    known = list(tool_node.tools_by_name.values())
    direct = frozenset(tool.name for tool in known if tool.return_direct)
    source = _ModelSource(model, prompt, known, builtin)

    builder = StateGraph(state_schema, context_schema=context_schema)
    builder.add_node(
        "agent",
        _AskModel(source, name, direct, hooked=pre_model_hook is not None),
        input_schema=state_schema if pre_model_hook is None else _with_model_input(state_schema),
    )
    entry = "agent"
    if pre_model_hook is not None:
        entry = "pre_model_hook"
        builder.add_node(entry, pre_model_hook).add_edge(entry, "agent")
    builder.set_entry_point(entry)
    if post_model_hook is not None:
        builder.add_node("post_model_hook", post_model_hook).add_edge("agent", "post_model_hook")
    last = "agent" if post_model_hook is None else "post_model_hook"
    done = END
    if response_format is not None:
        done = "generate_structured_response"
        builder.add_node(done, _AskForStructure(source, response_format))
    if not known:
        builder.add_edge(last, done)
    else:
        builder.add_node("tools", tool_node)
        _connect_tools(builder, entry, done, direct, hooked=post_model_hook is not None, version=version)
    return builder.compile(
        checkpointer=checkpointer,
        store=store,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        debug=debug,
        name=name or "LangGraph",
    )


def _check_schema(schema: Any, *, structured: bool) -> None:
    required = {"messages", "remaining_steps", *(("structured_response",) if structured else ())}
    if missing := required - set(get_type_hints(schema)):
        raise ValueError(f"Missing required key(s) {missing} in state_schema")


def _with_model_input(schema: Any) -> Any:
    """The state's schema and `llm_input_messages`, which only the model is given."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return create_model("CallModelInputSchema", __base__=schema, llm_input_messages=(list[AnyMessage], ...))

    class CallModelInputSchema(schema):  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]
        llm_input_messages: list[AnyMessage]

    return CallModelInputSchema


# --- where to go -------------------------------------------------------------------------------------------------


def _connect_tools(
    builder: StateGraph, entry: str, done: str, direct: frozenset[str], *, hooked: bool, version: str
) -> None:
    """The edges that lead to the tools and back."""

    def should_continue(state: Any) -> str | list[Send]:
        last = _value(state, "messages")[-1]
        if not isinstance(last, AIMessage) or not last.tool_calls:
            return done
        return "tools" if version == "v1" else [_send(call, state) for call in last.tool_calls]

    def post_model_hook_router(state: Any) -> str | list[Send]:
        messages = _value(state, "messages")
        answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
        asked = next(message for message in reversed(messages) if isinstance(message, AIMessage))
        if pending := [call for call in asked.tool_calls if call["id"] not in answered]:
            return [_send(call, state) for call in pending]
        return entry if isinstance(messages[-1], ToolMessage) else done

    def route_tool_responses(state: Any) -> str:
        for message in reversed(_value(state, "messages")):
            if isinstance(message, ToolMessage):
                if message.name in direct:
                    return END
                continue
            # The answers of siblings are not to be seen from here, where each call is a task of its own.
            if isinstance(message, AIMessage) and any(call["name"] in direct for call in message.tool_calls):
                return END
            break
        return entry

    if hooked:
        builder.add_conditional_edges("post_model_hook", post_model_hook_router, [entry, "tools", done])
    else:
        builder.add_conditional_edges("agent", should_continue, ["tools", done])
    if direct:
        builder.add_conditional_edges("tools", route_tool_responses, [entry, END])
    else:
        builder.add_edge("tools", entry)


def _send(call: Any, state: Any) -> Send:
    return Send("tools", {"__type": "tool_call_with_context", "tool_call": call, "state": state})


def _value(state: Any, key: str) -> Any:
    if isinstance(state, Mapping):
        return cast("Mapping[str, Any]", state).get(key)
    return getattr(state, key, None)


# --- asking the model --------------------------------------------------------------------------------------------


class _ModelSource:
    """The model an agent asks, which may be another for each state, and the prompt that makes its input."""

    def __init__(self, model: Any, prompt: Any, tools: Sequence[BaseTool], builtin: Sequence[dict[str, Any]]) -> None:
        self._choose: Any = None
        self._prompt = _prompt_callee(prompt)
        if not isinstance(model, str | Runnable) and callable(model):
            self._choose = model
        else:
            self._model: Any = _named_model(model) if isinstance(model, str) else model
            if _must_bind(self._model, tools, len(builtin)) and (tools or builtin):
                self._model = self._model.bind_tools([*tools, *builtin])

    def get(self, state: Any) -> Any:
        """The model for a state.

        Raises:
            RuntimeError: It is chosen by a coroutine function, which only `ainvoke` can call.
        """
        if self._choose is None:
            return self._model
        if is_coroutine_function(self._choose):
            raise RuntimeError(
                "Async model callable provided but agent invoked synchronously. "
                "Use agent.ainvoke() or agent.astream(), or provide a sync model callable."
            )
        return self._choose(state, current().runtime)

    async def aget(self, state: Any) -> Any:
        """The same on the event loop."""
        if self._choose is None:
            return self._model
        chosen = self._choose(state, current().runtime)
        return await chosen if inspect.isawaitable(chosen) else chosen

    def prompted(self, state: Any) -> Any:
        """The model's input."""
        return self._prompt.call((state,), {}, current())

    async def aprompted(self, state: Any) -> Any:
        return await self._prompt.acall((state,), {}, current())


def _prompt_callee(prompt: Any) -> Callee:
    if isinstance(prompt, str):
        prompt = SystemMessage(content=prompt)
    if prompt is None or isinstance(prompt, SystemMessage):
        first = [] if prompt is None else [prompt]

        def messages_of(state: Any) -> list[Any]:
            return [*first, *_value(state, "messages")]

        return Callee(messages_of, "Prompt")
    if callable(prompt) or isinstance(prompt, Runnable):
        return Callee(prompt, "Prompt")
    raise ValueError(f"Got unexpected type for `prompt`: {type(prompt)}")


def _named_model(name: str) -> Any:
    try:
        from langchain.chat_models import init_chat_model  # pyright: ignore
    except ImportError as error:
        raise ImportError(
            "Please install langchain (`pip install langchain`) to use '<provider>:<model>' string syntax for "
            "`model` parameter."
        ) from error
    return cast("Any", init_chat_model)(name)


def _inner_model(model: Any) -> Any:
    """The chat model in a sequence, with what is bound to it."""
    if isinstance(model, RunnableSequence):
        sequence: Any = cast("Any", model)
        for step in sequence.steps:
            if isinstance(step, RunnableBinding | BaseChatModel):
                return cast("Any", step)
    return cast("Any", model)


def _must_bind(model: Any, tools: Sequence[BaseTool], builtin: int) -> bool:
    """Whether the model has no tools bound yet.

    Raises:
        ValueError: It has, but others than the agent has.
    """
    inner = _inner_model(model)
    if not isinstance(inner, RunnableBinding):
        return True
    kwargs: Mapping[str, Any] = cast("Any", inner).kwargs
    if "tools" not in kwargs:
        return True
    bound: list[dict[str, Any]] = kwargs["tools"]
    if len(tools) != len(bound) - builtin:
        raise ValueError(
            "Number of tools in the model.bind_tools() and tools passed to create_react_agent must match"
            f" Got {len(tools)} tools, expected {len(bound) - builtin}"
        )
    names = {tool["function"]["name"] if tool.get("type") == "function" else tool.get("name") for tool in bound}
    if missing := {tool.name for tool in tools} - names:
        raise ValueError(f"Missing tools '{missing}' in the model.bind_tools()")
    return False


class _AskModel:
    """The node `agent`."""

    name = "agent"

    def __init__(self, source: _ModelSource, agent: str | None, direct: frozenset[str], *, hooked: bool) -> None:
        self._source = source
        self._agent = agent
        self._direct = direct
        self._hooked = hooked

    def invoke(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        given = self._input(state)
        model = self._source.get(given)
        return self._update(state, model.invoke(self._source.prompted(given), config))

    async def ainvoke(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        given = self._input(state)
        model = await self._source.aget(given)
        return self._update(state, await model.ainvoke(await self._source.aprompted(given), config))

    def _input(self, state: Any) -> Any:
        """The state with the messages that the model is to see."""
        messages = _value(state, "llm_input_messages") if self._hooked else None
        instead = bool(messages)
        messages = messages or _value(state, "messages")
        if messages is None:
            keys = "'llm_input_messages' or 'messages' key" if self._hooked else "'messages' key"
            raise ValueError(f"Expected input to call_model to have {keys}, but got {state}")
        _check_history(messages)
        if not instead:
            return state
        if isinstance(state, BaseModel):
            return state.model_copy(update={"messages": messages})
        return {**state, "messages": messages}

    def _update(self, state: Any, response: Any) -> dict[str, Any]:
        response.name = self._agent
        if isinstance(response, AIMessage) and self._out_of_steps(state, response):
            response = AIMessage(id=response.id, content="Sorry, need more steps to process this request.")
        return {"messages": [response]}

    def _out_of_steps(self, state: Any, response: AIMessage) -> bool:
        """Whether the recursion limit leaves no step to run the tools, or none to ask the model about them."""
        remaining = _value(state, "remaining_steps")
        if remaining is None:
            return False
        if remaining < 1 and all(call["name"] in self._direct for call in response.tool_calls):
            return True
        return remaining < 2 and bool(response.tool_calls)


def _check_history(messages: Sequence[Any]) -> None:
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    open_calls = [
        call
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"] not in answered
    ]
    if open_calls:
        raise ValueError(
            coded(
                "Found AIMessages with tool_calls that do not have a corresponding ToolMessage. "
                f"Here are the first few of those tool calls: {open_calls[:3]}.\n\n"
                "Every tool call (LLM requesting to call a tool) in the message history MUST have a corresponding "
                "ToolMessage (result of a tool invocation to return to the LLM) - this is required by most LLM "
                "providers.",
                ErrorCode.INVALID_CHAT_HISTORY,
            )
        )


class _AskForStructure:
    """The node `generate_structured_response`."""

    name = "generate_structured_response"

    def __init__(self, source: _ModelSource, response_format: Any) -> None:
        self._source = source
        self._prompt: list[BaseMessage] = []
        self._schema = response_format
        if isinstance(response_format, tuple):
            text, self._schema = cast("tuple[str, Any]", response_format)
            self._prompt = [SystemMessage(content=text)]

    def invoke(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        model = self._structured(self._source.get(state))
        return {"structured_response": model.invoke(self._messages(state), config)}

    async def ainvoke(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        model = self._structured(await self._source.aget(state))
        return {"structured_response": await model.ainvoke(self._messages(state), config)}

    def _messages(self, state: Any) -> list[BaseMessage]:
        return [*self._prompt, *_value(state, "messages")]

    def _structured(self, model: Any) -> Any:
        inner = _inner_model(model)
        if isinstance(inner, RunnableBinding):
            inner = cast("Any", inner).bound
        if not isinstance(inner, BaseChatModel):
            raise TypeError(
                "Expected `model` to be a ChatModel or RunnableBinding (e.g. model.bind_tools(...)), "
                f"got {cast('type[Any]', type(inner))}"
            )
        return cast("Any", inner).with_structured_output(self._schema)


create_tool_calling_executor = create_react_agent
"""The older name."""

__all__ = [
    "AgentState",
    "AgentStatePydantic",
    "AgentStateWithStructuredResponse",
    "AgentStateWithStructuredResponsePydantic",
    "create_react_agent",
    "create_tool_calling_executor",
]
