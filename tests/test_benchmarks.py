"""The benchmarks measure what they say they do; how fast anything is, is not asserted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUBJECTS
from benchmarks.measure import Result, as_json, measure, ratios, table

REPOSITORY = Path(__file__).parent.parent
ROOTS = [REPOSITORY / name for name in ("coordinator", "worker", "shared", ".")]


class Clockwork:
    """A subject whose round trips take as long as we say."""

    def __init__(self, name: str, micro: float, log: list[str]) -> None:
        self.name = name
        self.what = f"{micro} µs"
        self._seconds = micro / 1e6
        self._log = log

    def __enter__(self) -> None:
        self._log.append(f"{self.name} up")

    def __exit__(self, *exc: object) -> None:
        self._log.append(f"{self.name} down")

    def round(self, trips: int) -> list[float]:
        self._log.append(self.name)
        return [self._seconds] * trips


def test_subjects_take_turns_after_a_warm_up() -> None:
    log: list[str] = []
    results = measure([Clockwork("a", 100, log), Clockwork("b", 250, log)], rounds=2, trips=3)
    assert log == ["a up", "b up", "a", "b", "a", "b", "b", "a", "b down", "a down"]
    assert [result.trips for result in results] == [6, 6]


def test_figures_and_ratios() -> None:
    a, b = measure([Clockwork("a", 100, []), Clockwork("b", 250, [])], rounds=3, trips=5)
    assert (b.median, b.p10, b.p99) == pytest.approx((250, 250, 250))
    assert ratios(b, a) == pytest.approx((2.5, 2.5, 2.5))
    assert "2.50 (2.50-2.50)" in table([a, b], base="a")
    assert as_json([a, b], base="a")[1]["times_a"] == pytest.approx(2.5)
    assert as_json([b], base="a")[0]["times_a"] is None


def test_a_ratio_is_taken_round_by_round() -> None:
    """A slow round slows both: that must not show in the ratio."""
    base = Result("base", "", 2, 0, 0, 0, 0, round_medians=[100, 400])
    other = Result("other", "", 2, 0, 0, 0, 0, round_medians=[200, 800])
    assert ratios(other, base) == (2, 2, 2)


def test_everything_there_is_can_be_measured(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "1", "--trips", "3", "--json", str(figures)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    results = json.loads(figures.read_text())["results"]
    assert [result["name"] for result in results] == list(SUBJECTS)
    for result in results:
        assert result["trips"] == 3
        assert result["median"] > 0
        assert result["name"] in answer.stdout
