"""A compiled graph as the superstep machine and the executor see it: channels, and nodes with what they write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from fleetgraph.channels.barrier import NamedBarrierValue, NamedBarrierValueAfterFinish
from fleetgraph.channels.base import BaseChannel
from fleetgraph.channels.binop import BinaryOperatorAggregate
from fleetgraph.channels.values import LastValue, LastValueAfterFinish, UntrackedValue
from fleetgraph.constants import START
from fleetgraph.managed import ManagedValue
from fleetgraph.pregel.branch import Branch
from fleetgraph.pregel.callee import Callee, code_name
from fleetgraph.pregel.task import Write
from fleetgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph

_LASTING: Final = frozenset(
    (
        BinaryOperatorAggregate,
        LastValue,
        LastValueAfterFinish,
        NamedBarrierValue,
        NamedBarrierValueAfterFinish,
        UntrackedValue,
    )
)
"""Channels that a superstep without writes to them leaves as they are; of classes that inherit from these that is not
known."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which part of the state some code sees, and in what form.

    Attributes:
        keys: Channel names, or the one name of a state that is no mapping.
        managed: Keys whose value is computed from where the run stands.
        coerce: Makes the schema's class out of a mapping of values.
    """

    keys: tuple[str, ...] | str
    managed: Mapping[str, type[ManagedValue]]
    coerce: Callable[[dict[str, Any]], Any] | None

    def values(self, channels: Mapping[str, BaseChannel], step: int, stop: int) -> Any:
        """The raw values of the channels that have one, and the managed ones."""
        if isinstance(self.keys, str):
            channel = channels[self.keys]
            return channel.get() if channel.is_available() else None
        values = {key: channel.get() for key in self.keys if (channel := channels[key]).is_available()}
        for key, managed in self.managed.items():
            values[key] = managed.get(step, stop)
        return values

    def shape(self, values: Any) -> Any:
        """`values` in the form the code expects; may raise what the schema's class raises."""
        return values if self.coerce is None else self.coerce(values)

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.keys,) if isinstance(self.keys, str) else self.keys


@dataclass(frozen=True, slots=True)
class BranchProgram:
    """A conditional edge behind a node."""

    branch: Branch
    reading: Reading
    passthrough: bool
    """Whether the path function also sees what the node returned beside the channels."""


@dataclass(slots=True)
class NodeProgram:
    """One node: what triggers it, what it reads, what it runs, and what follows from what that returns."""

    name: str
    callee: Callee | None
    """None for START, which passes its input through, and for a graph."""
    triggers: tuple[str, ...]
    reading: Reading
    updates: Callable[[Any], list[Write]]
    """State updates and gotos out of a return value."""
    edges: tuple[Write, ...] = ()
    branches: tuple[BranchProgram, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: tuple[str, ...] = ()
    retry: tuple[RetryPolicy, ...] = ()
    cache: CachePolicy | None = None
    timeout: TimeoutPolicy | None = None
    error_handler: str | None = None
    """The node that runs in the place of a task of this one that failed."""
    subgraph: CompiledGraph | None = None
    """The graph that this node is."""
    hidden: bool = False
    branch_keys: frozenset[str] = field(init=False)
    """The channels that the path functions behind the node read."""
    _graph: tuple[CompiledGraph | None] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.branch_keys = frozenset(key for b in self.branches for key in b.reading.channels)

    @property
    def graph(self) -> CompiledGraph | None:
        """The graph that this node is, or that its function can be seen to call."""
        if self._graph is None:
            from fleetgraph.drawing.called_graphs import reached_graph

            self._graph = (reached_graph(self),)
        return self._graph[0]

    @property
    def code_name(self) -> str:
        """The module and name of its function, under which a cache keeps what it writes."""
        return "" if self.callee is None else code_name(self.callee.code)

    @property
    def is_async(self) -> bool:
        """Whether the node, or a branch behind it, is a coroutine function."""
        return (self.callee is not None and self.callee.is_async) or any(
            b.branch.callee.is_async for b in self.branches
        )


@dataclass
class Program:
    """A compiled graph, ready to run; shared by every run and never changed by one."""

    name: str
    nodes: Mapping[str, NodeProgram]
    channels: Mapping[str, BaseChannel]
    output_keys: tuple[str, ...] | str
    """What `invoke` returns."""
    stream_keys: tuple[str, ...] | str
    """What `values` shows."""
    signature: str
    """The graph's shape in words, the same in every process that describes the same graph."""
    input_channel: str = START
    remembers: bool = False
    """Whether its tasks are given what the thread's last run saved (`PREVIOUS`)."""
    cache: Any = None
    """Where the writes of nodes with a `CachePolicy` are kept; None for nowhere."""
    triggered: Mapping[str, tuple[str, ...]] = field(init=False)
    """The nodes that each channel triggers."""
    fingerprint: str = field(init=False)
    """Hash of `signature`."""

    def __post_init__(self) -> None:
        triggered: dict[str, list[str]] = {}
        for node in self.nodes.values():
            for channel in node.triggers:
                triggered.setdefault(channel, []).append(node.name)
        self.triggered = {channel: tuple(names) for channel, names in triggered.items()}
        self.fingerprint = hashlib.sha256(self.signature.encode()).hexdigest()[:16]

    @cached_property
    def untracked(self) -> frozenset[str]:
        """The channels that are never saved."""
        return frozenset(key for key, channel in self.channels.items() if isinstance(channel, UntrackedValue))

    @cached_property
    def fading(self) -> tuple[str, ...]:
        """The channels that a superstep without writes to them may change."""
        return tuple(key for key, channel in self.channels.items() if type(channel) not in _LASTING)

    @cached_property
    def consumable(self) -> frozenset[str]:
        """The channels that may change when a task that they triggered has run."""
        return frozenset(
            key for key, channel in self.channels.items() if type(channel).consume is not BaseChannel.consume
        )

    @cached_property
    def finishing(self) -> tuple[str, ...]:
        """The channels that may change when the run would end."""
        return tuple(key for key, channel in self.channels.items() if type(channel).finish is not BaseChannel.finish)

    def check_timeouts(self) -> None:
        """Refuse to run, in this process, a plain function that has a timeout: nothing can stop it.

        Raises:
            ValueError: Names the node.
        """
        for node in self.nodes.values():
            if node.timeout is not None and node.callee is not None and not node.callee.can_be_cancelled:
                raise ValueError(
                    "Node timeouts are only supported for async nodes because sync Python execution cannot be safely "
                    f"cancelled in-process. Node '{node.name}' is sync. On a fleet it can have one."
                )
            if node.subgraph is not None:
                node.subgraph.program.check_timeouts()

    @cached_property
    def subgraphs(self) -> dict[str, CompiledGraph]:
        """The nodes that are graphs."""
        return {name: node.subgraph for name, node in self.nodes.items() if node.subgraph is not None}


def read_channels(channels: Mapping[str, BaseChannel], keys: Sequence[str] | str) -> Any:
    """The values of the channels that have one; of a single channel the bare value, or None."""
    if isinstance(keys, str):
        channel = channels[keys]
        return channel.get() if channel.is_available() else None
    return {key: channel.get() for key in keys if (channel := channels[key]).is_available()}
