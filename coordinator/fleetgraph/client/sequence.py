"""Putting a run's events in order: each once, none left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleetgraph.errors import EventsLost
from fleetgraph.wire.events import Batch, Event


class Sequence:
    """Lets events through in the order of their seq, each once, and notices when some are missing.

    Messages come from the channel, where some may be missing or old, and from the log, where only the oldest can be.
    """

    def __init__(self, run: str, after: int = 0) -> None:
        self._run = run
        self.last = after
        """Seq of the last event let through."""

    def from_channel(self, batch: Batch) -> Iterator[Event] | None:
        """The events that are new, which are to be read; None when some before them are missing, which the log has."""
        if batch.first > self.last + 1:
            return None
        return self._new(batch)

    def from_log(self, batches: Iterable[Batch]) -> Iterator[Event]:
        """The events that are new.

        Raises:
            EventsLost: Those that come next are in the log no more.
        """
        for batch in batches:
            if batch.first > self.last + 1:
                raise EventsLost(self._run, self.last + 1, batch.first - 1)
            yield from self._new(batch)

    def _new(self, batch: Batch) -> Iterator[Event]:
        known = self.last
        if batch.last <= known:
            return iter(())
        self.last = batch.last
        return batch.events if batch.first > known else (event for event in batch.events if event.seq > known)

    def check(self, recorded: int | None, before: int) -> None:
        """Notice that the log has been read to its end, and yet events are missing.

        Args:
            recorded: The run's last seq, as its record had it before the log was read; None if there was no record.
            before: `last`, at that time.

        Raises:
            EventsLost: They are in the log no more, or the run is gone from Redis.
        """
        if recorded is None or recorded < before:  # a smaller number: it began anew, in a Redis that lost its data
            raise EventsLost(self._run, self.last + 1, None)
        if recorded > self.last:
            raise EventsLost(self._run, self.last + 1, recorded)
