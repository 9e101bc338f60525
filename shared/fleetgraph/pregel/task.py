"""A task: one node execution in one superstep, and the seams through which it streams and asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint import digests

if TYPE_CHECKING:
    from concurrent.futures import Future

    from fleetgraph.checkpoint.base import BaseCheckpointSaver
    from fleetgraph.errors import NodeError
    from fleetgraph.pregel.context import TaskContext
    from fleetgraph.pregel.program import Program
    from fleetgraph.pregel.state import State
    from fleetgraph.runtime import RunControl
    from fleetgraph.types import CachePolicy, Durability, RetryPolicy, TimeoutPolicy

Write = tuple[str, Any]
"""A (channel, value) pair that a task produced."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the tasks of one graph within a run have in common."""

    program: Program
    config: Mapping[str, Any]
    """The run's config; of a subgraph that of the task it is."""
    modes: frozenset[str]
    """The stream modes whose chunks its tasks may emit themselves."""
    context: Any = None
    """The run's context, as an instance of the graph's `context_schema`."""
    ns: str = ""
    """The graph's checkpoint namespace: empty for the outermost, `node:<task id>` for the subgraph in that task."""
    nodes: tuple[str, ...] = ()
    """The nodes that lead to the graph from the run's own, each being a graph in the one before."""
    resume_map: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Answers by the id of the question, that the caller gave."""
    subgraphs: bool = False
    """Whether chunks of the graphs inside of it are wanted, too."""
    unheard: bool = False
    """Whether somebody streams `messages`, but not those of this graph. Its chat models stream all the same, so that
    their messages have the ids that streamed ones have."""
    resuming: bool | None = None
    """What the task around it has it do with a thread it finds: True go on with it, None what its input says."""
    parents: Mapping[str, str] = field(default_factory=dict[str, str])
    """The checkpoints that the graph's own hang on: checkpoint id by namespace."""
    digest: str = digests.OURS
    """The name of the hash that ids are made with: that of the run's saver."""
    replaying: str | None = None
    """The checkpoint of the outermost graph that the run replays, if it does: graphs inside are as they were then."""
    before: str | None = None
    """The checkpoint of the outermost graph before which the graph's own thread is looked at; None for its latest."""

    @property
    def path(self) -> tuple[str, ...]:
        """The namespace as chunks show it."""
        return tuple(self.ns.split("|")) if self.ns else ()


class CacheKey(NamedTuple):
    """Under what a task's writes are kept in a cache."""

    ns: tuple[str, ...]
    key: str
    ttl: int | None
    """Seconds; None for ever."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function that a task asks to be run as a task of its own."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    retry: tuple[RetryPolicy, ...] = ()
    cache: CachePolicy | None = None
    timeout: TimeoutPolicy | None = None
    reference: str = ""
    """The name by which `fleetgraph.pregel.functions` finds the function in another process."""


def _empty() -> list[Any]:
    return []  # `list[Any]()` takes seven times as long: it tries to note its type arguments, and fails


@dataclass(slots=True)
class Task:
    """One node execution in one superstep.

    Ids are derived from the checkpoint, so that the same checkpoint always plans the same tasks.
    """

    id: str
    name: str
    """The node's name, or the called function's."""
    path: tuple[Any, ...]
    """Sorts the task among its siblings: writes are applied in this order, never in arrival order."""
    triggers: tuple[str, ...]
    step: int
    stop: int
    """The first step that the run's recursion limit forbids."""
    ns: str
    """The task's own checkpoint namespace, `node:<task id>`, behind its graph's (`parent|node:<task id>`)."""
    input: Any
    """What the node is called with: a mapping of channel values, an instance of the schema, or a Send's argument."""
    frame: Frame
    checkpoint_id: str = ""
    """The checkpoint it was planned from."""
    resuming: bool | None = None
    """What graphs that it runs are to do with a thread they find: True go on with it, None what their input says."""
    first_in_replay: bool = False
    """Whether it is the first of its node in a replay, so that graphs it calls start from what they were before."""
    values: Mapping[str, Any] | None = None
    """The channel values `input` was built from; None for a Send, whose argument is passed as it is."""
    snapshot: Mapping[str, Any] | None = None
    """Checkpoints of the channels that the node's branch functions read; None when it has no branches."""
    answers: list[Any] = field(default_factory=_empty)
    """The answers to its questions so far, in their order."""
    previous: Any = None
    """What the thread's last run saved, in a graph that remembers it."""
    returned: Any = MISSING
    """What its node has returned already, where only the branches behind it are to be run."""
    call: Call | None = None
    """The function to be run, for a task that another task called."""
    error: NodeError | None = None
    """What it is to handle, for a task of an error handler."""
    timeout: TimeoutPolicy | None = None
    cache_key: CacheKey | None = None
    state: State | None = field(default=None, repr=False, compare=False)
    """The state that it was planned from, which does not change while it may run."""
    writes: list[Write] = field(default_factory=_empty)

    @property
    def graph_path(self) -> tuple[str, ...]:
        """The namespace of the graph it is a task of, as chunks show it; callers are no graphs."""
        if self.call is None:
            return self.frame.path
        parts, path = self.ns.split("|"), self.path
        while len(path) == 4 and path[-1] is True:
            parts.pop()
            path = path[1]
        return tuple(parts[:-1])

    @property
    def call_depth(self) -> int:
        """How many callers a called function stands behind; 0 for a node."""
        depth, path = 0, self.path
        while len(path) == 4 and path[-1] is True:
            depth, path = depth + 1, path[1]
        return depth


class Emitter(Protocol):
    """Takes the events that a running task produces itself. Calls never wait for I/O, and may come from any thread."""

    modes: frozenset[str]
    """The stream modes somebody asked for; an emitter is not called for others."""

    def custom(self, payload: Any) -> None:
        """Emit one `custom` chunk of the task."""
        ...

    def message(
        self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None:
        """Emit one `messages` chunk, `(message, metadata)`.

        `unless_seen` drops it when the run already emitted, or a node of it received, a message of the same id. `ns` is
        the namespace of a graph that the task runs, if it comes from there.
        """
        ...

    def saw_messages(self, ids: list[str]) -> None:
        """Mark message ids as known to the run, without emitting anything."""
        ...

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None:
        """Pass on a chunk of a graph that the task runs."""
        ...


class Host(Protocol):
    """What a running task may ask of its run. Calls may come from any thread."""

    @property
    def saver(self) -> BaseCheckpointSaver | None:
        """Where graphs that the task runs keep their threads, unless they are told otherwise."""
        ...

    @property
    def store(self) -> Any:
        """The run's store."""
        ...

    @property
    def durability(self) -> Durability:
        """When checkpoints of graphs that the task runs are saved."""
        ...

    @property
    def control(self) -> RunControl | None:
        """What can stop the run after this superstep."""
        ...

    def claim_resume(self, task: Task) -> Any:
        """The answer that the run was resumed with, unless another task has claimed it; MISSING if there is none.

        A task that claims it again is given it again.
        """
        ...

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        """Run a function as a task of its own: the `index`th that this task calls, by which it is known again."""
        ...

    def time_limit(self, running: TaskContext) -> AbstractContextManager[None]:
        """What ends a function that runs in this thread, once the task's timeout has passed, with NodeTimeoutError."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        ...
