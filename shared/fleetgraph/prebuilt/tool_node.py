"""`ToolNode`: a node that runs the tools a chat model asks for."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.config import get_executor_for_config
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as create_tool
from pydantic import ValidationError

from fleetgraph.errors import GraphBubbleUp, is_invalid_resume
from fleetgraph.prebuilt.injection import (
    InjectedState,
    InjectedStore,
    Injections,
    ToolRuntime,
    UnknownState,
    injections_of,
)
from fleetgraph.prebuilt.tool_answers import Answer, Shape, checked, combined
from fleetgraph.prebuilt.tool_errors import (
    ErrorHandling,
    ToolInvocationError,
    content_of,
    covers,
    invocation_error,
    tell_of_wrong_arguments,
)
from fleetgraph.prebuilt.tools_condition import tools_condition
from fleetgraph.pregel.context import current
from fleetgraph.runtime import Runtime
from fleetgraph.stream.langchain import let_tools_return_commands

let_tools_return_commands()  # also where a tool is called outside of any graph


class _Overrides(TypedDict, total=False):
    tool_call: Mapping[str, Any]
    tool: BaseTool
    state: Any


@dataclasses.dataclass
class ToolCallRequest:
    """One tool call, as a `wrap_tool_call` function gets to see it."""

    tool_call: Mapping[str, Any]
    tool: BaseTool | None
    """None if the model asks for a tool that is not there."""
    state: Any
    runtime: ToolRuntime

    def override(self, **overrides: Unpack[_Overrides]) -> ToolCallRequest:
        """A request like this one, with other values."""
        return dataclasses.replace(self, **overrides)


Result = Answer | list[Answer]
ToolCallWrapper = Callable[[ToolCallRequest, Callable[[ToolCallRequest], Result]], Result]
"""Stands between the node and its tools: is given a request and a function that runs it, and returns the answer."""
AsyncToolCallWrapper = Callable[[ToolCallRequest, Callable[[ToolCallRequest], Awaitable[Result]]], Awaitable[Result]]


class ToolNode(Runnable[Any, Any]):
    """A node that runs the tools that the last AI message asks for, side by side, and answers with their messages.

    It takes a state with messages, and returns an update of them; or a list of messages, or of tool calls. Tools may
    return a `Command` (or a list of Commands and messages) to update more of the state or to say where to go. What
    they stream, and what chat models in them say, belongs to the node. `interrupt` in a tool interrupts the node.

    Args:
        tools: LangChain tools, or functions to be made into such: their docstrings tell the model what they do.
        name: The name of the node.
        tags: Tags of whatever runs inside.
        handle_tool_errors: What the model is told of exceptions instead of failing the node. By default only of
            arguments that do not fit the tool. True: of all; a text: that text, of all; a class or a tuple of classes:
            of these; a function of the exception: what it returns, of the exceptions its parameter is annotated with;
            False: of none.
        messages_key: Where the state has its messages.
        wrap_tool_call: Called instead of each tool, with the request and a function that runs it.
        awrap_tool_call: The same for `ainvoke`, which else uses `wrap_tool_call`.

    Raises:
        ValueError: A tool's parameter is annotated twice with the same thing to inject.

    Example:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> builder.add_node("tools", ToolNode([add]))
    """

    def __init__(
        self,
        tools: Sequence[BaseTool | Callable[..., Any]],
        *,
        name: str = "tools",
        tags: list[str] | None = None,
        handle_tool_errors: ErrorHandling = tell_of_wrong_arguments,
        messages_key: str = "messages",
        wrap_tool_call: ToolCallWrapper | None = None,
        awrap_tool_call: AsyncToolCallWrapper | None = None,
    ) -> None:
        self.name = name
        self.tags = tags
        self._handling = handle_tool_errors
        self._messages_key = messages_key
        self._wrap = wrap_tool_call
        self._awrap = awrap_tool_call
        self._tools: dict[str, BaseTool] = {}
        self._injections: dict[str, Injections] = {}
        for item in tools:
            tool = item if isinstance(item, BaseTool) else create_tool(item)
            self._tools[tool.name] = tool
            self._injections[tool.name] = injections_of(tool)

    @property
    def tools_by_name(self) -> dict[str, BaseTool]:
        """The tools."""
        return self._tools

    # --- all calls -----------------------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the tools, in threads if there are several, and return the update.

        Raises:
            ValueError: There are no messages, or no AI message among them.
            Exception: What a tool raised and the model is not to be told of: of the first call that did, once all
                have ended.
        """
        shape, requests = self._requests(input, config)
        if len(requests) == 1:
            answers = [self._run(requests[0], shape)]
        else:
            # LangChain's executor runs each call in a copy of this context: the tools find their task in it.
            with get_executor_for_config(config) as executor:
                answers = list(executor.map(self._run, requests, [shape] * len(requests)))
        return combined(answers, shape, self._messages_key)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The same as `invoke`, on the event loop; a synchronous tool runs in a thread."""
        shape, requests = self._requests(input, config)
        # All are waited for, so that none is still at work when the node has failed and may be tried again.
        outcomes = await asyncio.gather(*(self._arun(request, shape) for request in requests), return_exceptions=True)
        answers: list[Result] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            answers.append(outcome)
        return combined(answers, shape, self._messages_key)

    def _requests(self, given: Any, config: RunnableConfig | None) -> tuple[Shape, list[ToolCallRequest]]:
        shape, calls, state = self._calls_in(given)
        runtime = _runtime()
        return shape, [
            ToolCallRequest(
                tool_call=call,
                tool=self._tools.get(call["name"]),
                state=state,
                runtime=ToolRuntime(
                    state=state,
                    tool_call_id=call["id"],
                    config=self._config(config),
                    context=runtime.context,
                    store=runtime.store,
                    stream_writer=runtime.stream_writer,
                    tools=list(self._tools.values()),
                    execution_info=runtime.execution_info,
                    server_info=runtime.server_info,
                ),
            )
            for call in calls
        ]

    def _config(self, config: RunnableConfig | None) -> RunnableConfig:
        own = ensure_config(config)  # a copy; without a config the one of the node around
        own.pop("run_id", None)  # these name one run in a trace, which is not a tool's
        own.pop("run_name", None)
        if self.tags:
            own["tags"] = [*(own.get("tags") or ()), *self.tags]
        return own

    def _calls_in(self, given: Any) -> tuple[Shape, list[Mapping[str, Any]], Any]:
        """The shape of the input, its tool calls, and the state they see."""
        if isinstance(given, list):
            messages = cast("list[Any]", given)
            last: Any = messages[-1] if messages else None
            if isinstance(last, dict) and cast("dict[str, Any]", last).get("type") == "tool_call":
                return "tool_calls", messages, UnknownState()
            shape: Shape = "list"
        else:
            shape = "dict"
            if isinstance(given, dict):
                state = cast("dict[str, Any]", given)
                if state.get("__type") == "tool_call_with_context":
                    return "tool_calls", [state["tool_call"]], state["state"]
                messages = state.get(self._messages_key)
            else:
                messages = getattr(given, self._messages_key, None)
        if not messages:
            raise ValueError("No message found in input")
        for message in reversed(messages):
            if isinstance(message, AIMessage):
                return shape, [dict(call) for call in message.tool_calls], cast("Any", given)
        raise ValueError("No AIMessage found in input")

    # --- one call ------------------------------------------------------------------------------------------------

    def _run(self, request: ToolCallRequest, shape: Shape) -> Result:
        if self._wrap is None:
            return self._execute(request, shape)
        try:
            return self._wrap(request, lambda changed: self._execute(changed, shape))
        except GraphBubbleUp:
            raise
        except Exception as error:
            return self._told_of_wrapper(error, request)

    async def _arun(self, request: ToolCallRequest, shape: Shape) -> Result:
        if self._awrap is None and self._wrap is None:
            return await self._aexecute(request, shape)
        try:
            if self._awrap is not None:
                return await self._awrap(request, lambda changed: self._aexecute(changed, shape))
            return cast("ToolCallWrapper", self._wrap)(request, lambda changed: self._execute(changed, shape))
        except GraphBubbleUp:
            raise
        except Exception as error:
            return self._told_of_wrapper(error, request)

    def _execute(self, request: ToolCallRequest, shape: Shape) -> Result:
        call = request.tool_call
        if request.tool is None:
            return self._no_such_tool(call)
        prepared = self._prepared(request, request.tool)
        try:
            try:
                response = request.tool.invoke(prepared, request.runtime.config)
            except ValidationError as error:
                if is_invalid_resume(error):
                    raise
                raise self._wrong_arguments(error, request) from error
            return checked(response, call, shape, self._messages_key)
        except GraphBubbleUp:  # not an error: an interrupt, or a Command for the parent graph
            raise
        except Exception as error:
            return self._told(error, request)

    async def _aexecute(self, request: ToolCallRequest, shape: Shape) -> Result:
        call = request.tool_call
        if request.tool is None:
            return self._no_such_tool(call)
        prepared = self._prepared(request, request.tool)
        try:
            try:
                response = await request.tool.ainvoke(prepared, request.runtime.config)
            except ValidationError as error:
                if is_invalid_resume(error):
                    raise
                raise self._wrong_arguments(error, request) from error
            return checked(response, call, shape, self._messages_key)
        except GraphBubbleUp:
            raise
        except Exception as error:
            return self._told(error, request)

    def _injections_for(self, call: Mapping[str, Any], tool: BaseTool) -> Injections:
        # A wrapper may bring in a tool that the node does not have.
        return self._injections.get(call["name"]) or injections_of(tool)

    def _prepared(self, request: ToolCallRequest, tool: BaseTool) -> dict[str, Any]:
        call = request.tool_call
        arguments = self._injections_for(call, tool).complete(call, request.runtime, self._messages_key)
        return {**call, "args": arguments, "type": "tool_call"}

    def _told(self, error: Exception, request: ToolCallRequest) -> ToolMessage:
        """The message that tells the model of an error; raises the error if it is not to be told."""
        if is_invalid_resume(error):  # whoever answered the interrupt has to answer better, not the model
            raise error
        if not covers(self._handling, error):
            raise error
        return _error_message(content_of(self._handling, error), request.tool_call)

    def _wrong_arguments(self, error: ValidationError, request: ToolCallRequest) -> ToolInvocationError:
        call = request.tool_call
        injections = self._injections_for(call, cast("BaseTool", request.tool))
        return invocation_error(call, error, injections.names)

    def _told_of_wrapper(self, error: Exception, request: ToolCallRequest) -> ToolMessage:
        if not self._handling or is_invalid_resume(error):
            raise error
        return _error_message(content_of(self._handling, error), request.tool_call)

    def _no_such_tool(self, call: Mapping[str, Any]) -> ToolMessage:
        known = ", ".join(self._tools)
        return _error_message(f"Error: {call['name']} is not a valid tool, try one of [{known}].", call)


def _error_message(content: str, call: Mapping[str, Any]) -> ToolMessage:
    return ToolMessage(content=content, name=call["name"], tool_call_id=call["id"], status="error")


def _runtime() -> Runtime[Any]:
    """The runtime of the node that is running; an empty one outside of a graph, where tools can be tried too."""
    try:
        return current().runtime
    except RuntimeError:
        return Runtime()


__all__ = [
    "AsyncToolCallWrapper",
    "InjectedState",
    "InjectedStore",
    "ToolCallRequest",
    "ToolCallWrapper",
    "ToolInvocationError",
    "ToolNode",
    "ToolRuntime",
    "tools_condition",
]
