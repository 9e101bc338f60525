"""`StateGraph`: describing a graph."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args, get_origin

from fleetgraph.channels.base import BaseChannel
from fleetgraph.constants import END, START
from fleetgraph.errors import NotSupported
from fleetgraph.graph.arguments import check_cache_policy, check_plugins, retry_policies
from fleetgraph.graph.plugins import allow_types, schemas_within
from fleetgraph.graph.schema import Schema, read_schema
from fleetgraph.pregel.branch import Branch, PathMap, first_parameter_schema, type_hints
from fleetgraph.pregel.callee import Callee, own_name
from fleetgraph.types import CachePolicy, Command, RetryPolicy, TimeoutPolicy

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph, CompiledStateGraph

logger = logging.getLogger(__name__)

_RESERVED_CHARACTERS = ("|", ":")
"""What separates the parts of a checkpoint namespace."""


@dataclasses.dataclass(slots=True)
class NodeSpec:
    """A node as it was added."""

    callee: Callee | None
    """Its function; None where it is a graph."""
    input_schema: Any
    metadata: Mapping[str, Any]
    retry: tuple[RetryPolicy, ...]
    destinations: tuple[str, ...]
    """Where a returned Command may go; for drawing and for finding typos."""
    destination_labels: Mapping[str, str]
    """What its destinations are labelled with in drawings."""
    deferred: bool
    cache: CachePolicy | None
    timeout: TimeoutPolicy | None
    error_handler: Callable[..., Any] | None
    subgraph: CompiledGraph | None
    """The graph that the node is, if it is one."""


@dataclasses.dataclass(frozen=True, slots=True)
class NodeDefaults:
    """What holds for the nodes that do not say otherwise."""

    retry: tuple[RetryPolicy, ...] = ()
    cache: CachePolicy | None = None
    error_handler: Callable[..., Any] | None = None
    timeout: TimeoutPolicy | None = None


class StateGraph:
    """Describes a graph whose nodes share a state.

    A node is a function from the state to an update of it. Every key of the state is a channel; one annotated
    `Annotated[T, reducer]` folds the updates of several nodes together, any other takes one update a superstep.
    All methods return the graph, so that calls chain.

    Args:
        state_schema: A TypedDict, dataclass, pydantic model, or one annotated type.
        context_schema: The class of the `context` that runs are given.
        input_schema: What runs take, when it differs from the state.
        output_schema: What `invoke` returns, when it differs from the state.

    Example:
        >>> class State(TypedDict):
        ...     topic: str
        >>> def shout(state: State):
        ...     return {"topic": state["topic"].upper()}
        >>> graph = StateGraph(State).add_node(shout).add_edge(START, "shout").compile()
        >>> graph.invoke({"topic": "cats"})
        {'topic': 'CATS'}
    """

    def __init__(
        self,
        state_schema: Any,
        context_schema: type | None = None,
        *,
        input_schema: Any = None,
        output_schema: Any = None,
    ) -> None:
        self.state_schema = state_schema
        self.context_schema = context_schema
        self.input_schema = input_schema or state_schema
        self.output_schema = output_schema or state_schema
        self.nodes: dict[str, NodeSpec] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.joins: dict[tuple[tuple[str, ...], str], None] = {}
        self.branches: dict[str, dict[str, Branch]] = {}
        self.schemas: dict[Any, Schema] = {}
        self.channels: dict[str, BaseChannel] = {}
        self.managed: dict[str, Any] = {}
        self.defaults = NodeDefaults()
        self._compiled = False
        self._add_schema(state_schema)
        self._add_schema(self.input_schema, managed_allowed=False)
        self._add_schema(self.output_schema, managed_allowed=False)

    # --- describing ----------------------------------------------------------------------------------------------

    def add_node(
        self,
        node: str | Callable[..., Any] | Any,
        action: Callable[..., Any] | Any = None,
        *,
        defer: bool = False,
        metadata: Mapping[str, Any] | None = None,
        input_schema: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        error_handler: Callable[..., Any] | None = None,
        destinations: Mapping[str, str] | Sequence[str] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        trace_policy: Any = None,
    ) -> Self:
        """Add a node: `add_node(function)`, named after the function, or `add_node(name, function)`.

        Args:
            node: The node's name, or its function; or a compiled graph, whose nodes then run as tasks of this one.
            action: The function or graph, when `node` is a name.
            defer: Whether to put the node off until the run would otherwise end.
            metadata: Goes into the node's `messages` and `tasks` chunks.
            input_schema: What the node is given of the state, when it is not what its first parameter is annotated
                with, or all of it.
            retry_policy: When to run the node again after it raised; of several the first that matches.
            cache_policy: When it need not run, because it ran on the same input before.
            error_handler: Runs in its place, in the same superstep, once it has failed: a function of its input and of
                `error: NodeError`. What follows the node then does not run; the handler says where to go.
            destinations: Where a `Command` it returns may go, as names or as a mapping to labels; for drawing.
            timeout: Seconds that one attempt may take. In-process only coroutine functions can have one.

        Raises:
            ValueError: The name is taken, reserved, or has a `|` or `:` in it.
            TypeError: A policy is none.
            NotSupported: An option that Fleetgraph does not have.
        """
        self._warn_if_compiled("a node")
        if trace_policy is not None:
            raise NotSupported("add_node(trace_policy=...)")
        if not isinstance(node, str):
            action = node
            name = _default_name(action)
        elif action is None:
            raise ValueError(f"Node `{node}` needs a function: add_node(name, function)")
        else:
            name = node
        if name in self.nodes:
            raise ValueError(f"Node `{name}` already present.")
        if name in (START, END):
            raise ValueError(f"Node `{name}` is reserved.")
        for character in _RESERVED_CHARACTERS:
            if character in name:
                raise ValueError(f"'{character}' is a reserved character and is not allowed in the node names.")
        check_cache_policy(cache_policy)
        graph = _as_graph(action)
        limit = TimeoutPolicy.coerce(timeout)
        if graph is not None and limit is not None and limit.idle_timeout is not None:
            raise NotSupported("add_node(timeout=TimeoutPolicy(idle_timeout=...)) of a node that is a graph")
        schema = input_schema or (None if graph else first_parameter_schema(action)) or self.state_schema
        self._add_schema(schema)
        self.nodes[name] = NodeSpec(
            callee=None if graph else Callee(action, name),
            input_schema=schema,
            metadata=dict(metadata or {}),
            retry=retry_policies(retry_policy),
            destinations=tuple(destinations) if destinations is not None else _command_destinations(action),
            destination_labels=dict(destinations) if isinstance(destinations, Mapping) else {},
            deferred=defer,
            cache=cache_policy,
            timeout=limit,
            error_handler=error_handler,
            subgraph=graph,
        )
        return self

    def set_node_defaults(
        self,
        *,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        error_handler: Callable[..., Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> Self:
        """Set what holds for every node that does not say otherwise, those added before included.

        It does not reach into graphs in nodes. Retry policy and timeout hold for error handlers too.
        """
        check_cache_policy(cache_policy)
        defaults = self.defaults
        self.defaults = NodeDefaults(
            retry=defaults.retry if retry_policy is None else retry_policies(retry_policy),
            cache=defaults.cache if cache_policy is None else cache_policy,
            error_handler=defaults.error_handler if error_handler is None else error_handler,
            timeout=defaults.timeout if timeout is None else TimeoutPolicy.coerce(timeout),
        )
        return self

    def add_edge(self, start_key: str | Sequence[str], end_key: str) -> Self:
        """Run `end_key` after `start_key`; after all of them, where that is a list.

        Raises:
            ValueError: An edge from END, to START, or (for a list) of a node that has not been added.
        """
        self._warn_if_compiled("an edge")
        if isinstance(start_key, str):
            if start_key == END:
                raise ValueError("END cannot be a start node")
            if end_key == START:
                raise ValueError("START cannot be an end node")
            self.edges[start_key, end_key] = None
            return self
        for start in start_key:
            if start == END:
                raise ValueError("END cannot be a start node")
            if start not in self.nodes:
                raise ValueError(f"Need to add_node `{start}` first")
        if end_key == START:
            raise ValueError("START cannot be an end node")
        if end_key != END and end_key not in self.nodes:
            raise ValueError(f"Need to add_node `{end_key}` first")
        self.joins[tuple(start_key), end_key] = None
        return self

    def add_conditional_edges(
        self,
        source: str,
        path: Callable[..., Hashable | Sequence[Hashable]] | Any,
        path_map: PathMap | None = None,
    ) -> Self:
        """After `source`, go where `path` says.

        Args:
            source: A node, or START.
            path: Function of the state, sync or async, to a node's name, a `Send`, END, or a list of those.
            path_map: What its answers stand for, when they are not names of nodes.

        Raises:
            ValueError: `source` has a conditional edge of that name already.
        """
        self._warn_if_compiled("an edge")
        branch = Branch(path, path_map)
        branches = self.branches.setdefault(source, {})
        if branch.name in branches:
            raise ValueError(f"Branch with name `{branch.name}` already exists for node `{source}`")
        branches[branch.name] = branch
        if branch.input_schema is not None:
            self._add_schema(branch.input_schema)
        return self

    def add_sequence(self, nodes: Sequence[Callable[..., Any] | tuple[str, Callable[..., Any]] | Any]) -> Self:
        """Add nodes, given as functions or (name, function), with an edge from each to the next.

        Raises:
            ValueError: There are none, or two have the same name.
        """
        if not nodes:
            raise ValueError("Sequence requires at least one node.")
        previous: str | None = None
        for node in nodes:
            if isinstance(node, tuple):
                name, action = cast("tuple[str, Any]", node)
            else:
                name, action = _default_name(node), node
            if name in self.nodes:
                raise ValueError(
                    f"Node names must be unique: node with the name '{name}' already exists. "
                    "If you need to use two different runnables/callables with the same name (for example, "
                    "using `lambda`), please provide them as tuples (name, runnable/callable)."
                )
            self.add_node(name, action)
            if previous is not None:
                self.add_edge(previous, name)
            previous = name
        return self

    def set_entry_point(self, key: str) -> Self:
        """The same as `add_edge(START, key)`."""
        return self.add_edge(START, key)

    def set_finish_point(self, key: str) -> Self:
        """The same as `add_edge(key, END)`."""
        return self.add_edge(key, END)

    def set_conditional_entry_point(self, path: Callable[..., Any] | Any, path_map: PathMap | None = None) -> Self:
        """The same as `add_conditional_edges(START, path, path_map)`."""
        return self.add_conditional_edges(START, path, path_map)

    # --- compiling -----------------------------------------------------------------------------------------------

    def validate(self, interrupt: Sequence[str] | None = None) -> Self:
        """Check that every edge leads from a node to a node, and that there is a way in.

        Raises:
            ValueError: One does not, or there is none.
        """
        edges = [*self.edges, *((start, end) for starts, end in self.joins for start in starts)]
        jumping = [name for name, node in self.nodes.items() if node.destinations]
        sources = dict.fromkeys([*(start for start, _ in edges), *self.branches, *jumping])
        for source in sources:
            if source not in self.nodes and source != START:
                raise ValueError(f"Found edge starting at unknown node '{source}'")
        if START not in sources:
            raise ValueError("Graph must have an entrypoint: add at least one edge from START to another node")
        for start, branches in self.branches.items():
            for name, branch in branches.items():
                for end in (branch.ends or {}).values():
                    if end not in self.nodes and end != END:
                        raise ValueError(f"At '{start}' node, '{name}' branch found unknown target '{end}'")
        jumps = (end for name in jumping for end in self.nodes[name].destinations)
        for target in dict.fromkeys([*(end for _, end in edges), *jumps]):
            if target not in self.nodes and target != END:
                raise ValueError(f"Found edge ending at unknown node `{target}`")
        for name in interrupt or ():
            if name not in self.nodes:
                raise ValueError(f"Interrupt node `{name}` not found")
        self._compiled = True
        return self

    def compile(
        self,
        checkpointer: Any = None,
        *,
        cache: Any = None,
        store: Any = None,
        interrupt_before: Literal["*"] | Sequence[str] | None = None,
        interrupt_after: Literal["*"] | Sequence[str] | None = None,
        debug: bool = False,
        name: str = "LangGraph",
        transformers: Any = None,
    ) -> CompiledStateGraph:
        """Check the graph and make it runnable.

        Args:
            checkpointer: A saver that keeps the state of threads between runs, one of LangGraph's too. For a graph that
                is to be used in another one: None to use the other's saver, with a state that begins anew in each of
                its tasks; True for one history of its own in each thread; False for none.
            cache: Keeps what nodes with a `CachePolicy` wrote.
            store: What nodes are given as `store`.
            interrupt_before: Nodes before which runs stop; `*` for all.
            interrupt_after: Nodes after which runs stop.
            debug: Whether runs print updates and values.
            name: What the graph is called.

        Raises:
            ValueError: The graph is not sound; the message names the node or edge.
            TypeError: The checkpointer, the store or the cache is none.
            NotSupported: An option that Fleetgraph does not have yet.
        """
        # What runs graphs is not needed to describe them, and takes longer to import.
        from fleetgraph.checkpoint.base import as_saver
        from fleetgraph.graph.compiled import CompiledStateGraph
        from fleetgraph.graph.compiling import program_of

        if transformers is not None:
            raise NotSupported("compile(transformers=...)")
        breakpoints = [*(interrupt_before or ()), *(interrupt_after or ())]
        self.validate([] if "*" in breakpoints else breakpoints)
        saver = as_saver(checkpointer)
        check_plugins(store=store, cache=cache)
        caller = inspect.currentframe()  # the graph's own name is looked for where it is compiled
        graph = CompiledStateGraph(
            builder=self,
            program=program_of(self, name, cache),
            checkpointer=saver,
            store=store,
            interrupt_before=interrupt_before or (),
            interrupt_after=interrupt_after or (),
            debug=debug,
            name=name,
            module=caller.f_back.f_globals.get("__name__") if caller and caller.f_back else None,
        )
        if any(plugin is not None for plugin in (saver, store, cache)):
            allow_types(schemas_within(graph), saver, store, cache)
        return graph

    def _add_schema(self, schema: Any, managed_allowed: bool = True) -> None:
        if schema in self.schemas:
            return
        described = read_schema(schema)
        if described.managed and not managed_allowed:
            names = ", ".join(described.managed)
            raise ValueError(
                f"Invalid managed channels detected in {getattr(schema, '__name__', '')}: {names}."
                " Managed channels are not permitted in Input/Output schema."
            )
        self.schemas[schema] = described
        for key, channel in described.channels.items():
            known = self.channels.get(key)
            if known is None:
                self.channels[key] = channel
            elif type(channel).__name__ != "LastValue" and known.signature != channel.signature:
                raise ValueError(f"Channel '{key}' already exists with a different type")
        self.managed.update(described.managed)

    def _warn_if_compiled(self, what: str) -> None:
        if self._compiled:
            logger.warning(
                "Adding %s to a graph that has already been compiled. "
                "This will not be reflected in the compiled graph.",
                what,
            )


def __getattr__(name: str) -> Any:
    # LangGraph has it here.
    if name == "CompiledStateGraph":
        from fleetgraph.graph.compiled import CompiledStateGraph

        return CompiledStateGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _as_graph(action: Any) -> CompiledGraph | None:
    """`action`, if it is a graph: then somebody has imported what graphs are."""
    compiled = sys.modules.get("fleetgraph.graph.compiled")
    return action if compiled is not None and isinstance(action, compiled.CompiledGraph) else None


def _default_name(action: Any) -> str:
    return own_name(action) or getattr(action, "__name__", type(action).__name__)


def _command_destinations(action: Any) -> tuple[str, ...]:
    """The targets in a return annotation `Command[Literal["a", "b"]]`, alone or in a union."""
    answer = type_hints(action).get("return")
    options = get_args(answer) if get_origin(answer) in (typing.Union, types.UnionType) else (answer,)
    for option in options:
        if get_origin(option) is Command and (args := get_args(option)) and get_origin(args[0]) is Literal:
            return get_args(args[0])
    return ()
