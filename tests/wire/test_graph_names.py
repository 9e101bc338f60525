"""When two names are one graph's: decided here and in a script, alike."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest
import redis

from fleetgraph.wire.names import is_called, is_same_graph

NAMES = [
    "app:graph",
    "pkg.app:graph",
    "src.pkg.app:graph",
    "myapp:graph",
    "app:other",
    "graph",
    ":graph",
    ".app:graph",
    "",
]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("app:graph", "app:graph", True),
        ("app:graph", "pkg.app:graph", True),
        ("pkg.app:graph", "src.pkg.app:graph", True),
        ("app:graph", "myapp:graph", False),
        ("app:graph", "pkg.app:other", False),
        ("one.app:graph", "two.app:graph", False),
    ],
)
def test_the_end_of_a_name_is_enough(one: str, other: str, same: bool) -> None:
    assert is_same_graph(one, other) is is_same_graph(other, one) is same


def test_workers_are_given_tasks_by_the_same_rule(redis_client: redis.Redis) -> None:
    part = (files("fleetgraph.wire") / "scripts" / "parts" / "serves.lua").read_text("utf-8")
    name = re.search(r"^local function (\w+)\(graphs, fingerprint, name\)$", part, re.MULTILINE)
    assert name is not None
    script: Any = redis_client.register_script(f"{part}\nreturn {name[1]}(ARGV[1], 'f', ARGV[2]) and 1 or 0")
    for one in filter(None, NAMES):
        for other in NAMES:
            assert script(args=[f"f {one}", other]) == is_same_graph(one, other), (one, other)


def test_what_people_call_a_graph() -> None:
    assert is_called("pkg.app:graph", "graph")
    assert is_called("pkg.app:graph", "pkg.app:graph")
    assert not is_called("pkg.app:graph", "app:graph")
    assert not is_called("pkg.app:graph", "raph")
