"""Telling a worker that is dead from one that could not show signs of life, since Redis was away."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

SLOW: Final = 2 / 3
"""Of a lease. An answer that takes longer ends an outage: Redis was stopped, its host asleep, the network down. In less
time no lease runs out, since they are renewed three times as often as they have to be."""


class Calm:
    """Whether Redis has answered for long enough for everybody to have shown signs of life; then it is true.

    Leases run out while nobody can renew them. Whoever finds them expired in the moment in which Redis is back would
    take everybody for dead.

    Args:
        lease: How long a lease lasts.
    """

    def __init__(self, lease: timedelta) -> None:
        self._lease = lease.total_seconds()
        self._since = float("-inf")

    def __bool__(self) -> bool:
        return time.monotonic() - self._since >= self._lease

    def failed(self) -> None:
        """Redis could not be reached."""
        self._since = time.monotonic()

    def asking(self) -> _Asking:
        """A context: while Redis is asked something that it answers at once."""
        return _Asking(self, SLOW * self._lease)


class _Asking:
    def __init__(self, calm: Calm, slow: float) -> None:
        self._calm = calm
        self._slow = slow

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and time.monotonic() - self._began >= self._slow:
            self._calm.failed()
