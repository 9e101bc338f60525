"""Whether what a superstep costs depends on how large the state is, or on how long the run has been."""

from __future__ import annotations

from typing import Final

from benchmarks.model import KILOBYTES, MICROSECONDS, TIMES, Contender, Group, Table, Target

FLEET: Final = "benchmarks.subjects.graphs:OnFleet"
LARGE: Final = "benchmarks.subjects.traffic:LargeChannel"
LIST: Final = "benchmarks.subjects.traffic:GrowingList"

BALLAST: Final = {"ballast_bytes": 10_000_000}
STEPS: Final = 10_000
PART: Final = 100

GROUPS: Final = (
    Group(
        name="growth",
        size=100,
        rounds=3,
        warm_up=0,
        contenders=(
            Contender("fleet", "1 worker, RedisSaver in the same Redis", LARGE, {"saver": True, **BALLAST}),
            Contender("fleet, no saver", "1 worker", LARGE, {"saver": False, **BALLAST}),
        ),
        tables=(
            Table(
                "moved",
                "moved through Redis per superstep, beside 10 MB that do not change",
                KILOBYTES,
                targets=(Target("fleet", 20.0),),
            ),
        ),
    ),
    Group(
        name="growth",
        size=1000,
        rounds=3,
        warm_up=0,
        contenders=(
            Contender("fleet", "1 worker, RedisSaver in the same Redis", LIST, {"saver": True}),
            Contender("fleet, no saver", "1 worker", LIST, {"saver": False}),
        ),
        tables=(
            Table(
                "multiple",
                "moved through Redis for a list that 1,000 supersteps add 1 kB to, of the megabyte added",
                TIMES,
                targets=(Target("fleet", 10.0),),
            ),
            Table(
                "slower",
                "the last hundred of these supersteps, of what the second hundred take",
                TIMES,
                targets=(Target("fleet", 1.2), Target("fleet, no saver", 1.2)),
            ),
        ),
    ),
    Group(
        name="growth",
        size=PART,
        rounds=3,
        contenders=(
            Contender(
                "first steps",
                f"1 to {PART} of {STEPS:,}; 1 worker, RedisSaver",
                FLEET,
                {"workload": "loop", "saver": True, "round": {"of": STEPS}},
            ),
            Contender(
                "last steps",
                f"{STEPS - PART:,} to {STEPS:,} of {STEPS:,}; the same",
                FLEET,
                {"workload": "loop", "saver": True, "round": {"of": STEPS, "late": True}},
            ),
        ),
        tables=(
            Table(
                "superstep",
                "a superstep of a long run",
                MICROSECONDS,
                base="first steps",
                targets=(Target("last steps", 1.1, "first steps"),),
            ),
        ),
    ),
)
