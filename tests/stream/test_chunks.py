"""How callers want their chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from fleetgraph.channels.base import MISSING
from fleetgraph.stream.chunks import ChunkFormat, Result
from fleetgraph.types import GraphOutput

NS = ("sub:1",)


@pytest.mark.parametrize(
    ("mode", "subgraphs", "version", "expected"),
    [
        ("updates", True, "v1", (NS, {"a": 1})),
        (["updates", "values"], True, "v1", (NS, "updates", {"a": 1})),
        ("updates", True, "v2", {"type": "updates", "ns": NS, "data": {"a": 1}}),
        (["updates"], True, "v2", {"type": "updates", "ns": NS, "data": {"a": 1}}),
    ],
)
def test_the_envelope_of_a_graph_inside(mode: Any, subgraphs: bool, version: Any, expected: Any) -> None:
    assert ChunkFormat.of(mode, subgraphs, version, None, None).chunk("updates", {"a": 1}, NS) == expected


@pytest.mark.parametrize(
    ("mode", "subgraphs", "version", "expected"),
    [
        ("updates", False, "v1", {"a": 1}),
        (["updates"], False, "v1", ("updates", {"a": 1})),
        ("updates", True, "v1", ((), {"a": 1})),
        (["updates", "values"], True, "v1", ((), "updates", {"a": 1})),
        ("updates", False, "v2", {"type": "updates", "ns": (), "data": {"a": 1}}),
    ],
)
def test_the_envelope(mode: Any, subgraphs: bool, version: Any, expected: Any) -> None:
    assert ChunkFormat.of(mode, subgraphs, version, None, None).chunk("updates", {"a": 1}) == expected


@pytest.mark.parametrize("mode", ["values", "updates", "tasks", "checkpoints", "debug"])
def test_a_graph_inside_is_not_heard_unless_asked_for(mode: Any) -> None:
    chunks = ChunkFormat.of(mode, False, "v1", None, None)
    assert chunks.chunk(mode, {"a": 1}, NS) is MISSING


def test_a_mode_that_is_only_printed_is_not_yielded(capsys: pytest.CaptureFixture[str]) -> None:
    chunks = ChunkFormat.of("values", False, "v1", None, None, "updates")
    assert chunks.chunk("updates", {"a": 1}) is MISSING
    assert "{'a': 1}" in capsys.readouterr().out
    assert chunks.chunk("values", {"a": 1}) == {"a": 1}
    assert capsys.readouterr().out == ""


@dataclass
class Point:
    x: int


def test_v2_gives_states_as_instances_of_their_class() -> None:
    chunks = ChunkFormat.of(["values", "checkpoints", "debug"], False, "v2", lambda v: Point(**v), lambda v: Point(**v))
    assert chunks.chunk("values", {"x": 1})["data"] == Point(1)
    checkpoint = {"values": {"x": 1}, "next": ["a"]}
    assert chunks.chunk("checkpoints", checkpoint)["data"]["values"] == Point(1)
    wrapped = {"type": "checkpoint", "payload": checkpoint}
    assert chunks.chunk("debug", wrapped)["data"]["payload"]["values"] == Point(1)


def test_v2_leaves_a_checkpoint_alone_that_has_no_input_yet() -> None:
    chunks = ChunkFormat.of("checkpoints", False, "v2", None, lambda v: Point(**v))
    assert chunks.chunk("checkpoints", {"values": {}, "next": ["__start__"]})["data"]["values"] == {}


@pytest.mark.parametrize("mode", ["value", ["updates", "valeus"]])
def test_a_mode_that_does_not_exist(mode: Any) -> None:
    with pytest.raises(ValueError, match="choose among values, updates"):
        ChunkFormat.of(mode, False, "v1", None, None)


def test_a_version_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="'v3'"):
        ChunkFormat.of("values", False, "v3", None, None)  # type: ignore[arg-type]


def test_invoke_returns_the_last_state_or_all_chunks() -> None:
    last, every = Result("values", "v1"), Result("updates", "v1")
    for chunk in ({"n": 1}, {"n": 2}):
        last.add(chunk)
        every.add(chunk)
    assert last.value == {"n": 2}
    assert every.value == [{"n": 1}, {"n": 2}]


def test_invoke_in_version_2_says_which_interrupts_wait() -> None:
    result = Result("values", "v2")
    assert result.value == GraphOutput(None)
    result.add({"type": "values", "ns": (), "data": {"n": 1}, "interrupts": ()})
    assert result.value == GraphOutput({"n": 1}, ())
