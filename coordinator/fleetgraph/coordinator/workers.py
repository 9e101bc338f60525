"""Noticing that nobody works on a queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from fleetgraph.wire import keys
from fleetgraph.wire.calling import command, execute_all
from fleetgraph.wire.transitions import WORKER_TTL

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 3.0
"""How long tasks may wait on a queue without workers before somebody is told; and then again and again."""


_SILENCE_SECONDS: Final = 6
"""A worker of ours that has not renewed its record for so long, a few leases, is dead."""


def _is_alive(ttl: int) -> bool:
    """Whether a worker's record, of which Redis says that it expires in `ttl` seconds, is that of a living one."""
    return ttl == -1 or ttl >= WORKER_TTL.total_seconds() - _SILENCE_SECONDS


class WorkerWatch:
    """Warns when tasks wait on a queue that no worker listens on."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._alone_since: dict[str, float] = {}

    def look(self, queues: Iterable[str]) -> None:
        """Look at the queues that tasks were put on; to be called about once a second."""
        now = time.monotonic()
        deserted = {queue: waiting for queue in queues if (waiting := self._deserted(queue))}
        self._alone_since = {queue: self._alone_since.get(queue, now) for queue in deserted}
        for queue, waiting in deserted.items():
            if now - self._alone_since[queue] >= PATIENCE_SECONDS:
                self._alone_since[queue] = now
                logger.warning(
                    "No worker is listening on queue %r, where %d %s. Start one: "
                    "fleetgraph worker MODULE:GRAPH --redis URL --queue %s",
                    queue,
                    waiting,
                    "task waits" if waiting == 1 else "tasks wait",
                    queue,
                )

    def _deserted(self, queue: str) -> int:
        """How many tasks wait on a queue without workers; 0 for one that has some."""
        try:
            waiting, workers = execute_all(
                self._client,
                [command("LLEN", keys.rq_queue(queue)), command("SMEMBERS", keys.rq_queue_workers(queue))],
            )
            if not waiting:
                return 0
            # The set also names workers that died without signing off; their records expire, or are about to.
            lives = execute_all(self._client, [command("TTL", worker) for worker in workers]) if workers else []
            return 0 if any(_is_alive(seconds) for seconds in lives) else waiting
        except RedisError:
            return 0  # the coordinator's own calls tell about a Redis that is away
