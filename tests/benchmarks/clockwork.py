"""A subject whose figures are known, and which tells what is done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from benchmarks.model import Samples


class Clockwork:
    """Each trip takes as long as it is told to.

    Args:
        name: How it calls itself.
        seconds: Of a trip.
        log: The file to which it appends what happens.
        breaks: The turn in which it fails; never if it is 0.
    """

    def __init__(self, name: str, seconds: float, log: str, breaks: int = 0) -> None:
        self._name = name
        self._seconds = seconds
        self._log = Path(log)
        self._left = breaks

    def _tell(self, what: str) -> None:
        with self._log.open("a") as file:
            print(self._name, what, file=file)

    def __enter__(self) -> Self:
        self._tell("up")
        return self

    def __exit__(self, *exc: object) -> None:
        self._tell("down")

    def round(self, size: int) -> Samples:
        print("subjects may print what they like")
        self._tell(str(size))
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("the spring is broken")
        return {"trip": [self._seconds] * size}
