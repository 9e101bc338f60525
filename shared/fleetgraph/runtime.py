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


class RunControl:
    """Lets the caller of one run stop it after the superstep at hand: `graph.invoke(..., control=control)`."""

    __slots__ = ("_reason",)

    def __init__(self) -> None:
        self._reason: str | None = None

    def request_drain(self, reason: str = "shutdown") -> None:
        """Ask the run to stop: it then raises `GraphDrained` with this reason, and its thread can go on later.

        From any thread.
        """
        self._reason = reason

    @property
    def drain_requested(self) -> bool:
        """Whether it was asked to."""
        return self._reason is not None

    @property
    def drain_reason(self) -> str | None:
        """What was given as the reason."""
        return self._reason


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
    """Shows that the node gets on, which puts off its idle timeout. A worker shows by itself that it lives."""
    control: RunControl | None = None
    """What can stop the run after this superstep."""

    @property
    def drain_requested(self) -> bool:
        """Whether the run is to stop after this superstep: a long node may want to end early."""
        return self.control is not None and self.control.drain_requested


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:
    """The runtime of the node that is running.

    Args:
        context_schema: Only tells a type checker what `runtime.context` is.

    Raises:
        RuntimeError: Nothing is running here.
    """
    return cast("Runtime[ContextT]", current().runtime)


__all__ = ["ExecutionInfo", "RunControl", "Runtime", "get_runtime"]
