"""What is read of a message: the heads of its events, whatever their payloads, and whatever the message."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.dashboard.heads import Head, read_heads
from fleetgraph.errors import RunCancelled
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.encryption import Cipher
from fleetgraph.wire.events import End, decode_message, encode_event


class Unknown:
    """A class that no dashboard knows."""

    def __init__(self) -> None:
        self.secret = 7


PAYLOADS: list[Any] = [
    None,
    {"node": {"items": [1, 2.5, "three", b"four", (5,), {6}]}},
    {(1, 2): "a key that is a tuple"},
    "x" * 100_000,
    [[[[[[]]]]]] * 20,
    2**200,
]


def message(last: int, *events: bytes) -> bytes:
    """As the script makes it that publishes."""
    return b"\x92" + b"\xcf" + last.to_bytes(8, "big") + bytes([0x90 + len(events)]) + b"".join(events)


def event(mode: str = "updates", ns: tuple[str, ...] = (), payload: Any = None, codec: Codec | None = None) -> bytes:
    return encode_event(codec or Codec(cipher=None), mode, ns, "task", 2, 1.5, payload)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_events_are_numbered_up_to_the_last(payload: Any) -> None:
    sent = message(9, *(event(payload=payload) for _ in range(3)))
    assert [head.seq for head in read_heads(sent)] == [7, 8, 9]
    assert [event.seq for event in decode_message(Codec(cipher=None), sent)] == [7, 8, 9]
    assert read_heads(sent)[0] == Head(7, "updates", "task", 2)


def test_payloads_of_classes_that_nobody_here_knows_are_no_obstacle() -> None:
    knowing = Codec([Unknown], cipher=None)
    sent = message(1, event(payload=Unknown(), codec=knowing))
    assert [head.mode for head in read_heads(sent)] == ["updates"]


@pytest.mark.parametrize("error", [None, ValueError("why"), RunCancelled("run r was cancelled")], ids=repr)
def test_the_last_event_tells_how_the_run_ended(error: Exception | None) -> None:
    (head,) = read_heads(message(1, event("run", payload=End("error", error).payload())))
    assert (head.mode, head.status) == ("run", "error")


@pytest.mark.parametrize(
    ("mode", "ns", "payload", "step"),
    [
        ("debug", (), {"step": 3, "type": "task", "payload": {}}, 3),
        ("checkpoints", (), {"metadata": {"step": -1, "source": "input"}, "values": {1: (2,)}}, -1),
        ("debug", ("inner:1",), {"step": 3}, None),
        ("checkpoints", (), {"metadata": {"step": 4}, "values": "x" * 100_000}, None),
        ("checkpoints", (), {"metadata": None}, None),
        ("debug", (), {"step": "three"}, None),
        ("debug", (), [1], None),
        ("custom", (), {"step": 3}, None),
    ],
)
def test_the_superstep_is_told_by_some(mode: str, ns: tuple[str, ...], payload: Any, step: int | None) -> None:
    (head,) = read_heads(message(1, event(mode, ns, payload)))
    assert head.step == step


def test_of_what_is_encrypted_the_head_is_read() -> None:
    sealed = Codec(cipher=Cipher([bytes(32)]))
    sent = message(2, event(payload={"a": 1}, codec=sealed), event("run", payload=End("error").payload(), codec=sealed))
    assert read_heads(sent) == [Head(1, "updates", "task", 2), Head(2, "run", "task", 2)]


@given(st.binary(max_size=200))
def test_rubbish_has_no_heads(data: bytes) -> None:
    for head in read_heads(data):
        assert isinstance(head, Head)


@given(st.integers(0, 300), st.integers(1, 3), st.binary(min_size=1, max_size=3))
def test_a_message_that_is_garbled_somewhere_does_no_harm(place: int, length: int, noise: bytes) -> None:
    events = [event(mode, (), {"step": 1, "status": "error", "metadata": {"step": 2}}) for mode in ("run", "debug")]
    sent = message(2, *events)
    garbled = sent[:place] + noise + sent[place + length :]
    for head in read_heads(garbled):
        assert type(head.seq) is int
        assert type(head.mode) is str
        assert type(head.task) is str
        assert type(head.attempt) is int
        assert head.status is None or type(head.status) is str
        assert head.step is None or type(head.step) is int


def test_arrays_that_claim_to_be_long_get_no_memory() -> None:
    claims = b"\xdd\x00\x0f\xff\xff" * 3000
    head = msgpack.packb(["debug", [], "t", 1, 1.0])
    sent = message(1, b"\x96" + head[1:] + claims)
    tracemalloc.start()
    try:
        assert read_heads(sent) == []
        assert read_heads(claims) == []
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
