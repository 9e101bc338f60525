"""What to do when Redis fails: tell what will pass from what won't, and try again with pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import redis
import redis.exceptions

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.05
"""Before the first retry: a restarting Redis is back in no time."""

LONGEST_PAUSE_SECONDS: Final = 2.0
"""Between two retries, of which each takes twice as long as the one before."""

_REFUSALS: Final = ("OOM ", "READONLY ", "MISCONF ", "LOADING ", "MASTERDOWN ", "NOREPLICAS ", "BUSY ")
"""What Redis answers when it can't do anything for now, whatever it is asked. Before Redis 7, the text of an error
inside a script has other words in front."""

T = TypeVar("T")


def will_pass(error: Exception) -> bool:
    """Whether it may be of use to try again later: Redis can't be reached, or can't work for now; or an operator has
    ended the wait for something.
    """
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return not isinstance(error, redis.exceptions.AuthenticationError | redis.exceptions.AuthorizationError)
    return isinstance(error, redis.ResponseError) and (is_refusal(error) or "UNBLOCKED " in str(error))


def is_refusal(error: Exception) -> bool:
    """Whether Redis answered that it can't do anything for now: it is full, loads its data, became a replica, …"""
    text = f"{type(error).__name__} {error}"
    known = redis.exceptions.ReadOnlyError | redis.exceptions.OutOfMemoryError | redis.exceptions.BusyLoadingError
    return isinstance(error, known) or any(word in text for word in _REFUSALS)


def is_out_of_memory(error: Exception) -> bool:
    """Whether Redis refused to store anything for want of memory."""
    return isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM " in str(error)


class Backoff:
    """The pauses between retries, and the log entries about them: one when Redis fails, one when it answers again.

    Args:
        what: Whose calls fail, for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = FIRST_PAUSE_SECONDS
        self.failing = False

    def failed(self, error: Exception) -> float:
        """Note a failure. Gives the seconds to wait before the next try."""
        if not self.failing:
            self.failing = True
            logger.warning(
                "%s: Redis fails (%s); trying again until it answers",
                self._what,
                error or type(error).__name__,
                extra={"action": "redis-lost"},
            )
        return self.pause()

    def pause(self) -> float:
        """The seconds to wait before the next try."""
        pause = self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return pause

    def worked(self) -> None:
        """Note a success."""
        if self.failing:
            logger.warning("%s: Redis answers again", self._what, extra={"action": "redis-back"})
            self.failing = False
        self._pause = FIRST_PAUSE_SECONDS


def persistently(do: Callable[[], T], backoff: Backoff, wait: Callable[[float], bool]) -> T | None:
    """The result of `do`, tried again and again while Redis fails in a way that will pass.

    `wait` waits for so many seconds and tells whether to give up; then the result is None.

    Raises:
        redis.RedisError: `do` failed in another way.
    """
    while True:
        try:
            result = do()
        except redis.RedisError as error:
            if not will_pass(error):
                raise
            if wait(backoff.failed(error)):
                return None
        else:
            backoff.worked()
            return result
