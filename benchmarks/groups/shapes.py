"""Whole runs of graphs of several shapes: the same ones that LangGraph's own benchmarks look at."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.model import MILLISECONDS, Contender, Group, Table

FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
HERE: Final = "benchmarks.subjects.graphs:InProcess"


def _group(workload: str, title: str, build: dict[str, Any], round: dict[str, Any]) -> Group:
    options: dict[str, Any] = {"workload": workload, "build": build, "round": round}
    return Group(
        name="shapes",
        rounds=8,
        contenders=(
            Contender("langgraph", "in-process", HERE, {"library": "langgraph", **options}),
            Contender("in-process", "Fleetgraph", HERE, {"library": "fleetgraph", **options}),
            Contender("fleet", "2 workers", FLEET, {"workers": 2, **options}),
        ),
        tables=(
            Table("run", title, MILLISECONDS, base="langgraph"),
            Table("first", f"{title}: until the first chunk", MILLISECONDS, base="langgraph"),
        ),
    )


GROUPS: Final = (
    _group("chain", "a chain of 200 nodes", {"nodes": 200}, {"nodes": 200}),
    _group("wide_state", "20 supersteps over 300 channels", {"channels": 300}, {"channels": 300}),
    _group("essays", "a fan-out to 100 subgraphs of 5 supersteps", {}, {"topics": 100}),
    _group("agent", "an agent that calls a tool 20 times", {"calls": 20}, {"calls": 20}),
)
