"""Events: encoded one at a time, published in batches, decoded a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from fleetgraph.client.readable import ReadableCodec
from fleetgraph.errors import DecodeError, EncodeError
from fleetgraph.messages import MessageChunk
from fleetgraph.wire import Codec, events
from fleetgraph.wire.encryption import Cipher
from fleetgraph.wire.events import Event, EventEncoder, decode_message, encode_event, read_batch

PLAIN, SEALING = Codec(cipher=None), Codec(cipher=Cipher([bytes(32)]))

METADATA: dict[str, Any] = {
    "langgraph_node": "talk",
    "langgraph_step": 1,
    "langgraph_path": ("__pregel_push", ("a", 1), False),
    "tags": ["a", "b"],
    "temperature": 0.5,
    "user": None,
}

TOKENS: list[Any] = [
    AIMessageChunk(content="word ", id="run-1"),
    AIMessageChunk(
        content="", id="run-1", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}]
    ),
    AIMessageChunk(
        content="x" * 70_000, id="run-1", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    ),
    AIMessage(content=[{"type": "text", "text": "é"}], response_metadata={"finish_reason": "stop"}),
    AIMessageChunk(content="\ud800 half a pair", id="run-1"),
    MessageChunk("word ", "run-1"),
]


def message(last: int, *encoded: bytes) -> bytes:
    """As the script makes it that publishes."""
    return b"\x92\xcf" + last.to_bytes(8, "big") + b"\xdc" + len(encoded).to_bytes(2, "big") + b"".join(encoded)


def flood(codec: Codec, *payloads: Any, mode: str = "custom") -> bytes:
    encoded = [encode_event(codec, mode, ("a", "b:1"), "task", 1, 1.5, payload) for payload in payloads]
    return message(len(encoded), *encoded)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event is made at the same time."""
    monkeypatch.setattr(events, "time", lambda: 1.5)


# --- encoding -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("ns", [(), ("a", "b:1")], ids=repr)
@pytest.mark.parametrize("payload", [None, {"a": [1, (2,)]}, "x" * 70_000, "\ud800"], ids=lambda one: repr(one)[:20])
def test_an_encoder_makes_the_bytes_of_an_event(payload: Any, ns: tuple[str, ...]) -> None:
    encoder = EventEncoder(PLAIN, "custom", ns, "task", 2)
    assert encoder.encode(payload) == encode_event(PLAIN, "custom", ns, "task", 2, 1.5, payload)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: type(token).__name__)
def test_an_encoder_makes_the_bytes_of_a_message_with_its_metadata(token: Any) -> None:
    encoder = EventEncoder(PLAIN, "messages", (), "task", 2)
    encoded = encode_event(PLAIN, "messages", (), "task", 2, 1.5, (token, METADATA))
    assert [encoder.encode_message(token, METADATA) for _ in range(3)] == [encoded] * 3


def test_metadata_is_encoded_once() -> None:
    metadata = dict(METADATA)
    encoder = EventEncoder(PLAIN, "messages", (), "task", 2)
    first = encoder.encode_message(TOKENS[0], metadata)
    metadata["langgraph_step"] = object()
    assert len(encoder.encode_message(TOKENS[0], metadata)) == len(first)


def test_metadata_of_many_models_is_not_mixed_up() -> None:
    encoder = EventEncoder(PLAIN, "messages", (), "task", 2)
    models = [{"model": number} for number in range(50)]
    for model in models * 2:
        (event,) = decode_message(PLAIN, message(1, encoder.encode_message(TOKENS[0], model)))
        assert event.payload[1] == model


@pytest.mark.parametrize("codec", [PLAIN, SEALING], ids=["plain", "encrypted"])
def test_what_an_encoder_makes_is_decoded(codec: Codec) -> None:
    encoder = EventEncoder(codec, "messages", ("a",), "task", 2)
    events = [
        event._replace(ts=0.0)
        for event in decode_message(
            codec, message(8, encoder.encode({"a": 1}), encoder.encode_message(TOKENS[1], METADATA))
        )
    ]
    assert events == [
        Event(7, "messages", ("a",), "task", 2, 0.0, {"a": 1}),
        Event(8, "messages", ("a",), "task", 2, 0.0, (TOKENS[1], METADATA)),
    ]


def test_an_encoder_encrypts() -> None:
    encoder = EventEncoder(SEALING, "messages", ("a",), "task", 2)
    encoded = encoder.encode({"secret": 1}) + encoder.encode_message(TOKENS[1], {"secret": 1})
    assert b"secret" not in encoded
    assert b"messages" in encoded


@pytest.mark.parametrize("codec", [PLAIN, SEALING], ids=["plain", "encrypted"])
def test_what_can_not_travel_is_an_error_that_says_where_it_is(codec: Codec) -> None:
    encoder = EventEncoder(codec, "messages", (), "task", 2, "node 'talk', messages event")
    unfit = AIMessageChunk(content="", additional_kwargs={"lock": object()})
    cases: list[tuple[Callable[[], bytes], str]] = [
        (lambda: encoder.encode({"a": object()}), "$.a"),
        (lambda: encoder.encode_message(unfit, {}), "$[0].additional_kwargs.lock"),
        (lambda: encoder.encode_message(TOKENS[0], {"a": object()}), "$[1].a"),
    ]
    for encode, place in cases:
        with pytest.raises(EncodeError, match="object") as caught:
            encode()
        assert caught.value.where == "node 'talk', messages event"
        assert place in str(caught.value)


# --- decoding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [PLAIN, SEALING], ids=["plain", "encrypted"])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 1000])
def test_a_flood_is_numbered_and_in_order(codec: Codec, count: int) -> None:
    batch = read_batch(codec, flood(codec, *({"number": number, "text": "x" * 200} for number in range(count))))
    assert (batch.first, batch.last) == (1, count)
    events = list(batch.events)
    assert [event.seq for event in events] == list(range(1, count + 1))
    assert [event.payload["number"] for event in events] == list(range(count))
    assert {event[1:6] for event in events} == {("custom", ("a", "b:1"), "task", 1, 1.5)}


def test_events_of_several_tasks_are_told_apart() -> None:
    heads = [(mode, ns, f"t{n}", n) for n in range(20) for mode in ("custom", "updates") for ns in ((), ("a",))]
    encoded = [encode_event(PLAIN, *head, 1.5, "x" * 100) for head in heads]
    assert [event[1:5] for event in decode_message(PLAIN, message(len(heads), *encoded))] == heads


def test_half_a_surrogate_pair_in_a_flood_harms_nobody() -> None:
    payloads = ["x" * 100] * 50 + ["\ud800"] + ["y" * 100] * 50
    assert [event.payload for event in decode_message(PLAIN, flood(PLAIN, *payloads))] == payloads


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: type(token).__name__)
def test_tokens_arrive_as_they_were(token: Any) -> None:
    payloads = [event.payload for event in decode_message(PLAIN, flood(PLAIN, *[(token, METADATA)] * 40))]
    assert payloads == [(token, METADATA)] * 40
    for arrived, _ in payloads:
        assert vars(arrived) == vars(token)
        if isinstance(token, AIMessage):
            assert arrived.model_fields_set == token.model_fields_set


def test_chunks_share_nothing_that_can_be_changed() -> None:
    payloads = [event.payload for event in decode_message(PLAIN, flood(PLAIN, *[(TOKENS[0], METADATA)] * 10))]
    for token, metadata in payloads:
        assert (token.response_metadata, metadata) == ({}, METADATA)
        token.response_metadata["changed"] = True
        metadata["tags"].append("changed")
        metadata["changed"] = True


def test_metadata_that_holds_more_than_lists_is_not_shared_either() -> None:
    metadata = {"nested": {"a": [1]}, "deep": [[1]], "set": {1}}
    payloads = [event.payload for event in decode_message(PLAIN, flood(PLAIN, *[(TOKENS[0], metadata)] * 10))]
    for _, arrived in payloads:
        assert arrived == metadata
        arrived["nested"]["a"].append(2)
        arrived["deep"][0].append(2)
        arrived["set"].add(2)


@pytest.mark.parametrize(
    "pair",
    [
        b"\x92\xc7\x0c\xff" + bytes(12) + b"\x01",  # msgpack's own timestamp, which needs no decoding by us
        b"\x92\xc7\x02\x02\x91\x01\x01",  # a set
    ],
    ids=["timestamp", "set"],
)
def test_pairs_of_other_things_are_pairs(pair: bytes) -> None:
    first, second = PLAIN.decode(b"\xc7" + bytes([len(pair), 1]) + pair)
    assert type(first) in (datetime, set)
    assert second == 1


def test_a_pair_that_says_that_it_is_longer_is_an_error() -> None:
    for pair in (b"\x92\xc7\xff\x20\x90\x01", b"\x92\xc8\xff\xff\x20\x90\x01", b"\x92\xc7\x01\x20", b"\x92\xc8"):
        with pytest.raises(DecodeError):
            PLAIN.decode(b"\xc7" + bytes([len(pair), 1]) + pair)


@pytest.mark.parametrize("place", range(4))
def test_an_event_that_begins_with_something_odd_is_an_error(place: int) -> None:
    numpy = pytest.importorskip("numpy")
    good: list[Any] = ["custom", ["a"], "task", 1, 1.5, "x" * 100]
    odd = [*good[:place], [numpy.zeros(3)] if place == 1 else numpy.zeros(3), *good[place + 1 :]]
    for bodies in ([good, odd], [good] * 50 + [odd]):
        with pytest.raises(DecodeError):
            decode_message(PLAIN, PLAIN.encode([len(bodies), bodies]))


@dataclass(frozen=True)
class Unknown:
    text: str


def test_a_reader_without_the_classes_reads_a_flood() -> None:
    knowing = Codec([Unknown], cipher=None)
    payloads: list[Any] = [{"a": Unknown("x" * 100)}] * 50 + [{Unknown("key"): 1}] + [{"a": Unknown("y")}] * 50
    arrived = [event.payload for event in decode_message(ReadableCodec(), flood(knowing, *payloads))]
    assert arrived[0] == {"a": {"text": "x" * 100}}
    assert arrived[50] == {"Unknown(text='key')": 1}
    assert arrived[100]["a"] in ({"text": "y"}, "Unknown(text='y')")


GOOD = flood(PLAIN, *["x" * 200] * 50)


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:-1],
        GOOD + b"\xc0",
        GOOD.replace(b"\xdc\x00\x32", b"\xdd\xff\xff\xff\xff"),
        b"\x93" + GOOD[1:],
        b"\x92\xcb" + GOOD[2:],
        b"\xc0" * 5000,
        message(1, b"\x96" + b"\xc0" * 5000),
        message(40, *[b"\xd9\xc8" + b"x" * 200] * 40),
        message(50, *[b"\x95" + b"\xda\x00\xc8" + b"x" * 200 + b"\xc0" * 4] * 50),
    ],
    ids=["cut off", "more behind", "endless", "three items", "a float", "nils", "nil events", "texts", "short event"],
)
def test_a_large_message_that_is_none_is_an_error(data: bytes) -> None:
    assert len(data) > 4096
    with pytest.raises(DecodeError):
        decode_message(PLAIN, data)
