"""Finding graphs: by the workers that run them, and for the scripts that define them."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import pytest
import redis

from fleetgraph.errors import FleetError, GraphNotFound, GraphNotServed
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, CompiledStateGraph, StateGraph
from fleetgraph.redis_server import RedisServer
from tests.fleet.graphs import memory, rounds
from tests.fleet.graphs.hold import graph as another_graph
from tests.fleet.observing import new_key, new_thread
from tests.fleet.processes import MARK, Process, Worker, environment, wait_until_gone

GRAPHS = Path(__file__).parent / "graphs"


@pytest.fixture
def run_on(
    start_worker: Callable[..., Worker], server: RedisServer, queue: str, client: redis.Redis
) -> Iterator[Callable[..., CompiledStateGraph]]:
    """Starts a worker with the references it is given, and returns a graph that runs there."""
    with Fleet(server.url, queue=queue, patience=timedelta(seconds=0.5)) as fleet:

        def placed(graph: CompiledStateGraph, *references: str, **options: Any) -> CompiledStateGraph:
            start_worker(*references, **options)
            return graph.on(fleet)

        yield placed


# --- what a worker is started with -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    ["tests.fleet.graphs.memory:graph", f"{GRAPHS}/memory.py:graph", f"{os.path.relpath(GRAPHS)}/memory.py:graph"],
    ids=["module", "absolute file", "relative file"],
)
def test_a_worker_finds_its_graph_by(run_on: Any, reference: str) -> None:
    result = run_on(memory.graph, reference).invoke({"said": "hello"}, new_thread())
    assert result["log"] == ["heard hello", "reply 1"]


@pytest.mark.parametrize("suffix", ["", ":remembers"])
def test_a_worker_finds_its_graphs_in_a_langgraph_json(run_on: Any, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "memory.py").write_text((GRAPHS / "memory.py").read_text())
    file = tmp_path / "langgraph.json"
    graphs = {"remembers": "./memory.py:graph", "by_module": {"path": "tests.fleet.graphs.hold:graph"}}
    file.write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    result = run_on(memory.graph, f"{file}{suffix}").invoke({"said": "hello"}, new_thread())
    assert result["log"] == ["heard hello", "reply 1"]


def test_a_graph_that_no_worker_has_ends_the_run(run_on: Any) -> None:
    with pytest.raises(GraphNotServed) as caught:
        run_on(memory.graph, "tests.fleet.graphs.hold:graph").invoke({"said": "hello"}, new_thread())
    wanted, other = memory.graph.program.fingerprint, another_graph.program.fingerprint
    assert (caught.value.graph, caught.value.wanted) == ("tests.fleet.graphs.memory:graph", wanted)
    assert list(caught.value.found.values()) == [{"tests.fleet.graphs.hold:graph": other}]
    text = str(caught.value)
    assert f"has had graph 'tests.fleet.graphs.memory:graph' with fingerprint {wanted}" in text
    assert f"has tests.fleet.graphs.hold:graph ({other})" in text


VERSION = """
from typing import TypedDict
from fleetgraph.graph import START, StateGraph

class State(TypedDict):
    text: str

def {node}(state: State):
    return {{"text": state["text"] + "!"}}

graph = StateGraph(State).add_node({node}).add_edge(START, "{node}").compile()
"""


@pytest.fixture
def versioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, Path]:
    """A module as the caller has it, and the folder where the worker has another version of it."""
    name = f"versioned_{new_key()}"
    for folder, node in (("caller", "shout"), ("worker", "call")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(VERSION.format(node=node))
    monkeypatch.syspath_prepend(tmp_path / "caller")
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)  # so that it is removed
    return module, tmp_path / "worker"


def test_a_version_that_no_worker_has_ends_the_run(run_on: Any, versioned: tuple[ModuleType, Path]) -> None:
    module, folder = versioned
    graph = run_on(module.graph, f"{module.__name__}:graph", paths=(folder,))
    with pytest.raises(GraphNotServed) as caught:
        graph.invoke({"text": "hello"})
    error = caught.value
    assert (error.graph, error.wanted) == (f"{module.__name__}:graph", module.graph.program.fingerprint)
    [(worker, graphs)] = error.found.items()
    assert graphs.keys() == {error.graph}
    assert graphs[error.graph] != error.wanted
    assert f"with fingerprint {error.wanted}" in str(error)
    assert f"{worker} has {error.graph} ({graphs[error.graph]})" in str(error)


# --- scripts -----------------------------------------------------------------------------------------------------

SCRIPT = """
import operator, os, sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import BaseModel

from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph

with open(os.environ["IMPORTED"], "a") as file:
    print(os.getpid(), file=file)


class Colour(Enum):
    RED = "red"


class Size(BaseModel):
    width: int
    height: int = 1


@dataclass
class Part:
    colour: Colour
    size: Size


class OutOfPaint(Exception):
    def __init__(self, colour: Colour) -> None:
        super().__init__(f"no {colour.value} left")
        self.colour = colour


@dataclass
class State:
    parts: Annotated[list[Part], operator.add] = field(default_factory=list)
    widest: Size | None = None
    fail: bool = False
    pids: Annotated[list[int], operator.add] = field(default_factory=list)


def paint(state: State) -> dict:
    assert all(type(part) is Part and type(part.colour) is Colour for part in state.parts)
    if state.fail:
        raise OutOfPaint(Colour.RED)
    return {"parts": [Part(Colour.RED, Size(width=3))], "pids": [os.getpid()]}


def measure(state: State) -> dict:
    return {"widest": max((part.size for part in state.parts), key=lambda size: size.width), "pids": [os.getpid()]}


graph = (
    StateGraph(State).add_node(paint).add_node(measure).add_edge(START, "paint").add_edge("paint", "measure").compile()
)
"""

MAIN = """
def main() -> None:
    with Fleet.local(workers=2) as fleet:
        result = graph.on(fleet).invoke(State(parts=[Part(Colour.RED, Size(width=2))]))
        assert result["parts"] == [Part(Colour.RED, Size(width=2)), Part(Colour.RED, Size(width=3))], result
        assert type(result["widest"]) is Size, result
        assert os.getpid() not in result["pids"], result
        local = graph.invoke(State(parts=[Part(Colour.RED, Size(width=2))]))
        assert {**result, "pids": 0} == {**local, "pids": 0}, (result, local)
        try:
            graph.on(fleet).invoke(State(fail=True))
        except OutOfPaint as error:
            assert error.colour is Colour.RED
            print("as expected:", error)
"""


class Script:
    """A script of a user, in a folder of its own, and every process that running it brings about."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "users_script.py"
        self.mark = new_key()
        self._imported = folder / "imported"
        self._processes: list[Process] = []

    def run(self, *texts: str, as_module: bool = False) -> Process:
        """Run it; returns when it has ended."""
        self.path.write_text("\n".join(texts))
        how = ["-m", self.path.stem] if as_module else [str(self.path)]
        env = environment(**{MARK: self.mark, "IMPORTED": str(self._imported)})
        process = Process([sys.executable, "-W", "error", *how], env, cwd=self.path.parent)
        self._processes.append(process)
        process.wait(30)
        wait_until_gone(self.mark)
        return process

    @property
    def times_imported(self) -> int:
        """How many processes ran its top level."""
        return len(self._imported.read_text().splitlines())

    def end(self) -> None:
        for process in self._processes:
            process.end()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    script.end()


@pytest.mark.parametrize("as_module", [False, True], ids=["python script.py", "python -m script"])
def test_a_script_runs_its_own_graph_with_its_own_types(script: Script, as_module: bool) -> None:
    process = script.run(SCRIPT, MAIN, "if __name__ == '__main__':\n    main()\n", as_module=as_module)
    assert process.popen.returncode == 0, process.errors
    assert process.output.read() == "as expected: no red left\n"
    assert process.errors == ""
    assert script.times_imported == 3


def test_a_script_without_the_guard_gets_an_error_that_says_so(script: Script) -> None:
    process = script.run(SCRIPT, MAIN, "main()\n")
    assert process.popen.returncode == 1
    last = process.errors.strip().splitlines()[-1]
    assert "FleetError" in last
    assert "while it is being imported, which is what a worker does to find its graph" in last
    assert "`if __name__ == '__main__':`" in last
    assert script.times_imported <= 3


def test_an_import_error_in_the_workers_is_shown(script: Script) -> None:
    broken = "if __name__ != '__main__':\n    import a_module_that_is_not_there\n"
    process = script.run(broken, SCRIPT, MAIN, "if __name__ == '__main__':\n    main()\n")
    assert process.popen.returncode == 1
    last = process.errors.strip().splitlines()[-1]
    assert "FleetError" in last
    assert "A worker could not start on" in last
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in last


def test_a_worker_command_with_a_broken_module_says_why(tmp_path: Path, server: RedisServer) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    command = [sys.executable, "-m", "fleetgraph.cli", "worker", "broken.py:graph", "--redis", server.url]
    process = Process(command, environment(), cwd=tmp_path)
    try:
        assert process.wait() == 1
        assert re.search(r"broken\.py:graph.*a_module_that_is_not_there", process.errors), process.errors
        assert "Traceback" not in process.errors
    finally:
        process.end()


# --- graphs that workers can't find ------------------------------------------------------------------------------


class Text(TypedDict):
    text: str


def made_in_a_function() -> CompiledStateGraph:
    def shout(state: Text) -> dict[str, str]:
        return {"text": state["text"].upper()}

    return StateGraph(Text).add_node(shout).add_edge(START, "shout").compile()


def test_a_graph_that_is_no_module_level_variable_is_refused(server: RedisServer) -> None:
    with Fleet(server.url) as fleet, pytest.raises(GraphNotFound) as caught:
        made_in_a_function().on(fleet)
    text = str(caught.value)
    assert "is no module-level variable" in text
    assert "Fleet.inline()" in text


TYPED_IN = """
from typing import TypedDict
from fleetgraph.errors import GraphNotFound
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph

class Text(TypedDict):
    text: str

def shout(state: Text):
    return {"text": state["text"].upper()}

graph = StateGraph(Text).add_node(shout).add_edge(START, "shout").compile()
with Fleet.inline() as fleet:
    print(graph.on(fleet).invoke({"text": "hello"}))
with Fleet.local() as fleet:
    try:
        graph.on(fleet)
    except GraphNotFound as error:
        print(error)
"""


def test_a_graph_that_was_typed_in_runs_inline_only(tmp_path: Path) -> None:
    process = Process([sys.executable, "-W", "error", "-c", TYPED_IN], environment(), cwd=tmp_path)
    try:
        assert process.wait() == 0, process.errors
        result, refusal = process.output.read().splitlines()
        assert result == "{'text': 'HELLO'}"
        assert "was typed in, not loaded from a file" in refusal
        assert refusal.endswith("Put it into a file, or run it with Fleet.inline().")
        assert process.errors == ""
    finally:
        process.end()


def test_an_inline_fleet_runs_it(server: RedisServer, client: redis.Redis) -> None:
    with Fleet.inline(url=server.url) as fleet:
        first, second = made_in_a_function().on(fleet), made_in_a_function().on(fleet)
        assert first.invoke({"text": "hello"}) == {"text": "HELLO"}
        assert second.invoke({"text": "you"}) == {"text": "YOU"}


def test_a_graph_used_while_a_worker_imports_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer
) -> None:
    from fleetgraph import fleet as module

    monkeypatch.setattr(module, "being_loaded", lambda: "app.py:graph")
    with Fleet(server.url) as fleet, pytest.raises(FleetError, match=r"app\.py:graph runs a graph on a fleet"):
        rounds.graph.on(fleet).invoke({"run": "", "key": "", "together": 0, "rounds": 0, "log": []})
