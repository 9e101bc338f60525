"""The worker as a process: what `fleetgraph worker` runs."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

import redis

from fleetgraph.errors import FleetgraphError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import check_server
from fleetgraph.signals import stop_on_signal
from fleetgraph.wire.connection import connect
from fleetgraph.wire.roles import Role, missing_rights
from fleetgraph.wire.transitions import LEASE
from fleetgraph.worker.worker import FleetWorker

logger = logging.getLogger(__name__)

_STDIN = 0

OWNERLESS_SECONDS = 5.0
"""How long an owned worker may take to end its nodes once its owner is gone: nobody waits for what they write."""


def run_worker(
    refs: list[str],
    redis_url: str,
    *,
    queue: str = "fleetgraph",
    concurrency: int = 8,
    name: str | None = None,
    owned: bool = False,
    ready_fd: int | None = None,
    lease_seconds: float = LEASE.total_seconds(),
) -> int:
    """Work until SIGTERM or SIGINT; then finish the tasks at hand. A second signal ends the process at once.

    Prints one line when it takes tasks, and errors to stderr. To be called from the main thread.

    Args:
        refs: The graphs: `module:attribute`, `file.py:attribute`, `langgraph.json` or `langgraph.json:name`.
        redis_url: The Redis of the fleet.
        queue: The queue's name.
        concurrency: How many tasks to run at a time.
        name: The worker's name; one is made if it is None.
        owned: Stop also when stdin ends, which it does with the process that holds its other end; then exit
            within seconds, whatever the nodes do.
        ready_fd: Where to write `ready`, instead of printing anything, or else `failed` and on further lines why;
            it is closed then.
        lease_seconds: How long the worker may show no sign of life until its tasks are given to others.

    Returns:
        The process's exit code.
    """
    announce = _Announcement(ready_fd)
    try:
        registry = GraphRegistry()
    except FleetgraphError as error:
        return announce.failed(str(error))
    for ref in refs:
        try:
            registry.add(ref)
        except FleetgraphError as error:
            return announce.failed(str(error))
        except Exception as error:
            logger.debug("loading %s failed", ref, exc_info=True)
            return announce.failed(f"{ref}: {type(error).__name__}: {error}")
    try:
        client = connect(redis_url)
        check_server(client)
        worker = FleetWorker(queue, client, registry, concurrency, name, lease_seconds)
    except (FleetgraphError, redis.RedisError, ValueError) as error:
        return announce.failed(_reason(error))
    with stop_on_signal(worker.stop):
        try:
            worker.start_in_thread()
        except (FleetgraphError, redis.RedisError, ValueError) as error:
            return announce.failed(_reason(error))
        if owned:
            threading.Thread(target=_stop_after_owner, args=[worker], name="fleetgraph-owner", daemon=True).start()
        announce.ready(f"{worker.name}: ready, graphs: {', '.join(registry.names) or 'none'}, queue: {queue}")
        worker.join()
    if worker.error is not None:
        return _complain(f"worker {worker.name} broke down: {worker.error!r}")
    return 0


def _reason(error: Exception) -> str:
    advice = missing_rights(error, Role.WORKER)
    return f"Redis refuses what a worker needs: {error}. {advice}" if advice else str(error)


def _complain(text: str) -> int:
    print(f"fleetgraph worker: {text}", file=sys.stderr, flush=True)
    return 1


def _stop_after_owner(worker: FleetWorker) -> None:
    # Not through sys.stdin, whose lock this would hold: a process that a node forks off closes sys.stdin first.
    while os.read(_STDIN, 4096):
        pass
    worker.stop()
    time.sleep(OWNERLESS_SECONDS)  # the process ends before, unless a node holds it
    os._exit(1)


class _Announcement:
    """Tells whoever started the process how that went."""

    def __init__(self, ready_fd: int | None) -> None:
        self._fd = ready_fd

    def ready(self, text: str) -> None:
        if not self._told("ready"):
            print(f"fleetgraph worker {text}", flush=True)

    def failed(self, text: str) -> int:
        return 1 if self._told(f"failed\n{text}") else _complain(text)

    def _told(self, text: str) -> bool:
        if self._fd is None:
            return False
        try:
            with os.fdopen(self._fd, "wb") as pipe:
                pipe.write(text.encode())
        except BrokenPipeError:
            logger.warning("nobody was there to be told: %s", text.replace("\n", ": "))
        return True
