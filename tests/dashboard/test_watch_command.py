"""`fleetgraph watch` as people start it: once, as JSON, in lines, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from typing import Any

import pytest
import redis

from fleetgraph.cli import main
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs.hold import graph
from tests.fleet.observing import Running, new_key
from tests.fleet.processes import Process, Worker, environment, started
from tests.waiting import wait_until

HOLD = "tests.fleet.graphs.hold:graph"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fleetgraph.cli", "watch", *arguments]


def run_once(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=40,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def held(
    start_worker: Callable[..., Worker], server: RedisServer, client: redis.Redis, queue: str
) -> Iterator[tuple[Worker, str]]:
    """A worker with a task that stays where it is, and the key of its gate."""
    worker, key = start_worker(HOLD), new_key()
    with Fleet(server.url, queue=queue) as fleet:
        running = Running(graph.on(fleet), {"key": key, "count": 1})
        wait_until(lambda: gates.arrived(f"{key}:1"), 20, "a task in its node")
        yield worker, key
        gates.open(f"{key}:1")
        running.result()


def test_once_as_json(held: tuple[Worker, str], server: RedisServer, queue: str) -> None:
    worker, _ = held
    done = run_once("--redis", server.url, "--queue", queue, "--once", "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    seen = json.loads(line)
    assert seen["redis"] == server.url
    (task,) = seen["tasks"]
    assert (task["node"], task["state"], task["worker"], task["attempt"]) == ("hold", "running", worker.name, 1)
    (run,) = seen["runs"]
    assert (run["status"], run["graph"], run["tasks_running"], run["superstep"]) == ("running", HOLD, 1, 1)
    (shown,) = seen["workers"]
    assert (shown["health"], shown["held"], shown["concurrency"]) == ("up", 1, 4)
    assert [one["health"] for one in seen["coordinators"] if one["id"] == run["coordinator"]] == ["up"]


def test_once_for_people(held: tuple[Worker, str], server: RedisServer, queue: str) -> None:
    worker, _ = held
    done = run_once("--redis", server.url, "--queue", queue, "--once")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    (task,) = [line for line in done.stdout.splitlines() if line.startswith("hold ")]
    assert worker.name in task
    assert queue in task


def test_what_a_terminal_in_another_encoding_can_not_show_is_replaced(
    redis_url: str, redis_client: redis.Redis
) -> None:
    redis_client.zadd(keys.runs(), {"r": 1.0})
    redis_client.hset(keys.run("r"), mapping={"status": "running", "graph": "渋谷"})
    done = run_once("--redis", redis_url, "--once", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "??" in done.stdout


def test_as_json_until_it_is_ended(
    held: tuple[Worker, str], start_worker: Callable[..., Worker], server: RedisServer, queue: str
) -> None:
    """It sees a worker die, and says so."""
    worker, _ = held
    watching = Process(command("--redis", server.url, "--queue", queue, "--json", "--interval", "0.2"), environment())
    with started(watching):
        assert _await_object(watching, lambda seen: seen["workers"][0]["health"] == "up")
        second = start_worker(HOLD)
        worker.signal(signal.SIGKILL)
        seen = _await_object(watching, lambda seen: [task["attempt"] for task in seen["tasks"]] == [2])
        assert seen["tasks"][0]["worker"] == second.name
        seen = _await_object(watching, lambda seen: "dead" in [one["health"] for one in seen["workers"]])
        assert [one["name"] for one in seen["workers"] if one["health"] == "dead"] == [worker.name]
        watching.signal(signal.SIGTERM)
        assert watching.wait() == 128 + signal.SIGTERM
        assert watching.errors == ""


def _await_object(process: Process, shows: Callable[[Any], bool]) -> Any:
    for line in process.output:
        seen = json.loads(line)
        if shows(seen):
            return seen
    raise AssertionError(process.errors)


def test_without_a_terminal_it_tells_what_changes(redis_url: str, redis_client: redis.Redis) -> None:
    watching = Process(command("--redis", redis_url, "--interval", "0.1"), environment())
    with started(watching):
        lines = iter(watching.output.readline, "")
        assert next(lines).startswith("fleetgraph  redis://")
        assert any("no coordinators" in line for line in lines)
        now = redis_client.time()[0]
        redis_client.hset(keys.run("r"), mapping={"status": "running", "graph": "app:graph", "created": now})
        redis_client.zadd(keys.runs(), {"r": now})
        assert next(lines)[10:] == "run r running: graph app:graph\n"
        redis_client.hset(
            keys.run("r"), mapping={"status": "error", "ended": now + 2, "error": "ValueError: \x1b[2Jno"}
        )
        assert next(lines)[10:] == "run r error: graph app:graph, 0 events in 2.0 s, ValueError: ·[2Jno\n"
        watching.signal(signal.SIGINT)
        assert watching.wait() == 130


def test_a_password_is_never_shown(redis_client: redis.Redis, redis_server: RedisServer) -> None:
    redis_client.acl_setuser(
        "ops", enabled=True, passwords=["+hush-hush"], commands=["+@all"], keys=["*"], channels=["*"]
    )
    for options in (["--json"], []):
        done = run_once("--redis", f"redis://ops:hush-hush@127.0.0.1:{redis_server.port}/0", "--once", *options)
        assert done.returncode == 0, done.stderr
        assert "ops:***@127.0.0.1" in done.stdout
        assert "hush-hush" not in done.stdout + done.stderr
    wrong = run_once("--redis", f"redis://ops:wrong-one@127.0.0.1:{redis_server.port}/0", "--once")
    assert wrong.returncode == 1
    assert "wrong-one" not in wrong.stdout + wrong.stderr
    redis_client.acl_deluser("ops")


def test_without_rich_it_says_which_extra(monkeypatch: pytest.MonkeyPatch, capsys: Any, redis_url: str) -> None:
    monkeypatch.setattr("fleetgraph.cli.watch.find_spec", lambda name: None)
    assert main(["watch", "--redis", redis_url, "--once"]) == 1
    assert "fleetgraph[watch]" in capsys.readouterr().err
    assert main(["watch", "--redis", redis_url, "--once", "--json"]) == 0


# --- on a terminal ---------------------------------------------------------------------------------------------------


@contextmanager
def on_terminal(url: str, width: int, height: int, term: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a pseudo-terminal of that size."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    env = {name: value for name, value in environment(TERM=term).items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command("--redis", url, "--interval", "0.1"), stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, *wanted: bytes) -> bytes:
    """What comes to the terminal, up to all of these."""
    shown, deadline = b"", time.monotonic() + 20
    while not all(words in shown for words in wanted):
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], shown
        shown += os.read(terminal, 65536)
    return shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (20, 5)])
def test_it_draws_a_screen_and_gives_the_old_one_back(redis_url: str, width: int, height: int) -> None:
    with on_terminal(redis_url, width, height, "xterm-256color") as (process, terminal):
        read_until(terminal, b"\x1b[?1049h", b"fleetgraph", b"RUN")
        process.send_signal(signal.SIGTERM)
        read_until(terminal, b"\x1b[?1049l")
        assert process.wait(20) == 128 + signal.SIGTERM


def test_a_terminal_that_can_do_nothing_gets_lines(redis_url: str) -> None:
    with on_terminal(redis_url, 80, 24, "dumb") as (process, terminal):
        shown = read_until(terminal, b"no coordinators")
        assert b"\x1b" not in shown
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
