"""Starting worker processes the way people do, and looking at processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import psutil

from tests.waiting import wait_until

REPOSITORY = Path(__file__).parent.parent.parent
PATHS = [REPOSITORY, *(REPOSITORY / name for name in ("coordinator", "worker", "shared"))]

MARK = "FLEETGRAPH_TEST_MARK"
"""Environment variable by which all that a process started, and what that started, is found again."""


def environment(*paths: Path, **more: str) -> dict[str, str]:
    """The environment of a process that can import this repository, and what lies at `paths`."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*paths, *PATHS])), **more}


class Process:
    """A process with what it prints."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path | None = None) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe that nobody reads would fill up)
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        self.output = self.popen.stdout

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def errors(self) -> str:
        """What it has written to stderr so far."""
        return os.pread(self._errors.fileno(), 1_000_000, 0).decode()

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait(self, timeout: float = 15.0) -> int:
        """Its exit status; raises subprocess.TimeoutExpired when it doesn't end."""
        return self.popen.wait(timeout)

    def end(self) -> None:
        """Kill it, whatever it does, and free what it holds here."""
        self.popen.kill()
        self.popen.wait()
        self.output.close()
        self._errors.close()


class Worker(Process):
    """A `fleetgraph worker` process. It takes tasks when `await_ready` has returned.

    Args:
        graphs: What it loads, as on the command line.
        url: Of the Redis.
        queue: What it listens on.
        concurrency: Tasks at once.
        paths: Folders that only it can import from.
    """

    def __init__(self, *graphs: str, url: str, queue: str, concurrency: int = 4, paths: tuple[Path, ...] = ()) -> None:
        command = [sys.executable, "-m", "fleetgraph.cli", "worker", *graphs]
        options = ["--redis", url, "--queue", queue, "--concurrency", str(concurrency)]
        super().__init__([*command, *options], environment(*paths))
        self.name = ""

    def await_ready(self) -> Self:
        """Return when it takes tasks; fails if it ends instead."""
        ready = self.output.readline()
        assert "ready" in ready, f"{ready}\n{self.errors}"
        self.name = ready.removeprefix("fleetgraph worker ").partition(":")[0]
        return self


@contextmanager
def started(*processes: Process) -> Iterator[None]:
    """End processes at the end of the block."""
    try:
        yield
    finally:
        for process in processes:
            process.end()


def marked(mark: str) -> list[psutil.Process]:
    """The processes that were started, by whomever, with this mark in their environment, and still run."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:  # it has gone meanwhile, or is none of ours
            continue
    return found


def wait_until_gone(mark: str) -> None:
    """Return when no marked process is left; fails if that takes long."""
    wait_until(lambda: not marked(mark), 15, f"the end of {marked(mark)}")
