"""What tools are given besides what the model says: the state, the store, the run they are part of."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from langchain_core.tools.base import (
    _DirectlyInjectedToolArg,  # pyright: ignore[reportPrivateUsage] (how LangChain knows a ToolRuntime)
    get_all_basemodel_annotations,
)
from typing_extensions import TypeVar

from fleetgraph.errors import NotSupported
from fleetgraph.runtime import ExecutionInfo
from fleetgraph.types import StreamWriter

ContextT = TypeVar("ContextT", default=Any)
StateT = TypeVar("StateT", default=Any)


class InjectedState(InjectedToolArg):
    """Annotates a tool's parameter that is to be given the graph's state. The model never sees it.

    Args:
        field: The key of the state to give; all of the state without it.

    Example:
        >>> @tool
        ... def greet(word: str, user: Annotated[str, InjectedState("user")]) -> str:
        ...     '''Greet the user.'''
        ...     return f"{word}, {user}!"
    """

    def __init__(self, field: str | None = None) -> None:
        self.field = field


class InjectedStore(InjectedToolArg):
    """Annotates a tool's parameter that is to be given the graph's store. The model never sees it."""


@dataclass
class ToolRuntime(_DirectlyInjectedToolArg, Generic[ContextT, StateT]):
    """What a tool can ask of the run that called it: annotate a parameter with it. The model never sees it.

    Example:
        >>> @tool
        ... def search(query: str, runtime: ToolRuntime) -> str:
        ...     '''Search.'''
        ...     runtime.stream_writer(f"searching for {query}")
        ...     return find(query, runtime.context.user)
    """

    state: StateT
    """The state of the graph."""
    context: ContextT
    """What the caller of the graph passed as `context=`."""
    config: RunnableConfig
    stream_writer: StreamWriter
    """Emits a `custom` chunk."""
    tool_call_id: str | None
    """The id the model gave this call."""
    store: Any | None
    tools: list[BaseTool] = field(default_factory=list[BaseTool])
    """All tools of the `ToolNode`."""
    execution_info: ExecutionInfo | None = None
    server_info: Any = None
    """Of LangGraph Server; None here."""

    def emit_output_delta(self, delta: Any) -> None:
        """Does nothing: it is for LangGraph's stream mode `tools`, which Fleetgraph does not have."""


class UnknownState(dict[str, Any]):
    """The state of a tool call that was sent without any: reading it says so."""

    def __missing__(self, key: str) -> Any:
        raise _without_state("runtime.state")


def _without_state(what: str) -> NotSupported:
    return NotSupported(
        f"{what} in a tool whose call was sent without the state (send {{'__type': 'tool_call_with_context', "
        "'tool_call': call, 'state': state} instead of [call])"
    )


@dataclass(frozen=True, slots=True)
class Injections:
    """Which parameters of one tool are given what. Found once for each tool, used for each call."""

    state: Mapping[str, str | None]
    """Parameter to key of the state; None stands for all of it."""
    optional: frozenset[str]
    """Parameters that may stay without their key of the state, as they have a default."""
    store: str | None
    runtime: str | None
    runtime_class: type[Any]
    hidden: frozenset[str]
    """All that is not the model's to say: what it says of these all the same is dropped."""

    @property
    def names(self) -> frozenset[str]:
        """The parameters that are given something here."""
        return frozenset(name for name in (*self.state, self.store, self.runtime) if name is not None)

    def complete(self, call: Mapping[str, Any], runtime: ToolRuntime, messages_key: str) -> dict[str, Any]:
        """The arguments of `call` with what is injected.

        Raises:
            ValueError: The tool wants a store and the graph has none, or a key of a state that is only messages.
            KeyError: The state, a mapping, lacks a key the tool wants.
            AttributeError: The state, an object, does.
        """
        arguments = {name: value for name, value in call["args"].items() if name not in self.hidden}
        if self.state:
            arguments.update(self._of_state(call["name"], runtime.state, messages_key))
        if self.store:
            if runtime.store is None:
                raise ValueError(
                    "Cannot inject store into tools with InjectedStore annotations - "
                    "please compile your graph with a store."
                )
            arguments[self.store] = runtime.store
        if self.runtime:
            arguments[self.runtime] = self._as_annotated(runtime)
        return arguments

    def _of_state(self, tool: str, state: Any, messages_key: str) -> dict[str, Any]:
        if isinstance(state, UnknownState):
            raise _without_state("InjectedState")
        wanted = list(self.state.values())
        if isinstance(state, list):
            if wanted != [messages_key] and wanted[0] is not None:
                keys = ", ".join(key for key in wanted if key)
                raise ValueError(
                    f"Invalid input to ToolNode. Tool {tool} requires graph state dict as input."
                    f" State should contain fields {keys}."
                )
            state = {messages_key: cast("list[Any]", state)}
        found: dict[str, Any] = {}
        for name, key in self.state.items():
            if not key:
                found[name] = state
            elif isinstance(state, Mapping):
                if key in state:
                    found[name] = state[key]
                elif name not in self.optional:
                    raise KeyError(key)
            elif hasattr(state, key):
                found[name] = getattr(state, key)
            elif name not in self.optional:
                raise AttributeError(key)
        return found

    def _as_annotated(self, runtime: ToolRuntime) -> Any:
        if self.runtime_class is ToolRuntime:
            return runtime
        # LangChain checks arguments against their annotations, so a class of another library takes one of its own.
        known = {item.name for item in dataclasses.fields(self.runtime_class)}
        items = {item.name: getattr(runtime, item.name) for item in dataclasses.fields(runtime)}
        return self.runtime_class(**{name: value for name, value in items.items() if name in known})


def injections_of(tool: BaseTool) -> Injections:
    """What a tool is to be given, by the annotations of its schema and of its function.

    Raises:
        ValueError: A parameter is annotated twice with the same kind of thing.
    """
    schema: Any = tool.get_input_schema()
    code = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    annotations: dict[str, Any] = get_type_hints(code, include_extras=True) if code else {}
    annotations.update(get_all_basemodel_annotations(schema))
    annotations.pop("return", None)
    state: dict[str, str | None] = {}
    optional: set[str] = set()
    hidden: set[str] = set()
    store: str | None = None
    runtime: str | None = None
    runtime_class: type[Any] = ToolRuntime
    for name, annotation in annotations.items():
        parts = list(_parts(annotation))
        if any(_is_kind(part, InjectedToolArg) or _is_kind(part, _DirectlyInjectedToolArg) for part in parts):
            hidden.add(name)
        if marker := _only(parts, InjectedState):
            state[name] = getattr(marker, "field", None) if not isinstance(marker, type) else None
            described = schema.model_fields.get(name)
            if described is not None and not described.is_required():
                optional.add(name)
        if _only(parts, InjectedStore):
            store = name
        if cls := _only(parts, ToolRuntime):
            runtime, runtime_class = name, get_origin(cls) or cls
        elif name == "runtime":
            runtime = name
    return Injections(state, frozenset(optional), store, runtime, runtime_class, frozenset(hidden))


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, and what it is made of where it is a union or has metadata."""
    yield annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        for part in get_args(annotation):
            yield from _parts(part)


def _only(parts: list[Any], kind: type[Any]) -> Any:
    """The one part that is of a kind of marker, None without any."""
    found = [part for part in parts if _is_kind(part, kind)]
    if len(found) > 1:
        raise ValueError(f"A tool argument should not be annotated with {kind.__name__} more than once. Found: {found}")
    return found[0] if found else None


def _is_kind(part: Any, kind: type[Any]) -> bool:
    """Whether `part` is an instance of `kind`, or a class of that kind, with or without arguments.

    `langchain.tools` hands out LangGraph's markers: they do the same by the same names, and count here too.
    """
    cls = get_origin(part) or part
    bases: tuple[type[Any], ...] = cls.__mro__ if isinstance(cls, type) else type(cls).__mro__
    if kind in bases:
        return True
    return any(base.__name__ == kind.__name__ and base.__module__.startswith("langgraph.") for base in bases)
