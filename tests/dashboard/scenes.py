"""Snapshots and events to show to the board, and hypothesis strategies for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fleetgraph.dashboard.heads import Head
from fleetgraph.dashboard.records import CoordinatorRecord, QueueRecord, RunRecord, Snapshot, TaskRecord, WorkerRecord
from fleetgraph.types import STREAM_MODES
from fleetgraph.wire.transitions import RunStatus

NOW = 1_800_000_000.0
STATUSES = [status.value for status in RunStatus]
OVER = STATUSES[2:]


def run(id: str = "r1", status: str = "running", **more: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "graph": "app:graph",
        "thread": "",
        "queue": "fleetgraph",
        "coordinator": "c1",
        "epoch": 1,
        "seq": 5,
        "created": NOW - 60,
        "started": NOW - 60,
        "ended": NOW - 10 if status in OVER else None,
        "error": "",
        "survives": True,
        "outstanding": 0,
    }
    return RunRecord(id, status, **{**fields, **more})


def task(job: str = "j1", worker: str = "w1", **more: Any) -> TaskRecord:
    fields: dict[str, Any] = {
        "run": "r1",
        "id": "t1",
        "attempt": 1,
        "node": "think",
        "step": 1,
        "queue": "fleetgraph",
        "worker": worker,
        "enqueued": NOW - 30,
        "started": NOW - 20 if worker else None,
        "lease_ends": NOW + 2 if worker else None,
    }
    return TaskRecord(job, **{**fields, **more})


def worker(name: str = "w1", **more: Any) -> WorkerRecord:
    fields: dict[str, Any] = {
        "queues": ("fleetgraph",),
        "state": "busy",
        "born": NOW - 100,
        "heard": NOW - 0.5,
        "host": "host",
        "pid": 17,
        "ours": True,
        "graphs": {"app:graph": "1f"},
        "concurrency": 8,
        "held": 1,
        "succeeded": 3,
        "failed": 0,
    }
    return WorkerRecord(name, **{**fields, **more})


def coordinator(id: str = "c1", **more: Any) -> CoordinatorRecord:
    fields: dict[str, Any] = {
        "lease_ends": NOW + 2,
        "kind": "service",
        "host": "host",
        "pid": 18,
        "queue": "fleetgraph",
        "started": NOW - 100,
        "graphs": {"app:graph": "1f"},
        "runs": 1,
    }
    return CoordinatorRecord(id, **{**fields, **more})


def snapshot(*records: Any, time: float = NOW, **more: Any) -> Snapshot:
    """A snapshot of these records."""

    def of(kind: type[Any], key: str) -> dict[str, Any]:
        return {getattr(one, key): one for one in records if isinstance(one, kind)}

    return Snapshot(
        time,
        of(RunRecord, "id"),
        of(TaskRecord, "job"),
        of(WorkerRecord, "name"),
        of(QueueRecord, "name"),
        of(CoordinatorRecord, "id"),
        **more,
    )


# --- anything ----------------------------------------------------------------------------------------------------

IDS = st.sampled_from(["r1", "r2", "r3", "", "r\x1b[31m\nx", "渋谷"])
NAMES = st.one_of(st.sampled_from(["w1", "w2", "a b", ""]), st.text(max_size=12))
TIMES = st.one_of(st.none(), st.floats(NOW - 1e6, NOW + 1e6), st.just(0.0))
COUNTS = st.integers(0, 2**63)

RUNS = st.builds(
    RunRecord,
    id=IDS,
    status=st.one_of(st.sampled_from(STATUSES), st.text(max_size=5)),
    graph=NAMES,
    thread=NAMES,
    queue=NAMES,
    coordinator=NAMES,
    epoch=COUNTS,
    seq=COUNTS,
    created=TIMES,
    started=TIMES,
    ended=TIMES,
    error=st.text(max_size=40),
    survives=st.booleans(),
    outstanding=COUNTS,
    step=st.one_of(st.none(), st.integers(-1, 10**6)),
)
TASKS = st.builds(
    TaskRecord,
    job=NAMES,
    run=IDS,
    id=NAMES,
    attempt=COUNTS,
    node=NAMES,
    step=st.one_of(st.none(), st.integers(-1, 10**6)),
    queue=NAMES,
    worker=NAMES,
    enqueued=TIMES,
    started=TIMES,
    lease_ends=TIMES,
)
WORKERS = st.builds(
    WorkerRecord,
    name=NAMES,
    queues=st.lists(NAMES, max_size=2).map(tuple),
    state=NAMES,
    born=TIMES,
    heard=TIMES,
    host=NAMES,
    pid=COUNTS,
    ours=st.booleans(),
    graphs=st.dictionaries(NAMES, NAMES, max_size=2),
    concurrency=st.one_of(st.none(), COUNTS),
    held=COUNTS,
    succeeded=COUNTS,
    failed=COUNTS,
)
QUEUES = st.builds(QueueRecord, name=NAMES, waiting=COUNTS, popped=COUNTS, running=COUNTS, failed=COUNTS)
COORDINATORS = st.builds(
    CoordinatorRecord,
    id=NAMES,
    lease_ends=st.floats(NOW - 1e6, NOW + 1e6),
    kind=NAMES,
    host=NAMES,
    pid=COUNTS,
    queue=NAMES,
    started=TIMES,
    graphs=st.dictionaries(NAMES, NAMES, max_size=2),
    runs=COUNTS,
)
SNAPSHOTS = st.builds(
    lambda records, time, suspended: snapshot(
        *records, time=time, suspended=suspended, runs_on_record=len(records), workers_on_record=len(records)
    ),
    st.lists(st.one_of(RUNS, TASKS, WORKERS, QUEUES, COORDINATORS), max_size=12),
    st.floats(NOW - 10, NOW + 10),
    st.booleans(),
)
HEADS = st.builds(
    Head,
    seq=st.one_of(st.integers(1, 30), st.integers(-(2**63), 2**64)),
    mode=st.sampled_from([*STREAM_MODES, "run", "unheard-of", ""]),
    task=NAMES,
    attempt=COUNTS,
    status=st.one_of(st.none(), st.sampled_from(STATUSES), st.text(max_size=5)),
    step=st.one_of(st.none(), st.integers(-1, 10**6)),
)
