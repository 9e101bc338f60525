"""What can't travel: the error says what it is, where in the value it is, and what to do."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, PrivateAttr

from fleetgraph.errors import EncodeError
from fleetgraph.types import Command, Send
from fleetgraph.wire import Codec

LOCK = threading.Lock()


@dataclass
class Node:
    name: str
    inner: Any = None


@dataclass(slots=True)
class SlottedNode:
    inner: Any


class Model(BaseModel):
    field: Any = None
    _private: Any = PrivateAttr(default=None)


class Row(NamedTuple):
    left: Any


class Table(dict[str, Any]):
    pass


CODEC = Codec([Node, SlottedNode, Model, Row, Table])


def refused(value: Any, where: str = "") -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value, where)
    assert CODEC.decode(CODEC.encode((1, [2]))) == (1, [2]), "the codec is of no use after a failure"
    return caught.value


def private() -> Model:
    model: Any = Model()
    model._private = LOCK
    return model


FAULTY: list[tuple[Any, str]] = [
    (LOCK, "$"),
    ([1, LOCK], "$[1]"),
    ({"items": [0, 1, 2, Node("n", LOCK)]}, "$.items[3].inner"),
    ({"two words": {7: LOCK}}, "$['two words'][7]"),
    ({"a": ({"b": LOCK},)}, "$.a[0].b"),
    ({("k", 1): LOCK}, "$[('k', 1)]"),
    ({"ok": 1, (1, Lock := threading.Lock()): 2}, "$.keys()[1][1]"),
    ({LOCK}, "$[0]"),
    (frozenset([LOCK]), "$[0]"),
    (deque([1, LOCK]), "$[1]"),
    (OrderedDict(a=LOCK), "$.a"),
    (defaultdict(list, a=[LOCK]), "$.a[0]"),
    (SlottedNode([LOCK]), "$.inner[0]"),
    (Model(field={"x": LOCK}), "$.field.x"),
    (private(), "$._private"),
    (Row([LOCK]), "$[0][0]"),
    (Table(a=LOCK), "$.a"),
    (Command(update={"x": LOCK}), "$.update.x"),
    (Command(goto=[Send("a", 1), Send("b", {"l": LOCK})]), "$.goto[1].arg.l"),
    ([bytearray(b"x"), b"y", LOCK], "$[2]"),
]


@pytest.mark.parametrize(("value", "path"), FAULTY, ids=[path for _, path in FAULTY])
def test_the_error_leads_to_the_value(value: Any, path: str) -> None:
    error = refused(value)
    assert error.path == path
    assert error.kind == "_thread.lock"
    assert "made in the node that uses it" in error.hint


def test_the_error_says_where_the_value_belongs() -> None:
    error = refused({"lock": LOCK}, "node 'n', channel 'c'")
    assert error.where == "node 'n', channel 'c'"
    assert str(error).startswith("node 'n', channel 'c': can't send the value at $.lock, of type _thread.lock, to")


def test_the_first_of_several_faults_is_named() -> None:
    assert refused([{"a": 1, "b": print}, LOCK]).path == "$[0].b"


async def _coroutine() -> None: ...


def test_code_never_travels() -> None:
    code: list[Any] = [print, lambda: 0, [1].append, functools.partial(print), int, Node, pytest, LOCK.acquire]
    for value in code:
        assert "Code never travels" in refused([value]).hint


def test_what_belongs_to_a_process_is_refused() -> None:
    coroutine = _coroutine()
    with socket.socket() as sock:
        for value in (object(), sock, threading.Thread(), threading.local(), asyncio.Event(), coroutine):
            error = refused({"x": value})
            assert error.path == "$.x"
            assert error.kind.endswith(type(value).__qualname__)
    coroutine.close()


HINTS: list[tuple[Any, str]] = [
    ({"a": 1}.keys(), "Make it a list first."),
    (map(str, []), "Make it a list first."),
    ((x for x in "ab"), "Make it a list first."),
    (memoryview(b"x"), "bytes(view)"),
    (type("Text", (str,), {})("x"), "Make it a plain str first"),
    (type("Whole", (int,), {})(1), "Make it a plain int first"),
    (type("Rows", (list,), {})(), "Make it a plain list first"),
    (type("Record", (dict,), {})(), "Make it a plain dict first"),
    (defaultdict(lambda: 0), "default_factory"),
    (slice(1), "Send plain data"),
]


@pytest.mark.parametrize(("value", "hint"), HINTS)
def test_the_hint_fits_the_type(value: Any, hint: str) -> None:
    assert hint in refused([{"x": [value]}]).hint
    assert refused([{"x": [value]}]).path == "$[0].x[0]"


def test_a_time_zone_that_no_other_process_knows_is_refused() -> None:
    class Lunar(tzinfo):
        pass

    error = refused({"at": datetime(2024, 1, 1, tzinfo=Lunar())})
    assert error.path == "$.at"
    assert "NotImplementedError" in error.hint


# --- cycles and depth --------------------------------------------------------------------------------------------


def cycle_of_lists() -> Any:
    items: list[Any] = [1]
    items.append({"again": items})
    return items


def cycle_through_a_tuple() -> Any:
    items: list[Any] = []
    items.append((items,))
    return items


def cycle_of_dataclasses() -> Any:
    first = Node("first")
    first.inner = [Node("second", first)]
    return first


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (cycle_of_lists, "$[1].again"),
        (cycle_through_a_tuple, "$[0][0]"),
        (cycle_of_dataclasses, "$.inner[0].inner"),
    ],
)
def test_a_value_that_contains_itself_is_refused(make: Any, path: str) -> None:
    error = refused(make())
    assert error.path == path
    assert "contains itself" in error.hint


def nested(wrap: Any, levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda v: [v],
    "dict": lambda v: {"k": v},
    "tuple": lambda v: (v,),
    "dataclass": lambda v: Node("n", v),
    "mixed": lambda v: [{"a": (v,)}],
}


@pytest.mark.parametrize("levels", [1_500, 5_000, 100_000])
@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_value_nested_too_deeply_is_refused(kind: str, levels: int) -> None:
    value = nested(WRAPPERS[kind], levels)
    error = refused(value)
    assert "nested too deeply" in error.hint
    assert len(error.path) <= 201


@pytest.mark.parametrize("levels", [100, 128])
def test_what_can_be_encoded_can_be_decoded(levels: int) -> None:
    for kind in ("tuple", "dataclass", "mixed"):
        assert_survives(nested(WRAPPERS[kind], levels))
    assert_survives(nested(WRAPPERS["list"], 500))


def assert_survives(value: Any) -> None:
    """Compares bytes: `==` on values nested this deep is too much for Python itself."""
    encoded = CODEC.encode(value)
    assert CODEC.encode(CODEC.decode(encoded)) == encoded


def test_one_value_in_many_places_is_no_cycle() -> None:
    shared: Any = (1,)
    for _ in range(15):
        shared = (shared, shared)
    assert CODEC.decode(CODEC.encode(shared)) == shared


def test_a_fault_in_a_value_with_many_references_is_found_in_time() -> None:
    shared: Any = ([LOCK, 1],)
    for _ in range(60):  # 2 ** 60 paths lead to the fault, and to what is sound before it
        shared = (shared, shared)
    sound: Any = (1,)
    for _ in range(18):
        sound = (sound, sound)
    assert refused([sound, shared]).path.endswith("[0][0][0][0]")


def test_a_class_that_raises_when_it_is_taken_apart_is_refused() -> None:
    class Nasty:
        def __init__(self) -> None:
            self.x = 1

        def __getattribute__(self, name: str) -> Any:
            if name == "__dict__":
                raise RuntimeError("not now")
            return object.__getattribute__(self, name)

    codec = Codec([Nasty])
    with pytest.raises(EncodeError, match=r"\$\[0\].*RuntimeError: not now"):
        codec.encode([Nasty()])
