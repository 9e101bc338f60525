"""What runs on a fleet move in and out of Redis, by Redis's own counters."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Final

from benchmarks.model import Samples
from benchmarks.subjects.floor import connect
from benchmarks.subjects.graphs import OnFleet
from benchmarks.workloads.growing import ITEM_BYTES
from benchmarks.workloads.threads import new_thread

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
    """Bytes moved by a run that appends to a list, as multiples of what it appends."""

    def __init__(self, saver: bool) -> None:
        super().__init__("growing", saver=saver)

    def round(self, size: int) -> Samples:
        inputs: dict[str, Any] = {"steps": size, "items": []}
        config = new_thread(recursion_limit=size + 10)
        with connect(self.fleet.url) as client:
            before = moved_bytes(client)
            steps = sum(1 for _ in self.runnable.stream(inputs, config, stream_mode="updates"))
            if steps != size:
                raise AssertionError(f"{steps} supersteps of {size}")
            return {"multiple": [(moved_bytes(client) - before) / (size * ITEM_BYTES)]}
