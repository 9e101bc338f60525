"""Counts what the generated scenarios were about."""

from __future__ import annotations

from collections import Counter

from tests.fuzz.comparing import Seen


class Statistics:
    """How many scenarios were played, and how often each feature occurred."""

    def __init__(self) -> None:
        self.scenarios = 0
        self._features: Counter[str] = Counter()

    def add(self, seen: Seen) -> None:
        """Count a scenario that was played."""
        self.scenarios += 1
        self._features.update(seen.features)

    def __str__(self) -> str:
        lines = [f"{self.scenarios} scenarios played on both libraries"]
        lines += [f"  {count:7} {name}" for name, count in sorted(self._features.items())]
        return "\n".join(lines)
