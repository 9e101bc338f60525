"""What Redis has of a run, as clients are shown it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetgraph.wire.transitions import RunStatus

OVER = frozenset(
    (RunStatus.SUCCESS.value, RunStatus.ERROR.value, RunStatus.INTERRUPTED.value, RunStatus.CANCELLED.value)
)
"""The statuses of runs that have ended."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is on record of a run."""

    id: str
    status: str
    """`pending`, `running`, `success`, `error`, `interrupted` (it waits for an answer), or `cancelled`."""
    graph: str
    """The name of its graph."""
    thread: str | None
    """The id of its thread."""
    created: datetime | None
    """When it was submitted, in Redis's time."""
    ended: datetime | None
    """When it ended."""
    error: str | None
    """Why it failed."""
    seq: int
    """How many events it has so far."""
    coordinator: str
    """The id of the coordinator that holds it, or did."""
    queue: str
    """The queue that its tasks are put on."""
    waits: str | None = None
    """What keeps it from going on just now: that no worker is there for it, say."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in OVER

    @classmethod
    def of_record(cls, id: str, record: Mapping[bytes, bytes]) -> RunInfo | None:
        """The run whose record this is; None if there is none."""
        if b"status" not in record:  # an event published after Redis lost its data makes a record without one
            return None

        def text(name: bytes) -> str:
            return record.get(name, b"").decode(errors="replace")

        return cls(
            id,
            text(b"status"),
            text(b"graph"),
            text(b"thread") or None,
            _time(record.get(b"created")),
            _time(record.get(b"ended")),
            text(b"error") or None,
            int(record.get(b"seq", b"0")),
            text(b"coordinator"),
            text(b"queue"),
            (text(b"waits") or None) if b"ended" not in record else None,
        )


def _time(value: bytes | None) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value else None
