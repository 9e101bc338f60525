"""What is put together, and what is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fleetgraph.coordinator.coalescing import BATCH_BYTES, coalesced
from fleetgraph.wire.calling import Call, command
from fleetgraph.wire.transitions import Events, Publication, publish_from_coordinator

A, B = SimpleNamespace(id="a"), SimpleNamespace(id="b")


def said(run: Any, start: int, *blobs: bytes, epoch: int = 1) -> tuple[Any, Call[Any]]:
    return run, publish_from_coordinator(run.id, epoch, [Events(1, blob) for blob in blobs], start=start)


def shown(calls: list[tuple[Any, Call[Any]]]) -> list[Any]:
    return [
        (call.run, call.start, b"".join(item.blob for item in call.items)) if isinstance(call, Publication) else call
        for _, call in calls
    ]


def test_what_a_run_publishes_in_a_row_is_published_at_once() -> None:
    calls = coalesced([said(A, 0, b"1"), said(B, 0, b"x"), said(A, 1, b"2", b"3"), said(A, 3, b"4"), said(B, 1, b"y")])

    assert shown(calls) == [("a", 0, b"1234"), ("b", 0, b"xy")]
    assert (
        calls[0][1].words
        == publish_from_coordinator("a", 1, [Events(1, b) for b in (b"1", b"2", b"3", b"4")], start=0).words
    )


def test_nothing_of_a_run_overtakes_what_it_sent_before() -> None:
    dispatched = command("DISPATCH")
    calls = coalesced([said(A, 0, b"1"), (A, dispatched), said(A, 1, b"2"), said(A, 2, b"3")])

    assert shown(calls) == [("a", 0, b"1"), dispatched, ("a", 1, b"23")]


def test_what_belongs_to_no_run_stands_in_nobodys_way() -> None:
    looked = command("LOOK")

    assert shown(coalesced([said(A, 0, b"1"), (None, looked), said(A, 1, b"2")])) == [("a", 0, b"12"), looked]


def test_epochs_are_kept_apart() -> None:
    calls = coalesced([said(A, 0, b"1"), said(A, 1, b"2", epoch=2)])

    assert shown(calls) == [("a", 0, b"1"), ("a", 1, b"2")]


def test_it_does_not_get_too_large() -> None:
    half = bytes(BATCH_BYTES // 2 + 1)

    assert len(coalesced([said(A, 0, half), said(A, 1, half), said(A, 2, b"3")])) == 2
