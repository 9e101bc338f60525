"""The superstep machine, told about tasks by hand: no threads, no clock, no I/O."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.errors import EmptyInputError, GraphRecursionError, InvalidUpdateError
from fleetgraph.graph import START, StateGraph
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.execute import execute
from fleetgraph.pregel.instructions import Emit, Finished, Instruction, RunTasks, SaveCheckpoint, SaveWrites
from fleetgraph.pregel.machine import Checkpoint, Machine, Settings
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.task import Call, Frame, Task
from fleetgraph.pregel.tree import Tree
from fleetgraph.types import Durability, Send


class State(TypedDict):
    items: Annotated[list[str], operator.add]
    text: str


class Silent:
    """An emitter nobody listens to."""

    modes: frozenset[str] = frozenset()

    def custom(self, payload: Any) -> None:
        raise AssertionError("nobody asked for custom")

    def message(
        self, message: Any, metadata: Any, *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None:
        raise AssertionError("nobody asked for messages")

    def saw_messages(self, ids: list[str]) -> None:
        raise AssertionError("nobody asked for messages")

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None:
        raise AssertionError("nobody runs a graph")


class Alone:
    """A host that hands on nothing but the answer a machine has."""

    saver = store = control = None
    durability: Durability = "async"

    def __init__(self, driven: Machine | Tree) -> None:
        self.driven = driven

    def claim_resume(self, task: Task) -> Any:
        return self.driven.claim_resume(task.id)

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        raise AssertionError("nobody calls a function")

    def time_limit(self, running: TaskContext) -> AbstractContextManager[None]:
        return nullcontext()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing is tried again")


def machine(
    program: Program, modes: Sequence[str] = ("values", "updates"), *, saving: bool = False, limit: int = 25,
    checkpoint: Checkpoint | None = None,
) -> Machine:  # fmt: skip
    ids = (f"{n:032x}" for n in itertools.count(1))
    config = {"recursion_limit": limit, "configurable": {"thread_id": "t"} if saving else {}}
    settings = Settings(
        frame=Frame(program=program, config=config, modes=frozenset(modes)),
        modes=frozenset(modes),
        output_keys=program.stream_keys,
        saving=saving,
        new_id=lambda: next(ids),
        now=lambda: "now",
    )
    return Machine(settings, checkpoint)


def tasks_of(instructions: Sequence[Instruction]) -> list[Task]:
    return [task for i in instructions if isinstance(i, RunTasks) for task in i.tasks]


def chunks_of(instructions: Sequence[Instruction]) -> list[tuple[str, Any]]:
    return [(i.mode, i.payload) for i in instructions if isinstance(i, Emit)]


def drive(
    program: Program,
    value: Any,
    pick: Callable[[int], int],
    modes: Sequence[str] = ("values", "updates"),
    limit: int = 25,
) -> tuple[list[tuple[str, Any]], BaseException | None]:
    """Run a program to its end, choosing with `pick` which of the running tasks ends next."""
    running: list[Task] = []
    chunks: list[tuple[str, Any]] = []
    driven = machine(program, modes, limit=limit)
    instructions = driven.start(value)
    while True:
        chunks += chunks_of(instructions)
        running += tasks_of(instructions)
        ends = [i for i in instructions if isinstance(i, Finished)]
        if ends:
            assert instructions[-1] is ends[0], "nothing follows the end"
            return chunks, ends[0].error
        task = running.pop(pick(len(running)))
        try:
            writes = execute(task, Silent(), Alone(driven))
        except Exception as error:
            instructions = driven.failed(task.id, error, task.writes)
        else:
            instructions = driven.finished(task.id, writes)


def parallel(*names: str) -> Program:
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, lambda state, name=name: {"items": [name]})
        builder.add_edge(START, name)
    return builder.compile().program


def test_a_superstep_ends_when_its_last_task_does() -> None:
    driven = machine(parallel("b", "a"))

    started = driven.start({"items": []})
    first, second = tasks_of(started)
    assert [first.name, second.name] == ["a", "b"]

    assert chunks_of(driven.finished(second.id, [("items", ["b"])])) == [("updates", {"b": {"items": ["b"]}})]
    ended = driven.finished(first.id, [("items", ["a"])])
    assert chunks_of(ended) == [("updates", {"a": {"items": ["a"]}}), ("values", {"items": ["a", "b"]})]
    assert ended[-1] == Finished(None)


def test_a_task_that_is_told_about_twice_counts_once() -> None:
    driven = machine(parallel("a", "b"))
    first, _ = tasks_of(driven.start({"items": []}))

    driven.finished(first.id, [("items", ["a"])])
    assert driven.finished(first.id, [("items", ["again"])]) == []
    assert driven.failed(first.id, ValueError("late")) == []


def test_a_task_that_nobody_planned_is_ignored() -> None:
    driven = machine(parallel("a"))
    driven.start({"items": []})

    assert driven.finished("unknown", [("items", ["x"])]) == []


def test_the_first_failure_ends_the_run() -> None:
    driven = machine(parallel("a", "b"))
    first, second = tasks_of(driven.start({"items": []}))

    error = ValueError("boom")
    assert driven.failed(first.id, error) == [Finished(error)]
    assert driven.finished(second.id, [("items", ["b"])]) == []


def test_what_ends_after_a_failure_is_saved_for_the_next_run() -> None:
    driven = machine(parallel("a", "b"), saving=True)
    first, second = tasks_of(driven.start({"items": []}))
    driven.failed(first.id, ValueError("boom"))

    (saved,) = driven.finished(second.id, [("items", ["b"])])
    assert isinstance(saved, SaveWrites)
    assert saved.writes == [("items", ["b"])]


def test_a_resumed_run_plans_the_same_tasks_and_keeps_what_had_ended() -> None:
    program = parallel("a", "b")
    broken = machine(program, saving=True)
    instructions = broken.start({"items": []})
    first, second = tasks_of(instructions)
    saved = [i for i in instructions if isinstance(i, SaveCheckpoint)][-1]
    checkpoint = Checkpoint(
        id=saved.checkpoint["id"],
        config={"configurable": {"thread_id": "t", "checkpoint_id": saved.checkpoint["id"]}},
        metadata=saved.metadata,
        values=saved.checkpoint["channel_values"],
        versions=saved.checkpoint["channel_versions"],
        seen=saved.checkpoint["versions_seen"],
        writes=[(second.id, "items", ["b"]), (first.id, "__error__", "ValueError('boom')")],
    )

    resumed = machine(program, saving=True, checkpoint=checkpoint)
    instructions = resumed.start(None)

    assert [task.id for task in tasks_of(instructions)] == [first.id]
    assert ("updates", {"b": {"items": ["b"]}, "__metadata__": {"cached": True}}) in chunks_of(instructions)
    assert ("values", {"items": ["a", "b"]}) in chunks_of(resumed.finished(first.id, [("items", ["a"])]))


def test_every_superstep_saves_before_the_next_begins() -> None:
    driven = machine(parallel("a"), saving=True)
    kinds = [type(i) for i in driven.start({"items": []})]

    assert kinds.index(SaveCheckpoint) < kinds.index(RunTasks)
    assert kinds.count(SaveCheckpoint) == 2  # the input, and START


def test_no_input_and_nothing_to_continue() -> None:
    (end,) = machine(parallel("a")).start(None)

    assert isinstance(end, Finished)
    assert isinstance(end.error, EmptyInputError)


def test_a_write_that_does_not_fit_ends_the_run_after_the_updates() -> None:
    builder = StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, lambda state: {"text": "x"}).add_edge(START, name)

    chunks, error = drive(builder.compile().program, {"items": []}, lambda n: 0)

    assert isinstance(error, InvalidUpdateError)
    assert [mode for mode, _ in chunks] == ["values", "updates", "updates"]


def test_the_recursion_limit_counts_the_superstep_that_finds_nothing_to_do() -> None:
    builder = StateGraph(State).add_sequence([("a", lambda s: {"text": "a"}), ("b", lambda s: {"text": "b"})])
    program = builder.add_edge(START, "a").compile().program

    assert drive(program, {"items": []}, lambda n: 0, limit=3)[1] is None
    chunks, error = drive(program, {"items": []}, lambda n: 0, limit=2)
    assert isinstance(error, GraphRecursionError)
    assert ("updates", {"b": {"text": "b"}}) in chunks


# --- random graphs, random orders of completion -------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A graph of a few nodes with edges, joins, branches and Sends between them, loops included."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    some = st.lists(st.sampled_from(names), max_size=2, unique=True)
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, lambda state, name=name: {"items": [name]})
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        builder.add_edge(START, name)
    for name in names:
        for target in draw(some):
            builder.add_edge(name, target)
        sent, routed = draw(some), draw(some)
        if sent or routed:

            def route(state: State, sent: list[str] = sent, routed: list[str] = routed) -> list[Any]:
                # what it does depends on the state it sees, so that seeing a sibling's writes would show
                sends = [Send(target, {"items": [], "text": "sent"}) for target in sent]
                return [*sends, *routed] if len(state["items"]) % 2 else [*routed]

            builder.add_conditional_edges(name, route)
    if len(names) > 2 and draw(st.booleans()):
        builder.add_edge(draw(st.permutations(names))[:2], draw(st.sampled_from(names)))
    return builder.compile().program


@given(programs(), st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_the_state_does_not_depend_on_which_task_ends_first(program: Program, choices: list[int]) -> None:
    order = itertools.cycle(choices)
    in_order, first_error = drive(program, {"items": []}, lambda n: 0, limit=6)
    shuffled, second_error = drive(program, {"items": []}, lambda n: next(order) % n, limit=6)

    values = [chunk for chunk in in_order if chunk[0] == "values"]
    assert values == [chunk for chunk in shuffled if chunk[0] == "values"]
    assert type(first_error) is type(second_error)
    assert str(first_error) == str(second_error)
    assert supersteps(in_order) == supersteps(shuffled)


def supersteps(chunks: list[tuple[str, Any]]) -> list[list[str]]:
    """The updates between one `values` and the next, in an order of their own."""
    found: list[list[str]] = [[]]
    for mode, payload in chunks:
        if mode == "values":
            found.append([])
        else:
            found[-1].append(repr(payload))
    return [sorted(step) for step in found]


@pytest.mark.parametrize("mode", ["values", "updates", "tasks", "debug", "checkpoints"])
def test_a_mode_nobody_asked_for_costs_no_chunk(mode: str) -> None:
    started = machine(parallel("a"), [mode], saving=True)
    (task,) = tasks_of(instructions := started.start({"items": []}))
    instructions += started.finished(task.id, [("items", ["a"])])
    assert {found for found, _ in chunks_of(instructions)} == {mode}
