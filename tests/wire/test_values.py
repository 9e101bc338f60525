"""Stored values: the script that stores them, on a real Redis and on fakeredis, and how they are put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fakeredis
import pytest
import redis

from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute, execute_all
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.encryption import Cipher
from fleetgraph.wire.transitions import Dispatch, Refusal, dispatch, renew
from fleetgraph.wire.values import (
    LARGE_BYTES,
    Pieces,
    Reference,
    about,
    array_items,
    array_of,
    fetch,
    may_be_large,
    store,
)

RUN = "run1"
KEY = keys.values(RUN)


@pytest.fixture(params=["fake", "real"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A Redis with a run that goes on, in its second epoch."""
    made: redis.Redis = fakeredis.FakeRedis() if request.param == "fake" else request.getfixturevalue("redis_client")
    made.hset(keys.run(RUN), mapping={"status": "running", "epoch": 2, "coordinator": "c", "retention": 60})
    made.expire(keys.run(RUN), 60)
    yield made
    assert not [key for key in made.scan_iter() if made.ttl(key) == -1 and not key.startswith(b"rq:")]


def work(task: str) -> Dispatch:
    return Dispatch(task=task, attempt=1, graph="joke", node="writer", step=1, message=b"message")


def test_values_are_stored_and_removed_and_expire_with_the_run(client: redis.Redis) -> None:
    assert execute(client, store(RUN, 2, {"2-1": b"one", "2-2": b"two"}, [], batch=1)) is None
    assert execute(client, fetch(RUN, ["2-2", "2-1", "2-3"])) == [b"two", b"one", None]
    assert 50 < client.ttl(KEY) <= 60

    assert execute(client, store(RUN, 2, {"2-3": b"three"}, ["2-1"], batch=2)) is None
    assert client.hgetall(KEY) == {b"2-2": b"two", b"2-3": b"three"}

    client.expire(KEY, 5)
    assert execute(client, renew(RUN))
    assert client.ttl(KEY) > 50


def test_thousands_at_once(client: redis.Redis) -> None:
    fields = {f"2-{number}": b"x" for number in range(3000)}
    assert execute(client, store(RUN, 2, fields, [], batch=1)) is None
    assert client.hlen(KEY) == 3000
    assert execute(client, store(RUN, 2, {"2-new": b"x"}, list(fields), batch=2)) is None
    assert client.hgetall(KEY) == {b"2-new": b"x"}


def test_a_former_coordinator_is_refused(client: redis.Redis) -> None:
    assert execute(client, store(RUN, 1, {"1-1": b"x"}, [], batch=1)) is Refusal.SUPERSEDED
    client.hset(keys.run(RUN), "status", "cancelled")
    assert execute(client, store(RUN, 2, {"2-1": b"x"}, [], batch=1)) is Refusal.CANCELLED
    assert not client.exists(KEY)


def test_tasks_are_refused_whose_values_did_not_arrive(client: redis.Redis) -> None:
    """They count as one row: that is what makes it harmless to send any part of it again."""
    tasks = dispatch(RUN, 2, "q", "c", [work("t")], batch=2)
    assert execute(client, tasks) is Refusal.INCOMPLETE

    storing = store(RUN, 2, {"2-1": b"x"}, [], batch=1)
    assert execute_all(client, [storing, tasks]) == [None, [True]]
    assert execute_all(client, [storing, tasks]) == [Refusal.REPEATED, Refusal.REPEATED]
    assert execute(client, store(RUN, 2, {"2-9": b"x"}, [], batch=4)) is Refusal.INCOMPLETE


def test_what_other_coordinators_stored_is_swept(client: redis.Redis) -> None:
    client.hset(KEY, mapping={"1-1": b"old", "1-1.2": b"old", "12-1": b"odd"})
    assert execute(client, store(RUN, 2, {"2-1": b"new", "2-1.1": b"new"}, [], batch=1, sweep=True)) is None
    assert client.hkeys(KEY) == [b"2-1", b"2-1.1"]


# --- how large a value is --------------------------------------------------------------------------------------------


@dataclass
class Point:
    text: str


class Odd:
    __slots__ = ()


@pytest.mark.parametrize("value", [None, 1, "x", [1, 2.5, True, None], {"a": {"b": ["c"]}}, Point("x"), "x" * 9000])
def test_small_values_are_seen_to_be_small(value: Any) -> None:
    assert not may_be_large(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * LARGE_BYTES,
        b"x" * LARGE_BYTES,
        ["x" * 1000] * 17,
        list(range(LARGE_BYTES)),
        {"a": [{"b": "x" * LARGE_BYTES}]},
        {"x" * LARGE_BYTES: 1},
        Point("x" * LARGE_BYTES),
        Odd(),
        OrderedDict(a="x" * LARGE_BYTES),
    ],
)
def test_large_values_are_not_missed(value: Any) -> None:
    assert may_be_large(value)


def test_a_value_that_contains_itself_is_looked_at_for_a_while_only() -> None:
    value: list[Any] = []
    value.append(value)
    assert may_be_large(value)


# --- putting pieces together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_arrays_that_follow_each_other_are_one_array(count: int) -> None:
    codec = Codec()
    head = array_items(codec.encode([7] * count))
    assert head is not None
    assert head[0] == count
    assert codec.decode(array_of(count + 1, bytes(head[1]) + codec.encode("last"))) == [*[7] * count, "last"]


@pytest.mark.parametrize("cipher", [None, Cipher([b"k" * 32])], ids=["plain", "encrypted"])
def test_a_list_is_made_of_its_pieces_each_time_afresh(cipher: Cipher | None) -> None:
    codec = Codec(cipher=cipher)
    parts = {"2-1": [["a"], {"b": 1}], "2-1.1": [], "2-1.2": [(1, 2)], "2-1.3": ["d"] * 20}
    encoded = [(field, codec.encode(items, about=about(RUN, field))) for field, items in parts.items()]
    pieces = Pieces()
    pieces.add(2, encoded[:3])
    pieces.add(3, encoded[3:])

    def decode(data: bytes, field: str) -> Any:
        return codec.decode(data, about=about(RUN, field))

    value = pieces.decoded(decode)
    assert value == [["a"], {"b": 1}, (1, 2), *["d"] * 20]
    value[0].append("spoilt")
    assert pieces.decoded(decode)[0] == ["a"]
    assert pieces.growths == 3
    assert pieces.size > 0


@pytest.mark.parametrize("value", ["text", {"a": 1}, b"\x91\x01", (1, 2), None, 5])
def test_what_is_no_list_is_its_only_piece(value: Any) -> None:
    codec = Codec()
    pieces = Pieces()
    pieces.add(0, [("2-1", codec.encode(value))])
    size = pieces.size
    for _ in range(3):
        assert pieces.decoded(lambda data, _: codec.decode(data)) == value
        assert pieces.size == size


class Decoding:
    """Decodes, and counts the bytes."""

    def __init__(self, cipher: Cipher | None = None) -> None:
        self.codec = Codec(cipher=cipher)
        self.bytes = 0

    def __call__(self, data: bytes, field: str) -> Any:
        self.bytes += len(data)
        return self.codec.decode(data, about=about(RUN, field))

    def piece(self, field: str, value: Any) -> tuple[str, bytes]:
        return field, self.codec.encode(value, about=about(RUN, field))


def test_what_nobody_can_change_is_decoded_once() -> None:
    decode, pieces = Decoding(), Pieces()
    texts: list[Any] = ["x" * 1000, b"y" * 1000, 1.5, None, True]
    pieces.add(0, [decode.piece("2-1", texts)])
    value = pieces.decoded(decode)
    assert value == texts
    value.clear()
    taken, size = decode.bytes, pieces.size
    assert pieces.decoded(decode) == texts
    assert decode.bytes == taken

    pieces.add(1, [decode.piece("2-1.1", ["more"])])
    assert pieces.decoded(decode) == [*texts, "more"]
    assert decode.bytes - taken < 20
    assert pieces.size == size + len(decode.codec.encode("more"))

    pieces.add(2, [decode.piece("2-1.2", [["changeable"]])])
    for _ in range(2):
        value = pieces.decoded(decode)
        assert value == [*texts, "more", ["changeable"]]
        value[-1].append("spoilt")
    pieces.add(3, [decode.piece("2-1.3", ["text"])])
    assert pieces.decoded(decode) == [*texts, "more", ["changeable"], "text"]


@pytest.mark.parametrize("cipher", [None, Cipher([b"k" * 32])], ids=["plain", "encrypted"])
def test_a_text_is_decoded_once(cipher: Cipher | None) -> None:
    decode, pieces = Decoding(cipher), Pieces()
    pieces.add(0, [decode.piece("2-1", "x" * 100_000)])
    assert pieces.decoded(decode) is pieces.decoded(decode)
    assert decode.bytes < 101_000
    pieces.clear()
    pieces.add(0, [decode.piece("2-1", ["another"])])
    assert pieces.decoded(decode) == ["another"]


def test_the_fields_of_a_reference() -> None:
    assert Reference("2-1", 0).fields == ["2-1"]
    assert Reference("2-1", 2).fields == ["2-1", "2-1.1", "2-1.2"]
    assert Reference("2-1", 1025).fields == ["2-1", "2-1.1024", "2-1.1025"]
    assert Reference("2-1", 1025).bits_since(1022) == ["2-1.1023", "2-1.1024+", "2-1.1025"]
