"""Reading a snapshot: three round trips, whatever the size of the fleet, and no more than so many items of each kind.

Every command only reads, and every key is public: see docs/events.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis
from redis.exceptions import NoPermissionError

from fleetgraph.dashboard.records import (
    JOB_FIELDS,
    RUN_FIELDS,
    WORKER_FIELDS,
    CoordinatorRecord,
    QueueRecord,
    RunRecord,
    Snapshot,
    TaskRecord,
    WorkerRecord,
    number,
    text,
)
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command
from fleetgraph.wire.outages import will_pass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of each kind is read at most: what bounds a refresh."""

    runs: int = 200
    """The newest so many, and as many of those that coordinators hold."""
    tasks: int = 500
    held: int = 64
    """Of the tasks of one worker."""
    workers: int = 200
    queues: int = 100
    waiting: int = 20
    """Of the tasks that wait in one queue, the next ones."""
    coordinators: int = 50


LIMITS: Final = Limits()


def read_snapshot(
    client: redis.Redis, queues: Sequence[str] = (), wanted: Collection[str] = (), limits: Limits = LIMITS
) -> Snapshot:
    """What Redis has now.

    Args:
        client: The Redis.
        queues: Only what belongs to these queues; all of them if empty.
        wanted: Runs to read, besides the newest and those that coordinators hold.
        limits: How much to read at most.

    Raises:
        redis.RedisError: Redis did not answer, or its ACL refuses to read something.
    """
    return _Reading(client, queues, limits).snapshot(wanted)


@dataclass(slots=True)
class _Found:
    """What the second round trip brings."""

    coordinators: dict[str, CoordinatorRecord] = field(default_factory=dict[str, CoordinatorRecord])
    workers: dict[str, WorkerRecord] = field(default_factory=dict[str, WorkerRecord])
    queues: dict[str, QueueRecord] = field(default_factory=dict[str, QueueRecord])
    runs: list[str] = field(default_factory=list[str])
    lease_ends: dict[str, float] = field(default_factory=dict[str, float])
    held: list[str] = field(default_factory=list[str])
    """Jobs that workers have."""
    next: list[str] = field(default_factory=list[str])
    """Jobs that wait."""


class _Reading:
    def __init__(self, client: redis.Redis, queues: Sequence[str], limits: Limits) -> None:
        self._client = client
        self._only = list(dict.fromkeys(queues))
        self._limits = limits

    def snapshot(self, wanted: Collection[str]) -> Snapshot:
        limits = self._limits
        registers = [keys.rq_queue_workers(queue) for queue in self._only] or [keys.rq_workers()]
        answers = self._ask(
            command("TIME"),
            command("EXISTS", keys.rq_suspended()),
            command("ZREVRANGE", keys.runs(), 0, limits.runs - 1),
            command("ZCARD", keys.runs()),
            command("ZREVRANGE", keys.coordinators(), 0, limits.coordinators - 1, "WITHSCORES"),
            command("SRANDMEMBER", keys.rq_queues(), limits.queues),
            *(
                call
                for key in registers
                for call in (command("SCARD", key), command("SRANDMEMBER", key, limits.workers))
            ),
        )
        now, suspended = _seconds(next(answers)), bool(next(answers))
        runs, on_record = _texts(next(answers)), next(answers) or 0
        leases, queues = dict(_scores(next(answers))), _names(next(answers), keys.rq_queue(""))
        counts, members = zip(*((next(answers) or 0, next(answers)) for _ in registers), strict=True)
        workers = dict.fromkeys(name for some in members for name in _names(some, keys.rq_worker("")))

        found = self._found(leases, sorted(workers)[: limits.workers], self._only or sorted(queues))
        runs = list(dict.fromkeys([*runs, *found.runs, *wanted]))[: 3 * limits.runs]
        jobs = list(dict.fromkeys([*found.lease_ends, *found.held]))[: limits.tasks] + found.next[: limits.tasks]
        answers = self._ask(
            *(call for run in runs for call in _of_run(run)),
            *(command("HMGET", keys.rq_job(job), *JOB_FIELDS) for job in jobs),
        )
        records: dict[str, RunRecord] = {}
        for run in runs:
            values, count = next(answers), next(answers)
            record = RunRecord.of(run, values or _NO_RUN, count or 0)
            if record is None or (self._only and record.queue not in self._only):
                continue
            records[run] = record
        tasks = {job: TaskRecord.of(job, next(answers) or _NO_JOB, found.lease_ends.get(job)) for job in jobs}
        return Snapshot(
            now,
            runs=records,
            tasks={job: task for job, task in tasks.items() if task},
            workers=found.workers,
            queues={name: queue for name, queue in found.queues.items() if self._only or _is_used(queue, found)},
            coordinators=found.coordinators,
            runs_on_record=on_record,
            # RQ's registers have some that are gone, too.
            workers_on_record=sum(counts) if sum(counts) > limits.workers else len(found.workers),
            suspended=suspended,
        )

    def _found(self, leases: dict[str, float], workers: list[str], queues: list[str]) -> _Found:
        limits, found = self._limits, _Found()
        answers = self._ask(
            *(call for one in leases for call in _of_coordinator(one, limits.runs // len(leases) + 1)),
            *(call for name in workers for call in _of_worker(name, limits.held)),
            *(call for queue in queues for call in _of_queue(queue, limits)),
        )
        for one, lease_ends in leases.items():
            record, runs, some = (next(answers) for _ in range(3))
            found.coordinators[one] = CoordinatorRecord.of(one, lease_ends, record or {}, runs or 0)
            found.runs += _texts(some)
        for name in workers:
            values, held, some = (next(answers) for _ in range(3))
            if worker := WorkerRecord.of(name, values or _NO_WORKER, held or 0):
                found.workers[name] = worker
                found.held += (member.partition(":")[0] for member in _texts(some))
        for queue in queues:
            waiting, popped, running, failed, heads, held = (next(answers) for _ in range(6))
            found.queues[queue] = QueueRecord(queue, waiting or 0, popped or 0, running or 0, failed or 0)
            found.next += _texts(heads)
            found.lease_ends.update(_scores(held))
        for worker in found.workers.values():
            for queue in worker.queues:
                if not self._only:  # RQ registers a queue with its first job
                    found.queues.setdefault(queue, QueueRecord(queue, 0, 0, 0, 0))
        return found

    def _ask(self, *calls: Call[Any]) -> Iterator[Any]:
        """The answers to commands that are sent in one go; None from a key of another type."""
        if not calls:
            return iter(())
        answers = answers_to(self._client, calls)
        for answer in answers:
            if isinstance(answer, Exception) and (will_pass(answer) or isinstance(answer, NoPermissionError)):
                raise answer
        return iter([None if isinstance(answer, Exception) else answer for answer in answers])


def answers_to(client: redis.Redis, calls: Sequence[Call[Any]]) -> list[Any]:
    """The answers to commands that are sent in one go, as redis-py makes them the same in both protocols."""
    with client.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
        for call in calls:
            pipe.execute_command(*call.words)  # pyright: ignore[reportUnknownMemberType]
        return pipe.execute(raise_on_error=False)


def _is_used(queue: QueueRecord, found: _Found) -> bool:
    """RQ's register of queues never forgets one."""
    counts = (queue.waiting, queue.popped, queue.running, queue.failed)
    return any(counts) or any(queue.name in worker.queues for worker in found.workers.values())


_NO_RUN: Final = [None] * len(RUN_FIELDS)
_NO_JOB: Final = [None] * len(JOB_FIELDS)
_NO_WORKER: Final = [None] * len(WORKER_FIELDS)


def _of_run(run: str) -> tuple[Call[Any], ...]:
    return command("HMGET", keys.run(run), *RUN_FIELDS), command("HLEN", keys.tasks(run))


def _of_coordinator(one: str, runs: int) -> tuple[Call[Any], ...]:
    owned = keys.owned(one)
    return command("HGETALL", keys.coordinator(one)), command("SCARD", owned), command("SRANDMEMBER", owned, runs)


def _of_worker(name: str, held: int) -> tuple[Call[Any], ...]:
    executions = keys.rq_worker_executions(name)
    return (
        command("HMGET", keys.rq_worker(name), *WORKER_FIELDS),
        command("SCARD", executions),
        command("SRANDMEMBER", executions, held),
    )


def _of_queue(queue: str, limits: Limits) -> tuple[Call[Any], ...]:
    return (
        command("LLEN", keys.rq_queue(queue)),
        command("LLEN", keys.rq_intermediate(queue)),
        command("ZCARD", keys.leases(queue)),
        command("ZCARD", keys.rq_failed(queue)),
        command("LRANGE", keys.rq_queue(queue), 0, limits.waiting - 1),
        command("ZRANGE", keys.leases(queue), 0, limits.tasks - 1, "WITHSCORES"),
    )


# --- answers, in the forms of RESP2 and of RESP3 -----------------------------------------------------------------


def _texts(values: Iterable[bytes] | None) -> list[str]:
    return [text(value) for value in values or ()]


def _names(values: Iterable[bytes] | None, prefix: str) -> list[str]:
    """What follows `prefix` in keys that begin with it."""
    return [name.removeprefix(prefix) for name in _texts(values) if name.startswith(prefix)]


def _scores(answer: Sequence[Any] | None) -> list[tuple[str, float]]:
    """Members and scores: a flat list of texts, or a list of pairs with numbers."""
    return [(text(member), _score(score)) for member, score in _pairs(answer)]


def _pairs(answer: Sequence[Any] | None) -> list[tuple[Any, Any]]:
    flat: list[Any] = []
    for item in answer or ():
        flat += cast("Sequence[Any]", item) if isinstance(item, list | tuple) else [item]
    return list(zip(flat[::2], flat[1::2], strict=True))


def _score(value: Any) -> float:
    found = number(value) if isinstance(value, bytes) else float(value)
    return 0.0 if found is None else found


def _seconds(time: Sequence[Any]) -> float:
    whole, micro = time
    return int(whole) + int(micro) / 1e6
