"""Whether leases can be believed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetgraph.coordinator import calm as module
from fleetgraph.coordinator.calm import Calm


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_it_is_calm_at_first(clock: list[float]) -> None:
    assert Calm(timedelta(seconds=3))


def test_a_lease_s_time_after_an_outage_it_is_calm_again(clock: list[float]) -> None:
    calm = Calm(timedelta(seconds=3))
    calm.failed()
    clock[0] += 2.9
    assert not calm
    clock[0] += 0.2
    assert calm


@pytest.mark.parametrize(("seconds", "is_calm"), [(1.9, True), (2.1, False)])
def test_an_answer_that_takes_long_is_the_end_of_an_outage(clock: list[float], seconds: float, is_calm: bool) -> None:
    calm = Calm(timedelta(seconds=3))
    with calm.asking():
        clock[0] += seconds
    assert bool(calm) == is_calm
