"""What it takes to import Fleetgraph and to start a worker, and what a fleet costs that has nothing to do."""

from __future__ import annotations

from typing import Final

from benchmarks.model import MILLISECONDS, SECONDS, Contender, Group, Table, Target, Unit

IMPORT: Final = "benchmarks.subjects.starting:Import"

PER_SECOND: Final = Unit("per second", 1.0, 1)

GROUPS: Final = (
    Group(
        name="startup",
        size=1,
        contenders=(
            Contender("langgraph", "import langgraph.graph", IMPORT, {"module": "langgraph.graph"}),
            Contender("fleetgraph", "import fleetgraph.graph", IMPORT, {"module": "fleetgraph.graph"}),
            Contender("fleet", "import fleetgraph.fleet", IMPORT, {"module": "fleetgraph.fleet"}),
        ),
        tables=tuple(
            Table(measure, title, MILLISECONDS, base="langgraph", targets=(Target("fleetgraph", 0.1, "langgraph"),))
            for measure, title in (("cpu", "CPU time of an import"), ("wall", "time of an import"))
        ),
    ),
    Group(
        name="startup",
        size=1,
        contenders=(Contender("worker", "started, and ready for tasks", "benchmarks.subjects.starting:WorkerStart"),),
        tables=(Table("ready", "start of a worker", SECONDS, targets=(Target("worker", 0.5),)),),
    ),
    Group(
        name="startup",
        size=5,
        rounds=3,
        warm_up=1,
        contenders=(
            Contender("idle fleet", "coordinator and 2 workers", "benchmarks.subjects.starting:Idle", {"workers": 2}),
        ),
        tables=(
            Table(
                "commands",
                "commands that Redis gets from each process of an idle fleet",
                PER_SECOND,
                targets=(Target("idle fleet", 5.0),),
            ),
            Table("called", "commands that its scripts call", PER_SECOND),
        ),
    ),
)
