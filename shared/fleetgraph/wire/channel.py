"""Listening to a pub/sub channel, at the price of one read a message.

redis-py's own `PubSub` looks at the socket several times and writes each message out for its log, whether or not
anybody reads that: for a channel that carries tasks and events it takes longer than Redis does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError, TimeoutError

if TYPE_CHECKING:
    from redis import Redis


class Channel:
    """The messages of a channel, on a connection of its own, from the moment it is opened.

    Args:
        client: The Redis.
        name: Of the channel.
        seconds: How long to wait for a message at most, where nothing less is said.
    """

    def __init__(self, client: Redis, name: str, seconds: float) -> None:
        self._client = client
        self._name = name
        self._seconds = seconds
        self._connection: Any = None
        self._asked = False

    @property
    def asked(self) -> bool:
        """Whether Redis has been asked for a sign of life, and has given none since."""
        return self._asked

    @property
    def is_open(self) -> bool:
        """Whether it listens, as far as is known."""
        return self._connection is not None

    def open(self) -> None:
        """Listen, anew if need be; returns when Redis has taken note of it. What was sent before is not heard.

        Raises:
            redis.RedisError: Redis can't be reached, refuses, or does not answer in time.
        """
        self.close()
        pool: Any = self._client.connection_pool
        # In the third version of its protocol Redis may say other things in between.
        options = {**pool.connection_kwargs, "protocol": 2, "socket_timeout": self._seconds}
        self._connection = pool.connection_class(**options)
        self._asked = False
        try:
            self._connection.send_command("SUBSCRIBE", self._name)
            self._connection.read_response(timeout=pool.connection_kwargs.get("socket_timeout"))
        except BaseException:
            self.close()
            raise

    def read(self, seconds: float | None = None) -> bytes | None:
        """The next message; None if there was none for a while.

        Args:
            seconds: How long to wait, if not for as long as ever.

        Raises:
            redis.RedisError: The connection failed: messages may have been lost. It has to be opened again.
        """
        if self._connection is None:
            raise ConnectionError(f"the channel {self._name} is closed")
        try:
            if seconds is None or seconds >= self._seconds:
                kind, *_, message = self._connection.read_response(disconnect_on_error=False)
            else:
                kind, *_, message = self._connection.read_response(disconnect_on_error=False, timeout=seconds)
        except TimeoutError:
            return None
        except BaseException:
            self.close()
            raise
        self._asked = False
        return message if kind == b"message" else None

    def ask(self) -> None:
        """Ask Redis for a sign of life: a connection may be dead without anybody having been told.

        Raises:
            redis.RedisError: The connection failed.
        """
        self._asked = True
        self._connection.send_command("PING", check_health=False)

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
