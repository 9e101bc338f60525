"""Contenders take turns, each in a process of its own; what they give is told as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.measure import Measured, Result, measure, ratios
from benchmarks.model import MICROSECONDS, Contender, Group, Table, Target, Unit
from benchmarks.plot import svg
from benchmarks.report import plain, text


class Race:
    """A group of clockworks, and what they did."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"

    def contender(self, name: str, micro: float, **options: Any) -> Contender:
        share, peer = options.pop("share", 1.0), options.pop("peer", False)
        arguments = {"name": name, "seconds": micro / 1e6, "log": str(self._log), **options}
        where = "tests.benchmarks.clockwork:Clockwork"
        return Contender(name, f"{micro} µs", where, arguments, share=share, peer=peer)

    def run(self, *contenders: Contender, rounds: int, size: int, **options: Any) -> Measured:
        targets = (Target("b", 3.0, "a"), Target("b", 200.0), Target("nobody", 1.0))
        unit = Unit("µs", 1e6, rate="trips")
        group = Group("race", contenders, [Table("trip", "a trip", unit, "a", targets)], **options)
        return measure(group, contenders, rounds=rounds, size=size, url="redis://nowhere", peer_python=sys.executable)

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def race(tmp_path: Path) -> Race:
    return Race(tmp_path)


def test_contenders_take_turns_after_a_warm_up(race: Race) -> None:
    measured = race.run(race.contender("a", 100), race.contender("b", 250), rounds=2, size=3, warm_up=1)
    assert race.log == ["a up", "a 1", "b up", "b 1", "a 3", "b 3", "b 3", "a 3", "b down", "a down"]
    assert [len(result.figures) for result in measured.results] == [6, 6]
    assert measured.failures == {}


def test_slow_ones_have_a_share_of_a_turn(race: Race) -> None:
    race.run(race.contender("a", 1, share=0.1), rounds=1, size=30, warm_up=5)
    assert race.log == ["a up", "a 1", "a 3", "a down"]


def test_peers_live_for_a_turn(race: Race) -> None:
    peer = race.contender("b", 1, peer=True)
    race.run(race.contender("a", 1), peer, rounds=2, size=2, warm_up=0)
    assert race.log == ["a up", "a 2", "b up", "b 2", "b down", "b up", "b 2", "b down", "a 2", "a down"]


def test_who_fails_drops_out(race: Race) -> None:
    measured = race.run(race.contender("a", 100), race.contender("b", 1, breaks=2), rounds=2, size=1)
    assert [result.name for result in measured.results] == ["a"]
    assert "RuntimeError: the spring is broken" in measured.failures["b"]
    assert "NOT MEASURED: b failed" in text(measured)


def test_who_can_not_start_drops_out(race: Race) -> None:
    nobody = Contender("b", "", "tests.benchmarks.clockwork:Nobody")
    measured = race.run(race.contender("a", 100), nobody, rounds=1, size=1)
    assert [result.name for result in measured.results] == ["a"]
    assert "has no attribute 'Nobody'" in measured.failures["b"]


def test_figures_ratios_and_targets(race: Race) -> None:
    measured = race.run(race.contender("a", 100), race.contender("b", 250), rounds=3, size=5)
    a, b = measured.results
    assert (b.median, b.quantile(0.1), b.quantile(0.99)) == pytest.approx((250e-6, 250e-6, 250e-6))
    assert ratios(b, a) == pytest.approx((2.5, 2.5, 2.5))

    shown = text(measured)
    assert "2.50 (2.50-2.50)" in shown
    assert "4,000" in shown, "trips per second"
    assert "b / a at most 3: 2.5, met" in shown
    assert "b, µs at most 200: 250, MISSED" in shown
    assert "nobody" not in shown

    (table,) = json.loads(json.dumps(plain(measured)))["tables"]
    assert [result["ratio"][0] for result in table["results"]] == pytest.approx([1, 2.5])
    assert [target["reached"] for target in table["targets"]] == pytest.approx([2.5, 250])

    assert "race: a trip (µs)" in "".join(ElementTree.fromstring(svg([measured])).itertext())


def test_a_ratio_is_taken_round_by_round() -> None:
    """A slow round slows both: that must not show in the ratio."""
    base = Result("base", "", "trip", [[100], [400]])
    other = Result("other", "", "trip", [[200], [800]])
    assert ratios(other, base) == (2, 2, 2)


def test_a_table_without_its_base_has_no_ratios() -> None:
    result = Result("b", "", "trip", [[1e-6]])
    measured = Measured(Group("race", (), [Table("trip", "a trip", MICROSECONDS, "a")]), [result], {}, 1, 1)
    assert "times" not in text(measured)
    assert plain(measured)["tables"][0]["results"][0]["ratio"] is None
