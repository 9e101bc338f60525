"""docs/events.md names all that is read, and says of it what is so, on a real fleet."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from fleetgraph.dashboard import records
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import codec, keys
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION, WORKER_TTL, RunStatus
from tests.dashboard.test_reading import READING
from tests.fleet import gates
from tests.fleet.graphs.hold import graph
from tests.fleet.observing import Running, Watched, new_key
from tests.waiting import wait_until

PAGE = (Path(__file__).parent.parent.parent / "docs" / "events.md").read_text()

HOLD = "tests.fleet.graphs.hold:graph"

KEYS = {
    keys.log("<run>"): "stream",
    keys.run("<run>"): "hash",
    keys.tasks("<run>"): "hash",
    keys.runs(): "zset",
    keys.coordinators(): "zset",
    keys.coordinator("<coordinator>"): "hash",
    keys.owned("<coordinator>"): "set",
    keys.leases("<queue>"): "zset",
    keys.rq_queues(): "set",
    keys.rq_job("<job>"): "hash",
    keys.rq_workers(): "set",
    keys.rq_worker("<worker>"): "hash",
    keys.rq_worker_executions("<worker>"): "set",
}
"""Keys that exist while a task is held, and their types."""

ABSENT = [
    keys.rq_queue("<queue>"),
    keys.rq_intermediate("<queue>"),
    keys.rq_failed("<queue>"),
    keys.rq_suspended(),
    keys.waiting("<queue>"),
    keys.handed("<worker>"),
    keys.thread("<graph>", "<thread>"),
    keys.rq_queue_workers("<queue>"),
]

TYPES = {"stream": "stream", "hash": "hash", "zset": "sorted set", "set": "set"}


def rows() -> dict[str, list[str]]:
    """The page's tables: the first cell, without its ticks, and the others."""
    found: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        if line.startswith("|") and not line.startswith(("|-", "|--")):
            first, *others = [cell.strip() for cell in line.strip("|").split("|")]
            for name in re.findall(r"`([^`]+)`", first) or [first]:
                found[name] = others
    return found


def test_every_key_that_is_read_is_there_with_its_type() -> None:
    table = rows()
    for key, kind in KEYS.items():
        assert table[key][0] == TYPES[kind], key
    for key in ABSENT:
        assert key in table, key
    assert keys.events("<run>") in table


def test_every_field_that_is_read_is_there() -> None:
    table = rows()
    for field in (*records.RUN_FIELDS, *records.JOB_FIELDS, *records.WORKER_FIELDS):
        assert field in table, field
    for status in RunStatus:
        assert status.value in table


def test_every_command_that_is_sent_is_there() -> None:
    for name in (*READING, "PSUBSCRIBE", "XRANGE"):
        assert f"`{name}`" in PAGE


def test_every_extension_type_is_there_with_its_number() -> None:
    documented = set(re.findall(r"^\| (-?\d+) \|", PAGE, re.MULTILINE))
    listed = re.findall(r"^ +(-?\d+)  ", codec.__doc__ or "", re.MULTILINE)
    assert len(listed) > 25
    assert documented == set(listed)


def test_lifetimes_are_as_the_page_says(
    start_worker: Callable[..., Any], server: RedisServer, client: redis.Redis, queue: str
) -> None:
    """And so are the types of the keys, while a task is held, and afterwards."""
    worker, key = start_worker(HOLD), new_key()
    with Fleet(server.url, queue=queue) as fleet:
        running = Running(graph.on(fleet), {"key": key, "count": 1}, modes=["updates", "custom", "values"])
        wait_until(lambda: gates.arrived(f"{key}:1"), 20, "a task in its node")
        run = Watched(client)
        wait_until(lambda: run.last_seq >= 2, 10, "the node's first event in the log")
        record = {name.decode(): value.decode() for name, value in client.hgetall(keys.run(run.id)).items()}
        ((task, attempt),) = client.hgetall(keys.tasks(run.id)).items()
        names = {
            "<run>": run.id,
            "<coordinator>": record["coordinator"],
            "<queue>": queue,
            "<job>": f"{run.id}-{task.decode()}-{attempt.decode()}",
            "<worker>": worker.name,
        }
        for pattern, kind in KEYS.items():
            name = re.sub(r"<\w+>", lambda match: names[match[0]], pattern)
            assert client.type(name).decode() == kind, name
        assert record["status"] == "running"
        assert (record["graph"], record["queue"], record["epoch"], record["survives"]) == (HOLD, queue, "1", "0")
        assert (int(record["retention"]), int(record["log_events"])) == (RETENTION.total_seconds(), LOG_EVENTS)
        assert float(record["created"]) <= float(record["started"])
        for name in (keys.run(run.id), keys.log(run.id), keys.tasks(run.id)):
            assert 0 < client.ttl(name) <= RETENTION.total_seconds()
        assert 0 < client.ttl(keys.rq_worker(worker.name)) <= 2 * WORKER_TTL.total_seconds()
        assert 60 < client.ttl(keys.coordinator(record["coordinator"])) <= 86_400
        now = client.time()[0]
        lease = client.zscore(keys.coordinators(), record["coordinator"])
        assert lease is not None
        assert 0 < lease - now <= 4
        held = client.zscore(keys.leases(queue), names["<job>"])
        assert held is not None
        assert 0 < held - now <= 4
        job = client.hmget(keys.rq_job(names["<job>"]), *records.JOB_FIELDS)
        assert job[:4] == [
            f"{run.id} {task.decode()} 1 {record['coordinator']}".encode(),
            b"started",
            b"LangGraph.hold (step 1)",
            worker.name.encode(),
        ]
        gates.open(f"{key}:1")
        running.result()
        ended = client.hgetall(keys.run(run.id))
        assert ended[b"status"] == b"success"
        assert float(ended[b"ended"]) >= float(ended[b"started"])
        wait_until(lambda: not client.exists(keys.rq_job(names["<job>"])), 5, "the end of the job")
        assert not client.exists(keys.tasks(run.id), keys.journal(run.id), keys.sent(run.id), keys.seen(run.id))
        assert int(ended[b"seq"]) == sum(1 for _ in running.chunks) + 1
        (last,) = client.xrevrange(keys.log(run.id), count=1)
        assert last[0] == b"%d-0" % int(ended[b"seq"])
        assert set(last[1]) == {b"m"}


@pytest.mark.parametrize("mode", ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug", "run"])
def test_every_mode_is_there(mode: str) -> None:
    assert mode in rows()
