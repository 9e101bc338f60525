"""Every key in Redis: Fleetgraph's own, and those of RQ that it writes. No other module spells one.

Ids and queue names go into keys as they are. `%s` may be passed for one, to get the template that scripts
fill in.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta

PREFIX = "fleetgraph:"

RQ = os.environ.get("RQ_KEY_PREFIX", "rq") + ":"
"""RQ's prefix; read here as RQ reads it, since importing RQ for a string takes a tenth of a second."""

INBOX_TTL = timedelta(days=1)
"""After it, outcomes that no coordinator came for are given up, together with their runs."""

LEASES_TTL = timedelta(days=1)
"""Far beyond any lease: it only clears the set away once a queue is no longer used."""

WAITING_TTL = timedelta(seconds=10)
"""A worker that waits says so again every second or so."""

_JOB_ID = re.compile(r"[A-Za-z0-9_-]+")


# --- a run -------------------------------------------------------------------------------------------------


def run(run_id: str) -> str:
    """Hash: the run's record. Expires `retention` seconds after the run's last sign of life.

    Read and written by the scripts: `status` (one of `RunStatus`), `seq` (of the last event), `epoch` (of the
    lease), `coordinator` (whose inbox takes outcomes), `retention` (seconds), `log_events` (the log's cap),
    `dispatched` (the last batch of tasks, `<epoch>:<number>`), `step` (their superstep).
    The coordinator keeps further fields of its own here.
    """
    return f"{PREFIX}run:{run_id}"


def log(run_id: str) -> str:
    """Stream: the run's events, entry `<seq>-0` with field `m`: the message as published. Like the run."""
    return f"{PREFIX}run:{run_id}:log"


def events(run_id: str) -> str:
    """Pub/sub channel: the run's events, msgpack `[seq of the last, [event, …]]` a message."""
    return f"{PREFIX}run:{run_id}:events"


def tasks(run_id: str) -> str:
    """Hash: outstanding task's id → its current attempt. Expires like the run."""
    return f"{PREFIX}run:{run_id}:tasks"


def seen(run_id: str) -> str:
    """Set: ids of the messages the run has streamed or was given. Expires like the run."""
    return f"{PREFIX}run:{run_id}:seen"


def sent(run_id: str) -> str:
    """Hash: sender of events (`<task>:<attempt>` or the coordinator) → how many items arrived. As the run.

    What makes sending a batch again, after its answer was lost, harmless.
    """
    return f"{PREFIX}run:{run_id}:sent"


def journal(run_id: str) -> str:
    """List: what the run's coordinator was told, in order; whoever takes the run over is told it again. As the run."""
    return f"{PREFIX}run:{run_id}:journal"


def values(run_id: str) -> str:
    """Hash: large values of the run's state that its tasks may need, see `wire.values`. As the run; deleted at its end.

    Its name begins unlike the run's other keys': who may read those is not to read the state.
    """
    return f"{PREFIX}values:{run_id}"


def runs() -> str:
    """Sorted set: run → when it was created, in Redis time. Coordinators remove those that have expired; it expires
    `INBOX_TTL` after them itself.
    """
    return f"{PREFIX}runs"


def thread(graph_name: str, thread_id: str) -> str:
    """List: the runs of a thread that have not ended, in their order; the first is the active one. As the runs."""
    return f"{PREFIX}thread:{graph_name}:{thread_id}"


# --- the fleet ---------------------------------------------------------------------------------------------


def inbox(coordinator_id: str) -> str:
    """List: outcomes for a coordinator, oldest first. Expires `INBOX_TTL` after the first one unread."""
    return f"{PREFIX}inbox:{coordinator_id}"


def coordinators() -> str:
    """Sorted set: coordinator → when its lease expires, in Redis time. Whoever finds an expired one removes it."""
    return f"{PREFIX}coordinators"


def coordinator(coordinator_id: str) -> str:
    """Hash: what a coordinator tells about itself. Expires `INBOX_TTL` after its last sign of life; sooner if another
    takes over all that it held.

    `kind` (`service` or `embedded`), `host`, `pid`, `started`, `graphs` (JSON: name → fingerprint), `queue`, `runs`;
    and `handled`, the last batch of messages that it dealt with.
    """
    return f"{PREFIX}coordinator:{coordinator_id}"


def owned(coordinator_id: str) -> str:
    """Set: the runs that a coordinator holds, until they end or another takes them over. Expires `INBOX_TTL` after its
    last sign of life.
    """
    return f"{PREFIX}coordinator:{coordinator_id}:runs"


def calls(coordinator_id: str) -> str:
    """List: what clients ask of a coordinator, oldest first: the one key that a client writes. Expires soon after the
    last one.
    """
    return f"{PREFIX}calls:{coordinator_id}"


def reply(call_id: str) -> str:
    """List: the reply to one call of a client. Expires soon after."""
    return f"{PREFIX}reply:{call_id}"


def answers(worker_name: str) -> str:
    """List: answers to what tasks of a worker ask, oldest first. Expires soon after the last one."""
    return f"{PREFIX}answers:{worker_name}"


def leases(queue_name: str) -> str:
    """Sorted set: RQ job id of a task that is held → when its lease expires, in Redis time. `LEASES_TTL`."""
    return f"{PREFIX}leases:{queue_name}"


def waiting(queue_name: str) -> str:
    """Sorted set: worker → when it last said that it has room and waits for tasks, in Redis time. Expires
    `WAITING_TTL` after the last one did.
    """
    return f"{PREFIX}waiting:{queue_name}"


def handed(worker_name: str) -> str:
    """Pub/sub channel: tasks that a waiting worker is given, `<job>\\n<route>\\n<data>` a message; an empty one bids it
    look into its queue.
    """
    return f"{PREFIX}handed:{worker_name}"


# --- RQ's --------------------------------------------------------------------------------------------------


def job_id(run_id: str, task_id: str, attempt: int) -> str:
    """The id of the RQ job that is one attempt of a task.

    Raises:
        ValueError: RQ would refuse it: it has other characters than letters, digits, `_` and `-`.
    """
    made = f"{run_id}-{task_id}-{attempt}"
    if not _JOB_ID.fullmatch(made):
        raise ValueError(f"{made!r} can't be an RQ job id: only letters, digits, '_' and '-' are allowed")
    return made


def rq_queues() -> str:
    """Set: the keys of all queues. RQ never lets it expire."""
    return f"{RQ}queues"


def rq_queue(queue_name: str) -> str:
    """List: ids of the jobs that wait, oldest first. No expiry."""
    return f"{RQ}queue:{queue_name}"


def rq_intermediate(queue_name: str) -> str:
    """List: ids of jobs popped by a worker that has yet to record that it has them. No expiry."""
    return f"{RQ}queue:{queue_name}:intermediate"


def rq_job(job: str) -> str:
    """Hash: a job. Deleted when it succeeds; expires after its `failure_ttl` when it failed.

    `fleetgraph` in it is ours: `<run> <task> <attempt> <inbox>`.
    """
    return f"{RQ}job:{job}"


def rq_started(queue_name: str) -> str:
    """Sorted set (StartedJobRegistry): `<job>:<execution>` → when RQ may take it for dead. No expiry."""
    return f"{RQ}wip:{queue_name}"


def rq_failed(queue_name: str) -> str:
    """Sorted set (FailedJobRegistry): job id → when its record expires. No expiry."""
    return f"{RQ}failed:{queue_name}"


def rq_results(job: str) -> str:
    """Stream: a job's results; of failed ones only, with the traceback. Expires after its `failure_ttl`."""
    return f"{RQ}results:{job}"


def rq_executions(job: str) -> str:
    """Sorted set: a job's executions → when they may be taken for dead. Expires a little later."""
    return f"{RQ}executions:{job}"


def rq_execution(job: str, execution: str) -> str:
    """Hash: one execution of a job by one worker. Expires when the worker stops to renew it."""
    return f"{RQ}execution:{job}:{execution}"


def rq_workers() -> str:
    """Set: the keys of all workers. RQ never lets it expire."""
    return f"{RQ}workers"


def rq_queue_workers(queue_name: str) -> str:
    """Set: the keys of the workers that listen on a queue; of some that died as well. RQ never lets it expire."""
    return f"{RQ}workers:{queue_name}"


def rq_worker(worker_name: str) -> str:
    """Hash: a worker. Expires when the worker stops to renew it."""
    return f"{RQ}worker:{worker_name}"


def rq_worker_executions(worker_name: str) -> str:
    """Set: `<job>:<execution>` of what a worker runs. Expires with the worker."""
    return f"{RQ}worker:{worker_name}:executions"


def rq_suspended() -> str:
    """String: there while `rq suspend` keeps workers from taking jobs. Expires if that had a duration."""
    return f"{RQ}suspended"


def rq_cleaning(queue_name: str) -> str:
    """String: there while a worker does RQ's housekeeping for a queue. Expires after 15 minutes."""
    return f"{RQ}clean_registries:{queue_name}"
