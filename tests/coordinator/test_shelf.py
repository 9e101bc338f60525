"""What of a run's state is stored for its tasks: once, while a task may need it, and of what grows what was added."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest

from fleetgraph import growing
from fleetgraph.channels import Topic
from fleetgraph.coordinator import shelf as module
from fleetgraph.coordinator.shelf import Given, Shelf
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.pregel.state import State, Written
from fleetgraph.pregel.task import Frame, Task
from fleetgraph.types import Overwrite
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.values import GROWING_BYTES, LARGE_BYTES, WHOLE, Reference, about, digest

LARGE = "x" * LARGE_BYTES


def merged(old: list[Any], new: list[Any]) -> list[Any]:
    old.extend(new)
    return old


class Values(TypedDict):
    text: str
    log: Annotated[list[Any], operator.add]
    own: Annotated[list[Any], merged]
    topic: Annotated[list[Any], Topic(accumulate=True)]


program = (
    StateGraph(Values)
    .add_node("one", lambda state: state)
    .add_edge(START, "one")
    .add_conditional_edges("one", lambda state: END, [END])
    .compile()
    .program
)


class Scene:
    """A state, and what a shelf has put into Redis for it."""

    def __init__(self, **values: Any) -> None:
        self.codec = Codec()
        self.shelf = Shelf(self.codec, "run")
        self.state = State(program, values, dict.fromkeys(values, 1), {}, lambda version: version + 1)
        self.stored: dict[str, bytes] = {}
        self.encoded: list[str] = []

    def task(self) -> Task:
        node = program.nodes["one"]
        values = node.reading.values(self.state.channels, 1, 2)
        snapshot = {key: value for key in node.branch_keys if (value := self.state.channels[key].snapshot())}
        frame = Frame(program, {}, frozenset())
        return Task("t", "one", (), (), 1, 2, "", values, frame, values=values, snapshot=snapshot, state=self.state)

    def write(self, channel: str, value: Any) -> None:
        self.state.apply([Written([(channel, value)])])

    def give(self, epoch: int = 1) -> Given:
        given = self.shelf.given(self.task(), epoch)
        changes = self.shelf.changes()
        self.encoded = []
        if changes is not None:
            self.stored.update(changes.new)
            self.encoded = list(changes.new)
            for field in changes.gone:
                del self.stored[field]
        return given

    def value(self, reference: Reference) -> Any:
        """What a worker that knows nothing makes of a reference."""
        parts = [self.codec.decode(self.stored[field], about=about("run", field)) for field in reference.fields]
        return parts[0] if len(parts) == 1 else [item for part in parts for item in part]


def test_what_is_small_is_not_stored() -> None:
    scene = Scene(text="small", log=["a"])
    assert scene.give() == Given({}, {}, [])
    assert not scene.stored


def test_what_is_large_is_stored_once_for_its_node_and_for_the_branches_behind_it() -> None:
    scene = Scene(text=LARGE, log=["a"])
    given = scene.give()
    assert given.input == given.seen == {"text": Reference("1-1", 0)}
    assert scene.value(given.input["text"]) == LARGE
    assert scene.encoded == ["1-1"]

    assert scene.give().input == given.input
    scene.write("log", ["b"])
    assert scene.give().input == given.input
    assert scene.encoded == []


def test_a_new_value_is_stored_and_the_former_removed_once_no_task_has_it() -> None:
    scene = Scene(text=LARGE)
    former = scene.give()
    scene.write("text", LARGE + "!")
    assert scene.value(scene.give().input["text"]) == LARGE + "!"
    assert set(scene.stored) == {"1-1", "1-2"}

    del former

    scene.give()
    assert set(scene.stored) == {"1-2"}
    scene.write("text", "small")
    assert scene.give() == Given({}, {}, [])
    assert not scene.stored


def test_the_same_value_written_again_is_another() -> None:
    """It may have been changed in its place, as `merged` does; to find out would take as long as to store it."""
    scene = Scene(own=[LARGE])
    first = scene.give().input["own"]
    scene.write("own", ["more"])
    second = scene.give().input["own"]
    assert second.name != first.name
    assert scene.value(second) == [LARGE, "more"]
    assert list(scene.stored) == [second.name]


@pytest.mark.parametrize("channel", ["log", "topic"])
def test_of_a_list_that_grows_only_what_was_added_is_stored(channel: str) -> None:
    scene = Scene(**{channel: [LARGE]})
    scene.give()
    for number in range(1, 30):
        scene.write(channel, [f"{number}"])
        given = scene.give()
        assert given.input[channel] == given.seen[channel]
        assert given.input[channel] == Reference("1-1", number, digest(scene.stored[f"1-1.{number}"]))
        assert scene.encoded == [f"1-1.{number}"]
        assert scene.value(given.input[channel]) == [LARGE, *map(str, range(1, number + 1))]
    assert len(b"".join(scene.stored.values())) < LARGE_BYTES + 29 * 10


def test_a_list_that_grew_twice_before_a_task_needs_it() -> None:
    scene = Scene(log=[LARGE])
    scene.give()
    scene.write("log", ["a"])
    scene.write("log", ["b"])
    assert scene.value(scene.give().input["log"]) == [LARGE, "a", "b"]
    assert scene.encoded == ["1-1.1"]


def test_lists_that_are_seen_to_grow_are_stored_before_they_are_large() -> None:
    scene = Scene(log=["x" * GROWING_BYTES])
    assert not scene.give().input
    scene.write("log", ["more"])
    assert scene.value(scene.give().input["log"]) == ["x" * GROWING_BYTES, "more"]


def test_pieces_are_merged_and_those_that_they_replace_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "FAN", 4)
    scene = Scene(log=[LARGE])
    scene.give()
    for number in range(1, 100):
        scene.write("log", [number])
        reference = scene.give().input["log"]
        assert scene.value(reference) == [LARGE, *range(1, number + 1)]
        last = reference.bits_since(number - 1)
        assert scene.codec.decode(scene.stored[last[0]]) == [number]
        for late in range(max(0, number - 3), number):  # who knows the last few can still follow
            assert set(reference.bits_since(late)) <= set(scene.stored)
    assert len(scene.stored) < 1 + 4 * 3 + 4 * 3 + 2

    scene.write("log", Overwrite([]))
    scene.give()
    assert not scene.stored


def test_a_task_of_another_superstep_keeps_what_it_was_given() -> None:
    scene = Scene(log=[LARGE])
    early = scene.give()
    scene.write("log", ["a"])
    scene.give()
    assert scene.value(early.input["log"]) == [LARGE]


def test_a_state_that_is_one_value_is_given_as_a_whole() -> None:
    alone = StateGraph(str).add_node("one", lambda state: state).add_edge(START, "one").compile().program
    state = State(alone, {"__root__": LARGE}, {"__root__": 1}, {}, lambda version: version + 1)
    frame = Frame(alone, {}, frozenset())
    task = Task("t", "one", (), (), 1, 2, "", LARGE, frame, values=LARGE, state=state)  # type: ignore[arg-type]
    assert Shelf(Codec(), "run").given(task, 1).input == {WHOLE: Reference("1-1", 0)}


def test_arguments_of_a_task_s_own_travel_along() -> None:
    scene = Scene(text=LARGE)
    task = scene.task()
    task.values = None
    given = scene.shelf.given(task, 1)
    assert not given.input
    assert given.seen == {"text": Reference("1-1", 0)}


def test_what_can_not_travel_is_left_to_who_encodes_the_task() -> None:
    scene = Scene(text=[LARGE, object()])
    assert scene.give() == Given({}, {}, [])


def test_what_another_coordinator_stored_is_swept_when_its_tasks_have_ended() -> None:
    scene = Scene(text=LARGE)
    scene.shelf.inherits({"a", "b"})
    scene.shelf.given(scene.task(), 2)
    changes = scene.shelf.changes()
    assert changes is not None
    assert list(changes.new) == ["2-1"]
    assert not changes.sweep

    scene.shelf.ended("a")
    assert scene.shelf.changes() is None
    scene.shelf.ended("b")

    changes = scene.shelf.changes()
    assert changes is not None
    assert changes.sweep
    assert scene.shelf.changes() is None


def test_what_was_never_sent_need_not_be_removed() -> None:
    scene = Scene(text=LARGE)
    scene.shelf.given(scene.task(), 1)
    scene.write("text", "small")
    scene.shelf.given(scene.task(), 1)
    assert scene.shelf.changes() is None


def test_sizes_are_found_out_without_encoding_what_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    sized: list[Any] = []
    real: Callable[..., bool] = module.may_be_large
    monkeypatch.setattr(module, "may_be_large", lambda value, limit: sized.append(value) or real(value, limit))
    scene = Scene(text=LARGE, log=["a"], own=["b"])
    scene.give()
    scene.give()
    assert sized.count(LARGE) == 1
    assert sized.count(["a"]) == 1
