"""Measuring side by side: each subject has its turn in each round, so that a slow minute slows them all."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Protocol


class Subject(Protocol):
    """Something whose round trips are measured; a context manager that sets up and tears down."""

    name: str
    what: str
    """What one round trip of it is, for the table."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: object) -> None: ...

    def round(self, trips: int) -> list[float]:
        """Make `trips` round trips, one after the other; the seconds that each took."""
        ...


@dataclass(frozen=True)
class Result:
    """What was measured of one subject; times are in microseconds per round trip."""

    name: str
    what: str
    trips: int
    median: float
    p10: float
    p90: float
    p99: float
    round_medians: list[float]
    """The median of each round: how far they are apart says how quiet the machine was."""


def measure(subjects: Sequence[Subject], rounds: int, trips: int) -> list[Result]:
    """Measure `subjects` in turns: `rounds` of `trips` round trips each, after one that is not counted."""
    with ExitStack() as stack:
        for subject in subjects:
            stack.enter_context(subject)
        for subject in subjects:
            subject.round(trips)
        taken: dict[str, list[list[float]]] = {subject.name: [] for subject in subjects}
        for number in range(rounds):
            # Alternate the order: what runs right after the slowest subject finds the caches cold.
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                taken[subject.name].append(subject.round(trips))
    return [_result(subject, taken[subject.name]) for subject in subjects]


def _result(subject: Subject, rounds: list[list[float]]) -> Result:
    micro = sorted(seconds * 1e6 for seconds_of_round in rounds for seconds in seconds_of_round)

    def quantile(q: float) -> float:
        return micro[min(len(micro) - 1, int(q * len(micro)))]

    return Result(
        name=subject.name,
        what=subject.what,
        trips=len(micro),
        median=statistics.median(micro),
        p10=quantile(0.10),
        p90=quantile(0.90),
        p99=quantile(0.99),
        round_medians=[statistics.median(seconds) * 1e6 for seconds in rounds],
    )


def ratios(result: Result, base: Result) -> tuple[float, float, float]:
    """How many times `base` it takes: the median over the rounds, and the lowest and highest round."""
    each = [one / other for one, other in zip(result.round_medians, base.round_medians, strict=True)]
    return statistics.median(each), min(each), max(each)


def table(results: Sequence[Result], base: str) -> str:
    """The results as text; ratios are to the subject named `base`, if it was measured."""
    base_result = next((result for result in results if result.name == base), None)
    head = ["", "median", "p10", "p90", "p99", f"times {base}" if base_result else "", "what"]
    rows = [head]
    for result in results:
        ratio = ""
        if base_result is not None:
            middle, low, high = ratios(result, base_result)
            ratio = f"{middle:.2f} ({low:.2f}-{high:.2f})"
        figures = [f"{value:,.0f}" for value in (result.median, result.p10, result.p90, result.p99)]
        rows.append([result.name, *figures, ratio, result.what])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    right = range(1, 6)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_json(results: Sequence[Result], base: str) -> list[dict[str, object]]:
    """The results as plain values, each with its ratio to the subject named `base`, if that was measured."""
    base_result = next((result for result in results if result.name == base), None)
    return [
        {**asdict(result), f"times_{base}": ratios(result, base_result)[0] if base_result else None}
        for result in results
    ]
