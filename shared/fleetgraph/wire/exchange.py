"""Round trips on the paths that every task takes: commands sent in one go, and answers as Redis gives them.

A redis-py connection does this as well as a redis-py client, which spends more time on each command than Redis does. So
does the connection on each answer: of what has come with the one before, answers are taken from where it reads them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ConnectionError, ResponseError

if TYPE_CHECKING:
    from redis import Redis

Words = tuple[bytes | str | int | float, ...]
"""A command and its arguments."""


class Line:
    """A connection of one's own, for one round trip at a time: it is there when it is needed, and not looked for.

    Args:
        redis: Whose connections it is one of.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """redis-py's connection; connects when something is sent.

        Raises:
            redis.RedisError: It is the first one, and Redis can't be reached.
        """
        if self._connection is None:
            self._connection = self.redis.connection_pool.get_connection()  # pyright: ignore[reportUnknownMemberType]
        return self._connection

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """As `ask` of this module."""
        try:
            return ask(self.connection, commands)
        except BaseException:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """Close the connection, on which answers may still be on their way; the next one is another."""
        if self._connection is not None:
            self._connection.disconnect()

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self.redis.connection_pool.release(self._connection)  # pyright: ignore[reportUnknownMemberType]
            self._connection = None


@contextmanager
def borrowed(redis: Redis) -> Generator[Any, None, None]:
    """A connection of a client's, for one round trip at a time.

    It is closed when something is raised: then answers may still be on their way.
    """
    pool = redis.connection_pool
    connection: Any = pool.get_connection()  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def ask(connection: Any, commands: Sequence[Words]) -> list[Any]:
    """Run commands in one round trip: their answers, with Redis's error in the place of one that it refused.

    Raises:
        redis.RedisError: The connection failed: nobody knows which of them ran.
    """
    send(connection, commands)
    return receive_all(connection, len(commands))


def send(connection: Any, commands: Sequence[Words]) -> None:
    """Send commands, each of whose answers has to be received.

    Raises:
        redis.RedisError: The connection failed.
    """
    connection.send_packed_command(connection.pack_commands(commands))


def receive(connection: Any) -> Any:
    """The next answer, or the error that Redis answers with.

    Raises:
        redis.RedisError: The connection failed.
    """
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def receive_all(connection: Any, count: int) -> list[Any]:
    """The next answers, as `receive` gives them.

    Raises:
        redis.RedisError: The connection failed.
    """
    answers: list[Any] = []
    while len(answers) < count:
        answers.append(receive(connection))
        if len(answers) < count:
            _take_what_has_come(connection, answers, count)
    return answers


def _take_what_has_come(connection: Any, answers: list[Any], count: int) -> None:
    """Add answers that have been read from the socket already, if that can be told, until there are `count`."""
    reader = getattr(getattr(connection, "_parser", None), "_reader", None)
    if not isinstance(reader, hiredis.Reader):
        return
    while len(answers) < count:
        answer: Any = reader.gets()
        if type(answer) is object:  # what redis-py lets it say when there is no more
            return
        if isinstance(answer, ConnectionError):
            raise answer
        if type(answer) is list or not isinstance(answer, list):  # another list is a push that nobody asked for
            answers.append(answer)
