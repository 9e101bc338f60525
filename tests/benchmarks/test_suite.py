"""The suite is whole, and each of its subjects measures what it says; how fast anything is, is not asserted here."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.children import Child
from benchmarks.model import REDIS_URL, Contender, Group
from benchmarks.subjects.graphs import InProcess
from benchmarks.suite import SUITE
from fleetgraph.redis_server import RedisServer

REPOSITORY = Path(__file__).parent.parent.parent
ROOTS = [REPOSITORY / name for name in ("coordinator", "worker", "shared", ".")]

GROUPS = [group for groups in SUITE.values() for group in groups]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.name}: {group.tables[0].title}")
def test_groups_name_what_there_is(group: Group) -> None:
    names = [contender.name for contender in group.contenders]
    assert len(set(names)) == len(names)
    for table in group.tables:
        assert not table.base or table.base in names
        for target in table.targets:
            assert target.name in names
            assert not target.base or target.base in names
    for contender in group.contenders:
        module, _, name = contender.where.partition(":")
        inspect.signature(getattr(import_module(module), name)).bind(**contender.arguments)


def readable(value: Any) -> str:
    """A parameter in the name of a test."""
    if isinstance(value, dict):
        return " ".join(map(readable, cast("dict[str, Any]", value).values()))
    return str(value).rpartition(":")[2]


WORKLOADS: list[tuple[dict[str, Any], int, dict[str, int]]] = [
    ({"workload": "loop"}, 3, {"superstep": 3}),
    ({"workload": "loop", "round": {"of": 9}}, 3, {"superstep": 3}),
    ({"workload": "loop", "round": {"of": 9, "late": True}}, 3, {"superstep": 3}),
    ({"workload": "fan_out"}, 6, {"task": 1}),
    ({"workload": "fan_out", "round": {"width": 2}}, 6, {"task": 3}),
    ({"workload": "flood"}, 5, {"event": 1}),
    ({"workload": "flood", "build": {"tokens": True}, "round": {"tokens": True}}, 5, {"event": 1}),
    ({"workload": "beats"}, 2, {"latency": 2}),
    ({"workload": "sleeping", "build": {"asynchronous": True}, "round": {"asynchronous": True}}, 3, {"run": 1}),
    ({"workload": "sleeping", "build": {"asynchronous": False}, "round": {"asynchronous": False}}, 3, {"run": 1}),
    ({"workload": "chain", "build": {"nodes": 3}, "round": {"nodes": 3}}, 1, {"run": 1, "first": 1}),
    ({"workload": "wide_state", "build": {"channels": 30}, "round": {"channels": 30}}, 1, {"run": 1, "first": 1}),
    ({"workload": "essays", "round": {"topics": 2}}, 1, {"run": 1, "first": 1}),
    ({"workload": "agent", "build": {"calls": 2}, "round": {"calls": 2}}, 1, {"run": 1, "first": 1}),
]


def check(samples: Mapping[str, Sequence[float]], expected: Mapping[str, int]) -> None:
    assert {name: len(figures) for name, figures in samples.items()} == expected
    assert all(figure > 0 for figures in samples.values() for figure in figures)


@pytest.mark.parametrize("library", ["fleetgraph", "langgraph"])
@pytest.mark.parametrize(("workload", "size", "expected"), WORKLOADS, ids=readable)
def test_workloads_in_process(library: str, workload: dict[str, Any], size: int, expected: dict[str, int]) -> None:
    with InProcess(library, **workload) as subject:
        check(subject.round(size), expected)


@pytest.mark.parametrize("library", ["fleetgraph", "langgraph"])
@pytest.mark.parametrize("workload", ["loop", "fan_out"])
def test_workloads_with_a_saver(library: str, workload: str) -> None:
    with InProcess(library, workload, saver=True) as subject:
        assert all(figure > 0 for figures in subject.round(3).values() for figure in figures)


GRAPHS = "benchmarks.subjects.graphs:OnFleet"
FLOOR = "benchmarks.subjects.floor"
TRAFFIC = "benchmarks.subjects.traffic"
STARTING = "benchmarks.subjects.starting"

MANY = {"task": 1, "superstep": 27, "first": 3, "in flight": 1, "memory": 1}

SUBJECTS: list[tuple[str, dict[str, Any], int, dict[str, int]]] = [
    (f"{FLOOR}:PingPong", {"url": REDIS_URL}, 2, {"superstep": 2}),
    (f"{FLOOR}:PingPong", {"url": REDIS_URL, "script": True}, 2, {"superstep": 2}),
    (f"{FLOOR}:BareWorker", {"url": REDIS_URL}, 5, {"task": 1}),
    (f"{FLOOR}:BareWorker", {"url": REDIS_URL, "script": True}, 5, {"task": 1}),
    ("benchmarks.subjects.pubsub:PublishListen", {"url": REDIS_URL}, 2, {"latency": 2}),
    ("benchmarks.subjects.pubsub:PublishListen", {"url": REDIS_URL, "flood": True}, 5, {"event": 1}),
    ("benchmarks.subjects.ideal:Ideal", {"slots": 4}, 8, {"run": 1}),
    (GRAPHS, {"workload": "loop", "saver": True}, 2, {"superstep": 2}),
    (f"{TRAFFIC}:LargeChannel", {"saver": False, "ballast_bytes": 1000}, 2, {"moved": 1}),
    (f"{TRAFFIC}:GrowingList", {"saver": True}, 5, {"multiple": 1, "slower": 1}),
    ("benchmarks.subjects.many_runs:ManyRuns", {"runs": 3}, 3, MANY),
    (f"{STARTING}:Import", {"module": "fleetgraph.graph"}, 1, {"wall": 1, "cpu": 1}),
    (f"{STARTING}:WorkerStart", {}, 1, {"ready": 1}),
    (f"{STARTING}:Idle", {"workers": 1}, 2, {"commands": 1, "called": 1}),
]


@pytest.mark.parametrize(("where", "arguments", "size", "expected"), SUBJECTS, ids=readable)
def test_subjects(
    redis_server: RedisServer, where: str, arguments: dict[str, Any], size: int, expected: dict[str, int]
) -> None:
    given = {name: redis_server.url if value == REDIS_URL else value for name, value in arguments.items()}
    with Child(Contender("subject", "", where), given) as child:
        samples = child.round(size)
    assert {name: len(figures) for name, figures in samples.items()} == expected
    # What allocates little may allocate nothing that the system sees.
    assert all(figure > 0 for name, figures in samples.items() if name != "memory" for figure in figures)


def test_commands_are_counted_by_their_senders(redis_server: RedisServer) -> None:
    arguments = {"workload": "loop", "saver": True}
    with Child(Contender("subject", "", "benchmarks.subjects.commands:Commands"), arguments) as child:
        child.round(1)
        each = {what: figures[0] for what, figures in child.round(20).items()}
    assert each["worker finish.lua"] == pytest.approx(1, abs=0.1)
    assert each["finish.lua: RPUSH"] > 0
    assert each["commands"] >= 3
    assert each["commands in scripts"] > 0
    assert each["round trips"] > 1
    assert each["bytes in"] > 100
    assert not [what for what in each if len(what) > 40], "every script has a name"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS)), **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_command(tmp_path: Path) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "figures.svg"
    answer = run(
        *("superstep", "--only", "floor", "in-process", "celery", "--peers", "--rounds", "1", "--size", "3"),
        *("--json", str(figures), "--plot", str(picture)),
        FLEETGRAPH_BENCHMARK_PEERS=str(tmp_path / "nowhere"),
    )
    assert answer.returncode == 0, answer.stderr
    assert "python -m benchmarks.peers install" in answer.stderr
    ((table,),) = [group["tables"] for group in json.loads(figures.read_text())["groups"]]
    assert [result["name"] for result in table["results"]] == ["floor", "in-process"]
    assert "superstep" in answer.stdout
    assert picture.read_text().startswith("<svg")


def test_command_says_what_there_is() -> None:
    answer = run("superstar")
    assert answer.returncode == 2
    assert "no such thing to measure: superstar" in answer.stderr
    assert "superstep" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("superstep", "--rounds", "-1"), "--rounds"),
        (("superstep", "--size", "0"), "--size"),
        (("superstep", "--json", "nowhere/figures.json"), "nowhere/figures.json can't be written"),
        (("superstep", "--plot", "."), ". can't be written"),
        (("superstep", "--only", "celery"), "Nothing was measured: what was asked for are peers. Add --peers."),
        (("no-such-thing",), "no such thing to measure: no-such-thing"),
    ],
    ids=readable,
)
def test_arguments_that_make_no_sense(arguments: tuple[str, ...], said: str) -> None:
    answer = run(*arguments)
    assert answer.returncode != 0
    assert said in answer.stderr
