"""Every exception of Fleetgraph.

Errors of the graph language carry LangGraph's names and texts, so that code and people that know those recognise them.
Errors of the fleet derive from `FleetgraphError` and keep what they know in fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from fleetgraph.types import Interrupt

_DOCS = "https://docs.langchain.com/oss/python/langgraph/errors/"


class ErrorCode(Enum):
    """Codes of errors that have a troubleshooting page."""

    GRAPH_RECURSION_LIMIT = "GRAPH_RECURSION_LIMIT"
    INVALID_CONCURRENT_GRAPH_UPDATE = "INVALID_CONCURRENT_GRAPH_UPDATE"
    INVALID_GRAPH_NODE_RETURN_VALUE = "INVALID_GRAPH_NODE_RETURN_VALUE"
    INVALID_CHAT_HISTORY = "INVALID_CHAT_HISTORY"


def coded(message: str, code: ErrorCode) -> str:
    """`message` with a line that points to the troubleshooting page of `code`."""
    return f"{message}\nFor troubleshooting, visit: {_DOCS}{code.value}"


# --- the graph language ------------------------------------------------------------------------------------------


class GraphRecursionError(RecursionError):
    """The run took as many supersteps as its recursion limit allows, without reaching an end."""


class InvalidUpdateError(Exception):
    """A channel was given values it can't take, or a node returned something that is no update."""


class EmptyInputError(Exception):
    """A run was started without input on a thread that has nothing to continue."""


class EmptyChannelError(Exception):
    """A channel was read before anything was written to it."""


class NodeCancelledError(Exception):
    """A node raised `asyncio.CancelledError` though nobody cancelled it."""


class GraphBubbleUp(Exception):
    """Base of control-flow signals: not failures, never retried."""


class ParentCommand(GraphBubbleUp):
    """A `Command` for the parent graph, on its way up."""


class GraphInterrupt(GraphBubbleUp):
    """A node asked something, or the run reached a breakpoint. Never reaches the caller of the outermost graph."""

    def __init__(self, interrupts: Sequence[Interrupt] = ()) -> None:
        super().__init__(interrupts)

    @property
    def interrupts(self) -> tuple[Interrupt, ...]:
        """What was asked; empty at a breakpoint."""
        return tuple(self.args[0])


class NodeInterrupt(GraphInterrupt):
    """What older nodes raise to ask something. Use `fleetgraph.types.interrupt`."""

    def __init__(self, value: Any, id: str | None = None) -> None:
        from fleetgraph.types import Interrupt

        super().__init__([Interrupt(value) if id is None else Interrupt(value, id)])


class UnknownInterruptError(Exception):
    """A resume that names no pending interrupt, in a run whose config asks for strictness about that."""


class TaskNotFound(Exception):
    """A task that was to be run is not known."""


class GraphDrained(GraphBubbleUp):
    """The run was asked to stop after a superstep (`RunControl.request_drain`). Running the thread again goes on."""

    def __str__(self) -> str:
        return f"Graph drained: {self.reason}"

    @property
    def reason(self) -> str:
        """What was given as the reason."""
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True, slots=True)
class NodeError:
    """Why a node failed, as its `error_handler` is told."""

    node: str
    """The node that failed."""
    error: BaseException
    """What it raised."""


class NodeTimeoutError(Exception):
    """An attempt of a node took longer than its timeout. No `TimeoutError`, so that retry policies cover it.

    Attributes:
        kind: Which limit it was: `run` or `idle`.
        timeout: That limit, in seconds.
        elapsed: Seconds since the attempt began.
    """

    def __init__(
        self,
        node: str,
        elapsed: float,
        *,
        kind: Literal["idle", "run"],
        idle_timeout: float | None = None,
        run_timeout: float | None = None,
    ) -> None:
        limit = idle_timeout if kind == "idle" else run_timeout
        if limit is None:
            raise ValueError(f"{kind}_timeout is required when kind='{kind}'")
        what = "idle timeout" if kind == "idle" else "run timeout"
        idle = " without making progress" if kind == "idle" else ""
        super().__init__(f"Node '{node}' exceeded its {what} of {limit:.3f}s{idle} (elapsed: {elapsed:.3f}s).")
        self.node = node
        self.elapsed = elapsed
        self.kind = kind
        self.timeout = limit
        self.idle_timeout = idle_timeout
        self.run_timeout = run_timeout


INVALID_RESUME: Final = "_fleetgraph_invalid_resume"
"""Attribute that marks an error of an answer that did not fit."""


def is_invalid_resume(error: BaseException) -> bool:
    """Whether `error` says that an answer did not fit the `response_schema` of its question."""
    return getattr(error, INVALID_RESUME, False) is True


# --- the fleet ---------------------------------------------------------------------------------------------------


class FleetgraphError(Exception):
    """Base of every error of the fleet itself: Redis, workers, the wire."""


class EncodeError(FleetgraphError):
    """A value can't travel between processes.

    `path` leads to the offending value inside the encoded one (`$.items[3].lock`), `kind` is its type; `where` says
    which node and channel, or which argument, it belongs to.
    """

    def __init__(self, path: str, kind: str, where: str = "", hint: str = "") -> None:
        self.path = path
        self.kind = kind
        self.where = where
        self.hint = hint
        super().__init__(path, kind, where, hint)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}can't send the value at {self.path}, of type {self.kind}, to another process.{hint}"


class DecodeError(FleetgraphError):
    """Bytes from the wire are not a message of ours, or name a type that is not on the allow-list."""


class GraphNotFound(FleetgraphError):
    """No graph could be found under a reference or name."""


class FunctionNotFound(FleetgraphError):
    """A process has no `@task` function of the name under which another one called it."""


class GraphMismatch(FleetgraphError):
    """A worker does not have the graph a task belongs to, or has it in another shape."""

    def __init__(self, graph: str, wanted: str, found: str | None, known: list[str], worker: str = "") -> None:
        self.graph = graph
        self.wanted = wanted
        self.found = found
        self.known = known
        self.worker = worker
        super().__init__(graph, wanted, found, known, worker)

    def __str__(self) -> str:
        who = f"worker {self.worker}" if self.worker else "the worker"
        if self.found is None:
            have = ", ".join(self.known) or "none"
            return (
                f"{who} has no graph {self.graph!r} (fingerprint {self.wanted}); it was started with: {have}. "
                f"Start workers with it: fleetgraph worker {self.graph}."
            )
        return (
            f"{who} has graph {self.graph!r} in another shape: the caller's fingerprint is {self.wanted}, the "
            f"worker's {self.found}. Run the same version of the graph's code in both, and restart the worker."
        )


class GraphNotServed(FleetgraphError):
    """Workers listen on the run's queue, and for a while none of them has had its graph in its shape.

    `found` says which graphs they have instead: worker → name → fingerprint.
    """

    def __init__(self, graph: str, wanted: str, queue: str, seconds: float, found: dict[str, dict[str, str]]) -> None:
        self.graph = graph
        self.wanted = wanted
        self.queue = queue
        self.seconds = seconds
        self.found = found
        super().__init__(graph, wanted, queue, seconds, found)

    def __str__(self) -> str:
        others = "; ".join(
            f"{worker} has {', '.join(f'{name} ({fingerprint})' for name, fingerprint in graphs.items()) or 'none'}"
            for worker, graphs in self.found.items()
        )
        return (
            f"for {self.seconds:.0f} s no worker on queue {self.queue!r} has had graph {self.graph!r} with fingerprint "
            f"{self.wanted}, as this run needs it: {others}. Caller and workers have different versions of the graph's "
            f"code, or the workers were not started with it. Deploy the same version to both, or start a worker that "
            f"has it: fleetgraph worker {self.graph} --queue {self.queue}"
        )


class RemoteNodeError(FleetgraphError):
    """A node raised, on a worker, an exception whose type this process can't rebuild; it is named here."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.message = message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class RemoteTraceback(FleetgraphError):
    """The traceback of an exception raised in another process; the `__cause__` of its twin here."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"\n\n{self.text}"


class EventsLost(FleetgraphError):
    """Events were gone from a run's log before this reader saw them.

    `last` is None where nothing tells how many there were: the whole run is gone.
    """

    def __init__(self, run: str, first: int, last: int | None) -> None:
        self.run = run
        self.first = first
        self.last = last
        super().__init__(run, first, last)

    def __str__(self) -> str:
        if self.last is None:
            return (
                f"run {self.run} is no longer in Redis: its events from number {self.first} on were not read in time. "
                "Read faster, give the fleet a longer retention, or look why Redis lost its data."
            )
        return (
            f"run {self.run}: events {self.first} to {self.last} were trimmed from its log before they were read. "
            "Read faster, or give the fleet a larger log_events."
        )


class RedisUnavailable(FleetgraphError):
    """No Redis answers at the URL, or it is too old."""


class RedisFull(FleetgraphError):
    """Redis has reached its maxmemory, and refuses what was asked of it."""

    def __str__(self) -> str:
        return (
            "Redis has reached its maxmemory and takes nothing more: the run was not started. Runs that go on wait for "
            "memory. Give Redis more (CONFIG SET maxmemory), or runs a shorter retention."
        )


class TaskLost(FleetgraphError):
    """Every worker that was given a task vanished while it ran it."""

    def __init__(self, node: str, task: str, attempts: int) -> None:
        self.node = node
        self.task = task
        self.attempts = attempts
        super().__init__(node, task, attempts)

    def __str__(self) -> str:
        return (
            f"task {self.task} of node {self.node!r} was given to a worker {self.attempts} times, and each time the "
            "worker vanished while it ran it. Look for what the node does to the process: memory, a crash, os._exit."
        )


class CheckpointLost(FleetgraphError):
    """Values of a checkpoint are gone, though it is still there itself."""

    def __init__(self, thread: str, ns: str, checkpoint_id: str, channels: list[str]) -> None:
        self.thread = thread
        self.ns = ns
        self.checkpoint_id = checkpoint_id
        self.channels = channels
        super().__init__(thread, ns, checkpoint_id, channels)

    def __str__(self) -> str:
        where = f"checkpoint {self.checkpoint_id} of thread {self.thread!r}"
        return (
            f"{where}{f', namespace {self.ns!r}' if self.ns else ''}: its values of {', '.join(self.channels)} are "
            "gone. The thread was deleted, pruned or expired while a run went on with it; or Redis evicted a part of "
            "it: give that Redis maxmemory-policy noeviction. Delete the thread, or go on from another checkpoint."
        )


class ValueLost(FleetgraphError):
    """A value of a run's state, that a task needs, is no longer in Redis."""

    def __init__(self, run: str, channel: str) -> None:
        self.run = run
        self.channel = channel
        super().__init__(run, channel)

    def __str__(self) -> str:
        return (
            f"run {self.run}: its value of {self.channel or 'the state'} is gone from Redis, where its coordinator put "
            "it for the run's tasks. Redis has lost data or evicted a part of it: give it maxmemory-policy noeviction. "
            "Or the run ended, or expired, while this task began."
        )


class FleetError(FleetgraphError):
    """A fleet could not be started, or was used in a way it can't serve."""


class NotSupported(FleetgraphError):
    """A feature of LangGraph that Fleetgraph does not have."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(feature)

    def __str__(self) -> str:
        return f"Fleetgraph does not support {self.feature}."


class RunCancelled(FleetgraphError):
    """The run was cancelled before it ended."""


class NoCoordinator(FleetgraphError):
    """No coordinator that could do what a client asks is alive on that Redis."""


class RunNotFound(FleetgraphError):
    """Redis knows no run of that id: it never did, or the run's retention is over."""

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(run)

    def __str__(self) -> str:
        return f"there is no run {self.run} in Redis: it never was there, or its retention is over."


class ResultTimeout(FleetgraphError, TimeoutError):
    """A run did not end in the time that its result was waited for. It goes on.

    `waits` says what keeps it from going on, where that is known.
    """

    def __init__(self, run: str, seconds: float, waits: str = "") -> None:
        self.run = run
        self.seconds = seconds
        self.waits = waits
        super().__init__(run, seconds, waits)

    def __str__(self) -> str:
        why = f" It waits: {self.waits}." if self.waits else ""
        return (
            f"run {self.run} has not ended within {self.seconds:g} s, and goes on.{why} Ask for its result again, read "
            "what it does (join), or cancel it (cancel)."
        )


class TaskStopped(BaseException):
    """Raised inside a plain function of a node when nobody waits for it any more: its run was cancelled, say.

    No `Exception`, as `asyncio.CancelledError`, its twin in coroutines, is none either: clean up, and let it pass.
    """


class ThreadBusy(FleetgraphError):
    """Another run of the thread goes on, and this one was not to wait for it."""

    def __init__(self, thread: str, run: str) -> None:
        self.thread = thread
        self.run = run
        super().__init__(thread, run)

    def __str__(self) -> str:
        return (
            f"thread {self.thread!r} is busy with run {self.run}. Wait for it, cancel it, or choose another "
            "multitask_strategy: 'enqueue' or 'interrupt'."
        )
