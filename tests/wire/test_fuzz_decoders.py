"""Bytes from anybody, to every decoder there is: a value or an error of ours, whatever they are."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgraph.errors import DecodeError, EncodeError, FleetgraphError
from fleetgraph.wire import Codec
from fleetgraph.wire.encryption import SEALED
from tests.wire.fuzzing import CODEC, DECODERS, HUGE, NESTED, Decoder, Item, damaged, decodes_or_refuses

msgpack: Any = importlib.import_module("msgpack")  # has no types

every_decoder = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)


@every_decoder
def test_a_specimen_is_read(decoder: Decoder) -> None:
    for data in decoder.specimens:
        decoder.decode(data)


@every_decoder
@given(data=st.binary(max_size=200))
@settings(max_examples=settings.default.max_examples // 2)
def test_random_bytes(decoder: Decoder, data: bytes) -> None:
    decodes_or_refuses(decoder.decode, data)


@every_decoder
@given(draw=st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_damaged_messages(decoder: Decoder, draw: st.DataObject) -> None:
    specimen = draw.draw(st.sampled_from(decoder.specimens))
    decodes_or_refuses(decoder.decode, draw.draw(damaged(specimen)))


@every_decoder
def test_every_beginning_of_a_message(decoder: Decoder) -> None:
    for data in decoder.specimens:
        for length in range(len(data)):
            decodes_or_refuses(decoder.decode, data[:length])


def extension(code: int, data: bytes) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, data))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | st.sampled_from(["run", "task", "m:g", "custom", "builtins:ValueError", "tests.wire.fuzzing:Item"]),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
        | st.builds(lambda code, plain: msgpack.ExtType(code, msgpack.packb(plain)), st.integers(0, SEALED), inner)
    ),
    max_leaves=12,
)


@every_decoder
@given(plain=PLAIN)
@settings(max_examples=settings.default.max_examples // 2)
def test_well_formed_msgpack_of_any_content(decoder: Decoder, plain: Any) -> None:
    data = msgpack.packb(plain)
    decodes_or_refuses(decoder.decode, data)
    decodes_or_refuses(decoder.decode, b"?" + data)


@every_decoder
@given(draw=st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_messages_with_an_item_of_another_kind(decoder: Decoder, draw: st.DataObject) -> None:
    """The right length and the right head, and something else in one place, which reaches the code behind."""
    specimen = draw.draw(st.sampled_from(decoder.specimens))
    mark = b"?" if specimen.startswith(b"?") else b""
    try:
        items = msgpack.unpackb(specimen[len(mark) :], strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        return  # no msgpack: a route
    if isinstance(items, list) and items:
        items[draw.draw(st.integers(0, len(items) - 1))] = draw.draw(PLAIN)
        decodes_or_refuses(decoder.decode, mark + msgpack.packb(items))


def deep(levels: int, code: int) -> bytes:
    data = b"\x90"
    for _ in range(levels):
        data = extension(code, b"\x91" + data)
    return data


LARGE_OR_DEEP = [
    *(header * count for header in HUGE for count in (1, 300, 5000)),
    *(header * count for header in (b"\x91", b"\x81") for count in (100, 1000, 100_000)),
    *(deep(levels, code) for levels in (100, 129, 2000) for code in (1, 2, 34, SEALED, 99)),
    *(extension(code, rubbish) for code in range(60) for rubbish in (b"", b"\xc1", b"\xff" * 40, b"\x91" * 40)),
]


@every_decoder
def test_what_says_it_is_large_or_deep(decoder: Decoder) -> None:
    for data in LARGE_OR_DEEP:
        for start in (b"", b"?", b"\x98\x02"):
            decodes_or_refuses(decoder.decode, start + data)


# --- what is told about values that can't travel -----------------------------------------------------------------


class Odd:
    """Raises whatever is done with it."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other

    def __getattr__(self, name: str) -> Any:
        raise self.error(name)


UNSENDABLE = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from([object(), len, Odd, map(len, []), NESTED, Item("x")])
    | st.builds(Odd, st.sampled_from([ValueError, RecursionError, TypeError, AttributeError])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Item, inner)
        | st.builds(ValueError, inner)
        | st.lists(inner, max_size=2).map(lambda items: memoryview(bytes(len(items))))
    ),
    max_leaves=10,
)


@given(value=UNSENDABLE)
@settings(max_examples=300)
def test_a_value_is_encoded_or_the_error_tells_where_in_it(value: Any) -> None:
    try:
        data = CODEC.encode(value, "somewhere")
    except EncodeError as error:
        assert str(error).startswith("somewhere: can't send the value at $")  # noqa: PT017
    else:
        CODEC.decode(data)


@pytest.mark.parametrize("levels", [200, 1500, 100_000])
@pytest.mark.parametrize("kind", [list, tuple, Item])
def test_a_value_that_is_too_deep(levels: int, kind: Any) -> None:
    value: Any = None
    for _ in range(levels):
        value = [value] if kind is list else (value,) if kind is tuple else Item(value)
    try:
        CODEC.decode(CODEC.encode(value))
    except FleetgraphError as error:
        assert "nested" in str(error)  # noqa: PT017


def test_a_pattern_with_the_debug_flag_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert CODEC.decode(extension(18, msgpack.packb(["x", 32 | 128]))).pattern == "x"
    assert capfd.readouterr() == ("", "")


def test_the_first_thing_wrong_is_told() -> None:
    with pytest.raises(DecodeError, match=r"^the bytes are not a value of Fleetgraph: it ends too early\.$"):
        Codec().decode(b"\xdd\x00\x00\x00\x20" * 400)
