"""Putting events in order, whatever the channel does to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.client.sequence import Sequence
from fleetgraph.errors import EventsLost
from fleetgraph.wire.events import Batch, Event


def message(*seqs: int) -> Batch:
    return Batch(seqs[0], seqs[-1], iter([Event(seq, "custom", (), "", 0, 0.0, seq) for seq in seqs]))


def seqs(events: Iterator[Event] | None) -> list[int] | None:
    return None if events is None else [event.seq for event in events]


def test_events_in_order_go_through() -> None:
    sequence = Sequence("r")
    assert seqs(sequence.from_channel(message(1, 2))) == [1, 2]
    assert seqs(sequence.from_channel(message(3))) == [3]


def test_events_known_from_the_log_are_not_repeated() -> None:
    sequence = Sequence("r", after=2)
    assert seqs(sequence.from_channel(message(1, 2))) == []
    assert seqs(sequence.from_channel(message(2, 3))) == [3]


def test_a_gap_sends_the_reader_to_the_log() -> None:
    sequence = Sequence("r")
    assert sequence.from_channel(message(2)) is None
    assert seqs(sequence.from_log([message(1), message(2)])) == [1, 2]


def test_a_log_that_starts_too_late_is_an_error_that_says_what_is_gone() -> None:
    sequence = Sequence("r", after=3)
    with pytest.raises(EventsLost) as caught:
        list(sequence.from_log([message(7, 8)]))
    assert (caught.value.run, caught.value.first, caught.value.last) == ("r", 4, 6)


@pytest.mark.parametrize("recorded", [3, 5], ids=["nothing new", "read just now"])
def test_a_log_read_to_the_number_on_record_misses_nothing(recorded: int) -> None:
    sequence = Sequence("r", after=3)
    list(sequence.from_log([message(4, 5)]))
    sequence.check(recorded, before=3)


def test_a_log_that_ends_too_early_is_an_error() -> None:
    sequence = Sequence("r", after=3)
    with pytest.raises(EventsLost) as caught:
        sequence.check(9, before=3)
    assert (caught.value.first, caught.value.last) == (4, 9)


@pytest.mark.parametrize("recorded", [None, 2], ids=["gone", "begun anew"])
def test_a_run_that_vanished_is_an_error(recorded: int | None) -> None:
    sequence = Sequence("r", after=3)
    with pytest.raises(EventsLost, match="no longer in Redis") as caught:
        sequence.check(recorded, before=3)
    assert (caught.value.first, caught.value.last) == (4, None)


@given(st.data())
def test_each_event_arrives_once_and_in_order(data: st.DataObject) -> None:
    """The channel loses and repeats messages as it likes; the log keeps them all."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    log: list[range] = []
    for size in sizes:
        first = sum(map(len, log)) + 1
        log.append(range(first, first + size))
    channel = data.draw(st.lists(st.integers(0, len(log) - 1), max_size=20).map(sorted))

    sequence = Sequence("r")
    got: list[int] = []
    for place in channel:
        fresh = sequence.from_channel(message(*log[place]))
        if fresh is None:
            fresh = sequence.from_log(message(*logged) for logged in log[: place + 1])
        got += [event.seq for event in fresh]
    got += [event.seq for event in sequence.from_log(message(*logged) for logged in log)]

    assert got == list(range(1, sum(sizes) + 1))
