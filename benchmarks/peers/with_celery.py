"""Celery, with Redis as broker and as result backend, as it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from typing import Any

from benchmarks.peers.task_queue import PATIENCE_SECONDS, TaskQueue


class Celery(TaskQueue):
    """A no-op task, a `group` of them, or a `chord`.

    Args:
        url: Of the Redis.
        workers: Processes of the prefork pool.
        width: See `TaskQueue`.
        chord: Whether a callback follows on the many.
    """

    def __init__(self, url: str, workers: int, width: int = 0, chord: bool = False) -> None:
        super().__init__(width)
        self._url = url
        self._workers = workers
        self._chord = chord

    def start(self) -> None:
        os.environ["FLEETGRAPH_BENCHMARK_CELERY"] = self._url
        from benchmarks.peers.celery_app import noop

        self._noop: Any = noop
        self._celery: Any = import_module("celery")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_app", "worker"),
                *("--concurrency", str(self._workers), "--loglevel", "ERROR"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},  # of running as root, as containers do
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def one(self) -> None:
        self._noop.delay().get(timeout=PATIENCE_SECONDS)

    def many(self, width: int) -> None:
        tasks = [self._noop.s() for _ in range(width)]
        work = self._celery.chord(tasks, self._noop.s()) if self._chord else self._celery.group(tasks)
        work.apply_async().get(timeout=PATIENCE_SECONDS)
