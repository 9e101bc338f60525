"""Values of every built-in kind arrive as what they were."""

from __future__ import annotations

import importlib
import ipaddress
import math
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.errors import EncodeError
from fleetgraph.types import Command, Interrupt, Overwrite, Send
from fleetgraph.wire import Codec

msgpack: Any = importlib.import_module("msgpack")  # has no types

CODEC = Codec()
BERLIN = ZoneInfo("Europe/Berlin")


def sent(value: Any) -> Any:
    """What arrives of `value`."""
    return CODEC.decode(CODEC.encode(value))


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types all the way down, in the same order, and NaN is NaN."""
    kind: Any = one.__class__
    if kind is not other.__class__:
        return False
    if kind is float:
        return repr(one) == repr(other)  # tells -0.0 from 0.0, and NaN is like NaN
    if issubclass(kind, dict):
        return len(one) == len(other) and all(map(same, one.items(), other.items()))
    if kind in (list, tuple, deque):
        return len(one) == len(other) and all(map(same, one, other))
    if kind in (set, frozenset):
        return len(one) == len(other) and all(any(same(item, twin) for twin in other) for item in one)
    return one == other


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1.5, math.inf, math.nan),
        *(2**64, -(2**63) - 1, 10**4000, -(10**4000), 255 << 120, -(1 << 127)),
        *("", "text", "ünï✓", "half \ud800 a pair", b"", b"\xc4\xc5\xc6", bytearray(b"ab"), bytearray()),
        *([], [1, [2, [3]]], {}, {"a": {"b": None}}, {1: 2, None: 3, 1.5: 4, b"k": 5}, {True: "t"}),
        *((), (1,), ([], (2, ()), {"a": (3,)}), {(1, ("x",)): (2,)}, {frozenset({1}): 1}),
        *(set[int](), {1, "a", (2, 3)}, frozenset({1, frozenset({2})})),
        *(deque([1, (2,)]), deque([1, 2], maxlen=3), complex(1, -2.5), range(5), range(10, 0, -3), range(2**70)),
        {"nested": [bytearray(b"x"), {"deep": [bytearray(b"y"), b"z"]}], "tuple": (bytearray(b"q"), b"r")},
        *(Decimal("1.10"), Decimal("-0"), Decimal("Infinity"), Decimal("1E+400"), Fraction(-1, 3), Fraction(2**80, 3)),
        UUID("12345678-1234-5678-1234-567812345678"),
        *(OrderedDict([("b", 1), ("a", (2,))]), Counter("abca")),
    ],
)
def test_a_value_arrives_as_it_was(value: Any) -> None:
    assert same(sent(value), value)


@pytest.mark.parametrize(
    "value",
    [
        *(date(2024, 2, 29), date.min, date.max, timedelta(days=-1, microseconds=1), timedelta.max),
        *(time(1, 2, 3, 4), time(1, 2, tzinfo=UTC), time(1, 2, fold=1), time(1, 2, tzinfo=BERLIN)),
        *(datetime(2024, 1, 2, 3, 4, 5, 678901), datetime.min, datetime.max, datetime(2024, 1, 2, fold=1)),
        *(datetime(2024, 1, 2, tzinfo=UTC), datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=1), "CET")),
        datetime(2024, 1, 2, tzinfo=timezone(timedelta(seconds=61, microseconds=5))),
        datetime(2024, 7, 2, 12, tzinfo=BERLIN),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=0),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
        *(UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=2), "two"), BERLIN),
    ],
    ids=repr,
)
def test_times_keep_zone_fold_and_microseconds(value: Any) -> None:
    arrived = sent(value)
    assert repr(arrived) == repr(value)
    assert type(arrived) is type(value)


def test_a_fixed_offset_of_another_library_arrives_as_the_same_instant() -> None:
    class Fixed(tzinfo):
        def utcoffset(self, dt: datetime | None) -> timedelta:
            return timedelta(hours=2)

        def tzname(self, dt: datetime | None) -> str:
            return "somewhere"

    arrived = sent(datetime(2024, 1, 2, tzinfo=Fixed()))
    assert repr(arrived) == repr(datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    "value",
    [
        *(Path("/a/b"), Path(""), PurePosixPath("a/../b"), PureWindowsPath("C:\\a\\b"), PureWindowsPath("\\\\h\\s\\x")),
        *(re.compile(r"a(b)\d"), re.compile(rb"\x00", re.IGNORECASE), re.compile("x", re.MULTILINE | re.VERBOSE)),
        *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fe80::1%eth0"), ipaddress.ip_network("10.0.0.0/8")),
        *(ipaddress.ip_network("2001:db8::/32"), ipaddress.ip_interface("10.0.0.1/8")),
        ipaddress.ip_interface("2001:db8::1/64"),
    ],
    ids=repr,
)
def test_paths_patterns_and_addresses(value: Any) -> None:
    arrived = sent(value)
    assert type(arrived) is type(value)
    assert arrived == value


def test_a_path_of_another_system_arrives_as_its_pure_twin() -> None:
    kind, twin = ("WindowsPath", PureWindowsPath) if os.name == "posix" else ("PosixPath", PurePosixPath)
    data = msgpack.packb(msgpack.ExtType(16, msgpack.packb([kind, "/a/b"])))
    assert CODEC.decode(data) == twin("/a/b")


@pytest.mark.parametrize("factory", [None, list, dict, set, int, str, Counter, deque])
def test_a_defaultdict_keeps_its_factory(factory: Any) -> None:
    arrived = sent(defaultdict(factory, {"a": 1}))
    assert type(arrived) is defaultdict
    assert arrived == {"a": 1}
    assert arrived.default_factory is factory


def test_a_deque_keeps_its_maxlen() -> None:
    assert sent(deque([1], maxlen=7)).maxlen == 7


def test_a_generated_int_beyond_the_limit_of_texts_arrives() -> None:
    huge = 1 << 40_000  # int and str refuse to convert this by default
    assert sent(huge) == huge


OURS: list[Any] = [
    Send("work", {"item": (1, 2)}),
    Command(update={"a": 1}, goto=[Send("b", None), "c"], graph=Command.PARENT, resume={"id": "yes"}),
    Interrupt(value={"question": ("a", "b")}, id="i1"),
    Overwrite([1, 2]),
    (Interrupt("Q", "i1"), Interrupt("R", "i2")),
]


@pytest.mark.parametrize("value", OURS, ids=lambda value: type(value).__name__)
def test_our_own_types_need_no_permission(value: Any) -> None:
    arrived = sent(value)
    assert type(arrived) is type(value)
    assert arrived == value


def test_nothing_is_shared_between_what_is_sent_and_what_arrives() -> None:
    inner = [1]
    arrived = sent([inner, inner])
    arrived[0].append(2)
    assert arrived == [[1, 2], [1]]
    assert inner == [1]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones())
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.integers()), inner)
        | st.frozensets(st.text() | st.integers())
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_any_nested_value_arrives_as_it_was(value: Any) -> None:
    assert same(sent(value), value)


@given(PLAIN)
def test_equal_bytes_come_from_a_codec_that_was_used_before(value: Any) -> None:
    assert Codec().encode(value) == CODEC.encode(value)


def test_a_reader_in_another_language_sees_msgpack_all_the_way_down() -> None:
    data = CODEC.encode({"when": datetime(2024, 1, 2, tzinfo=UTC), "pair": (1, {2})})
    read = msgpack.unpackb(data)
    assert read["when"].code == 8
    assert msgpack.unpackb(read["when"].data) == "2024-01-02T00:00:00+00:00"
    pair = msgpack.unpackb(read["pair"].data)
    assert (read["pair"].code, pair[0], pair[1].code, msgpack.unpackb(pair[1].data)) == (1, 1, 2, [2])


def test_a_timestamp_of_msgpack_itself_arrives_as_a_datetime() -> None:
    data = msgpack.packb(datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime=True)
    assert CODEC.decode(data) == datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_arrays_keep_data_type_and_shape() -> None:
    np: Any = pytest.importorskip("numpy")
    arrays = [
        *(np.arange(6, dtype="<i2").reshape(2, 3), np.array([], dtype="f4"), np.array(3.5), np.array(["a", "bcd"])),
        *(np.array([1, 2], dtype=">u4"), np.zeros((0, 3)), np.array([True, False]), np.array([1 + 2j])),
        *(np.array(["2024-01-01"], dtype="M8[D]"), np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(9)[::2]),
        np.array([(1, 2.5, "x")], dtype=[("a", "<i4"), ("b", "f8", (2,)), ("c", "U3")]),
    ]
    for array in arrays:
        arrived = sent(array)
        assert type(arrived) is np.ndarray
        assert arrived.dtype == array.dtype
        assert arrived.shape == array.shape
        assert arrived.flags.writeable
        assert arrived.tobytes() == array.tobytes()


def test_scalars_of_numpy_keep_their_type() -> None:
    np: Any = pytest.importorskip("numpy")
    scalars = [
        np.float64(1.5),
        np.int8(-3),
        np.bool_(True),
        np.str_("text"),
        np.bytes_(b"x"),
        np.datetime64("2024-01-01"),
    ]
    for scalar in scalars:
        arrived = sent([scalar])[0]
        assert type(arrived) is type(scalar)
        assert arrived == scalar


def test_an_array_of_objects_is_refused_in_both_directions() -> None:
    np: Any = pytest.importorskip("numpy")
    with pytest.raises(EncodeError, match=r"\$\.a\[0\].*without Python objects"):
        CODEC.encode({"a": [np.array([object()])]})
    forged = CODEC.encode(np.array([1], dtype="<i8")).replace(b"<i8", b"|O8")
    with pytest.raises(Exception, match="Python objects"):
        CODEC.decode(forged)


def test_encoding_imports_nothing_that_is_not_imported() -> None:
    code = """
        import sys
        from fleetgraph.wire import Codec

        codec = Codec()
        codec.decode(codec.encode([(1,), {2}, ValueError(3)]))
        class Mine: pass
        try:
            codec.encode(Mine())
        except Exception as error:
            print(type(error).__name__, {"numpy", "pydantic", "langchain_core"} & sys.modules.keys())
    """
    paths = [path for path in sys.path if path.endswith("shared")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "EncodeError set()\n"
