"""Values of classes that a client does not know."""

from __future__ import annotations

from typing import Any

import pytest

from fleetgraph.client import Client
from fleetgraph.client.readable import ReadableCodec
from fleetgraph.errors import DecodeError, EncodeError, RemoteNodeError
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire.codec import Codec
from tests.client.graphs import Mood, Note, Place

pydantic = pytest.importorskip("pydantic")


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    article: str
    count: int = 1


class Shout(str):
    pass


SENT = Codec([Mood, Place, Note, Order, Shout])
NOTE = Note("hi", Mood.GOOD)

VALUES: list[tuple[Any, Any]] = [
    (Mood.GOOD, "GOOD"),
    (Place(1, 2), [1, 2]),
    (NOTE, {"text": "hi", "mood": "GOOD"}),
    (Order(article="tea", colour="red"), {"article": "tea", "count": 1, "colour": "red"}),
    (Shout("hey"), "hey"),
    (
        {"notes": [NOTE, {"inner": (NOTE,)}]},
        {"notes": [{"text": "hi", "mood": "GOOD"}, {"inner": ({"text": "hi", "mood": "GOOD"},)}]},
    ),
    ({Mood.GOOD: 1}, {"GOOD": 1}),
    ({NOTE}, {"Note(text='hi', mood='Mood.GOOD')"}),
    ({NOTE: 1}, {"Note(text='hi', mood='Mood.GOOD')": 1}),
    ({1, 2}, {1, 2}),
]


@pytest.mark.parametrize(("value", "readable"), VALUES, ids=repr)
def test_they_arrive_as_something_readable(value: Any, readable: Any) -> None:
    assert ReadableCodec().decode(SENT.encode(value)) == readable


@pytest.mark.parametrize(("value", "readable"), VALUES, ids=repr)
def test_they_arrive_as_what_they_are_when_the_client_knows_them(value: Any, readable: Any) -> None:
    arrived = ReadableCodec([Mood, Place, Note, Order, Shout]).decode(SENT.encode(value))
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_class_may_be_known_in_a_set_beside_one_that_is_not() -> None:
    known = ReadableCodec([Note, Mood])
    sent = Codec([Note, Mood, Frozen])
    assert known.decode(sent.encode({NOTE, Frozen()})) == {NOTE, "Frozen()"}


class Frozen:
    pass


def test_an_exception_of_an_unknown_class() -> None:
    class Local(Exception):
        pass

    arrived = ReadableCodec().decode(SENT.encode(Local("strange")))
    assert isinstance(arrived, RemoteNodeError)
    assert "Local: strange" in str(arrived)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x01\x02"], ids=repr)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        ReadableCodec().decode(data)


@pytest.mark.parametrize("code", [30, 31, 32, 33])
def test_forms_that_make_no_sense_are_refused(code: int) -> None:
    import msgpack

    for plain in (["a:B"], ["a:B", 1, 2, 3, 4, 5], [1], "x", []):
        data = msgpack.packb(msgpack.ExtType(code, msgpack.packb(plain)))
        with pytest.raises(DecodeError):
            ReadableCodec().decode(data)


def test_a_client_that_does_not_know_the_classes_of_a_state(server: RedisServer, client: Client) -> None:
    with Client(server.url, allow=[Note, Mood, Place]) as knowing:
        run = knowing.submit("typed", {"note": NOTE})
        changed = Note("hi!", Mood.BAD)
        assert run.result() == {"note": changed, "place": Place(1, 2), "seen": {changed}}
    shown = client.handle(run.id).result()
    assert shown == {
        "note": "Note(text='hi!', mood='Mood.BAD')",
        "place": "Place([1, 2])",
        "seen": {"Note(text='hi!', mood='Mood.BAD')"},
    }


def test_a_client_can_not_send_what_it_does_not_know(client: Client) -> None:
    with pytest.raises(EncodeError, match=r"submit, input: can't send the value at \$\.note, of type"):
        client.submit("typed", {"note": NOTE})
