"""What savers on the fleet's own Redis are to keep: it goes along with the coordinator's next round trip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from fleetgraph.wire.calling import Call, command, try_all
from fleetgraph.wire.exchange import Words
from fleetgraph.wire.outages import is_refusal, will_pass

if TYPE_CHECKING:
    from redis import Redis

_PLACE: Final = ("host", "port", "path", "db", "username")
"""What has to be the same for two clients to be in one Redis, as one user."""

R = TypeVar("R")


@dataclass(slots=True)
class Save(Call[Any]):
    """A command of a saver's."""


SKIPPED: Final = command("PING")
"""In the place of a save that is not to be made any more."""


class Saves(Generic[R]):
    """Collects what savers would have sent, as (run, call), until it is taken.

    It has to be sent before anything that follows from it, and before the journals tell of what led to it. Whoever
    reads from a saver has to `flush` first.

    Args:
        client: The fleet's Redis.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._collected: list[tuple[R, Call[Any]]] = []
        self.refused: list[tuple[R, Exception]] = []
        """What `flush` was refused of others than who asked for it."""

    def __bool__(self) -> bool:
        return bool(self._collected or self.refused)

    def ride(self, saver: Any) -> bool:
        """Whether what this saver keeps can go along: it is ours, and in the fleet's Redis."""
        theirs: Any = getattr(saver, "collecting", None) and saver.connection_options
        if not theirs or not (theirs.get("host") or theirs.get("path")):
            return False
        return _place(theirs) == _place(self._client.connection_pool.connection_kwargs)

    def collect(self, run: R, saver: Any, save: Callable[[], None]) -> None:
        """Let a saver save something for a run, but for sending it.

        Raises:
            Exception: What the saver raises: a value can't be encoded, say.
        """
        words: list[Words] = []
        with saver.collecting(words):
            save()
        calls: list[tuple[R, Call[Any]]] = [(run, Save(one, _outcome)) for one in words]
        if self._collected and self._collected[-1][0] is run and calls:
            # What a task wrote and the checkpoint behind it, say: one transaction will do.
            self._collected.pop()
            del calls[0]
        self._collected += calls

    def take(self) -> list[tuple[R, Call[Any]]]:
        """What has been collected, to be sent now."""
        collected, self._collected = self._collected, []
        return collected

    def flush(self, run: R) -> None:
        """Send it, because of a run.

        Raises:
            redis.RedisError: Redis can't be reached, and it is still there; or refused what was this run's.
        """
        if not self._collected:
            return
        results = try_all(self._client, [call for _, call in self._collected])
        sent = zip(self._collected, results, strict=True)
        errors = [(one, result) for (one, _), result in sent if isinstance(result, Exception)]
        for _, error in errors:
            if is_refusal(error) or will_pass(error):
                raise error
        self._collected = []
        self.refused += [(one, error) for one, error in errors if one is not run]
        for one, error in errors:
            if one is run:
                raise error


def _outcome(answer: Any) -> Any:
    """The error that a transaction ended with, if one did."""
    if isinstance(answer, list):
        return next((one for one in answer if isinstance(one, Exception)), None)  # pyright: ignore[reportUnknownVariableType]
    return answer


def _place(options: dict[str, Any]) -> list[Any]:
    return [options.get(name) or None for name in _PLACE]
