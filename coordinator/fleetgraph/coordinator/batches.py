"""How much of a run goes to Redis in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fleetgraph.wire.transitions import Events, Mark

BATCH_BYTES: Final = 64_000_000
"""Of events or tasks in one call, about, unless one alone is larger: Redis cuts off who sends too much at once."""


def merged(events: Iterable[Events]) -> Iterable[Events]:
    """The same events, those that follow each other without a mark as one item."""
    number, size, blobs = 0, 0, list[bytes]()
    for one in events:
        if number and (one.mark is not Mark.NONE or size + len(one.blob) > BATCH_BYTES):
            yield Events(number, b"".join(blobs))
            number, size, blobs = 0, 0, []
        if one.mark is Mark.NONE:
            number, size = number + one.number, size + len(one.blob)
            blobs.append(one.blob)
        else:
            yield one
    if number:
        yield Events(number, b"".join(blobs))


def batches(items: Iterable[Events]) -> Iterable[list[Events]]:
    """Items as Redis takes them at once: a few large ones at most."""
    batch: list[Events] = []
    size = 0
    for one in items:
        if batch and size + len(one.blob) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.blob)
    if batch:
        yield batch
