"""What Redis has about a fleet, read into records. Times are Unix times in seconds, by Redis's clock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Final, cast

from fleetgraph.wire.transitions import Route

RUN_FIELDS: Final = (
    *("status", "graph", "thread", "queue", "coordinator", "epoch", "seq", "created", "started", "ended", "error"),
    *("survives", "step"),
)
"""What is read of a run's record."""

JOB_FIELDS: Final = ("fleetgraph", "status", "description", "worker_name", "started_at", "enqueued_at", "origin")
"""What is read of an RQ job."""

WORKER_FIELDS: Final = (
    *("fleetgraph", "state", "queues", "birth", "last_heartbeat", "hostname", "pid"),
    *("successful_job_count", "failed_job_count"),
)
"""What is read of an RQ worker."""

_DESCRIPTION: Final = re.compile(r"[^.]*\.(?P<node>.*) \(step (?P<step>-?\d{1,9})\)", re.DOTALL)

Answer = Sequence[bytes | None]
"""What Redis answers when asked for fields of a hash: their values, in their order."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run."""

    id: str
    status: str
    graph: str
    thread: str
    queue: str
    coordinator: str
    epoch: int
    seq: int
    created: float | None
    started: float | None
    ended: float | None
    error: str
    survives: bool
    """Whether another coordinator goes on with it when its own dies."""
    outstanding: int
    """How many tasks its coordinator waits for."""
    step: int | None = None
    """The superstep of its own graph whose tasks were dispatched last; None if that is not on record."""

    @classmethod
    def of(cls, id: str, values: Answer, outstanding: int) -> RunRecord | None:
        """The run whose record has these values; None if there is none."""
        (status, graph, thread, queue, coordinator, epoch, seq, created, started, ended, error, survives, step) = values
        if status is None:
            return None
        return cls(
            id,
            text(status),
            text(graph),
            text(thread),
            text(queue),
            text(coordinator),
            whole(epoch),
            whole(seq),
            number(created),
            number(started),
            number(ended),
            text(error),
            survives == b"1",
            outstanding,
            whole(step) if step else None,
        )


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """The current attempt of a task, as an RQ job that waits or runs."""

    job: str
    run: str
    id: str
    attempt: int
    node: str
    step: int | None
    queue: str
    worker: str
    """Who runs it; empty while it waits."""
    enqueued: float | None
    started: float | None
    lease_ends: float | None
    """When its worker is taken for dead; None if it waits, or that was not read."""

    @property
    def waits(self) -> bool:
        """Whether it is in the queue."""
        return not self.worker

    @classmethod
    def of(cls, job: str, values: Answer, lease_ends: float | None) -> TaskRecord | None:
        """The task in a job with these values; None if there is none."""
        about, status, description, worker, started, enqueued, origin = values
        route = Route.parse(about) if about else None
        if route is None or status not in (b"queued", b"started"):
            return None
        match = _DESCRIPTION.fullmatch(text(description))
        waits = status == b"queued"
        return cls(
            job,
            route.run,
            route.task,
            route.attempt,
            match["node"] if match else text(description),
            int(match["step"]) if match else None,
            text(origin),
            "" if waits else text(worker) or "?",
            timestamp(enqueued),
            None if waits else timestamp(started),
            None if waits else lease_ends,
        )


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker that listens on queues."""

    name: str
    queues: tuple[str, ...]
    state: str
    """`idle`, `busy`, `started` or `suspended`: RQ's words."""
    born: float | None
    heard: float | None
    """When it gave its last sign of life."""
    host: str
    pid: int
    ours: bool
    """Whether it is one of Fleetgraph's, which gives signs of life every second or so."""
    graphs: Mapping[str, str]
    """Name → fingerprint."""
    concurrency: int | None
    """Tasks it runs at once; None if it does not say."""
    held: int
    """Tasks it has."""
    succeeded: int
    failed: int

    @classmethod
    def of(cls, name: str, values: Answer, held: int) -> WorkerRecord | None:
        """The worker whose record has these values; None if there is none."""
        about, state, queues, born, heard, host, pid, succeeded, failed = values
        if queues is None and heard is None:
            return None
        told = _object(about)
        graphs, concurrency = told.get("graphs"), told.get("concurrency")
        return cls(
            name,
            tuple(filter(None, text(queues).split(","))),
            text(state),
            timestamp(born),
            timestamp(heard),
            text(host),
            whole(pid),
            about is not None,
            _names(graphs),
            concurrency if type(concurrency) is int else None,
            held,
            whole(succeeded),
            whole(failed),
        )


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A queue of tasks."""

    name: str
    waiting: int
    popped: int
    """Taken out by a worker that has not said so yet."""
    running: int
    failed: int
    """RQ jobs of tasks that failed, kept for a day."""


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """A coordinator."""

    id: str
    lease_ends: float
    kind: str
    """`service`, `embedded` in the process of its caller, or empty if its record has expired."""
    host: str
    pid: int
    queue: str
    started: float | None
    graphs: Mapping[str, str]
    """Name → fingerprint."""
    runs: int
    """How many it holds."""

    @classmethod
    def of(cls, id: str, lease_ends: float, record: Mapping[bytes, bytes], runs: int) -> CoordinatorRecord:
        """The coordinator that tells this about itself."""
        return cls(
            id,
            lease_ends,
            text(record.get(b"kind")),
            text(record.get(b"host")),
            whole(record.get(b"pid")),
            text(record.get(b"queue")),
            number(record.get(b"started")),
            _names(_object(record.get(b"graphs"))),
            runs,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Redis had at one time, as much as was read of it."""

    time: float
    runs: Mapping[str, RunRecord] = field(default_factory=dict[str, RunRecord])
    tasks: Mapping[str, TaskRecord] = field(default_factory=dict[str, TaskRecord])
    """By job id: those that workers have, and the next ones of each queue."""
    workers: Mapping[str, WorkerRecord] = field(default_factory=dict[str, WorkerRecord])
    queues: Mapping[str, QueueRecord] = field(default_factory=dict[str, QueueRecord])
    coordinators: Mapping[str, CoordinatorRecord] = field(default_factory=dict[str, CoordinatorRecord])
    runs_on_record: int = 0
    """How many there are, of which `runs` has the newest and those that coordinators hold, up to a limit."""
    workers_on_record: int = 0
    suspended: bool = False
    """Whether workers are kept from taking tasks (`rq suspend`)."""


# --- values ------------------------------------------------------------------------------------------------------


def text(value: bytes | None) -> str:
    """A value as text, whatever it is."""
    return (value or b"").decode(errors="replace")


def whole(value: bytes | None) -> int:
    """A value as a whole number; 0 if it is none."""
    try:
        return int(value or 0)
    except ValueError:
        return 0


def number(value: bytes | None) -> float | None:
    """A value as a number; None if it is none."""
    try:
        found = float(value) if value else None
    except ValueError:
        return None
    return found if found is not None and isfinite(found) else None


def timestamp(value: bytes | None) -> float | None:
    """A time as RQ writes it, `2026-01-31T23:59:59.123456Z`; None if it is none."""
    try:
        return datetime.fromisoformat(text(value)).timestamp()
    except (ValueError, OverflowError):
        return None


def _object(value: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(value or b"{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _names(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: word for name, word in cast("dict[str, Any]", value).items() if isinstance(word, str)}
