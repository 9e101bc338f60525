"""LangGraph's own conformance suite for savers, run on ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

pytest.importorskip("langgraph.checkpoint.conformance")

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver as TheirMemorySaver

from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.checkpoint.langgraph import LangGraphSaver
from tests.checkpoint.reversed import ReversedSaver

CHECKS = {
    "put": 17,
    "put_writes": 10,
    "get_tuple": 10,
    "list": 16,
    "delete_thread": 5,
    "delete_for_runs": 7,
    "copy_thread": 8,
    "prune": 8,
}
"""How many checks of each kind there are in langgraph-checkpoint-conformance 0.0.2."""

OPTIONAL = ("delete_for_runs", "copy_thread", "prune")


async def passed(saver: BaseCheckpointSaver, *without: str) -> tuple[dict[str, int], list[str]]:
    """How many checks of each kind passed, and the failures."""

    async def make() -> AsyncIterator[ReversedSaver]:
        yield ReversedSaver(saver)

    registered = checkpointer_test(name=type(saver).__name__, skip_capabilities=set(without))(make)
    report = await validate(registered)
    counts = {kind: result.tests_passed for kind, result in report.results.items() if kind not in without}
    return counts, [failure for result in report.results.values() for failure in result.failures]


async def test_each_saver_conforms(saver: BaseCheckpointSaver) -> None:
    counts, failures = await passed(saver)
    assert failures == []
    assert counts == CHECKS


async def test_a_wrapped_saver_of_langgraph_still_conforms() -> None:
    counts, failures = await passed(LangGraphSaver(TheirMemorySaver()), *OPTIONAL)
    assert failures == []
    assert counts == {kind: count for kind, count in CHECKS.items() if kind not in OPTIONAL}
