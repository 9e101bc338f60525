"""Putting a run's events in order: each once, none left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleetgraph.errors import EventsLost
from fleetgraph.wire.events import Event


class Sequence:
    """Lets events through in the order of their seq, each once, and notices when some are missing.

    Messages come from the channel, where some may be missing or old, and from the log, where only the oldest can be.
    """

    def __init__(self, run: str, after: int = 0) -> None:
        self._run = run
        self.last = after
        """Seq of the last event let through."""

    def from_channel(self, events: list[Event]) -> list[Event] | None:
        """The events that are new; None when some before them are missing, which the log has."""
        known = self.last
        if not events or events[-1].seq <= known:
            return []
        if events[0].seq > known + 1:
            return None
        self.last = events[-1].seq
        return [event for event in events if event.seq > known]

    def from_log(self, messages: Iterable[list[Event]]) -> Iterator[Event]:
        """The events that are new.

        Raises:
            EventsLost: Those that come next are in the log no more.
        """
        for events in messages:
            for event in events:
                if event.seq <= self.last:
                    continue
                if event.seq > self.last + 1:
                    raise EventsLost(self._run, self.last + 1, event.seq - 1)
                self.last = event.seq
                yield event

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
