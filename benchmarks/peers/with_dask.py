"""Dask's distributed scheduler on this machine, as it comes but for its dashboard."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.peers.task_queue import PATIENCE_SECONDS, TaskQueue


def noop(number: int) -> None:
    """The task."""


class Dask(TaskQueue):
    """A no-op task to its result, or a map that is gathered.

    Args:
        workers: Worker processes, each with one thread.
        width: See `TaskQueue`.
    """

    def __init__(self, workers: int, width: int = 0) -> None:
        super().__init__(width)
        self._workers = workers

    def start(self) -> None:
        distributed: Any = import_module("distributed")
        self._cluster = distributed.LocalCluster(
            n_workers=self._workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        )
        self._client = distributed.Client(self._cluster)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()

    def one(self) -> None:
        self._client.submit(noop, 0, pure=False).result(timeout=PATIENCE_SECONDS)

    def many(self, width: int) -> None:
        self._client.gather(self._client.map(noop, range(width), pure=False))
