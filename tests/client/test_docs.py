"""What docs/client.md shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.redis_server import RedisServer
from tests.client.processes import CoordinatorProcess
from tests.fleet.processes import Process, Worker, environment, started

PAGE = (Path(__file__).parents[2] / "docs/client.md").read_text()
URL = "redis://queue:6379/0"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block_with(language: str, text: str) -> str:
    (found,) = (block for block in blocks(language) if text in block)
    return found


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block_with("sh", text).splitlines()]


def shown() -> str:
    """What its programs print, in order; ids are left out."""
    return "".join(blocks("text"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(block_with("python", "# app.py"))
    return tmp_path


@pytest.fixture
def url(alone: RedisServer, folder: Path, start: Callable[..., Any]) -> str:
    """The URL of a Redis with what the page says to start."""
    (program, graph, *_), (other, same, *_) = commands("fleetgraph coordinator app.py:graph")
    assert (program, other, graph) == ("coordinator", "worker", same)
    path = str(folder / graph)
    start(CoordinatorProcess, path, url=alone.url, queue="fleetgraph")
    start(Worker, path, url=alone.url, queue="fleetgraph")
    return alone.url


def test_the_programs(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    program = block_with("python", "client.stream(") + block_with("python", "client.submit(")
    elsewhere = tmp_path_factory.mktemp("without the graph")
    (elsewhere / "program.py").write_text(program.replace(URL, url))
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=elsewhere,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.sub(r"id='[0-9a-f]{32}'", "id='...'", done.stdout) == shown()


def test_the_commands(url: str, tmp_path: Path) -> None:
    printed: list[str] = []
    for command in commands("fleetgraph run graph"):
        done = subprocess.run(
            [sys.executable, "-m", "fleetgraph.cli", *command, "--redis", url],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert '{"write": {"joke": "a joke about tea"}}' in printed[0]
    assert '{"topic": "tea", "joke": "a joke about tea (not at all)"}' in printed[1]
    assert 'joke = "a joke about tea (not at all)"' in printed[2]
    assert [line.split()[1] for line in printed[3].splitlines()] == ["STATUS", "success", "interrupted"]


def test_dev(folder: Path) -> None:
    (command,) = commands("fleetgraph dev")
    dev = Process([sys.executable, "-m", "fleetgraph.cli", *command], environment(), cwd=folder)
    with started(dev):
        assert dev.output.readline() == "fleetgraph dev: ready\n", dev.errors
        dev.signal(signal.SIGINT)
        assert dev.wait() == 0


def test_every_linked_file_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert links
    assert [link for link in links if not (Path(__file__).parents[2] / "docs" / link).exists()] == []


def test_every_method_it_names_is_there() -> None:
    from fleetgraph.client import Client, RunHandle

    owners = {"client": Client, "run": RunHandle}
    named = re.findall(r"`(client|run)\.(\w+)", PAGE)
    assert len(named) > 6
    assert [f"{owner}.{name}" for owner, name in named if not hasattr(owners[owner], name)] == []
