"""What the superstep machine tells its driver to do, in the order in which to do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleetgraph.pregel.task import Task, Write


@dataclass(slots=True)
class Emit:
    """Hand this chunk to whoever streams the run."""

    mode: str
    payload: Any
    task: str | None = None
    """The task it tells about, if it is one."""


@dataclass(slots=True)
class RunTasks:
    """Run these tasks, in parallel, and tell the machine what becomes of each."""

    tasks: list[Task]


@dataclass(slots=True)
class SaveCheckpoint:
    """Save the checkpoint; nothing that follows may become visible before it is safe."""

    config: Mapping[str, Any]
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    versions: dict[str, Any]
    """The channels that changed since the last checkpoint saved, with their versions."""


@dataclass(slots=True)
class SaveWrites:
    """Save what one task wrote, beside the checkpoint it ran from."""

    config: Mapping[str, Any]
    task: Task
    writes: list[Write]


@dataclass(slots=True)
class Finished:
    """The run is over. Tasks that are still running no longer matter to it."""

    error: BaseException | None = None


Instruction = Emit | RunTasks | SaveCheckpoint | SaveWrites | Finished
