"""A compiled graph as the superstep machine and the executor see it: channels, and nodes with what they write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fleetgraph.channels.base import BaseChannel
from fleetgraph.managed import ManagedValue
from fleetgraph.pregel.branch import Branch
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.task import Write
from fleetgraph.types import RetryPolicy

TASKS: Final = "__pregel_tasks"
"""The channel that carries Sends to the next superstep."""
NO_WRITES: Final = "__no_writes__"
"""Written by a task that wrote nothing else, to tell it from one that has not finished."""
ERROR: Final = "__error__"
INTERRUPT: Final = "__interrupt__"
RESUME: Final = "__resume__"
PULL: Final = "__pregel_pull"
PUSH: Final = "__pregel_push"

CONTROL_CHANNELS: Final = frozenset({NO_WRITES, ERROR, INTERRUPT, RESUME})
"""Written about a task, not by its node; never applied to the state."""


def trigger_of(node: str) -> str:
    """The channel that makes a node run in the next superstep."""
    return f"branch:to:{node}"


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
    """None for START, which passes its input through."""
    triggers: tuple[str, ...]
    reading: Reading
    updates: Callable[[Any], list[Write]]
    """State updates and gotos out of a return value."""
    edges: tuple[Write, ...] = ()
    branches: tuple[BranchProgram, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: tuple[str, ...] = ()
    retry: tuple[RetryPolicy, ...] = ()
    hidden: bool = False

    @property
    def is_async(self) -> bool:
        """Whether the node, or a branch behind it, is a coroutine function."""
        return (self.callee is not None and self.callee.is_async) or any(
            b.branch.callee.is_async for b in self.branches
        )

    @property
    def branch_keys(self) -> frozenset[str]:
        """The channels that the path functions behind the node read."""
        return frozenset(key for b in self.branches for key in b.reading.channels)


@dataclass(slots=True)
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


def read_channels(channels: Mapping[str, BaseChannel], keys: Sequence[str] | str) -> Any:
    """The values of the channels that have one; of a single channel the bare value, or None."""
    if isinstance(keys, str):
        channel = channels[keys]
        return channel.get() if channel.is_available() else None
    return {key: channel.get() for key in keys if (channel := channels[key]).is_available()}
