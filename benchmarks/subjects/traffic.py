"""What runs on a fleet move in and out of Redis, by Redis's own counters."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing
from itertools import pairwise
from typing import Any, Final

from benchmarks.model import Samples
from benchmarks.subjects.floor import connect
from benchmarks.subjects.graphs import OnFleet
from benchmarks.workloads.growing import ITEM_BYTES
from benchmarks.workloads.threads import new_thread

PARTS: Final = 10
"""Into so many a run is cut, to compare the last one with the second: in the first, values still travel with tasks."""

FIRST_STEPS: Final = 20
"""Supersteps after which a large value has been wherever it is needed."""


def moved_bytes(client: Any) -> int:
    """All that went in and out of Redis so far."""
    info = client.info("stats")
    return info["total_net_input_bytes"] + info["total_net_output_bytes"]


class LargeChannel(OnFleet):
    """Bytes moved per superstep beside a large value that does not change, once that is where it is needed."""

    def __init__(self, saver: bool, ballast_bytes: int) -> None:
        super().__init__("ballast", saver=saver)
        self._ballast = os.urandom(ballast_bytes)

    def round(self, size: int) -> Samples:
        inputs = {"done": 0, "steps": FIRST_STEPS + size, "ballast": self._ballast}
        config = new_thread(recursion_limit=FIRST_STEPS + size + 10)
        before = 0
        with (
            connect(self.fleet.url) as client,
            closing(self.runnable.stream(inputs, config, stream_mode="updates")) as chunks,
        ):
            for number, _ in enumerate(chunks, 1):
                if number == FIRST_STEPS:
                    before = moved_bytes(client)
            return {"moved": [(moved_bytes(client) - before) / size]}


class GrowingList(OnFleet):
    """Bytes moved by a run that appends to a list, as multiples of what it appends; and how much longer the last of its
    supersteps take than the first.
    """

    def __init__(self, saver: bool) -> None:
        super().__init__("growing", saver=saver)

    def round(self, size: int) -> Samples:
        inputs: dict[str, Any] = {"steps": size, "items": []}
        config = new_thread(recursion_limit=size + 10)
        with connect(self.fleet.url) as client:
            before = moved_bytes(client)
            ends = [time.perf_counter() for _ in self.runnable.stream(inputs, config, stream_mode="updates")]
            moved = moved_bytes(client) - before
        if len(ends) != size:
            raise AssertionError(f"{len(ends)} supersteps of {size}")
        seconds = [after - before for before, after in pairwise(ends)]
        part = max(1, size // PARTS)
        slower = statistics.median(seconds[-part:]) / statistics.median(seconds[part : 2 * part])
        return {"multiple": [moved / (size * ITEM_BYTES)], "slower": [slower]}
