"""Types that graphs and their callers exchange. Names and fields are LangGraph's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, NotRequired, TypedDict, TypeVar

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

ValueT = TypeVar("ValueT")


class Send:
    """Runs `node` in the next superstep with `arg` as its whole input, however often and beside its edges.

    Example:
        >>> def fan_out(state):
        ...     return [Send("work", {"item": item}) for item in state["items"]]
    """

    __slots__ = ("arg", "node")

    def __init__(self, node: str, arg: Any) -> None:
        self.node = node
        self.arg = arg

    def __repr__(self) -> str:
        return f"Send(node={self.node!r}, arg={self.arg!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and self.node == other.node and self.arg == other.arg

    def __hash__(self) -> int:
        return hash((self.node, self.arg))


NodeT = TypeVar("NodeT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[NodeT]):
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
    id: str = ""
    response_schema: Any = None


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


__all__ = [
    "STREAM_MODES",
    "All",
    "Command",
    "GraphOutput",
    "Interrupt",
    "Overwrite",
    "RetryPolicy",
    "Send",
    "StreamMode",
    "StreamPart",
    "StreamWriter",
    "default_retry_on",
]
