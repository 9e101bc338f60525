"""Old and new code of a graph at once, on one queue."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from fleetgraph.errors import GraphNotServed
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.failures.conftest import StockWorker, begun, until
from tests.failures.graphs import parts, saying
from tests.fleet import gates
from tests.fleet.observing import Running, new_key
from tests.fleet.processes import Worker, environment

SAYING, PARTS = "tests.failures.graphs:saying", "tests.failures.graphs:parts"

VERSION = """
import operator, os
from typing import Annotated, TypedDict
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send
from tests.fleet import gates

class State(TypedDict):
    key: str
    log: Annotated[list[str], operator.add]

def {node}(state: State):
    gates.arrive(state["key"] + ":began")
    gates.wait(state["key"] + ":go")
    return {{"log": ["{node}"]}}

def finish(state: State):
    return {{"log": ["finished by {node}"]}}

graph = (
    StateGraph(State)
    .add_node({node}).add_node(finish).add_edge(START, "{node}").add_edge("{node}", "finish").compile()
)
"""


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Any, Path]]:
    """Gives the graph of a version, as whoever has that version of the module imports it, and the module's folder."""
    name = f"deployed_{new_key()}"

    def load(version: str) -> tuple[Any, Path]:
        folder = tmp_path / version
        folder.mkdir()
        (folder / f"{name}.py").write_text(VERSION.format(node=version))
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(folder)
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module.graph, folder

    return load


class VersionedStockWorker(StockWorker):
    """One whose code lies in a folder of its own."""

    def __init__(self, *graphs: str, url: str, queue: str, paths: tuple[Path, ...] = ()) -> None:
        more = environment(*paths)["PYTHONPATH"]
        super().__init__(*graphs, url=url, queue=queue, PYTHONPATH=more)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [Worker, VersionedStockWorker])
def test_each_run_keeps_to_workers_that_have_its_version(
    start_worker: Callable[..., Any],
    versions: Callable[[str], tuple[Any, Path]],
    server: RedisServer,
    queue: str,
    kind: Any,
) -> None:
    with Fleet(server.url, queue=queue) as before, Fleet(server.url, queue=queue) as after:
        old, old_folder = versions("old")
        old_on_fleet = old.on(before)
        new, new_folder = versions("new")
        new_on_fleet = new.on(after)
        reference = f"{new.module}:graph"
        start_worker(reference, kind=kind, paths=(old_folder,))
        start_worker(reference, paths=(new_folder,))
        count = 3 if kind is Worker else 1  # RQ's own worker takes a process for each task
        given = {version: [new_key() for _ in range(count)] for version in ("old", "new")}
        runs: list[tuple[str, Running]] = []
        for number in range(count):
            for version, graph in (("old", old_on_fleet), ("new", new_on_fleet)):
                runs.append((version, Running(graph, {"key": given[version][number]})))
        for found in given.values():
            for key in found:
                gates.open(f"{key}:go")
        for version, run in runs:
            until(lambda run=run: not run.is_alive(), "the end of a run")
            assert run.result()["log"] == [version, f"finished by {version}"]
        for found in given.values():
            assert [len(gates.arrived(f"{key}:began")) for key in found] == [1] * count


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [Worker, StockWorker])
def test_workers_of_different_graphs_can_share_a_queue(
    start_worker: Callable[..., Any], server: RedisServer, queue: str, kind: Any
) -> None:
    start_worker(SAYING, kind=kind)
    start_worker(PARTS)
    held, many = new_key(), new_key()
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(saying.on(fleet), {"key": held})
        other = Running(parts.on(fleet), {"key": many, "count": 20})
        begun(run, f"{held}:began")
        until(lambda: not other.is_alive(), "the end of the run")
        assert other.result()["log"] == [str(number) for number in range(20)]
        gates.open(f"{held}:go")
        assert run.result()["log"] == ["said by 1"]
    assert [len(gates.arrived(f"{many}:{number}")) for number in range(20)] == [1] * 20


@pytest.mark.timeout(120)
def test_a_run_whose_version_nobody_has_waits_a_while_and_ends(
    start_worker: Callable[..., Any],
    versions: Callable[[str], tuple[Any, Path]],
    server: RedisServer,
    queue: str,
    client: redis.Redis,
    figure: Callable[..., None],
) -> None:
    with Fleet(server.url, queue=queue, patience=timedelta(seconds=2)) as fleet:
        old, old_folder = versions("old")
        old_on_fleet = old.on(fleet)
        new, new_folder = versions("new")
        reference = f"{new.module}:graph"
        leaving = start_worker(reference, paths=(old_folder,))
        key = new_key()
        run = Running(old_on_fleet, {"key": key})
        begun(run, f"{key}:began")
        start_worker(reference, paths=(new_folder,))
        leaving.popen.terminate()  # it ends the node at hand; nobody is there for the next one
        channel = keys.handed(leaving.name)
        until(lambda: not client.pubsub_numsub(channel)[0][1], "the worker to take nothing more")
        gates.open(f"{key}:go")
        assert leaving.wait(20) == 0
        left = time.monotonic()
        calls = evals(client)
        with pytest.raises(GraphNotServed) as caught:
            run.result()
        seconds = time.monotonic() - left
        figure("seconds until the run ends, for a patience of 2", seconds)
        # The worker that is left looks at the task now and then, and does not do so all the time.
        figure("scripts that Redis ran meanwhile, a second", (evals(client) - calls) / seconds)
        until(lambda: not client.llen(keys.rq_queue(queue)), "an empty queue")
    assert caught.value.wanted == old.program.fingerprint
    assert old.program.fingerprint in str(caught.value)
    assert new.program.fingerprint in str(caught.value)
    assert f"fleetgraph worker {reference} --queue {queue}" in str(caught.value)


def evals(client: redis.Redis) -> int:
    found: Any = client.info("commandstats")
    return found["cmdstat_evalsha"]["calls"]
