"""A Redis client that loses one of its coordinator's round trips, while the coordinator lives on."""

from __future__ import annotations

from enum import Enum
from typing import Any

import redis

from tests.coordinator import crashing


class Loss(Enum):
    """What becomes of the round trip."""

    ANSWERS = "the answers of"
    """All of it is run, and nothing of that is heard."""
    HALF = "half of"
    """The connection breaks in the middle of it."""
    SCRIPTS = "the scripts before"
    """Redis has forgotten all scripts when it comes, as after a restart."""


class LosingRedis(crashing._WatchedRedis):  # pyright: ignore[reportPrivateUsage]
    """Counts the round trips, and loses the `chosen`th of them."""

    url = ""
    chosen = 0
    loss = Loss.ANSWERS
    trips = 0
    lost = False

    @classmethod
    def plan(cls, url: str, chosen: int, loss: Loss) -> LosingRedis:
        client = cls.watching(url)
        client.url, client.chosen, client.loss = url, chosen, loss
        return client

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        self.trips += 1
        if self.trips != self.chosen:
            return
        self.lost = True
        if self.loss is Loss.SCRIPTS:
            with redis.Redis.from_url(self.url) as other:
                other.script_flush()
            return
        count = len(commands) if self.loss is Loss.ANSWERS else len(commands) // 2
        # Waiting for a message changes nothing, and would only take its time.
        reached = [words for words in commands[:count] if words[0] != "BLMOVE"]
        if reached:
            connection.send_packed_command(redis.Connection.pack_commands(connection, reached))
            for _ in reached:
                try:
                    redis.Connection.read_response(connection)
                except redis.ResponseError:
                    continue  # a script that Redis does not know yet
        raise redis.ConnectionError("the answers got lost")
