"""What Fleetgraph itself costs when no Redis is involved, beside LangGraph."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.model import MICROSECONDS, Contender, Group, Table, Target

HERE: Final = "benchmarks.subjects.graphs:InProcess"
AT_MOST: Final = 1 / 3


def _pair(workload: str, *, saver: bool) -> tuple[Contender, Contender]:
    suffix = ", saver" if saver else ""
    what = "with InMemorySaver" if saver else "without a saver"

    def arguments(library: str) -> dict[str, Any]:
        return {"library": library, "workload": workload, "saver": saver}

    return (
        Contender(f"langgraph{suffix}", what, HERE, arguments("langgraph")),
        Contender(f"fleetgraph{suffix}", what, HERE, arguments("fleetgraph")),
    )


def _group(workload: str, size: int, measure: str, title: str) -> Group:
    return Group(
        name="in-process",
        size=size,
        contenders=(*_pair(workload, saver=False), *_pair(workload, saver=True)),
        tables=(
            Table(
                measure,
                title,
                MICROSECONDS,
                base="langgraph",
                targets=(
                    Target("fleetgraph", AT_MOST, "langgraph"),
                    Target("fleetgraph, saver", AT_MOST, "langgraph, saver"),
                ),
            ),
        ),
    )


GROUPS: Final = (
    _group("loop", 300, "superstep", "a superstep of one node"),
    _group("fan_out", 1000, "task", "a task of a fan-out of 1,000"),
)
