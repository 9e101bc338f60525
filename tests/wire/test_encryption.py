"""Values are encrypted where there is a key; what a message is about stays readable, and is bound to them."""

from __future__ import annotations

import base64
import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.errors import DecodeError, FleetError
from fleetgraph.wire import Codec, encryption
from fleetgraph.wire.encryption import FILE_VARIABLE, KEY_VARIABLE, SEALED, Cipher, cipher_of_environment
from fleetgraph.wire.events import decode_message, encode_event
from fleetgraph.wire.messages import Answer, GraphRef, Outcome, Request, TaskMessage
from fleetgraph.wire.requests import decode_answer, decode_request, encode_answer, encode_request
from fleetgraph.wire.unreadable import UNREADABLE, unreadable_outcome

msgpack: Any = importlib.import_module("msgpack")  # has no types

SECRET = "marker-4711"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def codec(*keys: bytes) -> Codec:
    return Codec((), Cipher(keys) if keys else None)


def task() -> TaskMessage:
    return TaskMessage(
        run="r",
        inbox="c",
        graph=GraphRef("m:g", "f"),
        attempt=2,
        modes=("custom",),
        id="t",
        name="node",
        path=("a", ("b", 1)),
        triggers=("x",),
        step=3,
        stop=9,
        ns="n",
        input={"text": SECRET},
        send=False,
        snapshot={"text": SECRET},
        config={"tags": [SECRET]},
        context=SECRET,
        more={"previous": SECRET},
    )


def outcome() -> Outcome:
    return Outcome("r", "t", 2, "w", [("text", SECRET)], ValueError(SECRET))


def request() -> Request:
    return Request("r", "t", 2, "w", 7, "store", [SECRET])


def event(codec: Codec) -> bytes:
    blob = encode_event(codec, "custom", ("a",), "t", 2, 1.5, {"text": SECRET})
    return b"\x92\x05\x91" + blob


MESSAGES: dict[str, tuple[Callable[[Codec], bytes], Callable[[Codec, bytes], Any], list[Any]]] = {
    "task": (
        lambda codec: codec.encode_task(task()),
        lambda codec, data: codec.decode_task(data),
        [
            *(2, "r", "c", ["m:g", "f"], 2, ["custom"], "t", "node", ["a", msgpack.ExtType(1, b"\x92\xa1b\x01")]),
            *(["x"], 3, 9, "n"),
        ],
    ),
    "outcome": (
        lambda codec: codec.encode_outcome(outcome()),
        lambda codec, data: codec.decode_outcome(data),
        [2, "r", "t", 2, "w"],
    ),
    "request": (
        lambda codec: encode_request(codec, request(), "")[1:],
        lambda codec, data: decode_request(codec, b"?" + data),
        [2, "r", "t", 2, "w", 7, "store"],
    ),
    "answer": (
        lambda codec: encode_answer(codec, Answer(7, SECRET, ValueError(SECRET)), ""),
        decode_answer,
        [2, 7],
    ),
}


# --- what is encrypted, and what is not --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_keeps_its_head_readable_and_nothing_else(kind: str) -> None:
    encode, decode, head = MESSAGES[kind]
    data = encode(codec(OLD))
    assert SECRET.encode() not in data
    assert SECRET.encode() in encode(codec())
    items = msgpack.unpackb(data, strict_map_key=False)
    assert items[: len(head)] == head
    assert [item.code for item in items[len(head) :]] == [SEALED]
    assert repr(decode(codec(OLD), data)) == repr(decode(codec(), encode(codec())))


def test_an_event_keeps_its_envelope_readable() -> None:
    """A dashboard, in any language, sees all but the payload."""
    data = event(codec(OLD))
    assert SECRET.encode() not in data
    seq, [[mode, ns, task, attempt, ts, payload]] = msgpack.unpackb(data)
    assert (seq, mode, ns, task, attempt, ts, payload.code) == (5, "custom", ["a"], "t", 2, 1.5, SEALED)
    (arrived,) = decode_message(codec(OLD), data)
    assert arrived == (5, "custom", ("a",), "t", 2, 1.5, {"text": SECRET})


def test_any_other_value_is_encrypted_as_a_whole() -> None:
    data = codec(OLD).encode([1, {"text": SECRET}])
    assert msgpack.unpackb(data).code == SEALED
    assert codec(OLD).decode(data) == [1, {"text": SECRET}]


@pytest.mark.parametrize("value", [None, b"\x90" * 300, ["\ud800"], {1: (2, {3})}, b"", 2**70, "x" * 5_000_000])
def test_every_value_comes_back(value: Any) -> None:
    assert codec(OLD).decode(codec(OLD).encode(value)) == value


def test_equal_values_look_different() -> None:
    one = codec(OLD)
    assert one.encode(SECRET) != one.encode(SECRET)


def test_without_a_key_nothing_is_done_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes as ever, and no call of anything here: `Cipher` is never come near."""
    plain = Codec()
    assert not plain.encrypts
    monkeypatch.setattr(encryption, "open_sealed", None)
    monkeypatch.setattr(Codec, "_sealed", None)
    monkeypatch.setattr(Codec, "open_part", None)
    message = task()
    assert plain.decode_task(plain.encode_task(message)) == message
    assert plain.decode_outcome(plain.encode_outcome(Outcome("r", "t", 1, "w", [("a", 1)], None))).writes == [("a", 1)]
    assert decode_message(plain, event(plain))[0].payload == {"text": SECRET}


def test_what_was_stored_before_there_was_a_key_stays_readable() -> None:
    assert codec(OLD).decode(codec().encode({"a": (1,)})) == {"a": (1,)}


# --- keys --------------------------------------------------------------------------------------------------------


def test_keys_are_changed_one_after_the_other() -> None:
    before = codec(OLD).encode(SECRET)
    both = codec(NEW, OLD)
    after = both.encode(SECRET)
    assert both.decode(before) == SECRET
    assert codec(NEW).decode(after) == SECRET
    with pytest.raises(DecodeError, match=KEY_VARIABLE):
        codec(OLD).decode(after)


@pytest.mark.parametrize("reader", [(), (NEW,)], ids=["none", "another"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_who_has_no_key_or_another_is_told_so(kind: str, reader: tuple[bytes, ...]) -> None:
    encode, decode, _ = MESSAGES[kind]
    error: Any
    try:
        found = decode(codec(*reader), encode(codec(OLD)))
        error = found.error if kind == "answer" else found.payload
    except DecodeError as raised:
        error = raised
    assert f"{KEY_VARIABLE} or {FILE_VARIABLE}" in str(error)
    assert OLD.hex() not in str(error)
    assert ("no key" in str(error)) == (not reader)


def test_who_can_t_read_a_message_still_knows_what_it_is_about() -> None:
    error = DecodeError("x")
    found = unreadable_outcome(codec(OLD).encode_outcome(outcome()), error)
    assert found == Outcome("r", "t", 2, "w", None, error)
    asked = decode_request(codec(), encode_request(codec(OLD), request(), ""))
    assert (asked.run, asked.task, asked.attempt, asked.worker, asked.number) == ("r", "t", 2, "w", 7)
    assert (asked.kind, type(asked.payload)) == (UNREADABLE, DecodeError)
    answer = decode_answer(codec(), encode_answer(codec(OLD), Answer(7, SECRET, None), ""))
    assert (answer.number, answer.value, type(answer.error)) == (7, None, DecodeError)


def test_a_process_draws_another_salt_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_SEALS_PER_SALT", 2)
    cipher = Cipher([OLD])
    sealed = [cipher.seal(b"x", b"") for _ in range(5)]
    salts = [data[4:20] for data in sealed]
    assert [salts.count(salt) for salt in salts] == [2, 2, 2, 2, 1]
    assert len({data[20:32] for data in sealed}) == 5
    assert [Cipher([OLD]).open(data, b"") for data in sealed] == [b"x"] * 5


def encoded(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


def test_the_environment_holds_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cipher_of_environment() is None
    monkeypatch.setenv(KEY_VARIABLE, encoded(NEW, OLD))
    assert Codec().encrypts
    assert Codec().decode(codec(OLD).encode(1)) == 1
    assert codec(NEW).decode(Codec().encode(1)) == 1
    monkeypatch.delenv(KEY_VARIABLE)
    file = tmp_path / "key"
    file.write_text(encoded(NEW).replace("+", "-").replace("/", "_") + "\n" + encoded(OLD) + "\n")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    assert codec(NEW).decode(Codec().encode(1)) == 1
    assert Codec().decode(codec(OLD).encode(1)) == 1


@pytest.mark.parametrize("text", ["x", "é", encoded(b"short"), ",", encoded(OLD) + "," + encoded(b"1" * 31), "=" * 44])
def test_what_is_no_key_is_refused_without_being_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(FleetError, match="openssl rand -base64 32") as caught:
        Codec()
    assert KEY_VARIABLE in str(caught.value)
    assert len(text) < 4 or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_two_places_for_keys_and_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(FleetError, match=rf"{FILE_VARIABLE} names can't be read: No such file"):
        Codec()
    monkeypatch.setenv(KEY_VARIABLE, encoded(OLD))
    with pytest.raises(FleetError, match="set one of them"):
        Codec()


def test_without_the_package_one_is_told_what_to_install() -> None:
    paths = [path for path in sys.path if path.endswith("shared")]
    script = (
        f"import os, sys; sys.path[:0] = {paths!r}; sys.modules['cryptography'] = None\n"
        f"os.environ[{KEY_VARIABLE!r}] = {encoded(OLD)!r}\n"
        "from fleetgraph.wire import Codec\n"
        "Codec()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'fleetgraph[encryption]'" in done.stderr
    assert encoded(OLD) not in done.stderr


def test_a_cipher_does_not_show_its_keys() -> None:
    shown = repr(Cipher([OLD, NEW]))
    assert OLD.hex() not in shown
    assert str(OLD) not in shown


# --- damage ------------------------------------------------------------------------------------------------------


def test_damage_is_noticed() -> None:
    data = codec(OLD).encode(SECRET)
    for place in range(3, len(data)):
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(DecodeError):
            codec(OLD).decode(damaged)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_part_of_one_message_is_no_part_of_another(kind: str) -> None:
    encode, _, _ = MESSAGES[kind]
    items = msgpack.unpackb(encode(codec(OLD)), strict_map_key=False)
    other = items[-1]
    renamed = [*items[:1], items[1] + type(items[1])("1"), *items[2:]]
    longer = [*items, items[-1]]
    whole = msgpack.ExtType(SEALED, other.data)
    for forged in (renamed, longer, whole, [*items[:1], other]):
        with pytest.raises(DecodeError, match=r"belongs somewhere else|where none belongs"):
            codec(OLD).decode(msgpack.packb(forged))


def test_a_payload_belongs_to_its_event() -> None:
    one = codec(OLD)
    data = event(one)
    with pytest.raises(DecodeError, match="belongs somewhere else"):
        decode_message(one, data.replace(b"\xa1t", b"\xa1u"))


def test_a_value_belongs_to_what_it_is_about() -> None:
    one = codec(OLD)
    data = one.encode(SECRET, about="channel")
    assert one.decode(data, about="channel") == SECRET
    with pytest.raises(DecodeError, match="belongs somewhere else"):
        one.decode(data, about="other")


@pytest.mark.parametrize("place", ["in a tuple", "in a map", "deep", "twice"])
def test_an_encrypted_part_where_none_belongs(place: str) -> None:
    one = codec(OLD)
    sealed = msgpack.unpackb(one.encode(1))
    wrong = {
        "in a tuple": msgpack.ExtType(1, msgpack.packb([sealed])),
        "in a map": {"a": sealed},
        "deep": [[[[[[sealed]]]]]],
        "twice": msgpack.ExtType(SEALED, Cipher([OLD]).seal(msgpack.packb(sealed), b"")),
    }
    with pytest.raises(DecodeError, match="where none belongs"):
        one.decode(msgpack.packb(wrong[place]))


def test_what_it_costs(record_property: Callable[[str, object], None]) -> None:
    message = task()
    for name, one in (("plain", codec()), ("encrypted", codec(OLD))):
        began = time.perf_counter()
        for _ in range(500):
            one.decode_task(one.encode_task(message))
        microseconds = (time.perf_counter() - began) / 500 * 1e6
        print(f"a task message there and back, {name}: {microseconds:.1f} µs")
        record_property(name, microseconds)
