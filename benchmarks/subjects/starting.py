"""What it takes until there is something to work with, and what it takes while there is nothing to do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Final, Self

from benchmarks.model import Samples
from benchmarks.subjects.commands import watch
from benchmarks.subjects.floor import connect
from benchmarks.subjects.graphs import OnFleet
from benchmarks.workloads.environment import announce
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.redis_server import RedisServer

GRAPH: Final = "benchmarks.workloads.on_fleet:graph"

_IMPORT: Final = """
import json, sys, time
from importlib import import_module
wall, cpu = time.perf_counter(), time.process_time()
import_module(sys.argv[1])
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


class Import:
    """The import of a module, in a fresh interpreter each time.

    Args:
        module: Its name.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def round(self, size: int) -> Samples:
        taken = [self._one() for _ in range(size)]
        return {"wall": [wall for wall, _ in taken], "cpu": [cpu for _, cpu in taken]}

    def _one(self) -> tuple[float, float]:
        command = [sys.executable, "-c", _IMPORT, self._module]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        wall, cpu = json.loads(answer.stdout)
        return wall, cpu


class WorkerStart:
    """The start of a worker process, until it takes tasks."""

    def __enter__(self) -> Self:
        self._server = RedisServer().start()
        announce("loop", None, {})
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()

    def round(self, size: int) -> Samples:
        return {"ready": [self._one() for _ in range(size)]}

    def _one(self) -> float:
        started = time.perf_counter()
        with LocalWorkers(GRAPH, self._server.url, "benchmark", 1, 8):
            return time.perf_counter() - started


class Idle(OnFleet):
    """A fleet of which nobody wants anything: the commands that Redis gets from each of its processes in a second, and
    those that their scripts call.

    Args:
        workers: How many; the coordinator is one process more.
    """

    def __init__(self, workers: int = 2) -> None:
        super().__init__("loop", workers=workers)
        self._processes = workers + 1

    def __enter__(self) -> Self:
        super().__enter__()
        super().round(1)
        return self

    def round(self, size: int) -> Samples:
        """`size` is how many seconds to look on."""
        with connect(self.fleet.url) as client:
            seen = watch(client, lambda: time.sleep(size))
        called = sum(command["client_type"] == "lua" for command in seen)
        each = size * self._processes
        return {"commands": [(len(seen) - called) / each], "called": [called / each]}
