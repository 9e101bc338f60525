"""Bytes from anybody: each decodes to a value of an allowed type, or raises DecodeError. Nothing else happens."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from fleetgraph.errors import DecodeError, FleetgraphError
from fleetgraph.wire import Codec


@dataclass
class Item:
    name: str


@dataclass(slots=True)
class Slotted:
    a: int


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: int


class Model(BaseModel):
    a: int = 1


msgpack: Any = importlib.import_module("msgpack")  # has no types

CODEC = Codec([Item, Slotted, Colour, Point, Model])


def ext(code: int, plain: Any) -> Any:
    return msgpack.ExtType(code, msgpack.packb(plain))


def refusal(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(data)
    return str(caught.value)


def name_of(cls: type[Any]) -> str:
    return f"{__name__}:{cls.__qualname__}"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it ends too early"),
        (b"\x92\x01", "it ends too early"),
        (b"\x01\x02", "more bytes follow it"),
        (b"\xc1", "a byte that msgpack does not know"),
        (b"\xdd\xff\xff\xff\xff", "max_array_len"),
        (b"\xc6\xff\xff\xff\xff", "it ends too early"),
        (b"\x91" * 5000 + b"\x01", "nested too deeply"),
        (b"\xa2\xff\xfe", "UnicodeDecodeError"),
        (b"\x81\x90\x01", "unhashable type: 'list'"),
        (b"\xc7\x01\xff\x00", "ValueError"),
        (msgpack.packb(msgpack.Timestamp(2**60, 0)), "OverflowError"),
        (msgpack.packb(ext(99, 1)), "extension 99 is unknown"),
        (b"\xd4\xfb\x01", "extension -5 is unknown"),
        (msgpack.packb(msgpack.ExtType(1, b"\x90\x90")), "more bytes follow it"),
        (msgpack.packb(msgpack.ExtType(1, b"")), "it ends too early"),
    ],
)
def test_rubbish_is_refused_with_a_sentence(data: bytes, says: str) -> None:
    assert says in refusal(data)
    assert refusal(data).endswith(".")


@pytest.mark.parametrize(
    "wrong",
    [
        *(ext(1, 5), ext(1, {"a": 1}), ext(2, [[]]), ext(3, None), ext(4, [1, None]), ext(4, [[], -1]), ext(4, [[]])),
        *(ext(5, "1"), ext(6, ["a", 1]), ext(6, []), ext(7, 10**12), ext(7, [1]), ext(8, "yesterday"), ext(8, 3)),
        *(ext(8, ["2024-01-01T00:00:00", "No/Where", 0]), ext(8, ["2024-01-01T00:00:00", "../../etc/passwd", 0])),
        *(ext(8, ["2024-01-01T00:00:00", None, 5]), ext(9, "2024-13-01"), ext(10, "25:00"), ext(11, [1])),
        *(ext(11, [10**12, 0, 0]), ext(12, 10**9), ext(12, "x\0y"), ext(12, []), ext(13, "x"), ext(13, 5)),
        *(
            ext(14, "one"),
            ext(14, 5),
            ext(15, [1, 0]),
            ext(15, ["a", 1]),
            ext(16, ["Path", "a"]),
            ext(16, ["PosixPath", 1]),
        ),
        *(
            ext(17, [0, 1, 0]),
            ext(17, ["a", 1, 1]),
            ext(18, ["(", 0]),
            ext(18, ["a", "b"]),
            ext(19, ["IPv4Address", "x"]),
        ),
        *(ext(19, ["os", "x"]), ext(20, [1]), ext(21, 3), ext(22, ["eval", {}]), ext(22, ["list", [1]]), ext(22, [])),
        *(ext(30, []), ext(30, {}), ext(30, [1]), ext(30, [name_of(Colour)]), ext(30, [name_of(Colour), "GREEN"])),
        *(ext(31, [name_of(Item)]), ext(31, [name_of(Item), 3]), ext(31, [name_of(Slotted), {"b": 1}])),
        *(
            ext(31, [name_of(Slotted), {"__class__": 1}]),
            ext(32, [name_of(Model), {}]),
            ext(33, [name_of(Point), [], None]),
        ),
        *(
            ext(33, [name_of(Point), "x", None]),
            ext(33, [name_of(Point)]),
            ext(32, [name_of(Model), {}, 3, None, None]),
        ),
        *(ext(34, None), ext(34, []), ext(34, ["builtins:ValueError", "x", b"", b"", [1], ""]), ext(34, [1] * 6)),
        *(
            ext(40, []),
            ext(40, ["<i8", [2], b"1234"]),
            ext(40, ["|O8", [1], b"12345678"]),
            ext(40, ["<i8", [-1], b"12345678"]),
        ),
        *(
            ext(40, ["zzz", [1], b""]),
            ext(40, ["<i8", [2**40], b""]),
            ext(41, ["<i8", b""]),
            ext(41, ["<i8", "12345678"]),
        ),
        *(ext(40, ["f8,O", [1], b"1234567812345678"]), ext(40, ["<i8", [1], ext(17, [0, 2**60, 1])])),
        # What is sent in a list's place must not be able to fill the memory.
        *(ext(code, ext(17, [0, 2**60, 1])) for code in (1, 2, 3, 7, 21)),
        ext(4, [ext(17, [0, 2**60, 1]), None]),
        ext(33, [name_of(Point), ext(17, [0, 2**60, 1]), None]),
    ],
    ids=str,
)
def test_an_extension_with_another_plain_form_is_refused(wrong: Any) -> None:
    assert refusal(msgpack.packb([wrong])).endswith(".")


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:object", "builtins:eval", "subprocess:Popen", "fleetgraph.wire.codec:Codec", "", ":", "x"],
)
@pytest.mark.parametrize("code", [30, 31, 32, 33])
def test_no_class_beside_the_allow_list_is_built(name: str, code: int) -> None:
    assert "is not on the allow-list" in refusal(msgpack.packb(ext(code, [name, {}])))


@pytest.mark.parametrize("data", ["text", None, 3, object()])
def test_what_is_no_bytes_is_refused(data: Any) -> None:
    assert "not a value of Fleetgraph" in refusal(data)


def deep(levels: int, code: int) -> bytes:
    data = b"\x90"
    for _ in range(levels):
        data = msgpack.packb(msgpack.ExtType(code, b"\x91" + data))
    return data


@pytest.mark.parametrize("levels", [129, 400, 20_000])
def test_extensions_nested_too_deeply_are_refused(levels: int) -> None:
    assert "nested more than 128 deep" in refusal(deep(levels, 1))


def test_the_deepest_value_decodes_in_a_thread_of_little_stack() -> None:
    """msgpack's own way to unpack an extension inside another takes so much C stack that this would crash."""
    script = f"""
        import threading
        from fleetgraph.wire import Codec

        data = bytes.fromhex("{deep(128, 1).hex()}")
        threading.stack_size(1 << 20)
        thread = threading.Thread(target=lambda: print(str(Codec().decode(data)).count("(")))
        thread.start()
        thread.join()
    """
    paths = [path for path in sys.path if path.endswith("shared")]
    code = f"import sys; sys.path[:0] = {paths!r}\n" + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "128\n"


def test_a_decoder_in_a_deep_call_stack_says_so_and_does_not_crash() -> None:
    data = deep(100, 1)

    def descend(levels: int) -> Any:
        return CODEC.decode(data) if levels == 0 else descend(levels - 1)

    with pytest.raises(DecodeError, match="RecursionError"):
        descend(sys.getrecursionlimit() - len(inspect.stack(0)) - 50)


# --- fuzzing -----------------------------------------------------------------------------------------------------


def decodes_or_refuses(data: bytes) -> None:
    for decode in (CODEC.decode, CODEC.decode_task, CODEC.decode_outcome):
        try:
            decode(data)
        except DecodeError:
            continue


@given(st.binary())
@settings(max_examples=500)
def test_random_bytes(data: bytes) -> None:
    decodes_or_refuses(data)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from([name_of(cls) for cls in (Item, Slotted, Colour, Point, Model)])
    | st.sampled_from(
        ["builtins:ValueError", "builtins:OSError", "fleetgraph.errors:EncodeError", "fleetgraph.types:Send"]
    )
    | st.sampled_from(["<i8", "<U3", "M8[s]", "list", "Europe/Berlin", "2024-01-01", "12:00", "PosixPath", "RED"]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
        | st.builds(ext, st.integers(0, 42), inner)
        | inner.map(msgpack.packb)
    ),
    max_leaves=8,
)


@given(st.integers(1, 41), PLAIN)
@example(34, ["builtins:ValueError", "x", b"\x90", b"\x81\xa4args\x01", [], ""])
@example(34, ["builtins:BaseExceptionGroup", "x", b"\x92\xa1x\x91\x01", b"\x80", [], ""])
@example(34, ["builtins:ValueError", "x", b"\x90", b"\x81\x01\x01", [], ""])
@settings(max_examples=settings.default.max_examples * 8, deadline=None)
def test_well_formed_extensions_of_random_content(code: int, plain: Any) -> None:
    decodes_or_refuses(msgpack.packb(ext(code, plain)))


def specimens() -> list[bytes]:
    error = ValueError("x", (1, {2}))
    error.add_note("n")
    values = [
        {"a": [1, (2, {3}), b"x", "é"], "when": datetime(2024, 1, 1, tzinfo=UTC)},
        [Item("x"), Slotted(1), Colour.RED, Point(1), Model(), Decimal("1.5"), UUID(int=5), PurePosixPath("a")],
        [error, FleetgraphError("y"), KeyError(Item("z"))],
    ]
    return [CODEC.encode(value) for value in values]


@given(st.sampled_from(specimens()), st.data())
@settings(max_examples=settings.default.max_examples * 8, deadline=None)
def test_damaged_bytes(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    damage: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :],
        lambda: data[:at] + draw.draw(st.binary(max_size=4)) + data[at:],
        lambda: data[:at] + data[at + draw.draw(st.integers(1, 4)) :],
    ]
    decodes_or_refuses(draw.draw(st.sampled_from(damage))())


# --- threads -----------------------------------------------------------------------------------------------------


def test_threads_share_a_codec() -> None:
    """Each encodes values of its own, some of which fail midway, and gets back what it sent."""
    codec = Codec([Item])
    start = threading.Barrier(8)
    wrong: list[Any] = []

    def work(number: int) -> None:
        value = [{"n": (number, [Item(str(number)), {number: (number,)}])}] * 5
        unsendable = [(number, (Item("x"), threading.Lock()))]
        start.wait(10)
        for _ in range(300):
            if codec.decode(codec.encode(value)) != value:
                wrong.append(number)
            try:
                codec.encode(unsendable)
            except FleetgraphError:
                continue
            wrong.append(number)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


def test_a_class_that_encodes_while_it_is_encoded_is_no_problem() -> None:
    codec = Codec()

    class Odd:
        def __getattribute__(self, name: str) -> Any:
            if name == "__dict__":
                return {"inner": codec.encode((1, (2,)))}
            return object.__getattribute__(self, name)

    codec.allow(Odd)
    data = codec.encode([(Odd(),), (3,)])
    assert codec.encode((1, (2,))) in data
    assert codec.decode(data)[1] == (3,)
