"""The picture: what is known of a fleet at one moment, ready to be shown. Plain values only, no times but spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Health(StrEnum):
    """Whether a worker or a coordinator shows signs of life."""

    UP = "up"
    SILENT = "silent"
    """It has missed some; what it holds may be given to others."""
    DEAD = "dead"
    """It has not shown any for so long that what it held is given to others."""


class TaskState(StrEnum):
    """Where an attempt of a task stands."""

    WAITING = "waiting"
    """In the queue."""
    RUNNING = "running"
    LOST = "lost"
    """Its worker shows no sign of life: it is given to another, as the next attempt."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run. Spans are in seconds."""

    id: str
    status: str
    graph: str
    thread: str
    queue: str
    coordinator: str
    takeovers: int
    """How many times another coordinator has taken it over."""
    superstep: int | None
    """The last one that was seen to begin; None if none was."""
    tasks_running: int
    tasks_outstanding: int
    """Those that run and those that wait."""
    events: int
    age: float | None
    """Since it was created."""
    took: float | None
    """From its creation to its end, if it has ended."""
    last_mode: str
    """That of its last event, as far as it was watched."""
    quiet: float | None
    """Since its last event."""
    error: str

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.took is not None


@dataclass(frozen=True, slots=True)
class SeenTask:
    """The current attempt of a task. Spans are in seconds."""

    id: str
    run: str
    node: str
    superstep: int | None
    attempt: int
    state: TaskState
    worker: str
    queue: str
    lasted: float | None
    """How long it has been in this state."""
    lease: float | None
    """Until its worker is taken for dead; below zero if it is."""


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker. Spans are in seconds."""

    name: str
    health: Health
    state: str
    queues: Sequence[str]
    graphs: Sequence[str]
    held: int
    concurrency: int | None
    silent: float | None
    """Since its last sign of life."""
    age: float | None
    succeeded: int
    failed: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class SeenQueue:
    """A queue. Spans are in seconds."""

    name: str
    waiting: int
    running: int
    failed: int
    workers: int
    """Those that are up."""
    oldest: float | None
    """How long the next task has been waiting."""


@dataclass(frozen=True, slots=True)
class SeenCoordinator:
    """A coordinator. Spans are in seconds."""

    id: str
    health: Health
    kind: str
    host: str
    pid: int
    queue: str
    graphs: Sequence[str]
    runs: int
    age: float | None
    lease: float
    """Until others take its runs over; below zero if they may."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a fleet."""

    time: float
    """Unix time in seconds, by Redis's clock."""
    trouble: str = ""
    """Why Redis could not be read; then all else is as it was when it last could."""
    events_per_second: float | None = None
    """None if nobody listened."""
    suspended: bool = False
    runs_on_record: int = 0
    """How many there are, of which `runs` has some."""
    runs_held: int = 0
    """How many of them go on, according to the coordinators."""
    workers_on_record: int = 0
    runs: Sequence[SeenRun] = ()
    """Those that go on, the oldest first; then those that have ended, the last first."""
    tasks: Sequence[SeenTask] = ()
    """Those that are lost, those that run, the oldest first; then those that wait, the next first."""
    workers: Sequence[SeenWorker] = ()
    """Those that show no sign of life first."""
    queues: Sequence[SeenQueue] = ()
    """Those in which most waits first."""
    coordinators: Sequence[SeenCoordinator] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as what JSON knows."""
        return asdict(self)
