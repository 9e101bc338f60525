"""Under load, what a run publishes time and again within one round trip is published at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fleetgraph.wire.calling import Call
from fleetgraph.wire.transitions import Publication, publish_from_coordinator

BATCH_BYTES: Final = 1_000_000
"""About how large what is put together gets: more would only hold up Redis."""


def coalesced(calls: Iterable[tuple[Any, Call[Any]]]) -> list[tuple[Any, Call[Any]]]:
    """The same (run, call)s, with publications of a run that follow each other made into one.

    Whatever else a run sends stays between those before it and those after it; among runs the order does not matter.
    """
    made: list[tuple[Any, Call[Any]]] = []
    groups: dict[int, list[Publication]] = {}
    growing: dict[str, tuple[int, int]] = {}
    """By run, where its last publication is in `made`, and how large; as long as nothing else of the run follows it."""
    for run, call in calls:
        if isinstance(call, Publication) and call.start is not None:
            size = sum(len(item.blob) for item in call.items)
            place, before = growing.get(call.run, (-1, 0))
            if place >= 0 and groups[place][0].epoch == call.epoch and before + size <= BATCH_BYTES:
                groups[place].append(call)
                growing[call.run] = place, before + size
                continue
            groups[len(made)] = [call]
            growing[call.run] = len(made), size
        elif run is not None:
            growing.pop(run.id, None)
        made.append((run, call))
    for place, parts in groups.items():
        if len(parts) > 1:
            made[place] = made[place][0], _together(parts)
    return made


def _together(parts: list[Publication]) -> Publication:
    first = parts[0]
    items = [item for part in parts for item in part.items]
    return publish_from_coordinator(first.run, first.epoch, items, start=first.start)
