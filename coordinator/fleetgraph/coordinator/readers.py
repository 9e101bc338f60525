"""Noticing that nobody reads a run any more, of those that are to be cancelled then.

A reader that closes its iterator cancels such a run itself. One whose process is killed can't, but Redis knows who is
subscribed to a run's events, and a reader is for as long as it reads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10.0
"""How long nobody may read a run that is to be cancelled then: a reader whose connection was cut is back within two
seconds, and within seven where it has to find out that the connection is half open."""

WHY: Final = (
    f"nobody has read it for {GRACE_SECONDS:g} s, and it was submitted with on_disconnect='cancel'. With 'continue' it "
    "goes on without readers"
)
"""What the error of a run says that was cancelled so."""

RUNS_AT_ONCE: Final = 1000
"""Asked about in one command."""


def count_readers(runs: Sequence[str]) -> Call[dict[str, int]]:
    """How many connections are subscribed to the events of each of these runs. It changes nothing."""

    def parse(answer: Any) -> dict[str, int]:
        return dict(zip(runs, answer[1::2], strict=True))

    return Call(("PUBSUB", "NUMSUB", *map(keys.events, runs)), parse)


class ReaderWatch:
    """Tells which runs nobody has read for `GRACE_SECONDS`."""

    def __init__(self) -> None:
        self._unread_since: dict[str, float] = {}
        """By run, by a monotonic clock: when it was first seen without a reader, since it last had one."""
        self._abandoned: set[str] = set()
        self._refused = False

    def ask(self, runs: Sequence[str]) -> list[Call[dict[str, int]]]:
        """What to ask Redis about runs, about once a second."""
        return [count_readers(runs[first : first + RUNS_AT_ONCE]) for first in range(0, len(runs), RUNS_AT_ONCE)]

    def judge(self, answers: Sequence[dict[str, int] | Exception]) -> None:
        """Take in what Redis answered. Who is not in it is forgotten."""
        now, before = time.monotonic(), self._unread_since
        self._unread_since = {}
        for answer in answers:
            if isinstance(answer, Exception):
                self._tell(answer)
                continue
            unread = (run for run, readers in answer.items() if readers == 0)
            self._unread_since.update((run, before.get(run, now)) for run in unread)
        self._abandoned = {run for run, since in self._unread_since.items() if now - since >= GRACE_SECONDS}

    def forget(self) -> None:
        """Begin anew: Redis was away, so that readers may just be coming back."""
        self._unread_since, self._abandoned = {}, set()

    def is_abandoned(self, run: str) -> bool:
        """Whether nobody had read a run for so long, when Redis answered last, that it is to be cancelled."""
        return run in self._abandoned

    def _tell(self, error: Exception) -> None:
        if not self._refused:
            self._refused = True
            logger.warning(
                "Redis does not tell whether runs are read (%s): those whose readers were killed go on. What a "
                "coordinator needs is printed by `fleetgraph acl coordinator`.",
                error,
            )
