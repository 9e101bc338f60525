"""The board: what events tell, laid over what Redis has. It does no I/O, and reads no clock.

Events come at once, but may get lost; snapshots come every second or so, and are the truth. What an event told stands
until a snapshot that was begun after it: Redis had it by then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fleetgraph.client.records import OVER
from fleetgraph.dashboard.heads import Head
from fleetgraph.dashboard.picture import (
    Health,
    Picture,
    SeenCoordinator,
    SeenQueue,
    SeenRun,
    SeenTask,
    SeenWorker,
    TaskState,
)
from fleetgraph.dashboard.records import RunRecord, Snapshot, TaskRecord, WorkerRecord
from fleetgraph.wire.transitions import LEASE

_RATE_SECONDS: Final = 5.0
"""The span over which events are counted."""

_RATE_STEP_SECONDS: Final = 0.25
"""How exactly."""

_SILENT_SECONDS: Final = LEASE.total_seconds()
"""Without a sign of life for so long, a worker has missed some."""

_DEAD_SECONDS: Final = 2 * LEASE.total_seconds()
"""After so long what it held has been given to others."""

_WORST: Final = (Health.DEAD, Health.SILENT, Health.UP)
"""What needs somebody's attention comes first."""

_REMEMBERED: Final = 2_000
"""Runs of which something is remembered that snapshots do not tell."""


@dataclass(slots=True)
class _Live:
    """What events told of a run since the last snapshot."""

    order: int
    seq: int = 0
    status: str = ""


@dataclass(slots=True)
class _Memory:
    """What no snapshot tells of a run."""

    mode: str = ""
    at: float | None = None
    """When its last event came, by the caller's clock."""
    step: int | None = None


@dataclass(slots=True)
class Board:
    """Told events and snapshots, answers with pictures. Times that it is given are of one clock that never goes back.

    Example:
        >>> board = Board()
        >>> board.begin()
        >>> board.read(read_snapshot(client), at=time.monotonic())
        >>> board.tell("1f0c…", read_heads(message), at=time.monotonic())
        >>> board.picture(at=time.monotonic()).runs
    """

    listening: bool = False
    """Whether events are told: else pictures say nothing of their rate."""
    _snapshot: Snapshot = field(default_factory=lambda: Snapshot(0.0))
    _read_at: float = 0.0
    _trouble: str = ""
    _order: int = 0
    _began: int = 0
    _live: dict[str, _Live] = field(default_factory=dict[str, _Live])
    _memory: dict[str, _Memory] = field(default_factory=dict[str, _Memory])
    _counts: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    # --- what it is told -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A snapshot is about to be read."""
        self._began = self._order

    def read(self, snapshot: Snapshot, at: float) -> None:
        """The snapshot that was begun has been read."""
        self._snapshot, self._read_at, self._trouble = snapshot, at, ""
        self._live = {run: live for run, live in self._live.items() if live.order > self._began}
        known = [run for run in self._memory if run in snapshot.runs or run in self._live]
        self._memory = {run: self._memory[run] for run in known}
        for run, record in snapshot.runs.items():
            self._remember_step(run, record.step)

    def fail(self, trouble: str) -> None:
        """The snapshot that was begun could not be read."""
        self._trouble = trouble or "Redis does not answer"

    def tell(self, run: str, heads: Sequence[Head], at: float) -> None:
        """A message has come on a run's channel."""
        if not heads:
            return
        self._count(len(heads), at)
        if run not in self._live and len(self._live) >= _REMEMBERED:
            return  # the next snapshot has it
        self._order += 1
        live = self._live.setdefault(run, _Live(self._order))
        live.order = self._order
        memory = self._memory.setdefault(run, _Memory())
        memory.mode, memory.at = heads[-1].mode, at
        for head in heads:
            live.seq = max(live.seq, head.seq)
            if head.status in OVER:
                live.status = head.status
            self._remember_step(run, head.step)

    @property
    def told(self) -> list[str]:
        """The runs of which events told something that no snapshot has told yet."""
        return list(self._live)

    def _remember_step(self, run: str, step: int | None) -> None:
        if step is not None:
            memory = self._memory.setdefault(run, _Memory())
            memory.step = step if memory.step is None else max(memory.step, step)

    # --- what it shows -------------------------------------------------------------------------------------------

    def picture(self, at: float) -> Picture:
        """What is known at a time."""
        snapshot = self._snapshot
        now = snapshot.time if self._trouble else snapshot.time + max(0.0, at - self._read_at)
        tasks = sorted((_seen_task(task, snapshot.time, now) for task in snapshot.tasks.values()), key=_task_order)
        workers = self._workers(now)
        return Picture(
            time=now,
            trouble=self._trouble,
            events_per_second=self._rate(at) if self.listening else None,
            suspended=snapshot.suspended,
            runs_on_record=snapshot.runs_on_record,
            runs_held=sum(one.runs for one in snapshot.coordinators.values()),
            workers_on_record=snapshot.workers_on_record,
            runs=self._runs(tasks, now, at),
            tasks=tasks,
            workers=workers,
            queues=self._queues(tasks, workers),
            coordinators=self._coordinators(now),
        )

    def _runs(self, tasks: Iterable[SeenTask], now: float, at: float) -> list[SeenRun]:
        running = Counter(task.run for task in tasks if task.state is not TaskState.WAITING)
        seen = [
            _seen_run(run, self._live.get(run.id), self._memory.get(run.id) or _Memory(), running[run.id], now, at)
            for run in self._snapshot.runs.values()
        ]
        return sorted(seen, key=_run_order)

    def _workers(self, now: float) -> list[SeenWorker]:
        then = self._snapshot.time
        holding = {one.worker for one in self._snapshot.tasks.values() if (one.lease_ends or 0) > then}
        found = self._snapshot.workers.values()
        seen = [_seen_worker(worker, worker.name in holding, then, now) for worker in found]
        return sorted(seen, key=lambda worker: (_WORST.index(worker.health), worker.name))

    def _queues(self, tasks: Iterable[SeenTask], workers: Iterable[SeenWorker]) -> list[SeenQueue]:
        waits: dict[str, float] = {}
        for task in tasks:
            if task.state is TaskState.WAITING and task.lasted is not None:
                waits[task.queue] = max(task.lasted, waits.get(task.queue, 0.0))
        up = Counter(queue for worker in workers if worker.health is Health.UP for queue in worker.queues)
        seen = [
            SeenQueue(
                name=queue.name,
                waiting=queue.waiting + queue.popped,
                running=queue.running,
                failed=queue.failed,
                workers=up[queue.name],
                oldest=waits.get(queue.name) if queue.waiting else None,
            )
            for queue in self._snapshot.queues.values()
        ]
        return sorted(seen, key=lambda queue: (-queue.waiting, -queue.running, queue.name))

    def _coordinators(self, now: float) -> list[SeenCoordinator]:
        then = self._snapshot.time
        seen = [
            SeenCoordinator(
                id=one.id,
                health=Health.UP if one.lease_ends > then else Health.DEAD,
                kind=one.kind,
                host=one.host,
                pid=one.pid,
                queue=one.queue,
                graphs=sorted(one.graphs),
                runs=one.runs,
                age=_span(one.started, now),
                lease=one.lease_ends - then,
            )
            for one in self._snapshot.coordinators.values()
        ]
        return sorted(seen, key=lambda one: (_WORST.index(one.health), -(one.age or 0.0), one.id))

    # --- how many events come ------------------------------------------------------------------------------------

    def _count(self, events: int, at: float) -> None:
        if self._counts and at - self._counts[-1][0] < _RATE_STEP_SECONDS:
            since, count = self._counts.pop()
            self._counts.append((since, count + events))
        else:
            self._counts.append((at, events))
            self._forget_counts(at)

    def _forget_counts(self, at: float) -> None:
        while self._counts and self._counts[0][0] < at - _RATE_SECONDS:
            self._counts.popleft()

    def _rate(self, at: float) -> float:
        self._forget_counts(at)
        return sum(count for _, count in self._counts) / _RATE_SECONDS


def _seen_run(run: RunRecord, live: _Live | None, memory: _Memory, running: int, now: float, at: float) -> SeenRun:
    status, ended = run.status, run.ended
    if live is not None and live.status and status not in OVER:
        status, ended = live.status, now
    over = status in OVER
    return SeenRun(
        id=run.id,
        status=status,
        graph=run.graph,
        thread=run.thread,
        queue=run.queue,
        coordinator=run.coordinator,
        takeovers=max(0, run.epoch - 1),
        superstep=memory.step,
        tasks_running=0 if over else running,
        tasks_outstanding=0 if over else max(run.outstanding, running),
        events=run.seq if live is None else max(run.seq, live.seq),
        age=_span(run.created, now),
        took=_span(run.created, ended if ended is not None else now) if over else None,
        last_mode=memory.mode,
        quiet=None if memory.at is None else max(0.0, at - memory.at),
        error=run.error,
    )


def _run_order(run: SeenRun) -> tuple[int, float, str]:
    if not run.over:
        return (0, -(run.age or 0.0), run.id)
    return (1, (run.age or 0.0) - (run.took or 0.0), run.id)


def _seen_task(task: TaskRecord, then: float, now: float) -> SeenTask:
    lost = task.lease_ends is not None and task.lease_ends <= then
    state = TaskState.WAITING if task.waits else TaskState.LOST if lost else TaskState.RUNNING
    return SeenTask(
        id=task.id,
        run=task.run,
        node=task.node,
        superstep=task.step,
        attempt=task.attempt,
        state=state,
        worker=task.worker,
        queue=task.queue,
        lasted=_span(task.enqueued if task.waits else task.started, now),
        lease=None if task.lease_ends is None else task.lease_ends - then,
    )


def _task_order(task: SeenTask) -> tuple[int, float, str]:
    state = (TaskState.LOST, TaskState.RUNNING, TaskState.WAITING).index(task.state)
    return (state, -(task.lasted or 0.0), task.id)


def _seen_worker(worker: WorkerRecord, holding: bool, then: float, now: float) -> SeenWorker:
    silent = _span(worker.heard, then)
    health = Health.UP
    if worker.ours and not holding and silent is not None and silent > _SILENT_SECONDS:
        health = Health.SILENT if silent <= _DEAD_SECONDS else Health.DEAD
    return SeenWorker(
        name=worker.name,
        health=health,
        state=worker.state,
        queues=worker.queues,
        graphs=sorted(worker.graphs),
        held=worker.held,
        concurrency=worker.concurrency,
        silent=silent,
        age=_span(worker.born, now),
        succeeded=worker.succeeded,
        failed=worker.failed,
        host=worker.host,
        pid=worker.pid,
    )


def _span(since: float | None, until: float) -> float | None:
    return None if since is None else max(0.0, until - since)
