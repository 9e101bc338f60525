"""What the README shows works as it stands there. Its ```bash blocks are run, in a fresh environment, by `.ci/run`."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
ROOTS = os.pathsep.join(str(REPOSITORY / name) for name in ("coordinator", "worker", "shared"))
UPDATES = [
    "{'refine_topic': {'topic': 'ice cream and cats'}}",
    "{'generate_joke': {'joke': 'This is a joke about ice cream and cats'}}",
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block_with(language: str, text: str) -> str:
    (found,) = (block for block in blocks(language) if text in block)
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The README's app.py."""
    path = tmp_path / "app.py"
    path.write_text(block_with("python", "# app.py"))
    return path


def run_python(path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": ROOTS},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_in_this_process(app: Path) -> None:
    app.write_text(app.read_text() + block_with("python", "for chunk in graph.stream("))
    assert run_python(app) == UPDATES


def test_on_a_local_fleet(app: Path) -> None:
    app.write_text(app.read_text() + block_with("python", "Fleet.local(workers=2) as fleet"))
    assert run_python(app) == [f"updates {update}" for update in UPDATES]


@pytest.mark.parametrize("command", ["fleetgraph worker app.py:graph", "rq worker"])
def test_on_workers_started_by_hand(app: Path, redis_server: RedisServer, redis_url: str, command: str) -> None:
    with redis_server.client() as client, worker(command, app, redis_url):
        wait_until(lambda: client.scard(keys.rq_queue_workers("fleetgraph")), 30, f"{command} has registered")
        app.write_text(
            f"{app.read_text()}\nfrom fleetgraph.fleet import Fleet\nif __name__ == '__main__':\n"
            f"    for chunk in graph.on(Fleet({redis_url!r})).stream({{'topic': 'ice cream'}}): print(chunk)\n"
        )
        assert run_python(app) == UPDATES


@contextmanager
def worker(command: str, app: Path, redis_url: str) -> Iterator[None]:
    """The README's command that starts a worker, against our Redis."""
    words = shlex.split(block_with("sh", command))
    settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    words = [redis_url if word.startswith("redis://") else word for word in words if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "rq":
        words[2:2] = ["--url", redis_url]
    modules = {"rq": "rq.cli", "fleetgraph": "fleetgraph.cli"}
    process = subprocess.Popen(
        [sys.executable, "-m", modules[words[0]], *words[1:]],
        cwd=app.parent,
        env={**os.environ, **settings, "PYTHONPATH": ROOTS},
    )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_every_linked_file_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
