"""What one superstep of one node costs on a fleet, beside the floor, in-process engines and other task queues."""

from __future__ import annotations

from typing import Final

from benchmarks.model import MICROSECONDS, REDIS_URL, Contender, Group, Table, Target

FLOOR: Final = "benchmarks.subjects.floor:PingPong"
FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
HERE: Final = "benchmarks.subjects.graphs:InProcess"

GROUPS: Final = (
    Group(
        name="superstep",
        size=200,
        warm_up=50,
        contenders=(
            Contender("floor", "redis-py lists, RPUSH/BLPOP there and back", FLOOR, {"url": REDIS_URL}),
            Contender("floor, script", "the same; the answer by a script", FLOOR, {"url": REDIS_URL, "script": True}),
            Contender("fleet", "1 worker, RedisSaver in the same Redis", FLEET, {"workload": "loop", "saver": True}),
            Contender("fleet, no saver", "1 worker", FLEET, {"workload": "loop"}),
            Contender("in-process", "Fleetgraph", HERE, {"library": "fleetgraph", "workload": "loop"}),
            Contender("langgraph", "LangGraph in-process", HERE, {"library": "langgraph", "workload": "loop"}),
            Contender(
                "celery",
                "no-op task to its result; 1 prefork worker, Redis for both",
                "benchmarks.peers.with_celery:Celery",
                {"url": REDIS_URL, "workers": 1},
                share=0.5,
                peer=True,
            ),
            Contender(
                "ray task",
                "no-op remote function",
                "benchmarks.peers.with_ray:Ray",
                {"workers": 1},
                peer=True,
            ),
            Contender(
                "ray actor",
                "no-op method of an actor",
                "benchmarks.peers.with_ray:Ray",
                {"workers": 1, "actor": True},
                peer=True,
            ),
            Contender("dask", "no-op, submit to result", "benchmarks.peers.with_dask:Dask", {"workers": 1}, peer=True),
            Contender(
                "rq",
                "no-op job to its result; SimpleWorker",
                "benchmarks.peers.with_rq:StockRQ",
                {"url": REDIS_URL, "workers": 1},
                share=0.5,
            ),
            Contender(
                "rq, forking",
                "the same; RQ's default Worker",
                "benchmarks.peers.with_rq:StockRQ",
                {"url": REDIS_URL, "workers": 1, "forking": True},
                share=0.1,
            ),
        ),
        tables=(
            Table(
                "superstep",
                "one superstep of one node, chunk at the caller",
                MICROSECONDS,
                base="floor",
                targets=(
                    Target("fleet", 2.0, "floor"),
                    Target("fleet", 1 / 3, "celery"),
                    Target("fleet", 1 / 3, "ray task"),
                    Target("fleet", 1 / 8, "rq"),
                ),
            ),
        ),
    ),
)
