"""What happens to runs and tasks in Redis: one function a transition, each a script, which is atomic.

A function makes a `Call`; `execute` runs one, `execute_all` runs several in one round trip, in their order:

    execute(redis, cancel(queue="fleetgraph", run="r1"))

Times are Redis's. A script that fails has changed nothing; one whose answer got lost may have been run, and
may be run again: no event is doubled and no outcome accepted twice.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, NamedTuple, cast
from zlib import compress

from fleetgraph.errors import DecodeError
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, Value, command, script, seconds
from fleetgraph.wire.rq_serializer import job_data

RETENTION = timedelta(hours=1)
"""How long a run that does not say stays in Redis after its last event."""

LOG_EVENTS = 100_000
"""How many messages the log of a run that does not say keeps, about: Redis trims a stream in whole blocks."""

FAILURE_TTL = timedelta(days=1)
"""How long RQ keeps a failed job: enough to look into it, where RQ's own default of a year fills Redis."""

LEASE = timedelta(seconds=3)
"""How long a task is not taken for lost without a sign of life from its worker: a few heartbeats."""

EXECUTION_TTL = timedelta(seconds=60)
"""After it RQ's maintenance takes a worker for dead and its jobs for failed: well after the lease, so that
the coordinator has dispatched them again by then."""

WORKER_TTL = timedelta(seconds=60)
"""How long `rq info` shows a worker that vanished."""

NO_TIMEOUT = -1
"""An RQ job's `timeout` when it may run for as long as it takes. RQ's own default is three minutes."""


class RunStatus(StrEnum):
    """Where a run stands: the field `status` of its record, written by the coordinator, but for CANCELLED."""

    PENDING = "pending"
    """Submitted; no coordinator has begun it."""
    RUNNING = "running"
    """A coordinator holds it, or did until it died."""
    SUCCESS = "success"
    """It ended as it should."""
    ERROR = "error"
    """It failed."""
    INTERRUPTED = "interrupted"
    """It waits for an answer from outside."""
    CANCELLED = "cancelled"
    """Somebody cancelled it. Written by `cancel`."""


class Refusal(Enum):
    """Why a transition did not take place. Nothing was changed."""

    SUPERSEDED = b"superseded"
    """Somebody else acts for it by now: another attempt of the task, or another coordinator of the run."""
    CANCELLED = b"cancelled"
    """The run was cancelled."""
    REPEATED = b"repeated"
    """It took place before."""
    INCOMPLETE = b"incomplete"
    """Events that have to precede it have not arrived."""


class Mark(StrEnum):
    """What the id of a message has to do with its event."""

    NONE = ""
    """Nothing."""
    ADD = "add"
    """The run knows the message from now on."""
    SKIP = "skip"
    """The same; and the event is dropped if the run knew it before."""


class Events(NamedTuple):
    """Events to publish, in order; or only a message to be remembered."""

    number: int
    blob: bytes
    """`number` events, each a msgpack array `[mode, ns, task, attempt, ts, payload]`, one after the other."""
    mark: Mark = Mark.NONE
    message_id: str = ""


@dataclass(slots=True)
class Dispatch:
    """One attempt of a task, to be put into the queue."""

    task: str
    attempt: int
    """1; or one more than that of the attempt that was lost, whose traces then vanish."""
    graph: str
    node: str
    step: int
    message: bytes
    """The encoded `TaskMessage`."""
    timeout: int = NO_TIMEOUT
    """Seconds after which a stock RQ worker gives up."""


@dataclass(frozen=True, slots=True)
class Route:
    """Whom an attempt of a task belongs to; known even if its message can't be read."""

    run: str
    task: str
    attempt: int
    inbox: str
    """The coordinator that dispatched it."""

    @property
    def sender(self) -> str:
        """Under which name its events are counted."""
        return f"{self.task}:{self.attempt}"

    @classmethod
    def parse(cls, text: bytes) -> Route | None:
        """The route in a job's field `fleetgraph`; None if there is none."""
        try:
            run, task, attempt, inbox = text.decode().split(" ")
            return cls(run, task, int(attempt), inbox)
        except ValueError:  # too few words or too many, a number that is none, no UTF-8
            return None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker got to run."""

    job: str
    route: Route | None
    """None if Fleetgraph did not dispatch it."""
    data: bytes
    """What RQ calls the job's data; `rq_serializer.message_of` finds the task message in it."""


class Finished(NamedTuple):
    """What became of an outcome."""

    accepted: bool
    """False if the attempt was no longer the current one: then nothing of it counts."""
    claims: list[Claim]
    """The worker's next tasks."""


class Heartbeat(NamedTuple):
    """What a worker learns by telling that it lives."""

    suspended: bool
    """Whether it is to take no new tasks (`rq suspend`)."""
    known: bool
    """False if its record vanished from Redis: it has to register again."""
    lost: frozenset[str]
    """The jobs, among those it holds, that nobody waits for any longer."""


class Counts(NamedTuple):
    """What a worker did since its last heartbeat."""

    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0


# --- events ------------------------------------------------------------------------------------------------


def publish_from_task(run: str, route: Route, items: Sequence[Events], *, start: int) -> Call[int | Refusal]:
    """A worker appends events of a task it runs to the run's log, and publishes them as one message.

    `start` is how many items it sent for this attempt before. Gives the run's last seq; or SUPERSEDED if the
    attempt is no longer the current one.
    """
    return _publish(run, route.task, route.attempt, route.sender, start, items)


@dataclass(slots=True)
class Publication(Call[int | Refusal]):
    """The call that publishes events, with what it was made of."""

    run: str
    epoch: int
    items: Sequence[Events]
    start: int | None


def publish_from_coordinator(run: str, epoch: int, items: Sequence[Events], *, start: int | None = None) -> Publication:
    """The coordinator that holds a run appends events to its log, and publishes them as one message.

    `start` is how many items the run's coordinators sent before; None if it never sends any again whose answer got
    lost. Gives the run's last seq; or SUPERSEDED if the run has a higher epoch.
    """
    call = _publish(run, "", epoch, "coordinator", "" if start is None else start, items)
    return Publication(call.words, call.parse, run, epoch, items, start)


def _publish(
    run: str, task: str, fence: int, sender: str, start: int | str, items: Sequence[Events]
) -> Call[int | Refusal]:
    args: list[Value] = [keys.events(run), task, fence, sender, start, seconds(RETENTION), LOG_EVENTS]
    args += item_words(items)
    return script(
        "publish",
        (keys.run(run), keys.log(run), keys.seen(run), keys.tasks(run), keys.sent(run)),
        args,
        lambda answer: answer if isinstance(answer, int) else Refusal(answer),
    )


def item_words(items: Sequence[Events]) -> list[Value]:
    """Items of events as the scripts take them."""
    words: list[Value] = []
    for item in items:
        words += (item.number, item.mark.value, item.message_id, item.blob)
    return words


# --- the coordinator's -------------------------------------------------------------------------------------


def dispatch(
    run: str,
    epoch: int,
    queue: str,
    coordinator: str,
    tasks: Sequence[Dispatch],
    *,
    batch: int | None = None,
    step: int | None = None,
) -> Call[list[bool] | Refusal]:
    """Put tasks into the queue; replace those whose attempt was lost.

    Gives for each whether it was put there. A first attempt is not if the task is outstanding already, a
    later one is not if the one before it is no longer the current one: it finished after all.

    `batch` counts what is dispatched in an epoch, from 1. With it, dispatching the same again, after the answer got
    lost, is REPEATED and harmless; without it, a task that finished in between would run again.

    Raises:
        ValueError: Run and task ids can't make an RQ job id.
    """
    args: list[Value] = [
        queue,
        epoch,
        seconds(RETENTION),
        seconds(FAILURE_TTL),
        run,
        coordinator,
        "" if batch is None else batch,
        seconds(EXECUTION_TTL),
        "" if step is None else step,
    ]
    for task in tasks:
        args += (
            task.task,
            task.attempt,
            keys.job_id(run, task.task, task.attempt),
            keys.job_id(run, task.task, task.attempt - 1) if task.attempt > 1 else "",
            f"{task.graph}.{task.node} (step {task.step})",
            task.timeout,
            job_data(task.message),
        )
    return script(
        "dispatch",
        (keys.run(run), keys.tasks(run), keys.rq_queue(queue), keys.rq_queues()),
        args,
        lambda answer: Refusal(answer) if isinstance(answer, bytes) else [put == 1 for put in answer],
    )


def lost(queue: str, *, lease: timedelta = LEASE, limit: int = 1000) -> Call[list[Route]]:
    """The attempts, of any coordinator's, whose worker shows no sign of life. To be asked about once a lease.

    They are named again and again until they are dispatched again, end or are cancelled.
    """
    return script(
        "lost",
        (keys.leases(queue), keys.rq_intermediate(queue), keys.rq_started(queue), keys.rq_queue(queue)),
        (lease.total_seconds(), seconds(keys.LEASES_TTL), limit, queue),
        lambda answer: [route for text in answer if (route := Route.parse(text))],
    )


def renew(run: str) -> Call[bool]:
    """Put off the expiry of a run that goes on, as events and heartbeats do too. Gives whether it was still there.

    To be sent a few times in a run's retention: its tasks may have to wait in the queue for longer than that.
    """
    return script("renew", (keys.run(run),), (run, seconds(RETENTION)), lambda answer: answer == 1)


def cancel(queue: str, run: str) -> Call[int | None]:
    """Cancel a run: its waiting tasks vanish from the queue, and what its running ones do no longer counts.

    Its coordinator is told, and ends it. Gives the number of tasks that were outstanding; None if the run is over, or
    not known. `queue` is that of a run that does not say.
    """
    return script(
        "cancel",
        (keys.run(run), keys.tasks(run)),
        (queue, run, seconds(RETENTION), seconds(keys.INBOX_TTL)),
        lambda answer: None if answer == -1 else answer,
    )


# --- the worker's ------------------------------------------------------------------------------------------


def claim(
    queue: str,
    worker: str,
    count: int,
    *,
    lease: timedelta = LEASE,
    announce: bool,
    graphs: Mapping[str, str] | None = None,
    capacity: int | None = None,
) -> Call[list[Claim]]:
    """Give a worker its share of the jobs that wait, up to `count`. Those that nobody waits for any longer are dropped.

    Args:
        queue: The queue's name.
        worker: The worker's name.
        count: How many more tasks the worker takes.
        lease: That of those.
        announce: Whether it was idle, which RQ then records as busy.
        graphs: Those it has, name → fingerprint: tasks of others are left to other workers.
        capacity: How many tasks it can have at once, if it listens for tasks that are `handed` to it; None if it does
            not.
    """
    return script(
        "claim",
        (keys.rq_queue(queue), keys.rq_queue_workers(queue), keys.rq_worker(worker), keys.waiting(queue)),
        (
            queue,
            worker,
            lease.total_seconds(),
            seconds(EXECUTION_TTL),
            int(announce),
            count,
            _lines(graphs),
            "" if capacity is None else capacity,
            seconds(keys.WAITING_TTL),
        ),
        _claims,
    )


def handed(message: bytes) -> Claim:
    """The task that a worker is given in a message of its channel that is not empty.

    Raises:
        DecodeError: There is none in it.
    """
    parts = message.split(b"\n", 2)
    if len(parts) != 3:
        raise DecodeError("no task is handed in this message")
    return Claim(parts[0].decode(errors="replace"), Route.parse(parts[1]), parts[2])


def wait_no_more(queue: str, worker: str) -> Call[Any]:
    """Give a worker no more tasks that it does not come for."""
    return command("ZREM", keys.waiting(queue), worker)


def adopt(worker: str) -> Call[list[Claim]]:
    """The jobs a worker holds, according to Redis: also those it claimed while the answer got lost."""
    return script("adopt", (keys.rq_worker_executions(worker),), (), _claims)


def ask(run: str, coordinator: str, request: bytes) -> Call[None]:
    """Send what a task asks to the coordinator that holds its run, which may be another than dispatched the task."""
    return script("ask", (keys.run(run),), (coordinator, request, seconds(keys.INBOX_TTL)), lambda _: None)


def finish(
    queue: str,
    worker: str,
    claimed: Claim,
    outcome: bytes,
    *,
    failure: str | None,
    items: int | None = 0,
    settle: bool = True,
    last: bool = False,
    count: int = 0,
    lease: timedelta = LEASE,
    graphs: Mapping[str, str] | None = None,
    capacity: int | None = None,
) -> Call[Finished | Refusal]:
    """End an attempt of a task: its outcome goes to the coordinator if the attempt is still the current one.

    Args:
        queue: The queue's name.
        worker: The worker's name.
        claimed: What ends.
        outcome: The encoded `Outcome`.
        failure: The traceback for RQ's FailedJobRegistry; None for success.
        items: How many items of events it sent; None if it does not matter whether they arrived.
        settle: False under a stock RQ worker, which keeps RQ's records itself.
        last: Whether the worker probably runs nothing else, and becomes idle unless it gets more.
        count: How many more tasks the worker takes.
        lease: That of those.
        graphs: What those may be of, name → fingerprint.
        capacity: See `claim`.
    """
    route = claimed.route or Route("", "", 0, "")
    return script(
        "finish",
        (
            keys.tasks(route.run),
            keys.run(route.run),
            keys.sent(route.run),
            keys.leases(queue),
            keys.rq_queue(queue),
            keys.rq_job(claimed.job),
            keys.rq_started(queue),
            keys.rq_failed(queue),
            keys.rq_worker(worker),
            keys.rq_worker_executions(worker),
            keys.waiting(queue),
        ),
        (
            queue,
            worker,
            claimed.job,
            route.task,
            route.attempt,
            route.inbox,
            outcome,
            seconds(keys.INBOX_TTL),
            "" if items == 0 else route.sender,
            items or "",
            int(settle),
            "" if failure is None else b64encode(compress(failure.encode(errors="replace"))),
            seconds(FAILURE_TTL),
            int(last),
            lease.total_seconds(),
            seconds(EXECUTION_TTL),
            count,
            _lines(graphs),
            "" if capacity is None else capacity,
            seconds(keys.WAITING_TTL),
        ),
        lambda answer: Refusal(answer) if isinstance(answer, bytes) else Finished(answer[0] == 1, _claims(answer[1])),
    )


def heartbeat(
    queue: str,
    worker: str,
    held: Sequence[Claim],
    counts: Counts = Counts(),  # noqa: B008 (a constant)
    *,
    lease: timedelta = LEASE,
    settle: bool = True,
) -> Call[Heartbeat]:
    """Show that a worker lives, and extend the leases of the tasks it holds. To be sent a few times a lease.

    `settle` is False under a stock RQ worker, which keeps RQ's records itself.
    """
    args: list[Value] = [
        lease.total_seconds(),
        seconds(keys.LEASES_TTL),
        seconds(EXECUTION_TTL) if settle else "",
        seconds(WORKER_TTL),
        counts.succeeded,
        counts.failed,
        counts.seconds,
        seconds(RETENTION),
    ]
    for one in held:
        if one.route is not None:
            args += (one.job, one.route.run, one.route.task, one.route.attempt)
    return script(
        "heartbeat",
        (
            keys.leases(queue),
            keys.rq_suspended(),
            keys.rq_worker(worker),
            keys.rq_worker_executions(worker),
            keys.rq_started(queue),
        ),
        args,
        lambda answer: Heartbeat(answer[0] == 1, answer[1] == 1, frozenset(job.decode() for job in answer[2:])),
    )


def _lines(graphs: Mapping[str, str] | None) -> str:
    return "\n".join(f"{fingerprint} {name}" for name, fingerprint in (graphs or {}).items())


def _claims(answer: Any) -> list[Claim]:
    parts = cast("list[bytes]", answer)
    return [
        Claim(parts[i].decode(errors="replace"), Route.parse(parts[i + 1]), parts[i + 2])
        for i in range(0, len(parts), 3)
    ]
