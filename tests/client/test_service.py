"""The coordinator as a process: it starts, says so, hands over its runs, and dies, while clients go on reading."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.client import Client
from fleetgraph.errors import NoCoordinator
from fleetgraph.redis_server import RedisServer
from tests.client.conftest import gates_in
from tests.client.processes import CoordinatorProcess
from tests.fleet import gates
from tests.fleet.observing import new_key, without_expiry
from tests.fleet.processes import Worker, environment
from tests.waiting import wait_until

Start = Callable[..., Any]
HOLDING = "tests.client.graphs:held_without_saver"


def coordinators(
    start: Start, server: RedisServer, queue: str, count: int, graph: str = HOLDING
) -> list[CoordinatorProcess]:
    return [start(CoordinatorProcess, graph, url=server.url, queue=queue) for _ in range(count)]


def owner_of(client: Client, run: str, processes: list[CoordinatorProcess]) -> CoordinatorProcess:
    owner = client.get_run(run).coordinator
    (found,) = [process for process in processes if process.id == owner]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["a deploy", "a crash"])
def test_another_coordinator_goes_on_with_a_run(
    alone: RedisServer, queue: str, start: Start, number: signal.Signals
) -> None:
    processes = coordinators(start, alone, queue, 2)
    start(Worker, HOLDING, url=alone.url, queue=queue)
    key = new_key()
    with Client(alone.url) as client:
        chunks = client.stream(HOLDING, {"key": key, "log": []}, stream_mode=["custom", "values"])
        seen = [next(chunks), next(chunks)]
        owner = owner_of(client, chunks.run_id, processes)
        owner.signal(number)
        if number is signal.SIGTERM:
            assert owner.wait() == 0
            assert "leaving 1 run(s) to other coordinators" in owner.errors
        else:
            owner.wait()
        other = wait_until(lambda: id if (id := client.get_run(chunks.run_id).coordinator) != owner.id else None)
        assert other in {process.id for process in processes}
        gates.open(key)
        seen += chunks
        assert [chunk for mode, chunk in seen if mode == "custom"] == ["holds", "goes on", "after"]
        assert seen[-1] == ("values", {"key": key, "log": [key, "after 1"]})
        assert list(client.join(chunks.run_id)) == seen
        assert len(gates.arrived(key)) == 1, "no finished task runs again, nor one that goes on"


def test_a_run_waits_for_the_next_coordinator(alone: RedisServer, queue: str, start: Start) -> None:
    (only,) = coordinators(start, alone, queue, 1)
    start(Worker, HOLDING, url=alone.url, queue=queue)
    key = new_key()
    with Client(alone.url) as client:
        run = client.submit(HOLDING, {"key": key, "log": []})
        wait_until(lambda: gates.arrived(key))
        only.signal(signal.SIGTERM)
        assert only.wait() == 0
        with pytest.MonkeyPatch.context() as impatient, pytest.raises(NoCoordinator):
            impatient.setattr("fleetgraph.client.asking.RETURN_SECONDS", 0.0)
            client.submit(HOLDING, {"key": key, "log": []})
        gates.open(key)
        coordinators(start, alone, queue, 1)
        assert run.result() == {"key": key, "log": [key, "after 1"]}
    with alone.client() as store:
        wait_until(lambda: not without_expiry(store), 5)


def test_clients_outlive_a_restart_of_redis(queue: str, start: Start) -> None:
    with RedisServer(appendonly=True) as server, gates_in(server):
        coordinators(start, server, queue, 1)
        start(Worker, HOLDING, url=server.url, queue=queue)
        gates.open(key := new_key())
        with Client(server.url) as client:
            assert client.invoke(HOLDING, {"key": key, "log": []})["log"] == [key, "after 1"]
            server.restart()
            assert client.invoke(HOLDING, {"key": key, "log": []})["log"] == [key, "after 1"]


def coordinator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleetgraph.cli", "coordinator", *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        ("nowhere:graph", "there is no module 'nowhere'"),
        ("app.py:other", "expected a compiled graph at 'other', found nothing"),
        ("broken.py:graph", "broken.py:graph: ZeroDivisionError: division by zero"),
        ("app.py:graph", "no Redis answers at redis://:***@127.0.0.1:1/0"),
    ],
)
def test_it_can_not_start(tmp_path: Path, graph: str, text: str) -> None:
    (tmp_path / "app.py").write_text("from tests.client.graphs import family as graph\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    done = coordinator(graph, "--redis", "redis://:secret@127.0.0.1:1/0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("fleetgraph: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr + done.stdout


def test_what_it_says_when_it_is_ready(redis_url: str, tmp_path: Path, start: Start) -> None:
    (tmp_path / "app.py").write_text("from tests.client.graphs import family as graph\n")
    (tmp_path / "langgraph.json").write_text('{"graphs": {"joke": "./app.py:graph"}}')
    process = CoordinatorProcess(str(tmp_path / "langgraph.json"), url=redis_url, queue="q")
    try:
        ready = process.output.readline()
        assert ready.endswith(": ready, graphs: app:graph, joke, queue: q\n")
        with Client(redis_url) as client:
            assert client.graphs() == ["app:graph", "joke"]
            run = client.submit("joke", {"log": []})
            assert run.info().graph == "app:graph", "its one name, which workers know"
            run.cancel()
            wait_until(lambda: run.info().ended)
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.errors == ""
        with Client(redis_url) as client:
            assert client.graphs() == []
    finally:
        process.end()
