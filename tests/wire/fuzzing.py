"""Every decoder of bytes that come from Redis, with messages that it is meant for."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import strategies as st
from pydantic import BaseModel

from fleetgraph.checkpoint.base import Place
from fleetgraph.checkpoint.encoding import METADATA, EncodingSaver
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.errors import FleetgraphError
from fleetgraph.wire import Codec
from fleetgraph.wire.calls import Method, Reply, decode_call, decode_reply, encode_call, encode_reply
from fleetgraph.wire.encryption import Cipher
from fleetgraph.wire.events import decode_message, encode_event
from fleetgraph.wire.messages import Answer, GraphRef, Outcome, Request, TaskMessage
from fleetgraph.wire.requests import decode_answer, decode_request, encode_answer, encode_request
from fleetgraph.wire.rq_serializer import MsgpackSerializer, job_data, message_of
from fleetgraph.wire.transitions import Route
from fleetgraph.wire.unreadable import unreadable_answer, unreadable_outcome, unreadable_request

msgpack: Any = importlib.import_module("msgpack")  # has no types


@dataclass
class Item:
    name: str


class Point(NamedTuple):
    x: int


class Model(BaseModel):
    a: int = 1


class Saver(EncodingSaver, InMemorySaver):
    """A saver of which only what it makes of bytes is of interest."""

    def __init__(self) -> None:
        EncodingSaver.__init__(self, [Item, Point, Model])

    def head(self, data: bytes) -> Any:
        return self._decode_head(data, PLACE).filled

    def metadata(self, data: bytes) -> Any:
        return self._decode(data, PLACE, METADATA).get("source")

    def write(self, data: bytes) -> Any:
        return self._decode_row(data, PLACE, "a write", (str, str, bytes))

    def encoded(self, value: Any) -> Any:
        checkpoint = {
            "v": 4,
            "id": "1",
            "ts": "now",
            "versions_seen": {},
            "channel_versions": {"a": "1", "b": "2"},
            "channel_values": {"a": value},
        }
        return self._encode(PLACE, checkpoint, {"source": "input", "step": -1}, {"a": "1"})


PLACE = Place("thread", "", "1")
CODEC = Codec([Item, Point, Model])
SEALING = Codec([Item, Point, Model], Cipher([b"k" * 32]))
SAVER = Saver()

NESTED: Any = []
for _ in range(40):
    NESTED = (NESTED,)

VALUE: Any = {
    "messages": [Item("é"), Model(a=2), Point(1), (1, {2}), NESTED],
    "when": datetime(2024, 1, 1, tzinfo=UTC),
    "many": list(range(40)),
    "data": b"\x00" * 40,
}
TASK = TaskMessage(
    *("run", "inbox", GraphRef("m:g", "f"), 1, ("custom",), "task", "node", ("p", ("q", 1)), ("t",), 1, 9, "ns"),
    *({"a": VALUE}, False, {"b": 1}, {"tags": ["x"]}, None, {"nodes": ["x"]}),
)
OUTCOME = Outcome("run", "task", 1, "worker", [("a", VALUE)], ValueError("x", Item("y")))


class Decoder(NamedTuple):
    """One of them."""

    decode: Callable[[bytes], Any]
    specimens: list[bytes]


def _decoders(name: str, codec: Codec) -> dict[str, Decoder]:
    event = encode_event(codec, "custom", ("a",), "task", 1, 1.5, VALUE)
    token = encode_event(codec, "messages", (), "task", 1, 1.5, (Model(a=2), {"a": [1, (2,)], "b": "x" * 99}))
    request = encode_request(codec, Request("run", "task", 1, "worker", 1, "store", VALUE), "")
    answer = encode_answer(codec, Answer(1, VALUE, KeyError("x")), "")
    outcome = codec.encode_outcome(OUTCOME)
    return {
        f"{name}value": Decoder(codec.decode, [codec.encode(VALUE), codec.encode([1, [2]])]),
        f"{name}task": Decoder(codec.decode_task, [codec.encode_task(TASK)]),
        f"{name}outcome": Decoder(codec.decode_outcome, [outcome]),
        f"{name}events": Decoder(
            lambda data: decode_message(codec, data),
            [b"\x92\x05\x92" + event + event, b"\x92\x00\x90", b"\x92\x28\xdc\x00\x28" + token * 40],
        ),
        f"{name}request": Decoder(lambda data: decode_request(codec, data), [request]),
        f"{name}answer": Decoder(lambda data: decode_answer(codec, data), [answer]),
        f"{name}unreadable outcome": Decoder(lambda data: unreadable_outcome(data, ValueError("x")), [outcome]),
        f"{name}unreadable request": Decoder(lambda data: unreadable_request(data, ValueError("x")), [request[1:]]),
        f"{name}unreadable answer": Decoder(lambda data: unreadable_answer(data, ValueError("x")), [answer]),
    }


_checkpoint = SAVER.encoded(VALUE)

DECODERS: dict[str, Decoder] = {
    **_decoders("", CODEC),
    **_decoders("encrypted ", SEALING),
    "call": Decoder(decode_call, [encode_call(CODEC, "1", Method.SUBMIT, {"input": VALUE})]),
    "reply": Decoder(
        lambda data: decode_reply(CODEC, data), [encode_reply(CODEC, Reply("1", VALUE, ValueError("x")), "")]
    ),
    "job data": Decoder(
        message_of,
        [job_data(b"message"), job_data(CODEC.encode_task(TASK)), zlib.compress(job_data(b"message"))],
    ),
    "job value": Decoder(MsgpackSerializer.loads, [MsgpackSerializer.dumps({"a": [1, (2,)], "b": b"x"})]),
    "route": Decoder(Route.parse, [b"run task 1 inbox", "run täsk 1 inbox".encode()]),
    "checkpoint head": Decoder(SAVER.head, [_checkpoint.head]),
    "checkpoint metadata": Decoder(SAVER.metadata, [_checkpoint.metadata]),
    "checkpoint write": Decoder(SAVER.write, [CODEC.encode(["path", "channel", CODEC.encode(VALUE)])]),
}


def decodes_or_refuses(decode: Callable[[bytes], Any], data: bytes) -> None:
    """Fails unless it gives a value, or an error of ours that says something."""
    try:
        decode(data)
    except FleetgraphError as error:
        assert str(error)  # noqa: PT017 (that it has a text is what is tested)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A message after an accident: cut off, with bits flipped, something put in, something left out."""
    at = draw(st.integers(0, len(data) - 1))
    match draw(st.sampled_from(["cut", "flip", "flips", "put in", "left out", "doubled", "length"])):
        case "cut":
            return data[:at]
        case "flip":
            return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        case "flips":
            spoiled = bytearray(data)
            for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=20)):
                spoiled[place] ^= 1 << draw(st.integers(0, 7))
            return bytes(spoiled)
        case "put in":
            return data[:at] + draw(st.binary(max_size=8)) + data[at:]
        case "left out":
            return data[:at] + data[at + draw(st.integers(1, 8)) :]
        case "doubled":
            return data + data
        case _:
            return data[:at] + draw(st.sampled_from(HUGE)) + data[at + 1 :]


HUGE = [
    *(b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdd\x00\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff"),
    *(b"\xc4\xff", b"\xc5\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xd9\xff", b"\xda\xff\xff", b"\xdb\xff\xff\xff\xff"),
    *(b"\xc7\xff\x01", b"\xc8\xff\xff\x01", b"\xc9\xff\xff\xff\xff\x01"),
]
"""Beginnings of arrays, maps, bytes, texts and extensions that say they are long."""
