"""`@entrypoint`: a function as a graph of one node."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast, get_args, get_origin

from fleetgraph.channels.values import EphemeralValue, LastValue
from fleetgraph.checkpoint.base import as_saver
from fleetgraph.constants import END, START
from fleetgraph.func.tasks import default_name
from fleetgraph.graph.arguments import check_cache_policy, check_plugins, retry_policies
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.graph.plugins import allow_types
from fleetgraph.pregel.branch import type_hints
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.program import NodeProgram, Program, Reading
from fleetgraph.pregel.reserved import PREVIOUS
from fleetgraph.pregel.task import Write
from fleetgraph.pregel.updates import refuse_foreign
from fleetgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

ValueT = TypeVar("ValueT")
SaveT = TypeVar("SaveT")


class entrypoint:
    """Makes a function a workflow, which is run like a graph: with `invoke`, `stream` and the like, or `on` a fleet.

    The function takes one input, of any type. Further parameters are given to it by name: `previous`, what the thread's
    last run returned or saved; `config`, `runtime`, `writer` and `store`, as to a node.

    Args:
        checkpointer: A saver that keeps the threads of the workflow: needed for `previous`, for interrupts, and to go
            on after a failure without running again the tasks that have ended.
        store: What it is given as `store`.
        cache: Keeps the results of it and its tasks, where they have a `CachePolicy`.
        context_schema: The class of the `context` that runs are given.
        cache_policy: When what it returned before, for the same input, will do.
        retry_policy: When it is tried again after it failed. Tasks that have ended are not run again then.
        timeout: Seconds that an attempt may take. In-process only coroutine functions can have one.

    Raises:
        TypeError: The checkpointer is no saver, the store no store, or a policy none; or the parentheses are missing:
            `@entrypoint()`.

    Example:
        >>> @entrypoint(checkpointer=InMemorySaver())
        ... def count(n: int, previous: int | None) -> int:
        ...     return n + (previous or 0)
        >>> config = {"configurable": {"thread_id": "1"}}
        >>> count.invoke(1, config), count.invoke(2, config)
        (1, 3)
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class final(Generic[ValueT, SaveT]):
        """Returned by a workflow that saves, for its thread's next run, something else than what it returns."""

        value: ValueT
        """What it returns."""
        save: SaveT
        """What the next run is given as `previous`."""

    def __init__(
        self,
        checkpointer: Any = None,
        store: Any = None,
        cache: Any = None,
        context_schema: type | None = None,
        cache_policy: CachePolicy | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> None:
        if inspect.isroutine(checkpointer):
            raise TypeError(f"Write @entrypoint() above {checkpointer.__name__!r}, with parentheses.")
        self._checkpointer = as_saver(checkpointer)
        check_plugins(store=store, cache=cache)
        check_cache_policy(cache_policy)
        self._store = store
        self._cache = cache
        self._context_schema = context_schema
        self._cache_policy = cache_policy
        self._retry = retry_policies(retry_policy)
        self._timeout = TimeoutPolicy.coerce(timeout)

    def __call__(self, function: Callable[..., Any]) -> CompiledGraph:
        """Make a workflow of a function.

        Raises:
            NotImplementedError: It is a generator function.
            ValueError: It takes no input.
            TypeError: Its annotation is an `entrypoint.final` that does not name two types.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise NotImplementedError("Generators are not supported in the Functional API.")
        given, value, save = _annotated(function)
        name = default_name(function)
        schemas = (given, value, save, self._context_schema)
        allow_types(schemas, self._checkpointer, self._store, self._cache)
        caller = inspect.currentframe()  # the graph's own name is looked for where the function is decorated
        return CompiledGraph(
            program=self._program(function, name, given, value, save),
            checkpointer=self._checkpointer,
            store=self._store,
            interrupt_before=(),
            interrupt_after=(),
            debug=False,
            name="LangGraph",
            module=caller.f_back.f_globals.get("__name__") if caller and caller.f_back else None,
            context_schema=self._context_schema,
            coerce_output=None,
            coerce_state=None,
            schemas=schemas,
        )

    def _program(self, function: Callable[..., Any], name: str, given: Any, value: Any, save: Any) -> Program:
        node = NodeProgram(
            name=name,
            callee=Callee(function, name),
            triggers=(START,),
            reading=Reading(START, {}, None),
            updates=_written,
            retry=self._retry,
            cache=self._cache_policy,
            timeout=self._timeout,
        )
        return Program(
            name="LangGraph",
            nodes={name: node},
            channels={
                START: EphemeralValue(given, key=START),
                END: LastValue(value, key=END),
                PREVIOUS: LastValue(save, key=PREVIOUS),
            },
            output_keys=END,
            stream_keys=END,
            signature=f"entrypoint {name}",
            remembers=True,
            cache=self._cache,
        )


def _written(returned: Any) -> list[Write]:
    """What a workflow's return value writes: its result, and what its thread's next run is given."""
    if isinstance(returned, entrypoint.final):
        final = cast("entrypoint.final[Any, Any]", returned)
        return [(END, final.value), (PREVIOUS, final.save)]
    refuse_foreign(returned)
    return [(END, returned), (PREVIOUS, returned)]


def _annotated(function: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """The types of a workflow's input, its result, and what it saves."""
    parameters = inspect.signature(function).parameters
    if not parameters:
        raise ValueError("Entrypoint function must have at least one parameter")
    hints = type_hints(function)
    given = hints.get(next(iter(parameters)), Any)
    returned = hints.get("return", Any)
    if returned is entrypoint.final:
        return given, Any, Any
    if get_origin(returned) is entrypoint.final:
        types = get_args(returned)
        if len(types) != 2:
            raise TypeError("entrypoint.final takes two types, of what is returned and what is saved: final[int, str].")
        return given, *types
    return given, returned, returned
