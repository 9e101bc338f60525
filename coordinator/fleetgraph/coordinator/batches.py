"""How much of a run goes to Redis in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from fleetgraph.wire.transitions import Events, Mark

BATCH_BYTES: Final = 64_000_000
"""In one call, about, unless one item alone has more: Redis cuts off who sends too much at once."""

T = TypeVar("T")


def batches(items: Iterable[T], size: Callable[[T], int], most: int = sys.maxsize) -> Iterable[list[T]]:
    """The same items, a few large ones at most together, and never more than `most`; none of the lists is empty.

    `size` gives the bytes of one.
    """
    batch: list[T] = []
    total = 0
    for one in items:
        if batch and (total + size(one) > BATCH_BYTES or len(batch) == most):
            yield batch
            batch, total = [], 0
        batch.append(one)
        total += size(one)
    if batch:
        yield batch


def event_batches(events: Iterable[Events]) -> Iterable[list[Events]]:
    """Events as Redis takes them, in as few items as possible, a few large ones at most together."""
    return batches(_merged(events), lambda one: len(one.blob))


def _merged(events: Iterable[Events]) -> Iterable[Events]:
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
