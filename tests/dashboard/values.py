"""A graph that streams values of all kinds, and one that fails; and how the example shows those values."""

from __future__ import annotations

import datetime
import enum
from collections import Counter, deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter


class Colour(enum.Enum):
    RED = 1


@dataclass
class Place:
    name: str
    at: tuple[int, int]


class State(TypedDict):
    done: bool
    colour: Colour
    place: Place


VALUES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (False, False),
    *((number, number) for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32, 2**53)),
    *((-number, -number) for number in (1, 32, 33, 128, 129, 32_769, 2**31 + 1, 2**53)),
    (1.5, 1.5),
    *(("é" * length, "é" * length) for length in (1, 20, 200, 40_000)),
    (b"\x00\xff", "AP8="),
    *(([1] * length, [1] * length) for length in (0, 15, 16, 70_000)),
    ({str(key): key for key in range(20)}, {str(key): key for key in range(20)}),
    ({1: "a", (2, 3): "b"}, {"1": "a", "[2,3]": "b"}),
    ((1, (2, [3])), [1, [2, [3]]]),
    ({7}, [7]),
    (deque([1], maxlen=2), [[1], 2]),
    (2**70, "QAAAAAAAAAAA"),
    (datetime.datetime(2026, 1, 31, 12, 30, tzinfo=datetime.UTC), "2026-01-31T12:30:00+00:00"),
    (datetime.date(2026, 1, 31), "2026-01-31"),
    (datetime.timedelta(days=1, seconds=2), [1, 2, 0]),
    (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Decimal("1.10"), "1.10"),
    (Counter("aab"), {"a": 2, "b": 1}),
    (Colour.RED, [f"{__name__}:Colour", "RED"]),
    (Place("here", (1, 2)), [f"{__name__}:Place", {"name": "here", "at": [1, 2]}]),
]

SHOWN = [shown for _, shown in VALUES]


def tell(state: State, writer: StreamWriter) -> dict[str, Any]:
    for value, _ in VALUES:
        writer(value)
    return {"done": True}


def fail(state: State) -> dict[str, Any]:
    raise ValueError("too hot")


graph = StateGraph(State).add_node(tell).add_edge(START, "tell").compile()
failing = StateGraph(State).add_node(fail).add_edge(START, "fail").compile()
