"""The coordinator's link to Redis: what its runs want is sent until it is answered, however long Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.exceptions import RedisError

from fleetgraph.coordinator.calm import Calm
from fleetgraph.wire.calling import Call, try_all
from fleetgraph.wire.outages import Backoff, is_refusal, will_pass
from fleetgraph.wire.transitions import LEASE, Refusal

if TYPE_CHECKING:
    from redis import Redis

REPETITIONS: Final = 3
"""How often calls are sent again of which one came too early, before what it waits for is taken for lost."""

T = TypeVar("T")


class Link:
    """Makes calls, each of which may be made twice without harm.

    Args:
        client: The Redis.
        coordinator: Whose it is, for the log.
        stopping: Tells whether to give up.
    """

    def __init__(self, client: Redis, coordinator: str, stopping: Callable[[], bool]) -> None:
        self._client = client
        self._stopping = stopping
        self._backoff = Backoff(f"coordinator {coordinator}")
        self.calm = Calm(LEASE)
        """Whether leases that have expired can be believed."""

    def make(
        self,
        calls: Sequence[Call[Any]],
        exchange: Callable[[Sequence[Call[Any]]], list[Any]] | None = None,
        again: Callable[[], Sequence[Call[Any]]] | None = None,
    ) -> list[Any] | None:
        """The results of calls; see `try_all`. While Redis is away they are made again and again.

        Args:
            calls: What to run.
            exchange: What makes the round trip, if not `try_all`.
            again: Gives the calls anew after the connection has failed, when nobody knows which of them ran.

        Returns:
            None if it is to stop before Redis is back.

        Raises:
            redis.RedisError: Redis failed in a way that waiting won't heal.
        """
        if not calls and exchange is None:
            return []
        left = REPETITIONS
        while True:
            try:
                with self.calm.asking():
                    results = try_all(self._client, calls) if exchange is None else exchange(calls)
            except RedisError as error:
                if not will_pass(error):
                    raise
                if self._stopping():
                    return None
                self._failed(error)
                if again is not None:
                    calls = again()
            else:
                refusal = next((one for one in results if isinstance(one, Exception) and is_refusal(one)), None)
                if refusal is None and Refusal.INCOMPLETE in results and left:
                    left -= 1
                    continue
                if refusal is None or self._stopping():
                    self._backoff.worked()
                    return results
                self._pause(refusal)  # it is full, say; what was not refused is only repeated

    def once(self, do: Callable[[], T]) -> T | None:
        """What `do` gives, which asks Redis; None if Redis is away, after a pause.

        Raises:
            redis.RedisError: Redis failed in a way that waiting won't heal.
        """
        try:
            with self.calm.asking():
                return do()
        except RedisError as error:
            if not will_pass(error):
                raise
            self._failed(error)
            return None

    def bear(self, error: Exception) -> bool:
        """Wait a moment while a saver or a store is out of reach; tells whether to try again."""
        if self._stopping():
            return False
        self._pause(error)
        return True

    def _failed(self, error: Exception) -> None:
        self.calm.failed()
        self._pause(error)

    def _pause(self, error: Exception) -> None:
        time.sleep(self._backoff.failed(error))  # nothing to wait for but Redis itself
