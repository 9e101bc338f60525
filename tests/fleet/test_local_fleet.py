"""`Fleet.local`: a Redis and workers of one program, which come with it and go with it, however it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from fleetgraph import local_workers
from fleetgraph.errors import FleetError, RunCancelled
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs import failing, forks, hold, meeting, memory, rounds
from tests.fleet.observing import ALL_MODES, Running, comparable, new_key, new_thread, without_expiry
from tests.fleet.processes import MARK, Process, environment, marked, wait_until_gone
from tests.waiting import wait_until


@pytest.fixture
def mark(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Marks all that this test starts. Gates work, over a Redis that is not the fleet's."""
    mark = new_key()
    monkeypatch.setenv(MARK, mark)
    return mark


@pytest.fixture
def local(mark: str) -> Iterator[Fleet]:
    with Fleet.local(workers=2, concurrency=2) as fleet:
        yield fleet
    wait_until_gone(mark)


def workers_of(mark: str) -> list[psutil.Process]:
    return [process for process in marked(mark) if "fleetgraph.cli" in command_of(process)]


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has gone meanwhile
        return []


def given(key: str = "") -> dict[str, Any]:
    return {"run": "run", "key": key, "together": 0, "rounds": 2, "log": []}


async def test_it_runs_a_graph_as_this_process_does(local: Fleet) -> None:
    there = list(rounds.graph.on(local).stream(given(), stream_mode=ALL_MODES))
    here = [chunk async for chunk in rounds.graph.astream(given(), stream_mode=ALL_MODES)]
    assert comparable(there) == comparable(here)


def test_nothing_is_started_before_the_first_run(mark: str, local: Fleet) -> None:
    rounds.graph.on(local)
    assert marked(mark) == []


def test_two_graphs_each_have_their_workers(mark: str, local: Fleet) -> None:
    first, second = rounds.graph.on(local), memory.graph.on(local)
    thread = new_thread()
    assert second.invoke({"said": "a"}, thread)["log"] == ["heard a", "reply 1"]
    assert len(first.invoke(given())["log"]) == 4
    assert second.invoke({"said": "b"}, thread)["log"] == ["heard a", "reply 1", "heard b", "reply 3"]
    assert len(first.invoke(given())["log"]) == 4
    assert len(workers_of(mark)) == 4


async def test_it_is_an_async_context_manager_too(mark: str) -> None:
    async with Fleet.local(workers=1) as fleet:
        assert len((await rounds.graph.on(fleet).ainvoke(given()))["log"]) == 4
    wait_until_gone(mark)


def test_a_program_that_does_not_close_it_ends_cleanly(mark: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.fleet.graphs.forks import graph\nfrom fleetgraph.fleet import Fleet\n"
        "if __name__ == '__main__':\n    print(graph.on(Fleet.local(workers=1)).invoke({'numbers': [-1]}))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], env=environment(), capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'numbers': [1]}\n", "")
    wait_until_gone(mark)


@pytest.mark.parametrize("is_async", [False, True])
async def test_it_says_so_when_its_redis_is_gone(mark: str, local: Fleet, is_async: bool) -> None:
    rounds.graph.on(local).invoke(given())  # everything has started
    with redis.Redis.from_url(local.url) as client:
        psutil.Process(client.info("server")["process_id"]).kill()
    with pytest.raises((FleetError, redis.ConnectionError)):
        if is_async:
            await rounds.graph.on(local).ainvoke(given())
        else:
            rounds.graph.on(local).invoke(given())


def test_a_node_may_use_processes_of_its_own(local: Fleet) -> None:
    assert forks.graph.on(local).invoke({"numbers": [-1, -2]}) == {"numbers": [1, 2]}


def test_it_leaves_nothing_in_redis(local: Fleet) -> None:
    rounds.graph.on(local).invoke(given())
    with pytest.raises(ValueError, match="42"):
        failing.graph.on(local).invoke({"how": "builtin"})
    with redis.Redis.from_url(local.url) as client:
        assert client.exists(keys.rq_workers())
        wait_until(lambda: not without_expiry(client))


def test_closing_it_while_a_run_goes_on_ends_the_run(mark: str, local: Fleet) -> None:
    key = new_key()
    run = Running(hold.graph.on(local), {"key": key, "count": 3})
    wait_until(lambda: gates.arrived(f"{key}:1") and gates.arrived(f"{key}:2"))
    for number in (1, 2, 3):  # so that workers can end before they are killed
        gates.open(f"{key}:{number}")
    local.close()
    with pytest.raises((FleetError, RunCancelled), match=r"is closed|was cancelled"):
        run.result()
    wait_until_gone(mark)


def test_workers_that_are_gone_are_replaced(mark: str, local: Fleet) -> None:
    key = new_key()
    run = Running(hold.graph.on(local), {"key": key, "count": 1})
    wait_until(lambda: gates.arrived(f"{key}:1"))
    killed = workers_of(mark)
    for process in killed:
        process.kill()
    wait_until(lambda: len(gates.arrived(f"{key}:1")) == 2, 20, "another attempt")
    gates.open(f"{key}:1")
    assert run.result()["pids"][0] not in [process.pid for process in killed]
    wait_until(lambda: len(workers_of(mark)) == 2)


def test_workers_that_are_killed_while_they_start_are_replaced(mark: str, local: Fleet) -> None:
    run = Running(rounds.graph.on(local), given())
    for process in wait_until(lambda: workers_of(mark)):
        process.kill()
    assert len(run.result()["log"]) == 4


def test_workers_that_die_whenever_they_start_end_the_run(
    mark: str, local: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_workers, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(local_workers, "STARTS", 2)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(FleetError, match=r"could not start on .*exited with status 1\. It was tried 2 times"):
        rounds.graph.on(local).invoke(given())


def test_workers_of_one_graph_that_are_gone_are_no_matter_to_another(
    mark: str, local: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    gates.open(f"{key}:1")
    assert hold.graph.on(local).invoke({"key": key, "count": 1})["held"] == ["1"]
    for process in workers_of(mark):
        process.kill()
    later = new_key()
    on_local = hold.once.on(local)
    looks: list[str] = []
    look = local._check
    monkeypatch.setattr(local, "_check", lambda queue: (look(queue), looks.append(queue)))
    run = Running(on_local, {"key": later})
    wait_until(lambda: gates.arrived(f"{later}:once"))
    wait_until(lambda: len(looks) >= 2 or run.error)  # it is silent for so long that somebody looks what is wrong
    assert run.error is None
    gates.open(f"{later}:never")
    assert run.result()["held"] == ["once", "after"]


SCRIPT = """
import sys
from fleetgraph.fleet import Fleet
from tests.fleet.graphs import hold

if __name__ == "__main__":
    with Fleet.local(workers=2) as fleet:
        for chunk in hold.graph.on(fleet).stream({"key": sys.argv[1], "count": 2}, stream_mode="custom"):
            print(chunk, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_goes_with_the_program(mark: str, tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    key = new_key()
    process = Process([sys.executable, str(script), key], environment())
    try:
        wait_until(lambda: gates.arrived(f"{key}:1") and gates.arrived(f"{key}:2"))
        assert len(marked(mark)) >= 4, "the script, two workers, a Redis"
        process.signal(number)
        for n in (1, 2):  # what a node does can't be stopped
            gates.open(f"{key}:{n}")
        process.wait()
        wait_until_gone(mark)
        assert ("KeyboardInterrupt" in process.errors) == (number is signal.SIGINT)
    finally:
        process.end()


def test_ctrl_c_at_a_terminal_ends_everything(mark: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    key = new_key()
    process = Process([sys.executable, str(script), key], environment())
    try:
        wait_until(lambda: gates.arrived(f"{key}:1") and gates.arrived(f"{key}:2"))
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the script and to its workers
        for number in (1, 2):
            gates.open(f"{key}:{number}")
        assert process.wait() == -signal.SIGINT
        wait_until_gone(mark)
        assert process.errors.count("Traceback") == 1, process.errors
        assert process.errors.rstrip().endswith("KeyboardInterrupt")
    finally:
        process.end()


def test_two_of_them_at_once(mark: str, local: Fleet) -> None:
    key = new_key()
    with Fleet.local(workers=1) as other:
        first = Running(meeting.graph.on(local), {"key": key, "count": 2})
        second = Running(meeting.graph.on(other), {"key": f"{key} too", "count": 2})
        assert not set(first.result()["places"]) & set(second.result()["places"])


def test_a_node_that_hangs_does_not_outlive_the_program(mark: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    key = new_key()
    process = Process([sys.executable, str(script), key], environment())
    try:
        wait_until(lambda: gates.arrived(f"{key}:1"))
        assert str(os.getpid()) not in gates.arrived(f"{key}:1")
        process.signal(signal.SIGKILL)
        process.wait()
        wait_until_gone(mark)
    finally:
        process.end()
