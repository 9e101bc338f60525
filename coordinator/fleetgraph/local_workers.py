"""Worker processes of one program: started by it, replaced when they die, and gone with it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, Self

from fleetgraph.errors import FleetError
from fleetgraph.wire.connection import URL_VARIABLE

logger = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 5.0
"""How long a worker may take to end the nodes it runs. All runs have been cancelled by then: nobody waits for them."""

STARTS: Final = 5
"""How often in a row a worker may die before it takes tasks, until no more are started in its place."""

FIRST_PAUSE_SECONDS: Final = 0.1
"""Before a worker is replaced that died soon after its start; one that has lived for a while is replaced at once."""

LONGEST_PAUSE_SECONDS: Final = 5.0
"""And at most, each pause being twice as long as the one before: a task that kills its workers is given to three."""

SETTLED_SECONDS: Final = 10.0
"""After which a worker has lived for a while."""


class LocalWorkers:
    """A few worker processes that serve one graph. A context manager.

    Entering it returns once all of them are ready. From then on, each that dies is replaced. They end when the context
    does, and when this process dies: each watches a pipe that only this process holds open.

    Args:
        reference: What the workers load; or several such things.
        url: Of the Redis.
        queue: What they listen on.
        count: How many processes.
        concurrency: Tasks that each runs at once.
    """

    def __init__(self, reference: str | Sequence[str], url: str, queue: str, count: int, concurrency: int) -> None:
        references = [reference] if isinstance(reference, str) else list(reference)
        self.queue = queue
        what = ", ".join(references)
        command = [
            *(sys.executable, "-m", "fleetgraph.cli", "worker", *references),
            *("--queue", queue, "--concurrency", str(concurrency)),
        ]
        self._places = [_Place(what, command, url, f"{queue}-{os.getpid()}-{number + 1}") for number in range(count)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._close)
            for place in self._places:
                place.start()
            for place in self._places:
                place.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _close(self) -> None:
        for place in self._places:
            place.leave()  # all at once, so that they drain side by side
        for place in self._places:
            place.end()

    def check(self) -> None:
        """Raise if workers die again and again before they take tasks.

        Raises:
            FleetError: No more are started.
        """
        if all(place.failure is not None for place in self._places):
            raise FleetError(str(self._places[0].failure))


class _Place:
    """One worker after the other, each with a thread that waits for its end."""

    def __init__(self, what: str, command: list[str], url: str, name: str) -> None:
        self._what = what
        self._command = command
        self._url = url
        self._name = name
        self._started = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        """Held while a process is started, so that none is started behind the back of whoever ends them."""
        self._decided = threading.Event()
        """Set when a worker has been ready, or none will be."""
        self.failure: str | None = None
        """Why no more are started."""
        self._thread = threading.Thread(target=self._keep, name=f"fleetgraph-keeper-{name}", daemon=True)

    def start(self) -> None:
        """Start the first process."""
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Return when a worker takes tasks.

        Raises:
            FleetError: None will.
        """
        self._decided.wait()
        if self.failure is not None:
            raise FleetError(self.failure)

    def leave(self) -> None:
        """Have the worker end, and none come after it."""
        self._leaving.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def end(self) -> None:
        """Return when it has ended; kill it if that takes too long."""
        if self._thread.ident is None:
            return
        self._thread.join(DRAIN_SECONDS)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
        self._thread.join()

    def _keep(self) -> None:
        try:
            self._keep_one()
        except Exception as error:
            self.failure = f"A worker on {self._what} could not be started: {error!r}"
            logger.exception("starting workers on %s failed", self._what)
        finally:
            self._decided.set()

    def _keep_one(self) -> None:
        pause, failed = FIRST_PAUSE_SECONDS, 0
        while (process := self._launched()) is not None:
            began = time.monotonic()
            word, _, detail = self._said(process).partition("\n")
            if word == "ready":
                failed = 0
                self._decided.set()
            code = process.wait()
            assert process.stdin is not None
            process.stdin.close()
            if self._leaving.is_set():
                return
            if word != "ready":
                failed += 1
                # What it says itself at the first start is a mistake of the caller's, and won't pass.
                if failed >= STARTS or (word == "failed" and not self._decided.is_set()):
                    times = f" It was tried {failed} times." if failed > 1 else ""
                    died = detail or f"it exited with status {code}."
                    self.failure = f"A worker could not start on {self._what}: {died}{times}"
                    logger.error("%s", self.failure, extra={"action": "worker-not-replaced"})
                    return
            logger.warning(
                "worker %s on %s has exited with status %d; another takes its place",
                self._name_of(self._started),
                self._what,
                code,
                extra={"action": "worker-replaced"},
            )
            if time.monotonic() - began >= SETTLED_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            elif self._leaving.wait(pause):
                return
            else:
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _name_of(self, number: int) -> str:
        # Redis still knows the one that died by its name.
        return self._name if number == 1 else f"{self._name}-{number}"

    def _launched(self) -> subprocess.Popen[bytes] | None:
        """Start a process; None if there is to be none any more."""
        with self._lock:
            if self._leaving.is_set():
                return None
            self._started += 1
            read_end, write_end = os.pipe()
            try:
                self._process = subprocess.Popen(
                    [*self._command, "--name", self._name_of(self._started), "--owned", "--ready-fd", str(write_end)],
                    stdin=subprocess.PIPE,
                    pass_fds=[write_end],
                    # What this process can import the worker must be able to import, however either was started.
                    # The URL may have a password in it, and all the host sees a command line.
                    env={
                        **os.environ,
                        URL_VARIABLE: self._url,
                        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
                    },
                )
            except BaseException:
                os.close(read_end)
                raise
            finally:
                os.close(write_end)
            self._ready = os.fdopen(read_end, "rb")
            return self._process

    def _said(self, process: subprocess.Popen[bytes]) -> str:
        """What a process says about its start, which ends with that, or with the process."""
        with self._ready as reader:
            return reader.read().decode(errors="replace")


__all__ = ["LocalWorkers"]
