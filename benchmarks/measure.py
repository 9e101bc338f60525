"""Measuring side by side: each contender has its turn in each round, so that a slow minute slows them all."""

from __future__ import annotations

import statistics
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from benchmarks.children import Child, SubjectFailed
from benchmarks.model import REDIS_URL, Contender, Group, Samples


@dataclass(frozen=True)
class Result:
    """The figures of one measure of one contender."""

    name: str
    what: str
    measure: str
    rounds: Sequence[Sequence[float]]
    """Those of each round."""

    @property
    def figures(self) -> list[float]:
        """All of them, the smallest first."""
        return sorted(figure for figures in self.rounds for figure in figures)

    @property
    def median(self) -> float:
        """The median of all figures."""
        return statistics.median(self.figures)

    @property
    def round_medians(self) -> list[float]:
        """The median of each round: how far they are apart says how quiet the machine was."""
        return [statistics.median(figures) for figures in self.rounds]

    def quantile(self, q: float) -> float:
        """The figure that a share `q` of them is below."""
        figures = self.figures
        return figures[min(len(figures) - 1, int(q * len(figures)))]


@dataclass(frozen=True)
class Measured:
    """What came out of a group."""

    group: Group
    results: Sequence[Result]
    failures: Mapping[str, str]
    """Why contenders could not be measured, by their names."""
    rounds: int
    size: int

    def of(self, measure: str) -> dict[str, Result]:
        """The results of one measure, by contender."""
        return {result.name: result for result in self.results if result.measure == measure}


def ratios(result: Result, base: Result) -> tuple[float, float, float]:
    """How many times `base` it is: the median over the rounds, the lowest and the highest round."""
    each = [one / other for one, other in zip(result.round_medians, base.round_medians, strict=True)]
    return statistics.median(each), min(each), max(each)


def measure(
    group: Group, contenders: Sequence[Contender], *, rounds: int, size: int, url: str, peer_python: str | None
) -> Measured:
    """Let contenders of a group have `rounds` turns each, after one that is not counted.

    One that fails drops out, and the others go on.

    Args:
        group: Says what is measured.
        contenders: Those of its contenders that take part.
        rounds: Turns of each.
        size: Of a turn.
        url: Of the group's Redis.
        peer_python: The interpreter of the peers' environment, if any of them is a peer.
    """
    warm_up = size if group.warm_up is None else min(group.warm_up, size)

    def share(contender: Contender, whole: int) -> int:
        return max(1, int(contender.share * whole)) if whole else 0

    failures: dict[str, str] = {}
    taken: dict[str, list[Samples]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        turns: dict[str, _Turns] = {}
        for contender in contenders:
            try:
                turns[contender.name] = stack.enter_context(
                    _turns(contender, url, share(contender, warm_up), peer_python)
                )
            except SubjectFailed as error:
                failures[contender.name] = str(error)
        for number in range(rounds):
            _tell(f"{group.name}: round {number + 1} of {rounds}")
            # Alternate the order: what runs right after the slowest contender finds the caches cold.
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                if contender.name in failures:
                    continue
                try:
                    taken[contender.name].append(turns[contender.name].take(share(contender, size)))
                except SubjectFailed as error:
                    failures[contender.name] = str(error)
    _tell("")
    results = [
        Result(contender.name, contender.what, name, [samples[name] for samples in taken[contender.name]])
        for contender in contenders
        if contender.name not in failures
        for name in (taken[contender.name][0] if taken[contender.name] else ())
    ]
    return Measured(group, results, failures, rounds, size)


def _tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


def _turns(contender: Contender, url: str, warm_up: int, peer_python: str | None) -> _Turns:
    arguments = {name: url if value == REDIS_URL else value for name, value in contender.arguments.items()}
    if contender.peer:
        assert peer_python is not None, "peers take part only where there is an environment for them"
        return _InNewProcesses(lambda: Child(contender, arguments, peer_python), warm_up)
    return _InOneProcess(Child(contender, arguments), warm_up)


class _Turns(ABC):
    """The turns of a contender. A context manager: entering it sets up what they have in common."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    @abstractmethod
    def take(self, size: int) -> Samples:
        """Have a turn."""


class _InOneProcess(_Turns):
    """The turns of a subject that has warmed up once."""

    def __init__(self, child: Child, warm_up: int) -> None:
        self._child = child
        self._warm_up = warm_up

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._child)
            if self._warm_up:
                self._child.round(self._warm_up)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def take(self, size: int) -> Samples:
        return self._child.round(size)


class _InNewProcesses(_Turns):
    """The turns of a subject that is started, and warms up, for each of them."""

    def __init__(self, make: Callable[[], Child], warm_up: int) -> None:
        self._make = make
        self._warm_up = warm_up

    def take(self, size: int) -> Samples:
        with self._make() as child:
            if self._warm_up:
                child.round(self._warm_up)
            return child.round(size)
