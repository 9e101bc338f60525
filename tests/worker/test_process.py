"""The worker as a process: how it announces itself, what signals do to it, and what is left when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.registry import StartedJobRegistry
from rq.worker import Worker

from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.transitions import Route, lost
from tests.waiting import wait_until
from tests.worker import graphs
from tests.worker.conftest import QUEUE, Desk

REPOSITORY = Path(__file__).parent.parent.parent

PROGRAM = """
import json, sys
from fleetgraph.worker.main import run_worker
refs, url, options = json.loads(sys.argv[1])
sys.exit(run_worker(refs, url, **options))
"""

Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spawn(redis_url: str, tmp_path: Path) -> Iterator[Spawn]:
    """Starts worker processes; kills what is left of them at the end."""
    with ExitStack() as stack:

        def start(
            *refs: str, url: str = redis_url, pass_fds: tuple[int, ...] = (), **options: object
        ) -> subprocess.Popen[str]:
            import json

            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, json.dumps([refs or [graphs.NAME], url, {"queue": QUEUE, **options}])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=REPOSITORY,
                pass_fds=pass_fds,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(["shared", "worker", "coordinator", "."]),
                    graphs.FOLDER: str(tmp_path),
                },
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def desk(redis_client: redis.Redis) -> Desk:
    return Desk(redis_client, graphs.graph, name=graphs.NAME)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_worker_process_announces_itself_and_works(spawn: Spawn, desk: Desk) -> None:
    process = spawn(name="w1")

    assert first_line(process) == f"fleetgraph worker w1: ready, graphs: {graphs.NAME}, queue: {QUEUE}\n"
    desk.give("echo", "1")
    desk.give("aecho", "2")
    desk.give("failing", "3")

    found = desk.outcomes(3)
    assert found["1"].writes == [("items", ["echo 1"])]
    assert found["2"].writes == [("items", ["aecho 2"])]
    assert repr(found["3"].error) == "ValueError('a reason')"
    assert [event.payload for event in desk.events()] == ["echoing"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_it(
    spawn: Spawn, desk: Desk, redis_client: redis.Redis, tmp_path: Path, number: signal.Signals
) -> None:
    process = spawn(concurrency=1)
    first_line(process)
    desk.give("held", "1", "2")
    wait_until((tmp_path / "1.began").exists)

    (listening,) = wait_until(lambda: redis_client.pubsub_channels(keys.handed("*")))
    process.send_signal(number)
    wait_until(lambda: not redis_client.pubsub_numsub(listening)[0][1])
    (tmp_path / "go").touch()

    assert process.wait(20) == 0
    assert desk.outcomes(1)["1"].error is None
    assert Queue(QUEUE, connection=redis_client).job_ids == ["run1-2-1"]
    assert not (tmp_path / "2.began").exists()
    assert Worker.all(connection=redis_client) == []


def test_a_second_signal_ends_it_at_once(spawn: Spawn, desk: Desk, tmp_path: Path) -> None:
    process = spawn()
    first_line(process)
    desk.give("held", "1")
    wait_until((tmp_path / "1.began").exists)
    process.terminate()

    def ended() -> bool:
        process.terminate()
        return process.poll() is not None

    wait_until(ended)
    assert process.returncode == 128 + signal.SIGTERM


def test_what_a_killed_worker_held_is_lost_after_its_lease(
    spawn: Spawn, desk: Desk, redis_client: redis.Redis, tmp_path: Path
) -> None:
    process = spawn(concurrency=2)
    first_line(process)
    desk.give("held", "1", "2")
    wait_until(lambda: (tmp_path / "1.began").exists() and (tmp_path / "2.began").exists())
    assert execute(redis_client, lost(QUEUE)) == []

    process.kill()

    found = wait_until(lambda: execute(redis_client, lost(QUEUE)))
    assert sorted(found, key=lambda route: route.task) == [Route("run1", task, 1, desk.id) for task in "12"]
    (tmp_path / "go").touch()
    first_line(spawn())
    desk.give("held", "1", "2", attempt=2)
    assert [outcome.attempt for outcome in desk.outcomes(2).values()] == [2, 2]
    assert StartedJobRegistry(QUEUE, connection=redis_client).get_job_ids() == []
    assert not redis_client.exists(keys.leases(QUEUE))


def test_a_paused_worker_is_harmless_when_it_wakes_up(
    spawn: Spawn, desk: Desk, redis_client: redis.Redis, tmp_path: Path
) -> None:
    sleeper = spawn()
    first_line(sleeper)
    desk.give("held", "1")
    wait_until((tmp_path / "1.began").exists)

    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: execute(redis_client, lost(QUEUE)))
    (tmp_path / "go").touch()
    first_line(spawn())
    desk.give("held", "1", attempt=2)
    assert desk.outcomes(1)["1"].attempt == 2
    sleeper.send_signal(signal.SIGCONT)
    sleeper.terminate()

    assert sleeper.wait(20) == 0
    assert len(desk.outcomes(1)) == 1


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("tests.worker.nonesuch:graph", "there is no module"),
        ("tests.worker.graphs:nonesuch", "expected a compiled graph"),
        ("graphs", "is no graph reference"),
    ],
)
def test_a_graph_that_can_t_be_loaded_is_told(spawn: Spawn, reference: str, complaint: str) -> None:
    process = spawn(reference)

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert reference.rpartition(":")[0] in errors
    assert complaint in errors
    assert "Traceback" not in errors


def test_a_module_that_raises_when_imported_is_told(spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')")

    process = spawn(f"{tmp_path}/broken.py:graph")

    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "RuntimeError: not today" in errors


def test_without_redis_it_says_so(spawn: Spawn) -> None:
    process = spawn(url="redis://127.0.0.1:1/0")

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "no Redis answers at redis://127.0.0.1:1/0" in errors


def test_a_second_worker_of_the_same_name_is_refused(spawn: Spawn) -> None:
    first_line(spawn(name="twin"))

    process = spawn(name="twin")

    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "twin" in errors


def test_an_owned_worker_ends_with_its_owner(spawn: Spawn, desk: Desk) -> None:
    read_end, write_end = os.pipe()
    process = spawn(owned=True, ready_fd=write_end, pass_fds=(write_end,))
    os.close(write_end)
    with os.fdopen(read_end) as ready:
        assert ready.read() == "ready"
    desk.give("echo", "1")
    desk.outcomes(1)

    output, _ = process.communicate(timeout=20)  # closes its stdin

    assert process.returncode == 0
    assert output == ""


def test_an_owner_is_told_why_a_worker_does_not_start(spawn: Spawn) -> None:
    read_end, write_end = os.pipe()
    spawn("nonesuch:graph", owned=True, ready_fd=write_end, pass_fds=(write_end,))
    os.close(write_end)

    with os.fdopen(read_end) as ready:
        assert ready.read().startswith("failed\n'nonesuch:graph': there is no module")
