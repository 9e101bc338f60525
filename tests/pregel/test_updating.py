"""Updates, with what they ask for answered by hand: no saver, no run."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, TypedDict, cast

import pytest

from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint.base import CheckpointTuple
from fleetgraph.config import get_config
from fleetgraph.errors import InvalidUpdateError
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.pregel.context import surrounding
from fleetgraph.pregel.instructions import SaveCheckpoint, SaveWrites
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.state import State as ChannelState
from fleetgraph.pregel.updating import Ask, CallCode, Find, Updater, last_node
from fleetgraph.types import StateUpdate

THREAD: dict[str, Any] = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def silent(state: Any) -> None:
    """A node."""


class NoRun:
    """A host that has nothing to say."""

    saver = None
    store = None
    durability: Any = "sync"
    control = None

    def claim_resume(self, task: Any) -> Any:
        return MISSING

    def call(self, task: Any, index: int, call: Any) -> Any:
        raise AssertionError("nothing calls functions")

    def time_limit(self, running: Any) -> AbstractContextManager[None]:
        raise AssertionError("no node is run")

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing is tried again")


class Shelf:
    """Answers what updates of one thread ask for, and keeps what they were."""

    def __init__(self, program: Program) -> None:
        ids = (f"{n:08d}" for n in itertools.count(1))
        self.updater = Updater(
            program=program,
            host=NoRun(),
            next_version=lambda current: (current or 0) + 1,
            new_id=lambda: next(ids),
            id_behind=lambda _: next(ids),
            now=lambda: "now",
        )
        self.kept: list[CheckpointTuple] = []
        self.asked: list[Ask] = []

    def update(self, *supersteps: Sequence[StateUpdate], config: dict[str, Any] = THREAD) -> Any:
        asking, answer = self.updater.update(config, supersteps), None
        while True:
            try:
                ask = asking.send(answer)
            except StopIteration as end:
                return end.value
            self.asked.append(ask)
            answer = self._answer(ask)

    def _answer(self, ask: Ask) -> Any:
        match ask:
            case Find(config):
                chosen = config["configurable"].get("checkpoint_id")
                return next((one for one in reversed(self.kept) if chosen in (None, one.checkpoint["id"])), None)
            case CallCode((callee, args, kwargs), running):
                return callee.call(args, kwargs, running)
            case SaveCheckpoint(config, checkpoint, metadata, _):
                parent = config["configurable"].get("checkpoint_id")
                named = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": checkpoint["id"]}
                above = None if parent is None else {"configurable": {**named, "checkpoint_id": parent}}
                self.kept.append(CheckpointTuple({"configurable": named}, checkpoint, metadata, above, ()))
                return self.kept[-1].config
            case SaveWrites():
                return None

    @property
    def last(self) -> CheckpointTuple:
        return self.kept[-1]

    def saved_writes(self) -> list[SaveWrites]:
        return [ask for ask in self.asked if isinstance(ask, SaveWrites)]


def chain(path: Any = None) -> Program:
    """`a`, then `b`, or where `path` says."""
    builder = StateGraph(State).add_node("a", silent).add_node("b", silent).add_edge(START, "a")
    builder = builder.add_edge("a", "b") if path is None else builder.add_conditional_edges("a", path, ["b", END])
    return builder.compile().program


def triggered(saved: CheckpointTuple) -> list[str]:
    return [key for key in saved.checkpoint["channel_values"] if key.startswith("branch:")]


def test_what_follows_from_the_node_is_next() -> None:
    shelf = Shelf(chain())
    named = shelf.update([StateUpdate({"log": ["x"]}, "a")])
    assert named == shelf.last.config
    assert shelf.last.checkpoint["channel_values"]["log"] == ["x"]
    assert triggered(shelf.last) == ["branch:to:b"]
    assert shelf.last.metadata == {"source": "update", "step": 0, "parents": {}}
    assert shelf.last.parent_config is None


def test_supersteps_build_on_each_other() -> None:
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["1"]}, "a")], [StateUpdate({"log": ["2"]}, "b")])
    first, second = shelf.kept
    assert second.parent_config == first.config
    assert (second.checkpoint["channel_values"], second.metadata["step"]) == ({"log": ["1", "2"]}, 1)


def test_a_path_function_sees_the_update_and_its_task() -> None:
    seen: list[Any] = []

    def path(state: State) -> str:
        seen.append((state, cast("Any", get_config())["metadata"]["langgraph_node"]))
        return "b"

    shelf = Shelf(chain(path))
    shelf.update([StateUpdate({"log": ["x"]}, "a")])
    assert seen == [({"log": ["x"]}, "a")]
    assert triggered(shelf.last) == ["branch:to:b"]
    assert surrounding() is None


def test_a_path_function_that_fails_saves_nothing() -> None:
    def path(state: State) -> str:
        raise LookupError("no way")

    shelf = Shelf(chain(path))
    with pytest.raises(LookupError, match="no way"):
        shelf.update([StateUpdate({"log": ["x"]}, "a")])
    assert shelf.kept == []


def test_an_update_stands_for_the_task_that_was_to_run() -> None:
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["1"]}, "a")])
    shelf.update([StateUpdate({"log": ["2"]}, "b")])
    (save,) = shelf.saved_writes()
    assert save.config["configurable"]["checkpoint_id"] == shelf.kept[0].checkpoint["id"]
    assert list(save.writes) == [("log", ["2"])]


def test_an_update_that_a_reducer_refuses_leaves_no_writes() -> None:
    """A run that goes on would take them for those of a task that has ended."""
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["1"]}, "a")])
    with pytest.raises(TypeError):
        shelf.update([StateUpdate({"log": 2}, "b")])
    assert shelf.saved_writes() == []
    assert len(shelf.kept) == 1


def test_a_fork_leaves_what_it_forks_alone() -> None:
    shelf = Shelf(chain())
    old = shelf.update([StateUpdate({"log": ["1"]}, "a")])
    shelf.update([StateUpdate({"log": ["2"]}, "b")])
    before = len(shelf.saved_writes())
    shelf.update([StateUpdate({"log": ["other"]}, "b")], config=old)
    assert shelf.last.parent_config == old
    assert shelf.last.checkpoint["channel_values"] == {"log": ["1", "other"]}
    assert len(shelf.saved_writes()) == before


def test_the_end_gives_up_what_is_pending() -> None:
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["1"]}, "a")])
    shelf.update([StateUpdate(None, END)])
    assert triggered(shelf.last) == []
    assert shelf.last.checkpoint["channel_values"]["log"] == ["1"]


def test_an_input_waits_to_be_run() -> None:
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["i"]}, "__input__")])
    assert shelf.last.checkpoint["channel_values"] == {START: {"log": ["i"]}}
    assert (shelf.last.metadata["source"], shelf.last.metadata["step"]) == ("input", -1)


def test_a_copy_stands_beside_the_original_and_takes_updates() -> None:
    shelf = Shelf(chain())
    shelf.update([StateUpdate({"log": ["1"]}, "a")], [StateUpdate({"log": ["2"]}, "a")])
    shelf.update([StateUpdate([({"log": ["3"]}, "b")], "__copy__")])
    original, copy, updated = shelf.kept[1:]
    assert copy.parent_config == original.parent_config
    assert copy.checkpoint["channel_values"] == original.checkpoint["channel_values"]
    assert copy.metadata["source"] == "fork"
    assert updated.parent_config == copy.config
    assert updated.checkpoint["channel_values"]["log"] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([StateUpdate({}, "nobody")], "Node nobody does not exist"),
        ([StateUpdate({}, "a"), StateUpdate({}, None)], "as_node is required when applying multiple updates"),
        ([StateUpdate(None, END), StateUpdate({}, "a")], "Cannot apply multiple updates when clearing state"),
        ([StateUpdate({}, "__input__"), StateUpdate({}, "a")], "Cannot apply multiple updates when updating as input"),
        ([StateUpdate(None, "__input__")], "Received no input writes for __start__"),
        ([StateUpdate(None, "__copy__")], "Cannot copy a non-existent checkpoint"),
        ([StateUpdate(5, "a")], "Expected dict, got 5"),
    ],
)
def test_what_is_refused(updates: list[StateUpdate], message: str) -> None:
    shelf = Shelf(chain())
    with pytest.raises(InvalidUpdateError, match=message):
        shelf.update(updates)
    assert shelf.kept == []


@pytest.mark.parametrize(
    ("seen", "node"),
    [
        ({}, START),
        ({START: {START: 1}}, START),
        ({START: {START: 1}, "a": {"branch:to:a": 2}}, "a"),
        ({"a": {"branch:to:a": 2}, "b": {"branch:to:b": 2}}, None),
        ({"a": {"branch:to:a": 1}, "b": {"branch:to:b": 2, "join:a:b": 2}}, "b"),
        ({"__interrupt__": {"log": 9}, "a": {"branch:to:a": 2}}, "a"),
    ],
)
def test_which_node_ran_last(seen: dict[str, dict[str, int]], node: str | None) -> None:
    state = ChannelState(chain(), {}, {}, cast("Any", seen), lambda current: current)
    assert last_node(state) == node
