"""What a run would take if nothing but its nodes took any time: a figure that is known, not measured."""

from __future__ import annotations

from typing import Self

from benchmarks.model import Samples
from benchmarks.workloads.sleeping import NAP_SECONDS


class Ideal:
    """Naps that are shared out evenly.

    Args:
        slots: How many are taken at once.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def round(self, size: int) -> Samples:
        return {"run": [max(1.0, size / self._slots) * NAP_SECONDS]}
