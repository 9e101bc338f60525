"""Runs in which every process may only do what its role needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleetgraph.cli import main
from fleetgraph.client import Client
from fleetgraph.errors import GraphNotFound, RunCancelled
from fleetgraph.fleet import Fleet
from fleetgraph.types import Command
from fleetgraph.wire.roles import Role
from tests.cli.conftest import run_command
from tests.fleet import gates
from tests.fleet.observing import new_key, new_thread
from tests.security import graphs
from tests.security.conftest import PASSWORD, QUEUE, Guarded
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_refused")

LOG: dict[str, Any] = {"log": []}


@pytest.fixture
def client(fleet: Guarded) -> Iterator[Client]:
    with Client(fleet.url(Role.CLIENT)) as client:
        yield client


def test_a_run_that_is_interrupted_and_resumed(client: Client) -> None:
    thread = new_thread()
    chunks = list(client.stream("asking", LOG, thread, stream_mode=["updates", "custom"], subgraphs=True))
    assert [payload for _, mode, payload in chunks if mode == "custom"] == ["top speaks", "deep speaks"]
    assert client.get_state("asking", thread).next == ("inner",)
    assert client.invoke("asking", Command(resume="go"), thread) == {"log": ["top", "top", "deep", "answer: go"]}
    client.update_state("asking", thread, {"log": ["more"]}, as_node="inner")
    states = list(client.get_state_history("asking", thread))
    assert states[0].values == {"log": ["top", "top", "deep", "answer: go", "more"]}


def test_a_large_state(client: Client) -> None:
    """Its values are stored by the coordinator, and read by workers."""
    large, thread = "x" * 20_000, new_thread()
    assert "__interrupt__" in client.invoke("asking", {"log": [large]}, thread)
    assert client.invoke("asking", Command(resume="go"), thread)["log"][0] == large


def test_functions(client: Client) -> None:
    assert client.invoke("doubling", [1, 2, 3], new_thread()) == [2, 4, 6]


def test_a_store_and_a_cache(client: Client) -> None:
    for _ in range(2):
        assert client.invoke("keeping", {"log": ["x"]}) == {"log": ["x", "remembers 1", "computed"]}


def test_a_failure(client: Client) -> None:
    with pytest.raises(ValueError, match="no such luck"):
        client.invoke("failing", LOG)


def test_a_run_that_is_cancelled(client: Client) -> None:
    key = new_key()
    run = client.submit("holding", {"key": key})
    wait_until(lambda: gates.arrived(key))
    assert [info.id for info in client.list_runs(status="running")] == [run.id]
    assert run.cancel()
    with pytest.raises(RunCancelled):
        run.result()
    gates.open(key)
    assert client.get_run(run.id).status == "cancelled"


def test_a_task_that_outlasts_heartbeats_while_another_run_of_its_thread_waits(fleet: Guarded, client: Client) -> None:
    key, thread = new_key(), new_thread()
    first = client.submit("holding", {"key": key}, thread)
    wait_until(lambda: gates.arrived(key))
    second = client.submit("holding", {"key": key}, thread)
    for _ in range(2):
        before = fleet.heartbeats()
        wait_until(lambda before=before: fleet.heartbeats() != before)
    gates.open(key)
    for run in (first, second):
        list(run.join())
        assert run.info().status == "success"


def test_a_graph_that_nobody_has(client: Client) -> None:
    with pytest.raises(GraphNotFound):
        client.invoke("os:system", {"command": "true"})


def test_a_program_that_coordinates_its_runs_itself(fleet: Guarded) -> None:
    with Fleet(fleet.url(Role.COORDINATOR), queue=QUEUE) as there:
        with pytest.raises(ValueError, match="no such luck"):
            graphs.failing.on(there).invoke(LOG)
        assert list(graphs.plain.on(there).stream(LOG, stream_mode="custom")) == ["alone speaks"]


async def test_a_program_with_an_event_loop(fleet: Guarded) -> None:
    async with Fleet(fleet.url(Role.COORDINATOR), queue=QUEUE) as there:
        with pytest.raises(ValueError, match="no such luck"):
            await graphs.failing.on(there).ainvoke(LOG)


@pytest.mark.parametrize(
    ("command", "wrong", "needed"),
    [
        ("worker", Role.CLIENT, Role.WORKER),
        ("worker", Role.DASHBOARD, Role.WORKER),
        ("coordinator", Role.CLIENT, Role.COORDINATOR),
        ("coordinator", Role.DASHBOARD, Role.COORDINATOR),
        ("runs", Role.WORKER, Role.CLIENT),
        ("watch", Role.CLIENT, Role.DASHBOARD),
    ],
)
def test_who_logs_in_with_another_role_is_told_which_one_it_needs(
    fleet: Guarded, command: str, wrong: Role, needed: Role
) -> None:
    arguments = {"worker": ["tests.client.graphs:family"], "coordinator": ["tests.client.graphs:family"]}
    done = run_command(command, *arguments.get(command, []), "--redis", fleet.url(wrong))
    fleet.admin.acl_log_reset()
    assert done.status == 1
    assert f"needs the rights of the role {needed}: `fleetgraph acl {needed}`" in done.errors.splitlines()[-1]
    assert PASSWORD not in done.errors


def test_watching(fleet: Guarded, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    run = client.submit("plain", LOG)
    run.result()
    assert main(["watch", "--once", "--json", "--redis", fleet.url(Role.DASHBOARD)]) == 0
    assert run.id in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["run", "plain", "--input", '{"log": []}'], ["runs"]])
def test_commands(fleet: Guarded, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main([*arguments, "--redis", fleet.url(Role.CLIENT)]) == 0
    assert capsys.readouterr().out


def test_commands_for_one_run(fleet: Guarded, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    thread = new_thread()
    run = client.submit("asking", LOG, thread)
    run.result()
    url = fleet.url(Role.CLIENT)
    assert main(["join", run.id, "--redis", url]) == 0
    assert main(["state", "asking", "--thread", thread["configurable"]["thread_id"], "--redis", url]) == 0
    assert "top" in capsys.readouterr().out
    assert main(["cancel", run.id, "--redis", url]) in (0, 1), "it is over"
