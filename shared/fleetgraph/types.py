"""Types that graphs and their callers exchange. Names and fields are LangGraph's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar, cast

StreamMode = Literal["values", "updates", "custom", "messages", "debug", "tasks", "checkpoints"]
"""What a caller can ask a run to stream."""

STREAM_MODES: Final[tuple[StreamMode, ...]] = (
    "values",
    "updates",
    "custom",
    "messages",
    "debug",
    "tasks",
    "checkpoints",
)

StreamWriter = Callable[[Any], None]
"""Emits one `custom` chunk; a node gets one by naming a parameter `writer`."""

All = Literal["*"]

Durability = Literal["sync", "async", "exit"]
"""When a run's checkpoints are saved: each before the next superstep begins (`sync`, and `async`, which may one day
overlap the two), or only the last one, when the run ends (`exit`)."""

Checkpointer = Any
"""What `compile` takes as `checkpointer`: a saver, None, or for a graph used as a node True or False."""

ValueT = TypeVar("ValueT")


class Send:
    """Runs `node` in the next superstep with `arg` as its whole input, however often and beside its edges.

    Args:
        node: The node's name.
        arg: What it is called with, as it is.
        timeout: Overrides the node's timeout, in seconds, for this one task.

    Example:
        >>> def fan_out(state):
        ...     return [Send("work", {"item": item}) for item in state["items"]]
    """

    __slots__ = ("arg", "node", "timeout")

    def __init__(self, node: str, arg: Any, *, timeout: float | timedelta | TimeoutPolicy | None = None) -> None:
        self.node = node
        self.arg = arg
        self.timeout = TimeoutPolicy.coerce(timeout)

    def __repr__(self) -> str:
        return f"Send(node={self.node!r}, arg={self.arg!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and self.node == other.node and self.arg == other.arg

    def __hash__(self) -> int:
        return hash((self.node, self.arg))


NodeT = TypeVar("NodeT")


class _Base:
    """Only a class whose base is none of Python's own can be given another base."""


class ToolOutput(_Base):
    """What a LangChain tool may return as it is. See `fleetgraph.stream.langchain.let_tools_return_commands`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(ToolOutput, Generic[NodeT]):
    """A node's state update and where to go next, in one value.

    A node annotated `-> Command[Literal["a", "b"]]` tells the graph's drawing where it may go.

    Attributes:
        graph: `None` for the graph the node is in, `Command.PARENT` for the one around it.
        update: A mapping, an instance of the schema, or (channel, value) pairs.
        resume: An answer to a pending interrupt.
        goto: A node's name, a `Send`, or a sequence of them; added to the node's edges, not in their place.
    """

    graph: str | None = None
    update: Any = None
    resume: Any = None
    goto: Send | Sequence[Send | str] | str = ()

    PARENT: ClassVar[Literal["__parent__"]] = "__parent__"

    def __repr__(self) -> str:
        shown = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return f"Command({', '.join(f'{name}={value!r}' for name, value in shown if value)})"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question a node asked and the run is waiting to have answered."""

    value: Any
    """What the node passed to `interrupt`."""
    id: str = ""
    """32 hexadecimal digits, the same for the same question however often its node runs; the key of a resume map."""
    response_schema: Any = None
    """The JSON schema of the answer, if the node gave one."""


def interrupt(value: Any, *, response_schema: Any = None) -> Any:
    """Ask whoever runs the graph, and stop the run until they answer.

    The first call raises, which ends the run with an `__interrupt__` chunk. When the run is resumed with
    `Command(resume=answer)` the node runs again from its top, and this call returns the answer. A node may call it
    several times: answers belong to calls by their order. Needs a saver, to keep the thread until the answer comes.

    Args:
        value: The question; the caller finds it in `Interrupt.value`.
        response_schema: What the answer must be: a JSON schema, only passed on to the caller; or a pydantic model, a
            dataclass or a TypedDict, by which the answer is checked and which it is made into.

    Returns:
        The answer.

    Raises:
        GraphInterrupt: Nobody has answered yet. Let it pass: whoever catches it carries on without an answer.
        pydantic.ValidationError: The answer does not fit the schema. It is not saved, so another can be given.
        RuntimeError: Nothing is running here.

    Example:
        >>> def approve(state: State):
        ...     return {"approved": interrupt(f"May I send {state['draft']!r}?") == "yes"}
    """
    from fleetgraph.pregel.context import current

    return current().ask(value, response_schema)


class StateUpdate(NamedTuple):
    """One update for `bulk_update_state`."""

    values: Any
    as_node: str | None = None
    task_id: str | None = None


class PregelTask(NamedTuple):
    """A task of a superstep, as `get_state` tells of it."""

    id: str
    name: str
    path: tuple[Any, ...]
    error: Any = None
    """What it failed with: the exception, or its text once it has been saved."""
    interrupts: tuple[Interrupt, ...] = ()
    state: Any = None
    """Of a task that is a graph: the config that names its state, or with `subgraphs=True` its `StateSnapshot`."""
    result: Any = None
    """What it wrote, if it has ended."""


class StateSnapshot(NamedTuple):
    """A thread's state between two supersteps."""

    values: Any
    """The channels that have a value."""
    next: tuple[str, ...]
    """The nodes that are to run next."""
    config: Mapping[str, Any]
    """Names this checkpoint: pass it on to run from here."""
    metadata: Mapping[str, Any] | None
    created_at: str | None
    """ISO 8601."""
    parent_config: Mapping[str, Any] | None
    """Names the checkpoint before it."""
    tasks: tuple[PregelTask, ...]
    """The tasks of the superstep that follows."""
    interrupts: tuple[Interrupt, ...]
    """What they asked."""


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Replaces a reducer channel's value instead of being folded into it."""

    value: Any
    type: Literal["__overwrite__"] = "__overwrite__"
    """What tells it from other data once it is JSON."""


@dataclass(frozen=True, slots=True)
class GraphOutput(Generic[ValueT]):
    """What `invoke(version="v2")` returns: the final state and the interrupts that are waiting."""

    value: ValueT
    interrupts: tuple[Interrupt, ...] = ()


class StreamPart(TypedDict):
    """One chunk of `stream(version="v2")`."""

    type: StreamMode
    ns: tuple[str, ...]
    data: Any
    interrupts: NotRequired[tuple[Interrupt, ...]]


ValuesStreamPart = StreamPart
UpdatesStreamPart = StreamPart
MessagesStreamPart = StreamPart
CustomStreamPart = StreamPart
CheckpointStreamPart = StreamPart
TasksStreamPart = StreamPart
DebugStreamPart = StreamPart


def default_retry_on(error: Exception) -> bool:
    """Whether `error` looks transient: not a bug in the node, not a client-side HTTP error."""
    if isinstance(error, ConnectionError):
        return True
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if type(error).__module__.partition(".")[0] in ("httpx", "requests") and isinstance(status, int):
        return 500 <= status < 600
    return not isinstance(
        error,
        ValueError
        | TypeError
        | ArithmeticError
        | ImportError
        | LookupError
        | NameError
        | SyntaxError
        | RuntimeError
        | ReferenceError
        | StopIteration
        | StopAsyncIteration
        | OSError,
    )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how a failed node is tried again, by the process that runs it.

    Attributes:
        initial_interval: Seconds before the second attempt.
        backoff_factor: What each further interval is multiplied by.
        max_interval: Longest interval, in seconds.
        max_attempts: Attempts in all, the first included.
        jitter: Whether to add up to one random second to each interval.
        retry_on: An exception type, several, or a function that tells; by default what looks transient.
    """

    initial_interval: float = 0.5
    backoff_factor: float = 2.0
    max_interval: float = 128.0
    max_attempts: int = 3
    jitter: bool = True
    retry_on: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool] = default_retry_on

    def covers(self, error: Exception) -> bool:
        """Whether `error` is one to retry."""
        match self.retry_on:
            case type():
                return isinstance(error, self.retry_on)
            case Sequence():
                return isinstance(error, tuple(self.retry_on))
            case _:
                return self.retry_on(error)


def _seconds(value: float | timedelta | None, name: str) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds <= 0:
        raise ValueError(f"{name} must be greater than 0")
    return seconds


@dataclass(frozen=True, slots=True)
class TimeoutPolicy:
    """How long one attempt of a node may take.

    Attributes:
        run_timeout: Seconds, or a timedelta, for the attempt as a whole.
        idle_timeout: Seconds, or a timedelta, that it may go without a sign of progress.
        refresh_on: What counts as one: `heartbeat` only `runtime.heartbeat()`, `auto` also what the node streams and
            the graphs, tasks and LangChain models it calls.
    """

    run_timeout: float | timedelta | None = None
    idle_timeout: float | timedelta | None = None
    refresh_on: Literal["auto", "heartbeat"] = "auto"

    @classmethod
    def coerce(cls, value: float | timedelta | TimeoutPolicy | None) -> TimeoutPolicy | None:
        """The policy a `timeout=` stands for, in seconds; None where it limits nothing.

        Raises:
            ValueError: A timeout that is not above 0, or an unknown `refresh_on`.
        """
        if value is None:
            return None
        policy = value if isinstance(value, TimeoutPolicy) else cls(value)
        if policy.refresh_on not in ("auto", "heartbeat"):
            raise ValueError("refresh_on must be 'auto' or 'heartbeat'")
        run, idle = _seconds(policy.run_timeout, "run_timeout"), _seconds(policy.idle_timeout, "idle_timeout")
        return None if run is None and idle is None else cls(run, idle, policy.refresh_on)


def _frozen(value: Any, depth: int = 10) -> Any:
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return tuple(sorted((key, _frozen(item, depth - 1)) for key, item in items))
    if isinstance(value, list | tuple):
        return tuple(_frozen(item, depth - 1) for item in cast("Sequence[Any]", value))
    if hasattr(value, "tobytes"):  # arrays
        array: Any = value
        return type(array).__name__, array.tobytes(), getattr(array, "shape", None)
    return value


def default_cache_key(*args: Any, **kwargs: Any) -> bytes:
    """The key of a node's input: the pickle of it, whatever the order of the keys in its mappings."""
    import pickle

    return pickle.dumps((_frozen(args), _frozen(kwargs)), protocol=5, fix_imports=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """When a node need not run because it ran on the same input before; needs `compile(cache=...)`.

    Attributes:
        key_func: Makes the key out of the node's input; by default its pickle, which is only ever hashed.
        ttl: Seconds for which what the node wrote is kept; None for ever.
    """

    key_func: Callable[..., str | bytes] = default_cache_key
    ttl: int | None = None


__all__ = [
    "STREAM_MODES",
    "All",
    "CachePolicy",
    "CheckpointStreamPart",
    "Checkpointer",
    "Command",
    "CustomStreamPart",
    "DebugStreamPart",
    "Durability",
    "GraphOutput",
    "Interrupt",
    "MessagesStreamPart",
    "Overwrite",
    "PregelTask",
    "RetryPolicy",
    "Send",
    "StateSnapshot",
    "StateUpdate",
    "StreamMode",
    "StreamPart",
    "StreamWriter",
    "TasksStreamPart",
    "TimeoutPolicy",
    "UpdatesStreamPart",
    "ValuesStreamPart",
    "default_cache_key",
    "default_retry_on",
    "interrupt",
]
