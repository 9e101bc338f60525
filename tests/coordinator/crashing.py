"""Redis clients whose coordinator dies, or falls asleep, in one of its round trips."""

from __future__ import annotations

import threading
from enum import Enum
from typing import Any

import redis
from redis._parsers import _RESP3Parser  # pyright: ignore[reportPrivateUsage]


class Crash(BaseException):
    """The end of a coordinator, without a chance to clean up."""


class When(Enum):
    """How much of the round trip reaches Redis."""

    BEFORE = "before"
    HALF = "half"
    ALL_BUT_ONE = "all but one"
    AFTER = "after"

    def reaches(self, commands: list[Any]) -> list[Any]:
        """The commands of a round trip that reach Redis."""
        count = len(commands)
        return commands[: {When.BEFORE: 0, When.HALF: count // 2, When.ALL_BUT_ONE: count - 1, When.AFTER: count}[self]]


class _WatchedConnection(redis.Connection):
    """One that asks its client before it sends commands that go in one round trip."""

    client: Any

    def __init__(self, *, watched_by: Any, **options: Any) -> None:
        self.client = watched_by
        # With redis-py's own parser each answer is asked for, and can be looked at.
        super().__init__(parser_class=_RESP3Parser, **options)

    def pack_commands(self, commands: Any) -> Any:
        if threading.current_thread().name == "fleetgraph-coordinator":
            self.client.before_sending(self, list(commands))
        return super().pack_commands(commands)

    def read_response(self, *args: Any, **options: Any) -> Any:
        answer = super().read_response(*args, **options)
        if threading.current_thread().name == "fleetgraph-coordinator":
            self.client.answered(answer)
        return answer


class _WatchedRedis(redis.Redis):
    """Looks at the round trips of the thread called `fleetgraph-coordinator`."""

    @classmethod
    def watching(cls, url: str) -> Any:
        client = cls.from_url(url)
        pool = client.connection_pool
        pool.connection_class = _WatchedConnection
        pool.connection_kwargs["watched_by"] = client
        return client

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        """A round trip begins."""

    def answered(self, answer: Any) -> None:
        """An answer has come."""


class CrashingRedis(_WatchedRedis):
    """Counts the round trips, and dies in the `fatal`th of them."""

    fatal = 0
    when = When.BEFORE
    trips = 0
    dead = False

    @classmethod
    def plan(cls, url: str, fatal: int, when: When) -> CrashingRedis:
        client = cls.watching(url)
        client.fatal, client.when = fatal, when
        return client

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        if self.dead:  # what runs do not let pass ends the coordinator with its next round trip
            raise Crash
        self.trips += 1
        if self.trips != self.fatal:
            return
        if reached := self.when.reaches(commands):
            connection.send_packed_command(redis.Connection.pack_commands(connection, reached))
            for _ in reached:
                redis.Connection.read_response(connection)
        self.dead = True
        raise Crash


class SleepingRedis(_WatchedRedis):
    """Falls asleep in a round trip of the coordinator's that ends a superstep, and notes what it is answered then."""

    asleep: threading.Event
    wake: threading.Event
    refused: set[Any]

    @classmethod
    def plan(cls, url: str) -> SleepingRedis:
        client = cls.watching(url)
        client.asleep, client.wake, client.refused = threading.Event(), threading.Event(), set()
        return client

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        if len(commands) > 3 and not self.asleep.is_set():
            self.asleep.set()
            assert self.wake.wait(30)

    def answered(self, answer: Any) -> None:
        if self.asleep.is_set() and isinstance(answer, bytes):
            self.refused.add(answer)
