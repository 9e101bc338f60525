"""What the superstep machine tells its driver to do, in the order in which to do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleetgraph.errors import GraphInterrupt
from fleetgraph.pregel.task import CacheKey, Task, Write


@dataclass(slots=True)
class Emit:
    """Hand this chunk to whoever streams the run."""

    mode: str
    payload: Any
    task: str | None = None
    """The task it tells about, if it is one."""
    ns: tuple[str, ...] = ()
    """The namespace of the graph it comes from."""


@dataclass(slots=True)
class EmitMessages:
    """Hand on the messages, of those a subgraph returned, that the run does not know yet."""

    messages: list[tuple[Any, Mapping[str, Any]]]
    """`messages` payloads."""
    task: str
    ns: tuple[str, ...] = ()


@dataclass(slots=True)
class KnowMessages:
    """Take the messages of these ids for known: a subgraph was given them."""

    ids: list[str]


@dataclass(slots=True)
class RunTasks:
    """Run these tasks, in parallel, and tell the machine what becomes of each."""

    tasks: list[Task]


@dataclass(slots=True)
class LookUp:
    """Look up in the cache of their graph what these tasks would write, and tell the machine."""

    tasks: list[Task]


@dataclass(slots=True)
class Load:
    """Load the checkpoint that a subgraph starts from, and tell the machine."""

    task: str
    """The task that is the subgraph."""
    config: Mapping[str, Any]
    before: str | None
    """The latest checkpoint before this one, of the graph around it, is wanted; None for the latest of all."""


@dataclass(slots=True)
class WakeLater:
    """Tell the machine when this time has passed: a subgraph that failed is to be tried again."""

    task: str
    seconds: float


@dataclass(slots=True)
class SaveCheckpoint:
    """Save the checkpoint; nothing that follows may become visible before it is safe."""

    config: Mapping[str, Any]
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    versions: dict[str, Any]
    """The channels that changed since the last checkpoint saved, with their versions."""
    grown: Mapping[str, tuple[Any, int]] = field(default_factory=dict[str, tuple[Any, int]])
    """Those among them whose list only grew since a version that is saved: that version, and how many items it has."""


@dataclass(slots=True)
class SaveWrites:
    """Save what one task wrote, beside the checkpoint it ran from."""

    config: Mapping[str, Any]
    task: str
    path: str
    writes: list[Write]


@dataclass(slots=True)
class CacheWrites:
    """Keep what a task wrote for others of the same input."""

    task: Task
    key: CacheKey
    writes: list[Write]


@dataclass(slots=True)
class Finished:
    """The run is over. Tasks that are still running no longer matter to it."""

    error: BaseException | None = None
    interrupt: GraphInterrupt | None = None
    """What it waits for, if it stopped before its end."""


Instruction = (
    Emit
    | EmitMessages
    | KnowMessages
    | RunTasks
    | LookUp
    | Load
    | WakeLater
    | SaveCheckpoint
    | SaveWrites
    | CacheWrites
    | Finished
)
