"""What a running node can ask of the run it is part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from fleetgraph.pregel.context import current

ContextT = TypeVar("ContextT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInfo:
    """Where a node runs."""

    checkpoint_id: str | None
    checkpoint_ns: str
    task_id: str
    thread_id: str | None
    run_id: str | None
    node_attempt: int = 1
    """1 for the first try of a node, 2 for its first retry."""
    node_first_attempt_time: float | None = None
    """Unix time, in seconds, at which the first try began."""


def _no_writer(_: Any) -> None: ...


def _no_heartbeat() -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime(Generic[ContextT]):
    """Run-scoped context and tools, injected into a node that names a parameter `runtime`.

    Example:
        >>> def greet(state: State, runtime: Runtime[Context]) -> dict:
        ...     return {"text": f"hello {runtime.context.user}"}
    """

    context: ContextT = None  # pyright: ignore[reportAssignmentType] (None where no context was given)
    """What the caller passed as `context=`, as an instance of the graph's `context_schema`."""
    store: Any = None
    stream_writer: Callable[[Any], None] = _no_writer
    """Emits a `custom` chunk."""
    previous: Any = None
    """What the thread's last run of an entrypoint saved; None in a StateGraph."""
    execution_info: ExecutionInfo | None = None
    server_info: None = None
    """Of LangGraph Server; None here."""
    heartbeat: Callable[[], None] = _no_heartbeat
    """Does nothing: a worker shows by itself that it lives."""


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:
    """The runtime of the node that is running.

    Args:
        context_schema: Only tells a type checker what `runtime.context` is.

    Raises:
        RuntimeError: Nothing is running here.
    """
    return cast("Runtime[ContextT]", current().runtime)


__all__ = ["ExecutionInfo", "Runtime", "get_runtime"]
