"""Turns follow from what was recorded, and a node can wait for what its siblings have saved."""

from dataclasses import replace

import pytest

from tests.differential.cases.interrupts import answers
from tests.differential.harness import CASES, WAYS, Unplayable, canonical, cases, expected, play, resume
from tests.differential.libraries import Saved, library

cases()  # loads the corpus


@pytest.mark.parametrize("part", ["values", "next", "tasks", "metadata", "config"])
def test_a_damaged_snapshot_does_not_compare_equal(part: str) -> None:
    damaged, way = CASES["state_of_parallel_nodes_half_done"], WAYS["invoke-saved"]
    recordings = play(damaged, way, library("langgraph"))
    assert canonical(damaged, way, recordings) == expected(damaged, way)
    assert [damaged.turns[1].method, damaged.turns[4].method] == ["get_state", "get_state"]
    recordings[1].result = recordings[1].result._replace(**{part: getattr(recordings[4].result, part)})
    assert canonical(damaged, way, recordings) != expected(damaged, way)


def test_a_turn_that_follows_from_nothing_is_recorded_but_never_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    unplayable = replace(CASES["interrupt_once"], name="unplayable", turns=[resume(answers(nobody="yes"))])
    monkeypatch.setitem(CASES, "unplayable", unplayable)
    (played,) = play(unplayable, WAYS["invoke-saved"], library("langgraph"))
    assert isinstance(played.error, Unplayable)
    with pytest.raises(Unplayable, match=r"nothing asked 'nobody\?'"):
        expected(unplayable, WAYS["invoke-saved"])


def test_waiting_for_what_is_never_saved_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Saved, "TIMEOUT_SECONDS", 0.01)
    saved = Saved()
    saved.add([("log", ["a"])])
    saved.wait_for("log", "a")
    with pytest.raises(TimeoutError, match="nobody saved 'b' in 'log'"):
        saved.wait_for("log", "b")
    saved.clear()
    with pytest.raises(TimeoutError):
        saved.wait_for("log", "a")
