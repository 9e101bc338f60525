"""How fast events travel from a node to the caller: many at once, and one alone."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.model import MICROSECONDS, REDIS_URL, Contender, Group, Table, Target, Unit

FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
HERE: Final = "benchmarks.subjects.graphs:InProcess"
PUBSUB: Final = "benchmarks.subjects.pubsub:PublishListen"

EVENTS: Final = Unit("µs", 1e6, 1, rate="events")


def _flood(size: int, title: str, *, tokens: bool) -> Group:
    options: dict[str, Any] = {"workload": "flood", "build": {"tokens": tokens}, "round": {"tokens": tokens}}
    floor = Contender("raw", "redis-py PUBLISH, one by one, to a listener", PUBSUB, {"url": REDIS_URL, "flood": True})
    return Group(
        name="events",
        size=size,
        contenders=(
            *(() if tokens else (floor,)),
            Contender("langgraph", "in-process", HERE, {"library": "langgraph", **options}),
            Contender("in-process", "Fleetgraph", HERE, {"library": "fleetgraph", **options}),
            Contender("fleet", "1 worker", FLEET, options),
        ),
        tables=(Table("event", title, EVENTS, base="langgraph", targets=(Target("fleet", 1.0, "langgraph"),)),),
    )


GROUPS: Final = (
    _flood(20_000, "a custom event of a flood", tokens=False),
    _flood(2_000, "a token of a LangChain model, mode messages", tokens=True),
    Group(
        name="events",
        size=200,
        contenders=(
            Contender("raw", "redis-py PUBLISH to a listener", PUBSUB, {"url": REDIS_URL}),
            Contender("langgraph", "in-process", HERE, {"library": "langgraph", "workload": "beats"}),
            Contender("in-process", "Fleetgraph", HERE, {"library": "fleetgraph", "workload": "beats"}),
            Contender("fleet", "1 worker", FLEET, {"workload": "beats"}),
        ),
        tables=(
            Table(
                "latency",
                "one custom event each 10 ms, from the node to the caller",
                MICROSECONDS,
                base="raw",
                targets=(Target("fleet", 1.5, "raw"),),
            ),
        ),
    ),
)
