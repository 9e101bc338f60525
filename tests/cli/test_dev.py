"""`fleetgraph dev`: everything on one machine, and nothing of it left after Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgraph.client import Client
from fleetgraph.errors import RunCancelled
from fleetgraph.redis_server import RedisServer
from tests.cli.conftest import Done, run_command
from tests.client.conftest import gates_in
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import MARK, Process, environment, marked, wait_until_gone
from tests.waiting import wait_until

APP = """
from tests.client.graphs import held_without_saver, asking
from typing import TypedDict
from fleetgraph.graph import START, StateGraph

class State(TypedDict):
    topic: str
    joke: str
    count: int

def tell(state: State):
    return {"joke": f"about {state['topic']}"}

graph = StateGraph(State).add_node(tell).add_edge(START, "tell").compile()
"""


class Dev(Process):
    """`fleetgraph dev`, ready."""

    def __init__(self, *arguments: str, cwd: Path, mark: str) -> None:
        command = [sys.executable, "-m", "fleetgraph.cli", "dev", *arguments]
        super().__init__(command, environment(**{MARK: mark}), cwd=cwd)
        self.lines: list[str] = []

    def await_ready(self) -> None:
        while not (self.lines and self.lines[-1].startswith("  fleetgraph run ")):
            line = self.output.readline()
            assert line, self.errors
            self.lines.append(line.rstrip("\n"))

    def shown(self, what: str) -> str:
        (line,) = [line for line in self.lines if line.startswith(f"  {what} ")]
        return line.removeprefix(f"  {what} ").strip()

    def example(self) -> Done:
        """Run what it says one can run."""
        program, *arguments = shlex.split(self.lines[-1])
        assert program == "fleetgraph"
        return run_command(*arguments, "--json")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    mark = new_key()
    yield mark
    for process in marked(mark):
        process.kill()


def test_it_runs_the_example_it_prints_and_leaves_nothing(app: Path, mark: str) -> None:
    dev = Dev("app.py:graph", "--workers", "2", cwd=app, mark=mark)
    try:
        dev.await_ready()
        assert dev.lines[0] == "fleetgraph dev: ready"
        assert (dev.shown("workers"), dev.shown("queue"), dev.shown("graphs")) == ("2", "fleetgraph", "app:graph")
        assert dev.lines[-1].endswith("""--input '{"topic": "text", "joke": "text", "count": 1}'""")
        done = dev.example()
        assert done.status == 0, done.errors
        assert done.objects[1]["data"] == {"tell": {"joke": "about text"}}
        dev.signal(signal.SIGINT)
        assert dev.wait() == 0
        assert dev.errors == ""
    finally:
        dev.end()
    wait_until_gone(mark)


def test_ctrl_c_at_a_terminal_reaches_all_of_it(app: Path, mark: str) -> None:
    with RedisServer() as elsewhere, gates_in(elsewhere):
        dev = Dev("app.py:held_without_saver", "app.py:asking", "--workers", "1", cwd=app, mark=mark)
        try:
            dev.await_ready()
            assert "--thread 1 --input" in dev.lines[-1]
            with Client(dev.shown("Redis")) as client:
                run = client.stream("held_without_saver", {"key": mark, "log": []}, stream_mode="custom")
                assert next(run) == "holds"
                os.killpg(dev.pid, signal.SIGINT)
                with pytest.raises(RunCancelled):
                    list(run)
            gates.open(mark)
            assert dev.wait() == 0
        finally:
            dev.end()
        wait_until_gone(mark)


def test_on_a_redis_that_is_there(app: Path, mark: str, redis_url: str) -> None:
    dev = Dev("app.py:graph", "--redis", redis_url, "--queue", "mine", cwd=app, mark=mark)
    try:
        dev.await_ready()
        assert (dev.shown("Redis"), dev.shown("queue")) == (redis_url, "mine")
        assert dev.example().status == 0
        with Client(redis_url) as client:
            dev.signal(signal.SIGTERM)
            assert dev.wait() == 0
            wait_until(lambda: client.graphs() == [])
            assert client.list_runs()[0].queue == "mine"
    finally:
        dev.end()
    wait_until_gone(mark)


def test_a_worker_that_can_not_start(app: Path, mark: str) -> None:
    dev = Dev("app.py:nothing_there", cwd=app, mark=mark)
    try:
        assert dev.wait() == 1
        assert dev.errors.startswith("fleetgraph: 'app.py:nothing_there': expected a compiled graph")
    finally:
        dev.end()
    wait_until_gone(mark)
