"""Lists in pieces: what the pieces cover, how many there are, and how much is written for them."""

from __future__ import annotations

import pytest

from fleetgraph import growing
from fleetgraph.growing import covered_by, pieces, span


@pytest.fixture(autouse=True)
def small_fan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "FAN", 4)


@pytest.mark.parametrize("growths", [*range(70), 255, 256, 257, 4095, 4096])
def test_the_pieces_follow_each_other_without_a_gap(growths: int) -> None:
    end = 0
    for number in pieces(growths):
        assert number - span(number) == end
        end = number
    assert end == growths


def test_a_piece_makes_just_those_needless_that_it_covers() -> None:
    there: set[int] = set()
    for number in range(1, 300):
        there.add(number)
        there.difference_update(covered_by(number))
        assert there == set(pieces(number))


def test_neither_the_pieces_nor_what_is_written_grow_like_the_list() -> None:
    assert max(len(list(pieces(growths))) for growths in range(4096)) == 3 * 6
    assert sum(span(number) for number in range(1, 4097)) == 4096 + 6 * 4096 * 3 // 4
