"""Random programs do on Fleetgraph what they do on LangGraph: all modes at once, the state, and the history.

What is drawn here is the same in every run, so that the suite doesn't find on one day what it didn't the day before.
`python -m tests.fuzz` draws other programs, as many as there is time for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from fleetgraph.fleet import Fleet
from tests.differential.harness import Place
from tests.fuzz.comparing import compare
from tests.fuzz.descriptions import Scenario
from tests.fuzz.found import FOUND
from tests.fuzz.statistics import Statistics
from tests.fuzz.strategies import scenarios

PARTS_IN_PROCESS, EXAMPLES_IN_PROCESS = 10, 20
PARTS_ON_A_FLEET, EXAMPLES_ON_A_FLEET = 4, 12


@pytest.fixture(scope="module")
def statistics() -> Iterator[Statistics]:
    statistics = Statistics()
    yield statistics
    print(f"\n{statistics}")


@pytest.fixture(scope="module")
def fleets() -> Iterator[dict[int, Any]]:
    """Fleets of one worker, by the number of tasks that it runs at once."""
    with Fleet.inline(concurrency=1) as one, Fleet.inline(concurrency=4) as four:
        yield {1: one, 4: four}


def played_alike(part: int, examples: int, statistics: Statistics, place: Place) -> None:
    """Plays so many scenarios, of which each part has its own."""

    @seed(part)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        # Shrinking takes longer than a test may: that is for the long run.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenario=scenarios())
    def plays_alike(scenario: Scenario) -> None:
        difference, seen = compare(scenario, place)
        statistics.add(seen)
        assert difference is None, f"{difference}\n{scenario}"

    run: Callable[[], None] = plays_alike
    run()


@pytest.mark.parametrize("name", FOUND)
def test_what_once_differed(name: str) -> None:
    difference, _ = compare(FOUND[name])
    assert difference is None, f"{difference}\n{FOUND[name]}"


@pytest.mark.parametrize("part", range(PARTS_IN_PROCESS))
def test_in_process(part: int, statistics: Statistics) -> None:
    played_alike(part, EXAMPLES_IN_PROCESS, statistics, lambda graph: graph)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("part", range(PARTS_ON_A_FLEET // 2))
def test_on_a_fleet(part: int, concurrency: int, fleets: dict[int, Any], statistics: Statistics) -> None:
    fleet = fleets[concurrency]
    played_alike(100 * concurrency + part, EXAMPLES_ON_A_FLEET, statistics, lambda graph: graph.on(fleet))
