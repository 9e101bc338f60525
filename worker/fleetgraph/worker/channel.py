"""The channel on which a worker is given tasks while it waits for some."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

import redis

from fleetgraph.wire import keys
from fleetgraph.wire.connection import SOCKET_TIMEOUT_SECONDS

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
        self._asked = False
        """Whether Redis has been asked for a sign of life, and has given none yet."""
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
        if self._pubsub.get_message(timeout=SOCKET_TIMEOUT_SECONDS) is None:
            raise redis.TimeoutError(f"Redis does not confirm the subscription to {self._name}")
        self._asked = False

    def wait(self) -> bytes | None:
        """The next message; None if there was none for a while.

        Raises:
            redis.RedisError: The connection failed: messages may have been lost.
        """
        began = time.monotonic()
        message = self._pubsub.get_message(timeout=self._seconds)
        if message is not None and message["type"] == "pong":
            self._asked = False
            message = self._pubsub.get_message(timeout=self._seconds)
        self.stalled = time.monotonic() - began > 3 * self._seconds
        if message is None:
            if self._asked:  # a connection may be dead without anybody having been told
                raise redis.TimeoutError("the channel of tasks is silent")
            self._pubsub.ping()
            self._asked = True
            return None
        if message["type"] != "message":  # redis-py has subscribed anew
            raise redis.ConnectionError("the channel of tasks was interrupted")
        return message["data"]

    def close(self) -> None:
        """Listen no more."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
