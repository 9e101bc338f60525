"""Listening to pub/sub channels, at the price of one read a message.

redis-py's own `PubSub` looks at the socket several times and writes each message out for its log, whether or not
anybody reads that: for a channel that carries tasks and events it takes longer than Redis does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from redis.exceptions import ConnectionError, TimeoutError

if TYPE_CHECKING:
    from redis import Redis


class _Listener:
    """A subscription, on a connection of its own, from the moment it is opened.

    Args:
        client: The Redis.
        name: What is subscribed to.
        seconds: How long to wait for a message at most, where nothing less is said.
    """

    _SUBSCRIBE: ClassVar[str]
    _MESSAGE: ClassVar[bytes]
    """What Redis calls a message of such a subscription."""

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
            self._connection.send_command(self._SUBSCRIBE, self._name)
            self._connection.read_response(timeout=pool.connection_kwargs.get("socket_timeout"))
        except BaseException:
            self.close()
            raise

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

    def _read(self, seconds: float | None) -> list[Any] | None:
        """The next message with what it came by; None if there was none for a while, or a sign of life."""
        if self._connection is None:
            raise ConnectionError(f"the channel {self._name} is closed")
        try:
            if seconds is None or seconds >= self._seconds:
                kind, *message = self._connection.read_response(disconnect_on_error=False)
            else:
                kind, *message = self._connection.read_response(disconnect_on_error=False, timeout=seconds)
        except TimeoutError:
            return None
        except BaseException:
            self.close()
            raise
        if kind == self._MESSAGE:
            return message
        self._asked = False  # only by that: it may still be on its way behind a message
        return None


class Channel(_Listener):
    """The messages of a channel."""

    _SUBSCRIBE = "SUBSCRIBE"
    _MESSAGE = b"message"

    def read(self, seconds: float | None = None) -> bytes | None:
        """The next message; None if there was none for a while.

        Args:
            seconds: How long to wait, if not for as long as ever.

        Raises:
            redis.RedisError: The connection failed: messages may have been lost. It has to be opened again.
        """
        message = self._read(seconds)
        return None if message is None else message[1]


class Channels(_Listener):
    """The messages of all channels whose names match a pattern."""

    _SUBSCRIBE = "PSUBSCRIBE"
    _MESSAGE = b"pmessage"

    def read(self, seconds: float | None = None) -> tuple[bytes, bytes] | None:
        """The next message, behind the name of its channel. As `Channel.read`."""
        message = self._read(seconds)
        return None if message is None else (message[1], message[2])
