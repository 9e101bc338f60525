"""Worker processes of one program: started by it, and gone with it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import IO, Final, Self

from fleetgraph.errors import FleetError

DRAIN_SECONDS: Final = 5.0
"""How long a worker may take to end the nodes it runs. All runs have been cancelled by then: nobody waits for them."""


class LocalWorkers:
    """A few worker processes that serve one graph. A context manager.

    Entering it returns once all of them are ready. They end when the context does, and when this process dies: each
    watches a pipe that only this process holds open.

    Args:
        reference: What the workers load.
        url: Of the Redis.
        queue: What they listen on.
        count: How many processes.
        concurrency: Tasks that each runs at once.
    """

    def __init__(self, reference: str, url: str, queue: str, count: int, concurrency: int) -> None:
        self.queue = queue
        self._reference = reference
        self._command = [
            *(sys.executable, "-m", "fleetgraph.cli", "worker", reference),
            *("--redis", url, "--queue", queue, "--concurrency", str(concurrency)),
        ]
        self._count = count
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ready = [self._start(stack, place) for place in range(self._count)]
            for process, reader in zip(self._processes, ready, strict=True):
                word, _, detail = reader.read().decode(errors="replace").partition("\n")
                if word != "ready":
                    code = process.wait()
                    raise FleetError(
                        f"A worker could not start on {self._reference}: {detail or f'it exited with status {code}.'}"
                    )
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: ExitStack, place: int) -> IO[bytes]:
        """Start one process; returns the end of a pipe that says whether it could start, and then ends."""
        read_end, write_end = os.pipe()
        reader = stack.enter_context(os.fdopen(read_end, "rb"))
        name = f"{self.queue}-{os.getpid()}-{place + 1}"
        process = subprocess.Popen(
            [*self._command, "--name", name, "--owned", "--ready-fd", str(write_end)],
            stdin=subprocess.PIPE,
            pass_fds=[write_end],
            # What this process can import the worker must be able to import, however either was started.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        os.close(write_end)
        self._processes.append(process)
        stack.callback(_end, process)
        return reader

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()  # all at once, so that they drain side by side
        self._stack.close()

    def check(self) -> None:
        """Raise if no process is left.

        Raises:
            FleetError: All of them have exited.
        """
        codes = [process.poll() for process in self._processes]
        if all(code is not None for code in codes):
            raise FleetError(
                f"All {len(codes)} workers of {self._reference} have exited, with status {', '.join(map(str, codes))}."
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
