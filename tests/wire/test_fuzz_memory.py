"""Decoding takes memory in proportion to the bytes, whatever these claim to be."""

from __future__ import annotations

import importlib
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgraph.errors import FleetgraphError
from fleetgraph.wire.kinds import MAX_NESTING
from tests.wire.fuzzing import DECODERS, HUGE, Decoder, damaged

msgpack: Any = importlib.import_module("msgpack")  # has no types

PER_BYTE = 400
"""Bytes of memory for each byte: what Python's objects take. A Counter takes three bytes, and 250 in memory."""

PER_LEVEL = 4
"""For each byte and each extension around it, which is a copy of what is in it, with msgpack's own copy to read."""

AT_MOST = 6 << 20
"""Bytes for a start: modules that are imported, caches that fill, arrays of a small message that are not there."""


def peak(decode: Callable[[bytes], Any], data: bytes) -> int:
    """The most memory that decoding took at a time, in bytes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with suppress(FleetgraphError):
            decode(data)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def extension(code: int, data: bytes) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, data))


def claims(size: int) -> bytes:
    """Arrays in each other's first place, all of which claim to be as long as the message."""
    header = b"\xdd" + size.to_bytes(4, "big")
    return header * 1000 + b"\xc0" * (size - 5000)


def nested_claims(size: int) -> bytes:
    """The same inside of extensions inside of each other."""
    data = b"\xc0" * size
    for _ in range(MAX_NESTING - 1):
        data = extension(1, (b"\xdd" + len(data).to_bytes(4, "big")) * 8 + data)
    return data


def inside_of_many(size: int) -> bytes:
    data = b"\xc6" + size.to_bytes(4, "big") + b"\x00" * size
    for _ in range(MAX_NESTING - 1):
        data = extension(1, b"\x91" + data)
    return data


BOMBS: dict[str, tuple[bytes, int]] = {
    **{f"claims of {size}": (claims(size), 0) for size in (16_000, 100_000, 1_000_000)},
    "claims in extensions": (nested_claims(20_000), MAX_NESTING),
    "empty arrays": (b"\xdd\x00\x01\x86\xa0" + b"\x90" * 100_000, 0),
    "empty maps": (b"\xdd\x00\x01\x86\xa0" + b"\x80" * 100_000, 0),
    **{
        f"empty extensions {code}": (b"\xdd\x00\x00\x4e\x20" + extension(code, plain) * 20_000, 1)
        for code, plain in [
            *(
                (1, b"\x90"),
                (2, b"\x90"),
                (3, b"\x90"),
                (4, b"\x92\x90\xc0"),
                (7, b"\xc4\x00"),
                (17, b"\x93\x00\x01\x01"),
            ),
            *((20, b"\x80"), (21, b"\x80"), (22, b"\x92\xc0\x80"), (16, b"\x92\xadPurePosixPath\xa0")),
            *((40, b"\x93\xa2i1\x91\x00\xc4\x00"), (33, b"\x93\xb8tests.wire.fuzzing:Point\x91\x00\xc0")),
        ]
    },
    "a large value inside of many": (inside_of_many(200_000), MAX_NESTING),
    "a range for a list": (extension(1, extension(17, b"\x93\x00\xcf\x0f\xff\xff\xff\xff\xff\xff\xff\x01")), 2),
    "a large number": (extension(5, b"\xc5\xff\xff" + b"\x7f" * 65_535), 1),
    "an array type of many fields": (extension(40, msgpack.packb([",".join(["i1"] * 5000), [0], b""])), 1),
    "an array type of a large item": (extension(40, msgpack.packb(["2000000000i1", [0], b""])), 1),
    "a pattern": (extension(18, msgpack.packb(["(" * 5000 + ")" * 5000, 0])), 1),
    "long notes": (extension(34, msgpack.packb(["builtins:ValueError", "x", b"\x90", b"\x80", ["n"] * 9999, ""])), 1),
}


@pytest.mark.parametrize("name", ["value", "task", "encrypted value", "job value", "job data", "unreadable outcome"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb(name: str, bomb: str) -> None:
    data, levels = BOMBS[bomb]
    decode = DECODERS[name].decode
    took = peak(decode, data)
    assert took <= AT_MOST + len(data) * (PER_BYTE + PER_LEVEL * levels), f"{took / len(data):.0f} a byte"


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("header", HUGE, ids=bytes.hex)
def test_a_length_that_is_not_there(name: str, header: bytes) -> None:
    for data in (header, header * 2000, b"?" + header * 2000, b"\x98\x02" + header * 2000):
        assert peak(DECODERS[name].decode, data) <= AT_MOST


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@given(draw=st.data())
@settings(max_examples=40)
def test_damaged_messages(decoder: Decoder, draw: st.DataObject) -> None:
    data = draw.draw(damaged(draw.draw(st.sampled_from(decoder.specimens))))
    assert peak(decoder.decode, data) <= AT_MOST


def test_a_long_value_takes_little_more_than_itself() -> None:
    """A hundred megabytes of bytes are one copy."""
    decode = DECODERS["value"].decode
    data = msgpack.packb({"data": b"\xdd" * (100 << 20)})
    assert peak(decode, data) <= 2.2 * len(data)
