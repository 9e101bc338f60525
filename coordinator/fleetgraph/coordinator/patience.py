"""Holding out while the Redis of a saver or a store is away, instead of ending runs for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from fleetgraph.errors import RedisUnavailable
from fleetgraph.wire.outages import will_pass

PATIENCE_SECONDS: Final = 120.0
"""How long a saver or a store may be out of reach before the run that needs it fails."""

T = TypeVar("T")

Bear = Callable[[Exception], bool]
"""Waits a moment; tells whether to try again."""


def patiently(do: Callable[[], T], bear: Bear) -> T:
    """The result of `do`, which may be done twice without harm: tried again while its Redis is away.

    Raises:
        Exception: What `do` raised, if that won't pass, or has not passed for long.
    """
    began = time.monotonic()
    while True:
        try:
            return do()
        except (RedisError, RedisUnavailable) as error:
            if not _is_outage(error) or time.monotonic() - began > PATIENCE_SECONDS or not bear(error):
                raise


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, RedisUnavailable):
        return error.__cause__ is not None and _is_outage(error.__cause__)
    return isinstance(error, RedisError) and will_pass(error)
