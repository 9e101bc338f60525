"""Who may act for a run: how runs are opened, held, noted, taken over and ended, each a script as in `transitions`.

A coordinator holds a lease, which it extends every second, and with it all runs it has. Each run has an epoch, one more
with every coordinator that takes it over; whatever a coordinator of a lower epoch sends for it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, Value, script, seconds
from fleetgraph.wire.transitions import LEASE, LOG_EVENTS, RETENTION, Events, Refusal, RunStatus, item_words


class Opening(Enum):
    """What became of a run that was to be put on record."""

    OPENED = b"opened"
    """It can begin."""
    WAITING = b"waiting"
    """It begins when the runs before it on its thread have ended; its coordinator is told then."""
    REFUSED = b"refused"
    """It is not on record, since another run of its thread goes on."""
    KNOWN = b"known"
    """It was on record before."""


class Opened(NamedTuple):
    """What became of a run that was to be put on record, and why."""

    how: Opening
    others: list[str]
    """The runs of its thread that go on."""


def open_run(
    run: str,
    coordinator: str,
    record: Mapping[str, Value],
    *,
    retention: timedelta = RETENTION,
    thread: str = "",
    refuse: bool = False,
    order: bytes = b"",
) -> Call[Opened]:
    """Put a run on record, as one of a coordinator's.

    Args:
        run: Its id.
        coordinator: Who holds it.
        record: Further fields of its record.
        retention: How long it stays in Redis after its last sign of life.
        thread: The key of its thread's line, in which it waits; empty if runs of a thread may run side by side.
        refuse: Whether not to wait while another run of the thread goes on.
        order: What its journal begins with; empty if it ends with its coordinator.
    """
    fields: list[Value] = [word for item in record.items() for word in item]
    return script(
        "open",
        (keys.run(run), keys.owned(coordinator), keys.runs(), keys.journal(run)),
        (run, coordinator, seconds(retention), thread, int(refuse), seconds(keys.INBOX_TTL), order, *fields),
        lambda answer: Opened(Opening(answer[0]), [other.decode() for other in answer[1:]]),
    )


def start_run(run: str, epoch: int) -> Call[Refusal | None]:
    """Record that a run has begun. May give SUPERSEDED or CANCELLED."""
    return script(
        "start",
        (keys.run(run),),
        (epoch, seconds(RETENTION)),
        lambda answer: None if answer == b"started" else Refusal(answer),
    )


def close_run(
    run: str,
    epoch: int,
    coordinator: str,
    queue: str,
    status: RunStatus,
    items: Sequence[Events],
    *,
    error: str = "",
    start: int | None = None,
) -> Call[int | Refusal]:
    """End a run: publish its last events, call off what is outstanding, and let the next run of its thread begin.

    Gives its last seq. SUPERSEDED: another coordinator holds it. CANCELLED: it was to end otherwise, and was cancelled
    meanwhile. REPEATED: it has ended. INCOMPLETE: not all that its coordinators sent before, which is `start` items of
    events, has arrived.
    """
    return script(
        "close",
        (
            keys.run(run),
            keys.log(run),
            keys.seen(run),
            keys.tasks(run),
            keys.sent(run),
            keys.journal(run),
            keys.owned(coordinator),
        ),
        (
            keys.events(run),
            run,
            epoch,
            status.value,
            error,
            queue,
            seconds(keys.INBOX_TTL),
            seconds(RETENTION),
            LOG_EVENTS,
            "" if start is None else start,
            *item_words(items),
        ),
        lambda answer: answer if isinstance(answer, int) else Refusal(answer),
    )


class Told(NamedTuple):
    """Something that a coordinator was told, and has dealt with."""

    run: str = ""
    """Whose journal is to have it; empty if none is."""
    epoch: int = 0
    """0 for a run that the coordinator holds, but does not know yet."""
    note: bytes = b""
    """What is to be noted; empty for the next message of the inbox."""


def advance(
    coordinator: str, term: bytes, batch: int, told: Sequence[Told], *, saving: bool = False
) -> Call[bool | Refusal]:
    """Take messages that were dealt with out of a coordinator's inbox, and note what its runs were told.

    `batch` counts the calls, from 1: sending one again does nothing. May give SUPERSEDED: since `term`, in which the
    messages were read, another coordinator has taken over the inbox, and with it these messages. `saving` says that
    something is saved ahead of it, in the same round trip: who reads a journal takes it that this has been done.
    """
    words: list[Value] = [word for one in told for word in one]
    return script(
        "advance",
        (keys.inbox(coordinator), keys.coordinator(coordinator)),
        (batch, seconds(keys.INBOX_TTL), seconds(RETENTION), coordinator, term, int(saving), *words),
        lambda answer: answer == 1 if isinstance(answer, int) else Refusal(answer),
    )


class Held(NamedTuple):
    """What a coordinator learns by telling that it lives."""

    unbroken: bool
    """Whether its lease had not expired: then no other can have taken any of its runs."""
    term: bytes
    """Another one once somebody has taken over its inbox."""
    expired: list[str]
    """Coordinators whose lease has."""


def hold(coordinator: str, about: Mapping[str, Value], *, lease: timedelta = LEASE) -> Call[Held]:
    """Show that a coordinator lives, and extend its lease. To be sent a few times a lease."""
    return script(
        "hold",
        (keys.coordinators(), keys.coordinator(coordinator), keys.owned(coordinator), keys.runs()),
        (
            coordinator,
            lease.total_seconds(),
            seconds(keys.INBOX_TTL),
            *(word for item in about.items() for word in item),
        ),
        lambda answer: Held(answer[0] == 1, answer[1], [other.decode() for other in answer[2:]]),
    )


def retire(coordinator: str) -> Call[None]:
    """Give up a coordinator's lease at once: others take over what it holds without waiting for the lease to end."""
    return script(
        "retire",
        (
            keys.coordinators(),
            keys.coordinator(coordinator),
            keys.owned(coordinator),
            keys.inbox(coordinator),
            keys.calls(coordinator),
        ),
        (coordinator,),
        lambda _: None,
    )


def take(
    dead: str, coordinator: str, graphs: Mapping[str, str], *, clients: bool, limit: int = 1000
) -> Call[list[str]]:
    """Take over runs of a coordinator whose lease has expired; none if it has not.

    Gives the ids of all runs that the one that takes over holds, since an earlier answer may have got lost.

    Args:
        dead: The one that shows no sign of life.
        coordinator: The one that takes over.
        graphs: Name → fingerprint of the graphs whose runs it can go on with. Runs that end with their coordinator are
            taken whatever their graph, to be cancelled.
        clients: Whether to take over what clients have asked, too.
        limit: How many at most.
    """
    return script(
        "take",
        (
            keys.coordinators(),
            keys.owned(dead),
            keys.owned(coordinator),
            keys.inbox(dead),
            keys.inbox(coordinator),
            keys.calls(dead),
            keys.calls(coordinator),
            keys.coordinator(dead),
        ),
        (
            dead,
            coordinator,
            limit,
            seconds(keys.INBOX_TTL),
            int(clients),
            seconds(RETENTION),
            *(word for item in graphs.items() for word in item),
        ),
        lambda answer: [run.decode() for run in answer],
    )


@dataclass(frozen=True, slots=True)
class Recalled:
    """What Redis has of a run that goes on."""

    run: str
    epoch: int
    survives: bool
    """False if it was to end with its coordinator: then it is to be cancelled."""
    waits: bool
    """Whether it is another run's turn on its thread."""
    status: str
    queue: str
    sent: int
    """How many items of events its coordinators have sent."""
    outstanding: dict[str, int]
    """Task → its current attempt."""
    journal: list[bytes]
    """What it was told."""
    needs_reader: bool
    """Whether it is to be cancelled when nobody has read it for a while."""


def recall(run: str, coordinator: str) -> Call[Recalled | None]:
    """All that a coordinator needs to go on with a run; None if the run is over, or another's."""
    return script(
        "recall",
        (keys.run(run), keys.tasks(run), keys.sent(run), keys.journal(run)),
        (run, coordinator),
        lambda answer: None if answer is None else _recalled(run, *answer),
    )


def _recalled(
    run: str,
    epoch: int,
    survives: bytes,
    waits: int,
    status: bytes,
    queue: bytes,
    sent: int,
    tasks: list[bytes],
    journal: list[bytes],
    on_disconnect: bytes,
) -> Recalled:
    attempts = {task.decode(): int(attempt) for task, attempt in zip(tasks[::2], tasks[1::2], strict=True)}
    return Recalled(
        run,
        epoch,
        survives == b"1",
        waits == 1,
        status.decode(),
        queue.decode(),
        sent,
        attempts,
        journal,
        on_disconnect == b"cancel",
    )
