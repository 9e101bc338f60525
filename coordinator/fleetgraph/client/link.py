"""What a client does when Redis fails: try again for a while, and then say so."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Final

import redis

from fleetgraph.errors import FleetError, FleetgraphError, RedisFull, RedisUnavailable, RemoteTraceback
from fleetgraph.redis_server import certificate_advice, mask_password
from fleetgraph.wire.outages import Backoff, is_out_of_memory, will_pass
from fleetgraph.wire.roles import Role, missing_rights

RETRY_SECONDS: Final = 30.0
"""How long a client that has reached its Redis before tries to reach it again: a restart takes less."""


class Link:
    """A client's view of the Redis at `url`."""

    def __init__(self, url: str) -> None:
        self.shown_url = mask_password(url)
        self.works = False
        """Whether it has ever answered: one that never did is probably not there."""

    @contextmanager
    def telling(self) -> Generator[None]:
        """Turns errors of Redis into ours.

        Raises:
            RedisUnavailable: It can't be reached.
            FleetError: It refuses what it was asked.
        """
        try:
            yield
        except redis.RedisError as error:
            # What a node raised, or a coordinator, says nothing about the Redis that is used here.
            told = None if isinstance(error.__cause__, RemoteTraceback) else self._told(error)
            if told is None:
                raise
            raise told from error

    def _told(self, error: redis.RedisError) -> FleetgraphError | None:
        match error:
            case redis.AuthenticationError():
                return RedisUnavailable(f"Redis at {self.shown_url} refuses the login: {error}")
            case redis.ConnectionError() | redis.TimeoutError():
                told = f"{str(error).rstrip('.')}.{certificate_advice(error)}"
                return RedisUnavailable(f"no Redis answers at {self.shown_url}: {told}")
            case redis.ResponseError() if is_out_of_memory(error):
                return RedisFull()
            case redis.ResponseError():
                advice = missing_rights(error, Role.CLIENT)
                told = f"{error}. {advice}" if advice else str(error)
                return FleetError(f"Redis at {self.shown_url} refuses what a client needs: {told}")
            case _:
                return None

    def attempt(self) -> Attempt:
        """A new attempt to send something."""
        return Attempt(self)


class Attempt:
    """Sending something until Redis has answered, or for too long."""

    def __init__(self, link: Link) -> None:
        self._ends = monotonic() + (RETRY_SECONDS if link.works else 0.0)
        self._backoff = Backoff(f"client of {link.shown_url}")

    def pause_after(self, error: redis.RedisError) -> float:
        """How long to wait, in seconds, before trying again.

        Raises:
            redis.RedisError: That error, if trying again is of no use.
        """
        passes = will_pass(error) and not isinstance(error, redis.ResponseError)  # a full Redis is told about at once
        if not passes or monotonic() >= self._ends:
            raise error
        return self._backoff.failed(error)
