"""How many nodes can wait at once."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.model import SECONDS, Contender, Group, Table, Target

TASKS: Final = 1000
WORKERS: Final = 2
THREADS: Final = 128
"""Slots of both workers together, where each node that waits needs a thread."""

FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
HERE: Final = "benchmarks.subjects.graphs:InProcess"
IDEAL: Final = "benchmarks.subjects.ideal:Ideal"


def _group(title: str, slots: int, target: Target, *, asynchronous: bool) -> Group:
    options: dict[str, Any] = {
        "workload": "sleeping",
        "build": {"asynchronous": asynchronous},
        "round": {"asynchronous": asynchronous},
    }
    here = {**options, "round": {"asynchronous": asynchronous, "slots": slots}}
    on_fleet = {**options, "workers": WORKERS, "concurrency": slots // WORKERS}
    return Group(
        name="waiting",
        size=TASKS,
        rounds=5,
        contenders=(
            Contender("ideal", "not measured", IDEAL, {"slots": slots}),
            Contender("fleet", f"{WORKERS} workers with {slots // WORKERS} slots each", FLEET, on_fleet),
            Contender("in-process", "Fleetgraph", HERE, {**here, "library": "fleetgraph"}),
            Contender("langgraph", "in-process", HERE, {**here, "library": "langgraph"}),
        ),
        tables=(Table("run", title, SECONDS, base="ideal", targets=(target,)),),
    )


GROUPS: Final = (
    _group("1,000 coroutines that sleep 100 ms", TASKS, Target("fleet", 0.6), asynchronous=True),
    _group(
        f"1,000 functions that sleep 100 ms, {THREADS} at once",
        THREADS,
        Target("fleet", 1.3, "ideal"),
        asynchronous=False,
    ),
)
