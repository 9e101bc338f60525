"""The channel on which a worker is given tasks while it waits for some."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

import redis

from fleetgraph.wire import keys

WAIT_SECONDS: Final = 1.0
"""How long to wait for a message at most: after it the worker looks into its queue, where others may put jobs too."""


class TaskChannel:
    """Messages for one worker, from the moment it is opened.

    Args:
        client: The Redis.
        worker: The worker's name.
        lease: How long a task stays with a worker that shows no sign of life.
    """

    def __init__(self, client: redis.Redis, worker: str, lease: timedelta) -> None:
        self._client = client
        self._name = keys.handed(worker)
        self._seconds = min(WAIT_SECONDS, lease.total_seconds() / 3)
        self._pubsub: Any = None
        self.stalled = False
        """Whether this process slept, the last time, for so long that what it was given may be another's by now."""

    def open(self) -> None:
        """Listen; returns when Redis has taken note of it. What was sent before is not heard.

        Raises:
            redis.RedisError: Redis failed.
        """
        self.close()
        self._pubsub = self._client.pubsub()  # pyright: ignore[reportUnknownMemberType]
        self._pubsub.subscribe(self._name)
        while self._pubsub.get_message(timeout=self._seconds) is None:
            pass

    def wait(self) -> bytes | None:
        """The next message; None if there was none for a while.

        Raises:
            redis.RedisError: The connection failed: messages may have been lost.
        """
        began = time.monotonic()
        message = self._pubsub.get_message(timeout=self._seconds)
        self.stalled = time.monotonic() - began > 2 * self._seconds
        return None if message is None else message["data"]

    def close(self) -> None:
        """Listen no more."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
