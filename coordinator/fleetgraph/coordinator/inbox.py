"""The coordinator's connection: what its runs want goes out, and what has come for them in the inbox comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fleetgraph.wire.calling import Call, command, results_of
from fleetgraph.wire.exchange import Line, receive, receive_all, send

if TYPE_CHECKING:
    from redis import Redis

BATCH: Final = 1000
"""Messages taken from the inbox at once."""


class Inbox:
    """A list in Redis that one thread looks into in every round trip it makes, and waits for when it is empty.

    Messages stay there until they are told to have been dealt with: whoever takes over finds them.

    Args:
        client: The Redis.
        key: Of the list.
    """

    def __init__(self, client: Redis, key: str) -> None:
        self.key = key
        self._client = client
        self._line = Line(client)
        self.awaits = False
        """Whether Redis has been asked for a message, and has not answered."""

    def exchange(self, calls: Sequence[Call[Any]], seconds: float) -> list[Any]:
        """Make a round trip: the results of calls, and the messages as the last one; see `try_all`.

        If there are no messages, Redis is asked to tell of the first: `wait` for it.

        Args:
            calls: What to run.
            seconds: How long Redis is to wait for a message, above 0.

        Raises:
            redis.RedisError: The connection failed: nobody knows which of the calls ran.
        """
        if self.awaits:
            self._hang_up()
        calls = [*calls, command("LRANGE", self.key, 0, BATCH - 1)]
        try:
            # A move from the head to the head leaves it where it is.
            head = ("BLMOVE", self.key, self.key, "LEFT", "LEFT", seconds)
            send(self._line.connection, [*(call.words for call in calls), head])
            answers = receive_all(self._line.connection, len(calls))
            self.awaits = True
            if answers[-1]:
                self._answer()  # at once, since there are some; they may be gone when scripts had to be sent again
            results = results_of(self._client, calls, answers)
            if results[-1] and self.awaits:
                self._answer()
        except BaseException:
            self._hang_up()
            raise
        return results

    def wait(self) -> list[bytes]:
        """Wait for a message for as long as was said in the last round trip; the first one, if one has come.

        Raises:
            redis.RedisError: The connection failed, or Redis refuses to wait.
        """
        try:
            head = self._answer()
        except BaseException:
            self._hang_up()
            raise
        if isinstance(head, Exception):
            raise head
        return [] if head is None else [head]

    def close(self) -> None:
        """Give the connection back."""
        self._hang_up()
        self._line.close()

    def _answer(self) -> Any:
        answer = receive(self._line.connection)
        self.awaits = False
        return answer

    def _hang_up(self) -> None:
        self.awaits = False
        self._line.hang_up()
