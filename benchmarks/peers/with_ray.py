"""Ray, on this machine alone, as it comes but for its dashboard."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import Any

from benchmarks.peers.task_queue import PATIENCE_SECONDS, TaskQueue


def noop() -> None:
    """The task."""


class Nothing:
    """The actor."""

    def noop(self) -> None:
        """The task."""


class Ray(TaskQueue):
    """A no-op remote function, or a method of an actor.

    Args:
        workers: Tasks that run at once: Ray's CPUs.
        width: See `TaskQueue`.
        actor: Whether it is an actor's.
    """

    def __init__(self, workers: int, width: int = 0, actor: bool = False) -> None:
        super().__init__(width)
        self._workers = workers
        self._actor = actor

    def start(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._ray: Any = import_module("ray")
        self._ray.init(
            num_cpus=self._workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
        )
        self._noop: Any = self._ray.remote(Nothing).remote().noop if self._actor else self._ray.remote(noop)

    def stop(self) -> None:
        self._ray.shutdown()

    def one(self) -> None:
        self._ray.get(self._noop.remote(), timeout=PATIENCE_SECONDS)

    def many(self, width: int) -> None:
        self._ray.get([self._noop.remote() for _ in range(width)], timeout=PATIENCE_SECONDS)
