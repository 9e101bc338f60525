"""The superstep machine, told about tasks by hand: no threads, no clock, no I/O."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.errors import EmptyInputError, GraphRecursionError, InvalidUpdateError
from fleetgraph.graph import START, StateGraph
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.execute import execute
from fleetgraph.pregel.instructions import Emit, Finished, Instruction, Load, RunTasks, SaveCheckpoint, SaveWrites
from fleetgraph.pregel.machine import Checkpoint, Machine, Settings
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.task import Call, Frame, Task
from fleetgraph.pregel.tree import Tree
from fleetgraph.types import Command, Durability, Send, interrupt


class State(TypedDict):
    items: Annotated[list[str], operator.add]
    text: str


class Silent:
    """An emitter nobody listens to."""

    modes: frozenset[str] = frozenset()

    def custom(self, payload: Any) -> None:
        raise AssertionError("nobody asked for custom")

    def message(self, message: Any, metadata: Any, *, unless_seen: bool, ns: tuple[str, ...] | None = None) -> None:
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
    checkpoint: Checkpoint | None = None, ids: Iterator[str] | None = None, before: Sequence[str] = (),
) -> Machine:  # fmt: skip
    ids = ids or (f"{n:032x}" for n in itertools.count(1))
    config = {"recursion_limit": limit, "configurable": {"thread_id": "t"} if saving else {}}
    settings = Settings(
        frame=Frame(program=program, config=config, modes=frozenset(modes)),
        modes=frozenset(modes),
        output_keys=program.stream_keys,
        saving=saving,
        new_id=lambda: next(ids),
        now=lambda: "now",
        interrupt_before=before,
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


# --- questions and answers ----------------------------------------------------------------------------------------


def saved_by(instructions: Sequence[Instruction], before: Checkpoint | None = None) -> Checkpoint:
    """What a saver would give back after these instructions, on top of what it had."""
    found = before or Checkpoint()
    for instruction in instructions:
        if isinstance(instruction, SaveCheckpoint):
            saved = instruction.checkpoint
            found = Checkpoint(
                id=saved["id"],
                config={"configurable": {"thread_id": "t", "checkpoint_id": saved["id"]}},
                metadata=instruction.metadata,
                values=saved["channel_values"],
                versions=saved["channel_versions"],
                seen=saved["versions_seen"],
                updated=saved["updated_channels"],
            )
        elif isinstance(instruction, SaveWrites):
            special = {channel for channel, _ in instruction.writes}
            kept = [write for write in found.writes if write[0] != instruction.task or write[1] not in special]
            found = replace(found, writes=[*kept, *((instruction.task, *write) for write in instruction.writes)])
    return found


def asking(*names: str, questions: int = 1) -> Program:
    """Nodes side by side, each of which asks something so many times."""
    builder = StateGraph(State)

    def ask(state: State, name: str) -> dict[str, Any]:
        return {"items": [f"{name}{number}={interrupt(f'{name}{number}?')}" for number in range(questions)]}

    for name in names:
        builder.add_node(name, partial(ask, name=name))
        builder.add_edge(START, name)
    return builder.compile().program


def questions_in(chunks: Sequence[tuple[str, Any]]) -> dict[str, str]:
    """The ids of what was asked, by question."""
    return {
        one.value: one.id for mode, payload in chunks if mode == "updates" for one in payload.get("__interrupt__", ())
    }


class Thread:
    """Runs of one program on one thread, the tasks of each ended in an order of its own."""

    def __init__(self, program: Program, pick: Callable[[int], int] = lambda n: 0) -> None:
        self.program = program
        self.pick = pick
        self.saved: Checkpoint | None = None
        self.ids = (f"{n:032x}" for n in itertools.count(1))

    def run(self, value: Any) -> tuple[list[tuple[str, Any]], BaseException | None]:
        driven = machine(self.program, saving=True, checkpoint=self.saved, ids=self.ids)
        running: list[Task] = []
        chunks: list[tuple[str, Any]] = []
        instructions = driven.start(value)
        while True:
            self.saved = saved_by(instructions, self.saved)
            chunks += chunks_of(instructions)
            running += tasks_of(instructions)
            if ends := [i for i in instructions if isinstance(i, Finished)]:
                return chunks, ends[0].error
            task = running.pop(self.pick(len(running)))
            try:
                writes = execute(task, Silent(), Alone(driven))
            except Exception as error:
                instructions = driven.failed(task.id, error, task.writes)
            else:
                instructions = driven.finished(task.id, writes)


def test_a_question_ends_the_run_and_its_answer_goes_on_with_it() -> None:
    thread = Thread(asking("a"))
    chunks, error = thread.run({"items": []})
    assert error is None
    assert list(questions_in(chunks)) == ["a0?"]

    chunks, _ = thread.run(Command(resume="yes"))
    assert chunks[-1] == ("values", {"items": ["a0=yes"]})


def test_siblings_of_a_question_end_and_do_not_run_again() -> None:
    builder = StateGraph(State)
    ran: list[str] = []

    def asks(state: State) -> dict[str, Any]:
        return {"items": [interrupt("what?")]}

    def works(state: State) -> dict[str, Any]:
        ran.append("works")
        return {"items": ["worked"]}

    for node in (asks, works):
        builder.add_node(node).add_edge(START, node.__name__)
    thread = Thread(builder.compile().program)
    thread.run({"items": []})

    chunks, _ = thread.run(Command(resume="this"))
    assert ran == ["works"]
    assert chunks[-1] == ("values", {"items": ["this", "worked"]})


def test_an_answer_that_fits_several_questions_is_refused() -> None:
    thread = Thread(asking("a", "b"))
    thread.run({"items": []})

    _, error = thread.run(Command(resume="yes"))
    assert isinstance(error, RuntimeError)
    assert "multiple pending interrupts" in str(error)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.permutations(["a", "b", "c"]))
def test_answers_by_id_reach_their_questions_whatever_ends_first(choices: list[int], answered: list[str]) -> None:
    order = itertools.cycle(choices)
    thread = Thread(asking("a", "b", "c", questions=2), lambda n: next(order) % n)
    chunks, _ = thread.run({"items": []})
    for _ in range(2):
        for name in answered:
            asked = questions_in(chunks)
            (question,) = (question for question in asked if question.startswith(name))
            chunks, error = thread.run(Command(resume={asked[question]: f"to {question}"}))
            assert error is None

    assert chunks[-1] == (
        "values",
        {"items": [f"{name}{number}=to {name}{number}?" for name in "abc" for number in range(2)]},
    )


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_one_answer_is_claimed_by_one_task(choices: list[int]) -> None:
    """Of two tasks that ask when the run is resumed with one answer, the other asks again."""
    order = itertools.cycle(choices)
    builder = StateGraph(State)

    def early(state: State) -> dict[str, Any]:
        return {"items": [interrupt("early?")]}

    def late(state: State) -> dict[str, Any]:
        if not told:
            raise ValueError("not yet")
        return {"items": [interrupt("late?")]}

    told: list[bool] = []
    for node in (early, late):
        builder.add_node(node).add_edge(START, node.__name__)
    thread = Thread(builder.compile().program, lambda n: 0)
    thread.run({"items": []})
    told.append(True)
    thread.pick = lambda n: next(order) % n

    chunks, error = thread.run(Command(resume="one"))
    assert error is None
    assert len(questions_in(chunks)) == 1
    chunks, _ = thread.run(Command(resume="two"))
    assert questions_in(chunks) == {}
    assert sorted(chunks[-1][1]["items"]) == ["one", "two"]


def test_an_answer_survives_the_failure_of_the_task_that_was_given_it() -> None:
    broken = [True]

    def ask(state: State) -> dict[str, Any]:
        answer = interrupt("what?")
        if broken:
            raise ValueError("boom")
        return {"items": [answer]}

    thread = Thread(StateGraph(State).add_node(ask).add_edge(START, "ask").compile().program)
    chunks, _ = thread.run({"items": []})
    (asked,) = questions_in(chunks).values()
    assert isinstance(thread.run(Command(resume={asked: "this"}))[1], ValueError)
    broken.clear()

    chunks, error = thread.run(None)
    assert error is None
    assert chunks[-1] == ("values", {"items": ["this"]})


def test_what_a_node_wrote_is_not_taken_for_done_when_the_path_function_behind_it_failed() -> None:
    broken = [True]

    def node(state: State) -> dict[str, Any]:
        return {"items": ["node"]}

    def route(state: State) -> str:
        if broken:
            raise ValueError("boom")
        return "after"

    def after(state: State) -> dict[str, Any]:
        return {"items": ["after"]}

    builder = StateGraph(State).add_node(node).add_node(after).add_edge(START, "node")
    thread = Thread(builder.add_conditional_edges("node", route).compile().program)
    assert isinstance(thread.run({"items": []})[1], ValueError)
    broken.clear()

    chunks, _ = thread.run(None)
    assert chunks[-1] == ("values", {"items": ["node", "after"]})


def test_a_command_writes_before_the_thread_goes_on() -> None:
    thread = Thread(asking("a"))
    thread.run({"items": ["i"]})

    chunks, _ = thread.run(Command(resume="yes", update={"items": ["by the way"]}))
    assert chunks[0] == ("values", {"items": ["i", "by the way"]})
    assert chunks[-1] == ("values", {"items": ["i", "by the way", "a0=yes"]})


def test_an_empty_command_is_no_input() -> None:
    thread = Thread(asking("a"))
    thread.run({"items": []})
    assert isinstance(thread.run(Command())[1], EmptyInputError)


def test_an_answer_without_a_saver_is_refused() -> None:
    (end,) = machine(asking("a")).start(Command(resume="yes"))
    assert isinstance(end, Finished)
    assert "without checkpointer" in str(end.error)


def test_a_breakpoint_is_passed_once() -> None:
    program = parallel("a")
    first = machine(program, saving=True, before=["a"])
    out = first.start({"items": []})
    assert tasks_of(out) == []
    assert isinstance(out[-1], Finished)
    assert out[-1].interrupt is not None

    second = machine(program, saving=True, before=["a"], checkpoint=saved_by(out))
    assert [task.name for task in tasks_of(second.start(None))] == ["a"]


# --- graphs in graphs ---------------------------------------------------------------------------------------------


class Inner(TypedDict):
    items: Annotated[list[str], lambda old, new: new]


def nested(*names: str) -> Program:
    """Graphs side by side as nodes, each of which asks something in its second node."""
    builder = StateGraph(State)
    for name in names:

        def first(state: Inner, name: str = name) -> dict[str, Any]:
            return {"items": [f"{name} began"]}

        def ask(state: Inner, name: str = name) -> dict[str, Any]:
            return {"items": [interrupt(f"{name}?")]}

        inner = StateGraph(Inner).add_sequence([("first", first), ("ask", ask)]).add_edge(START, "first")
        builder.add_node(name, inner.compile()).add_edge(START, name)
    return builder.compile().program


class SavedTree:
    """Runs of a tree of machines on one thread, whose tasks end in an order of their own."""

    def __init__(self, program: Program, pick: Callable[[int], int]) -> None:
        self.program = program
        self.pick = pick
        self.saved: dict[str, Checkpoint] = {}
        self.ids = (f"{n:032x}" for n in itertools.count(1))

    def run(self, value: Any) -> tuple[list[tuple[str, Any]], BaseException | None, list[str]]:
        """The chunks of a run, what it raised, and the names of the tasks that ran."""
        root = machine(self.program, saving=True, checkpoint=self.saved.get(""), ids=self.ids)
        tree = Tree(root, subgraphs=False)
        chunks: list[tuple[str, Any]] = []
        running: list[Task] = []
        ran: list[str] = []
        pending = tree.start(value)
        while True:
            while pending:
                instruction = pending.pop(0)
                match instruction:
                    case Emit(mode, payload):
                        chunks.append((mode, payload))
                    case RunTasks(tasks):
                        running += tasks
                    case SaveCheckpoint() | SaveWrites():
                        ns = instruction.config["configurable"].get("checkpoint_ns", "")
                        self.saved[ns] = saved_by([instruction], self.saved.get(ns))
                    case Load(task, config):
                        ns = config["configurable"]["checkpoint_ns"]
                        pending += tree.loaded(task, self.saved.get(ns, Checkpoint(config=config)))
                    case Finished(error):
                        assert not pending, "nothing follows the end"
                        return chunks, error, ran
                    case other:
                        raise AssertionError(f"nobody asked for {other}")
            task = running.pop(self.pick(len(running)))
            ran.append(task.ns.partition(":")[0] + "." + task.name)
            try:
                writes = execute(task, Silent(), Alone(tree))
            except Exception as error:
                pending = tree.failed(task.id, error, task.writes)
            else:
                pending = tree.finished(task.id, writes)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.permutations(["a", "b", "c"]))
def test_graphs_in_graphs_go_on_where_they_asked(choices: list[int], answered: list[str]) -> None:
    order = itertools.cycle(choices)
    thread = SavedTree(nested("a", "b", "c"), lambda n: next(order) % n)
    chunks, error, ran = thread.run({"items": []})
    assert error is None
    assert sorted(ran) == sorted(f"{name}.{node}" for name in "abc" for node in ("first", "ask"))

    for position, name in enumerate(answered):
        asked = questions_in(chunks)
        assert sorted(asked) == sorted(f"{left}?" for left in answered[position:])
        chunks, error, ran = thread.run(Command(resume={asked[f"{name}?"]: f"to {name}"}))
        assert error is None
        assert sorted(ran) == sorted(f"{left}.ask" for left in answered[position:])

    assert chunks[-1] == ("values", {"items": ["to a", "to b", "to c"]})


def test_the_failure_of_a_graph_in_a_graph_names_both_tasks() -> None:
    def fails(state: State) -> dict[str, Any]:
        raise ValueError("boom")

    inner = StateGraph(State).add_node(fails).add_edge(START, "fails").compile()
    builder = StateGraph(State).add_node("sub", inner).add_edge(START, "sub")

    _, error, _ = SavedTree(builder.compile().program, lambda n: 0).run({"items": []})
    assert isinstance(error, ValueError)
    assert [note.split("'")[1] for note in error.__notes__] == ["fails", "sub"]


def test_a_graph_in_a_graph_sends_its_parent_somewhere() -> None:
    def leaves(state: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="after", update={"items": ["left"]})

    def after(state: State) -> dict[str, Any]:
        return {"items": ["after"]}

    inner = StateGraph(State).add_node(leaves).add_edge(START, "leaves").compile()
    builder = StateGraph(State).add_node("sub", inner, destinations=("after",)).add_node(after)

    chunks, error, ran = SavedTree(builder.add_edge(START, "sub").compile().program, lambda n: 0).run({"items": []})
    assert error is None
    assert ran == ["sub.leaves", "after.after"]
    assert chunks[-1] == ("values", {"items": ["left", "after"]})
