"""Worker processes share what there is to do, and runs do not get in each other's way."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from tests.fleet import gates
from tests.fleet.conftest import CONCURRENCY
from tests.fleet.graphs import meeting, rounds
from tests.fleet.observing import ALL_MODES, comparable, new_key
from tests.fleet.processes import Worker

RUNS = 20


@pytest.mark.parametrize("graph", [meeting.graph, meeting.async_graph], ids=["sync", "async"])
def test_two_processes_run_the_tasks_of_one_superstep_at_the_same_time(
    fleet: Fleet, pair: list[Worker], graph: Any
) -> None:
    everything = 2 * CONCURRENCY  # the tasks only end when all of them run
    result = graph.on(fleet).invoke({"key": new_key(), "count": everything})
    assert Counter(result["places"]) == {worker.pid: CONCURRENCY for worker in pair}


def given(number: int, key: str, together: int) -> dict[str, Any]:
    return {"run": f"run {number}", "key": key, "together": together, "rounds": 3, "log": []}


async def expected(number: int) -> list[Any]:
    return without_input([chunk async for chunk in rounds.graph.astream(given(number, "", 0), stream_mode=ALL_MODES)])


def without_input(chunks: Any) -> list[Any]:
    """The chunks with the two keys of the input blanked that differ between a run on the fleet and one in-process."""

    def blank(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: None if k in ("key", "together") else blank(v) for k, v in value.items()}
        return value

    return comparable([(mode, blank(payload)) for mode, payload in chunks])


async def test_runs_from_many_threads_do_not_mix(fleet: Fleet) -> None:
    key = new_key()

    def run(number: int) -> list[Any]:
        return list(rounds.graph.on(fleet).stream(given(number, key, RUNS), stream_mode=ALL_MODES))

    with ThreadPoolExecutor(RUNS) as pool:
        recordings = await asyncio.gather(*(asyncio.wrap_future(pool.submit(run, number)) for number in range(RUNS)))

    assert sorted(gates.arrived(key)) == sorted(f"run {number}" for number in range(RUNS))
    for number, chunks in enumerate(recordings):
        assert without_input(chunks) == await expected(number)
        assert {chunk["run"] for mode, chunk in chunks if mode == "custom"} == {f"run {number}"}


async def test_runs_on_one_event_loop_do_not_mix(fleet: Fleet) -> None:
    key = new_key()

    async def run(number: int) -> list[Any]:
        stream = rounds.graph.on(fleet).astream(given(number, key, RUNS), stream_mode=ALL_MODES)
        return [chunk async for chunk in stream]

    recordings = await asyncio.gather(*map(run, range(RUNS)))

    for number, chunks in enumerate(recordings):
        assert without_input(chunks) == await expected(number)
