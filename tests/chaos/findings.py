"""What the chaos run has counted, and what it has found wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not happen."""

    kind: str
    run: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}{f' (run {self.run})' if self.run else ''}: {self.detail}"


class Findings:
    """Written by all threads."""

    def __init__(self, verbose: bool) -> None:
        self._lock = threading.Lock()
        self._verbose = verbose
        self._began = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.story: list[str] = []
        """What happened, in order."""

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def violation(self, kind: str, run: str, detail: str) -> None:
        found = Violation(kind, run, detail)
        with self._lock:
            self.violations.append(found)
        self.tell(f"VIOLATION {found}")

    def tell(self, what: str) -> None:
        """Note an event of the chaos run, and print it if that is wanted."""
        line = self.note(what)
        if self._verbose:
            print(line, flush=True)

    def note(self, what: str) -> str:
        """Note what only matters to whoever looks for a cause."""
        line = f"{time.monotonic() - self._began:8.2f} {what}"
        with self._lock:
            self.story.append(line)
        return line
