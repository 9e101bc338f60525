"""A Redis client that dies, and its coordinator with it, in one of its round trips."""

from __future__ import annotations

import threading
from enum import Enum
from typing import Any

import redis


class Crash(BaseException):
    """The end of a coordinator, without a chance to clean up."""


class When(Enum):
    """How much of the round trip reaches Redis."""

    BEFORE = "before"
    HALF = "half"
    ALL_BUT_ONE = "all but one"
    AFTER = "after"


class CrashingRedis(redis.Redis):
    """Counts the round trips of one thread, and dies in the `fatal`th of them.

    Only those of the thread called `fleetgraph-coordinator` count.
    """

    fatal = 0
    when = When.BEFORE
    trips = 0
    dead = False

    @classmethod
    def plan(cls, url: str, fatal: int, when: When) -> CrashingRedis:
        client = cls.from_url(url)
        client.fatal, client.when = fatal, when
        return client

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        pipe = super().pipeline(transaction, shard_hint)
        if threading.current_thread().name != "fleetgraph-coordinator":
            return pipe
        send = pipe.execute

        def execute(raise_on_error: bool = True) -> Any:
            self.trips += 1
            if self.trips != self.fatal:
                return send(raise_on_error)
            stack: list[Any] = pipe.command_stack
            keep = {
                When.BEFORE: 0,
                When.HALF: len(stack) // 2,
                When.ALL_BUT_ONE: len(stack) - 1,
                When.AFTER: len(stack),
            }[self.when]
            del stack[keep:]
            if stack:
                send(False)
            self.dead = True
            raise Crash

        pipe.execute = execute
        return pipe


class SleepingRedis(redis.Redis):
    """Falls asleep in a round trip of the coordinator's that ends a superstep, and notes what it is answered then."""

    asleep: threading.Event
    wake: threading.Event
    refused: set[Any]

    @classmethod
    def plan(cls, url: str) -> SleepingRedis:
        client = cls.from_url(url)
        client.asleep, client.wake, client.refused = threading.Event(), threading.Event(), set()
        return client

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        pipe = super().pipeline(transaction, shard_hint)
        send = pipe.execute

        def execute(raise_on_error: bool = True) -> Any:
            stack: list[Any] = pipe.command_stack
            effects = len(stack) > 3 and threading.current_thread().name == "fleetgraph-coordinator"
            if effects and not self.asleep.is_set():
                self.asleep.set()
                assert self.wake.wait(30)
                results = send(raise_on_error)
                self.refused |= {one for one in results if isinstance(one, bytes)}
                return results
            return send(raise_on_error)

        pipe.execute = execute
        return pipe
