"""Many runs at once through one coordinator process."""

from __future__ import annotations

from typing import Final

from benchmarks.model import KILOBYTES, MICROSECONDS, MILLISECONDS, RUNS_AT_ONCE, Contender, Group, Table, Target, Unit

MANY: Final = "benchmarks.subjects.many_runs:ManyRuns"
FLEET: Final = "benchmarks.subjects.graphs:OnFleet"

TASKS: Final = Unit("µs", MICROSECONDS.factor, rate="tasks")

AT_MOST: Final = 1 / 0.8
"""At least 80 % of the tasks per second."""

RUNS: Final = (10, 100, 1_000, 5_000)

GROUPS: Final = (
    Group(
        name="many",
        size=max(RUNS),
        rounds=3,
        warm_up=500,
        contenders=(
            Contender(
                "fan-out",
                "one run of 1,000 tasks, 2 workers",
                FLEET,
                {"workload": "fan_out", "workers": 2, "round": {"width": 1000}},
            ),
            *(Contender(f"{runs:,} runs", "of 10 supersteps, 2 workers", MANY, {"runs": runs}) for runs in RUNS),
            Contender("1,000 runs, saver", "the same, RedisSaver", MANY, {"runs": 1000, "saver": True}),
        ),
        tables=(
            Table(
                "task",
                "a task",
                TASKS,
                base="fan-out",
                targets=[Target(f"{runs:,} runs", AT_MOST, "fan-out") for runs in RUNS],
            ),
            Table("superstep", "a superstep as its run sees it", MILLISECONDS),
            Table("first", "from the submission to a run's first chunk", MILLISECONDS),
            Table("in flight", "runs in flight at the same time, at most", RUNS_AT_ONCE),
            Table("memory", "memory of the coordinator, per run in flight", KILOBYTES),
        ),
    ),
)
