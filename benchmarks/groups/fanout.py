"""What a task of a wide fan-out costs, beside one bare worker, LangGraph and other task queues."""

from __future__ import annotations

from typing import Final

from benchmarks.model import MICROSECONDS, REDIS_URL, Contender, Group, Table, Target

TASKS: Final = 1000
WORKERS: Final = 2

FLOOR: Final = "benchmarks.subjects.floor:BareWorker"
FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
HERE: Final = "benchmarks.subjects.graphs:InProcess"
CELERY: Final = "benchmarks.peers.with_celery:Celery"
ON_FLEET: Final = {"workload": "fan_out", "workers": WORKERS}
PEER: Final = {"workers": WORKERS, "width": TASKS}
WITH_CELERY: Final = {**PEER, "url": REDIS_URL}

GROUPS: Final = (
    Group(
        name="fanout",
        size=TASKS,
        contenders=(
            Contender("floor", "one bare worker, BLPOP and RPUSH one by one", FLOOR, {"url": REDIS_URL}),
            Contender("floor, script", "the same, both in one script", FLOOR, {"url": REDIS_URL, "script": True}),
            Contender("fleet", "2 workers, RedisSaver in the same Redis", FLEET, {**ON_FLEET, "saver": True}),
            Contender("fleet, no saver", "2 workers", FLEET, ON_FLEET),
            Contender("in-process", "Fleetgraph", HERE, {"library": "fleetgraph", "workload": "fan_out"}),
            Contender("langgraph", "LangGraph in-process", HERE, {"library": "langgraph", "workload": "fan_out"}),
            Contender("celery group", "2 prefork workers", CELERY, WITH_CELERY, peer=True),
            Contender("celery group 100", "ten groups of 100", CELERY, {**WITH_CELERY, "width": 100}, peer=True),
            Contender("celery chord", "with a callback", CELERY, {**WITH_CELERY, "chord": True}, peer=True),
            Contender(
                "celery chord 100",
                "ten chords of 100",
                CELERY,
                {**WITH_CELERY, "width": 100, "chord": True},
                peer=True,
            ),
            Contender("ray", "2 CPUs, ray.get of all", "benchmarks.peers.with_ray:Ray", PEER, peer=True),
            Contender(
                "dask",
                "2 worker processes, map and gather",
                "benchmarks.peers.with_dask:Dask",
                PEER,
                peer=True,
            ),
            Contender(
                "rq",
                "2 SimpleWorkers, enqueue_many",
                "benchmarks.peers.with_rq:StockRQ",
                {**PEER, "url": REDIS_URL},
            ),
        ),
        tables=(
            Table(
                "task",
                f"a task of a fan-out of {TASKS:,}",
                MICROSECONDS,
                base="floor",
                targets=(Target("fleet", 1.5, "floor"), Target("fleet", 1.0, "ray")),
            ),
        ),
    ),
)
