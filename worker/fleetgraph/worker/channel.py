"""The channel on which a worker is given tasks while it waits for some."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import redis

from fleetgraph.wire import keys
from fleetgraph.wire.channel import Channel

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
        self._seconds = min(WAIT_SECONDS, lease.total_seconds() / 3)
        self._channel = Channel(client, keys.handed(worker), self._seconds)
        self.stalled = False
        """Whether this process slept, the last time, for so long that what it was given may be another's by now."""

    def open(self) -> None:
        """Listen; returns when Redis has taken note of it. What was sent before is not heard.

        Raises:
            redis.RedisError: Redis failed.
        """
        self._channel.open()

    def wait(self) -> bytes | None:
        """The next message; None if there was none for a while.

        Raises:
            redis.RedisError: The connection failed: messages may have been lost.
        """
        began = time.monotonic()
        asked = self._channel.asked
        message = self._channel.read()
        if message is None and asked and not self._channel.asked:  # that was the sign of life
            message = self._channel.read()
        self.stalled = time.monotonic() - began > 3 * self._seconds
        if message is None:
            if self._channel.asked:
                raise redis.TimeoutError("the channel of tasks is silent")
            self._channel.ask()
        return message

    def close(self) -> None:
        """Listen no more."""
        self._channel.close()
