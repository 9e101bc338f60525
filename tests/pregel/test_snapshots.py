"""Snapshots, made of checkpoints written by hand: no saver, no run."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel

from fleetgraph.checkpoint.base import CheckpointTuple, PendingWrite
from fleetgraph.graph import START, StateGraph
from fleetgraph.pregel.labels import without_task_ids
from fleetgraph.pregel.reserved import ERROR, INTERRUPT, NO_WRITES, NULL_TASK, RESUME
from fleetgraph.pregel.snapshots import Look, is_live, nothing_at
from fleetgraph.types import Interrupt


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def silent(state: Any) -> None:
    """A node."""


def both() -> Any:
    """`z` and `a`, side by side."""
    builder = StateGraph(State).add_node("z", silent).add_node("a", silent)
    return builder.add_edge(START, "z").add_edge(START, "a").compile().program


def before_both(writes: Sequence[PendingWrite] = ()) -> CheckpointTuple:
    """The checkpoint from which `z` and `a` run."""
    return CheckpointTuple(
        config={"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "1"}},
        checkpoint={
            "id": "1",
            "ts": "now",
            "channel_values": {"log": ["i"], "branch:to:z": None, "branch:to:a": None},
            "channel_versions": {"log": 1, "branch:to:z": 1, "branch:to:a": 1},
            "versions_seen": {},
        },
        metadata={"source": "loop", "step": 0, "parents": {}},
        pending_writes=writes,
    )


def ids() -> dict[str, str]:
    return {task.name: task.id for task in Look(both(), before_both(), live=True).tasks}


def test_next_is_in_the_order_in_which_nodes_were_added() -> None:
    snapshot = Look(both(), before_both(), live=True).snapshot({})
    assert snapshot.next == ("z", "a")
    assert snapshot.values == {"log": ["i"]}
    assert [task.result for task in snapshot.tasks] == [None, None]


def test_a_live_look_shows_what_is_done() -> None:
    saved = before_both([(ids()["a"], "log", ["a"])])
    snapshot = Look(both(), saved, live=True).snapshot({})
    assert (snapshot.values, snapshot.next) == ({"log": ["i", "a"]}, ("z",))
    assert [task.result for task in snapshot.tasks] == [None, {"log": ["a"]}]


def test_a_look_at_a_record_shows_what_was_to_be_done() -> None:
    saved = before_both([(ids()["a"], "log", ["a"])])
    snapshot = Look(both(), saved, live=False).snapshot({})
    assert (snapshot.values, snapshot.next) == ({"log": ["i"]}, ("z", "a"))
    assert [task.result for task in snapshot.tasks] == [None, {"log": ["a"]}]


def test_a_task_that_wrote_nothing_has_ended() -> None:
    snapshot = Look(both(), before_both([(ids()["a"], NO_WRITES, None)]), live=True).snapshot({})
    assert snapshot.next == ("z",)
    assert snapshot.tasks[1].result == {}


@pytest.mark.parametrize(("live", "shown"), [(True, ()), (False, ("what?",))])
def test_an_answered_question_is_a_record_only(live: bool, shown: tuple[str, ...]) -> None:
    a = ids()["a"]
    writes = [(a, INTERRUPT, [Interrupt("what?", "id")]), (a, RESUME, ["this"]), (a, "log", ["this"])]
    snapshot = Look(both(), before_both(writes), live=live).snapshot({})
    assert tuple(question.value for question in snapshot.interrupts) == shown


def test_a_question_that_waits_and_a_failure() -> None:
    writes = [(ids()["a"], INTERRUPT, [Interrupt("what?", "id")]), (ids()["z"], ERROR, "ValueError('z')")]
    snapshot = Look(both(), before_both(writes), live=True).snapshot({})
    assert snapshot.next == ("z", "a")
    assert snapshot.interrupts == snapshot.tasks[1].interrupts == (Interrupt("what?", "id"),)
    assert snapshot.tasks[0].error == "ValueError('z')"


def test_what_a_command_wrote_is_in_the_values() -> None:
    saved = before_both([(NULL_TASK, "log", ["told"]), (NULL_TASK, RESUME, "yes")])
    assert Look(both(), saved, live=False).snapshot({}).values == {"log": ["i", "told"]}


def test_the_state_of_a_graph_in_a_task_is_passed_on() -> None:
    look = Look(both(), before_both(), live=True)
    z = look.tasks[0]
    assert look.place_of(z) == {"configurable": {"thread_id": "t", "checkpoint_ns": f"z:{z.id}"}}
    assert [task.state for task in look.snapshot({z.id: "inside"}).tasks] == ["inside", None]


def test_a_state_that_does_not_fit_its_schema_can_be_looked_at() -> None:
    class Strict(BaseModel):
        count: int

    program = StateGraph(Strict).add_node("z", silent).add_edge(START, "z").compile().program
    saved = before_both()
    checkpoint = {
        **saved.checkpoint,
        "channel_values": {"count": "many", "branch:to:z": None},
        "channel_versions": {"count": 1, "branch:to:z": 1},
    }
    snapshot = Look(program, saved._replace(checkpoint=checkpoint), live=True).snapshot({})
    assert (snapshot.values, snapshot.next) == ({"count": "many"}, ("z",))


def test_nothing_is_there() -> None:
    config = {"configurable": {"thread_id": "t"}}
    snapshot = nothing_at(config)
    assert snapshot == ({}, (), config, None, None, None, (), ())


def test_which_state_is_asked_for() -> None:
    assert is_live({"configurable": {"thread_id": "t"}})
    assert not is_live({"configurable": {"thread_id": "t", "checkpoint_id": "1"}})
    assert without_task_ids("a:1|2|b:3") == "a|2|b"
    assert without_task_ids("a:1|2|b:3", without_numbers=True) == "a|b"
