"""Fleetgraph gives its callers what LangGraph gives them, in this process and on a fleet: over Redis, RQ and the wire.

Everything that is played of a case is one test, so that LangGraph plays it once for both places.
"""

from typing import Any

import pytest

from tests.differential.choosing import EVERY_WAY, is_one_in, ways_in_process, ways_on_a_fleet
from tests.differential.harness import WAYS, Case, actual, cases, differences, expected


# Some cases are about limits of time, and wait for them in each way.
@pytest.mark.timeout(1200 if EVERY_WAY else 120)
@pytest.mark.parametrize("case", cases(), ids=str)
def test_same_as_langgraph(case: Case, fleet: Any) -> None:
    here = differences(case, ways_in_process(case))
    # Workers run coroutine functions whichever way the caller came: a sync caller gets what LangGraph's async one gets.
    there = differences(case, ways_on_a_fleet(case), lambda graph: graph.on(fleet), like_async=case.async_only)
    assert {"in-process": here[0], "on a fleet": there[0]} == {"in-process": here[1], "on a fleet": there[1]}


WAYS_PLAYED_TWICE = ("stream-all-saved", "stream-all_subgraphs-saved", "stream-all")


@pytest.mark.parametrize("case", [case for case in cases() if EVERY_WAY or is_one_in(8, case, "twice")], ids=str)
def test_langgraph_is_the_same_twice(case: Case) -> None:
    """Else a case depends on chance. The comparison says so too, if it fails for that."""
    ways = [WAYS[name] for name in WAYS_PLAYED_TWICE]
    played = [way for way in ways if way in ways_in_process(case)]
    assert played or case.async_only
    for way in played:
        assert actual(case, way, "langgraph") == expected(case, way)
