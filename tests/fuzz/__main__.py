"""The long run: `python -m tests.fuzz --minutes 10`, from the folder of the repository, with Fleetgraph installed."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from fleetgraph.fleet import Fleet
from tests.differential.harness import Place
from tests.fuzz.comparing import compare
from tests.fuzz.descriptions import Scenario
from tests.fuzz.statistics import Statistics
from tests.fuzz.strategies import scenarios

BATCH = 100
"""Scenarios that are drawn from one seed: the run ends between two batches, and shrinks what a batch has found."""


SHRINKING_SECONDS = 60.0
"""For one difference: hypothesis would take minutes."""


class Differ(AssertionError):
    """The libraries differ on a scenario."""

    def __init__(self, scenario: Scenario, text: str) -> None:
        super().__init__(text)
        self.scenario = scenario


class Enough(BaseException):
    """It has been shrunk for long enough. No Exception, which would be one more failure to hypothesis."""


def batch(number: int, examples: int, statistics: Statistics, place: Place) -> Differ | None:
    """Plays so many scenarios, drawn from the seed `number`, or up to one that differs; returns that one, shrunk."""
    found: Differ | None = None
    shrinks_until = 0.0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(scenario=scenarios())
    def plays_alike(scenario: Scenario) -> None:
        nonlocal found, shrinks_until
        if found is not None and time.monotonic() > shrinks_until:
            raise Enough
        difference, seen = compare(scenario, place)
        if found is None:
            statistics.add(seen)
        if difference is None:
            return
        if found is None:
            print(f"\nseed {number} found a difference:\n{scenario}\n{difference}", flush=True)
            shrinks_until = time.monotonic() + SHRINKING_SECONDS
        found = Differ(scenario, str(difference))
        raise found

    with contextlib.suppress(Differ, Enough, Flaky):  # a difference that does not come again is reported all the same
        plays_alike()
    return found


@contextlib.contextmanager
def place_of(fleet: bool, concurrency: int) -> Iterator[Place]:
    """Where Fleetgraph's graphs run."""
    if not fleet:
        yield lambda graph: graph
        return
    with Fleet.inline(concurrency=concurrency) as opened:
        on: Any = opened
        yield lambda graph: graph.on(on)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Plays random programs on both libraries."
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="for how long")
    length.add_argument("--examples", type=int, help="how many scenarios")
    parser.add_argument("--fleet", action="store_true", help="on an inline fleet instead of in-process")
    parser.add_argument("--concurrency", type=int, default=4, help="tasks that the fleet's worker runs at once")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="where to begin")
    given_ = parser.parse_args()
    print(f"the first seed is {given_.seed}", flush=True)
    statistics, differences = Statistics(), 0
    ends_at = None if given_.minutes is None else time.monotonic() + given_.minutes * 60
    number = given_.seed
    with place_of(given_.fleet, given_.concurrency) as place:
        while statistics.scenarios < given_.examples if ends_at is None else time.monotonic() < ends_at:
            left = BATCH if ends_at is not None else min(BATCH, given_.examples - statistics.scenarios)
            found = batch(number, left, statistics, place)
            if found is not None:
                differences += 1
                print(f"\ndifference {differences}, of seed {number}, shrunk:\n{found.scenario}\n{found}", flush=True)
            number += 1
            print(f"{statistics.scenarios} scenarios, {differences} differences", flush=True)
    print(f"\n{statistics}\n{differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
