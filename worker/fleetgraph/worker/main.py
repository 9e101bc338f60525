"""The worker as a process: what `fleetgraph worker` runs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

import redis

from fleetgraph.errors import FleetgraphError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import check_server
from fleetgraph.worker.connection import connect
from fleetgraph.worker.worker import FleetWorker

logger = logging.getLogger("fleetgraph.worker")

SAME_SIGNAL_SECONDS = 1.0
"""Signals within it are one request to stop: Ctrl-C reaches a whole process group, and then its leader passes it on."""


def run_worker(
    refs: list[str],
    redis_url: str,
    *,
    queue: str = "fleetgraph",
    concurrency: int = 8,
    name: str | None = None,
    report: Callable[[str], None] | None = None,
    until: Callable[[Callable[[], None]], None] | None = None,
) -> int:
    """Work until SIGTERM or SIGINT; then finish the tasks at hand. A second signal ends the process at once.

    Prints one line when it is ready, and errors to stderr. To be called from the main thread.

    Args:
        refs: The graphs: `module:attribute`, `file.py:attribute`, `langgraph.json` or `langgraph.json:name`.
        redis_url: The Redis of the fleet.
        queue: The queue's name.
        concurrency: How many tasks to run at a time.
        name: The worker's name; one is made if it is None.
        report: Called once: with `ready`, or with `failed`, a newline and the reason.
        until: Called with what stops the worker, to see to it that something else than a signal can.

    Returns:
        The process's exit code.
    """

    def complain(text: str) -> int:
        print(f"fleetgraph worker: {text}", file=sys.stderr, flush=True)
        if report is not None and not reported:
            report(f"failed\n{text}")
        return 1

    reported = False
    registry = GraphRegistry()
    for ref in refs:
        try:
            registry.add(ref)
        except FleetgraphError as error:
            return complain(str(error))
        except Exception as error:
            logger.debug("loading %s failed", ref, exc_info=True)
            return complain(f"{ref}: {type(error).__name__}: {error}")
    client = connect(redis_url)
    try:
        check_server(client)
        worker = FleetWorker(queue, client, registry, concurrency, name)
        stopping = _StopOnSignal(worker)
        thread = worker.start_in_thread()
    except (FleetgraphError, redis.RedisError, ValueError) as error:
        return complain(str(error))
    graphs = ", ".join(registry.names) or "none"
    if report is None:
        print(f"fleetgraph worker {worker.name}: ready, graphs: {graphs}, queue: {queue}", flush=True)
    else:
        report("ready")
        reported = True
    if until is not None:
        until(worker.stop)
    thread.join()
    stopping.restore()
    if worker.error is not None:
        return complain(f"worker {worker.name} broke down: {worker.error!r}")
    return 0


class _StopOnSignal:
    """Makes the first SIGTERM or SIGINT stop a worker, and a later one end the process."""

    def __init__(self, worker: FleetWorker) -> None:
        self._worker = worker
        self._stopped_at: float | None = None
        self._former = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            self._worker.stop()
        elif now - self._stopped_at >= SAME_SIGNAL_SECONDS:
            # Nodes that hang can't be stopped in any other way; their tasks go to other workers.
            os._exit(128 + number)

    def restore(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
