"""The savers that store bytes do whatever is done to them as the one in memory does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.checkpoint.sqlite import SqliteSaver
from tests.checkpoint.checkpoints import checkpoint, config

THREADS = st.sampled_from(["1", "11", "a:b"])
NAMESPACES = st.sampled_from(["", "sub:1", "sub:1|inner:2"])
CHANNELS = st.sampled_from(["x", "y", "branch:to:x", "ä"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
TASKS = st.sampled_from(["t1", "t2", "00000000-0000-0000-0000-000000000000"])
WRITES = st.lists(
    st.tuples(st.sampled_from(["x", "y", "__error__", "__interrupt__", "__resume__"]), VALUES), max_size=4
)
RUNS = st.sampled_from(["r1", "r2"])
PICK = st.integers(min_value=0)


class Savers(RuleBasedStateMachine):
    """Does the same to each saver, and looks whether they still hold the same."""

    def __init__(self, others: dict[str, BaseCheckpointSaver]) -> None:
        super().__init__()
        self.memory = InMemorySaver()
        self.all = [self.memory, *others.values()]
        self.count = 0

    def held(self) -> list[CheckpointTuple]:
        return list(self.memory.list(None))

    @rule(
        thread=THREADS,
        ns=NAMESPACES,
        changes=st.dictionaries(CHANNELS, VALUES, max_size=3),
        emptied=st.sets(CHANNELS, max_size=1),
        run_id=RUNS,
        backwards=st.booleans(),
    )
    def begin(self, thread: str, ns: str, changes: Any, emptied: Any, run_id: str, backwards: bool) -> None:
        self.save(thread, ns, None, {}, {}, changes, emptied, run_id, backwards)

    @precondition(lambda self: self.held())
    @rule(pick=PICK, changes=st.dictionaries(CHANNELS, VALUES, max_size=3), emptied=st.sets(CHANNELS), run_id=RUNS)
    def go_on(self, pick: int, changes: Any, emptied: Any, run_id: str) -> None:
        parent = self.picked(pick)
        place = parent.config["configurable"]
        saved = parent.checkpoint
        self.save(
            place["thread_id"],
            place["checkpoint_ns"],
            place["checkpoint_id"],
            saved["channel_values"],
            saved["channel_versions"],
            changes,
            emptied,
            run_id,
        )

    def save(
        self,
        thread: str,
        ns: str,
        parent: str | None,
        values: Any,
        versions: Any,
        changes: Any,
        emptied: Any,
        run_id: str,
        backwards: bool = False,
    ) -> None:
        self.count += 1
        new = dict.fromkeys({*changes, *emptied}, f"{self.count:04}")
        values = {name: value for name, value in {**values, **changes}.items() if name not in emptied - {*changes}}
        checkpoint_id = f"{5000 - self.count if backwards else 5000 + self.count:06}"
        saved = checkpoint(checkpoint_id, values, {**versions, **new})
        for saver in self.all:
            named = saver.put(config(parent, thread, ns), saved, {"run_id": run_id, "step": self.count % 3}, new)
            assert named == config(saved["id"], thread, ns)

    @precondition(lambda self: self.held())
    @rule(pick=PICK, writes=WRITES, task=TASKS, path=st.sampled_from(["", "~a", "~b"]))
    def write(self, pick: int, writes: Any, task: str, path: str) -> None:
        for saver in self.all:
            saver.put_writes(self.picked(pick).config, writes, task, path)

    @rule(thread=THREADS)
    def delete(self, thread: str) -> None:
        for saver in self.all:
            saver.delete_thread(thread)

    @rule(source=THREADS, copy=THREADS)
    def copy(self, source: str, copy: str) -> None:
        for saver in self.all:
            saver.copy_thread(source, copy)

    @rule(threads=st.lists(THREADS, max_size=2))
    def prune(self, threads: list[str]) -> None:
        for saver in self.all:
            saver.prune(threads)

    @rule(runs=st.lists(RUNS, max_size=1))
    def delete_runs(self, runs: list[str]) -> None:
        for saver in self.all:
            saver.delete_for_runs(runs)

    @precondition(lambda self: self.held())
    @rule(
        pick=PICK,
        named=st.sets(st.sampled_from(["thread_id", "checkpoint_ns", "checkpoint_id"])),
        before=st.none() | PICK,
        limit=st.none() | st.integers(0, 3),
        wanted=st.none() | st.fixed_dictionaries({}, optional={"run_id": RUNS, "step": st.integers(0, 3)}),
    )
    def look(self, pick: int, named: set[str], before: int | None, limit: int | None, wanted: Any) -> None:
        place = self.picked(pick).config["configurable"]
        of = {"configurable": {key: place[key] for key in named}}
        until = None if before is None else self.picked(before).config
        answers = [list(saver.list(of, filter=wanted, before=until, limit=limit)) for saver in self.all]
        for answer in answers[1:]:
            # Ids are unique but for copies of a thread, whose order among each other is open: a limit cuts through it.
            if limit is None or "thread_id" in named:
                assert by_place(answer) == by_place(answers[0])
            assert [item.checkpoint["id"] for item in answer] == [item.checkpoint["id"] for item in answers[0]]

    def picked(self, pick: int) -> CheckpointTuple:
        held = self.held()
        return held[pick % len(held)]

    @invariant()
    def all_hold_the_same(self) -> None:
        first, *others = [list(saver.list(None)) for saver in self.all]
        for other in others:
            assert by_place(other) == by_place(first)
        for item in first:
            assert all(saver.get_tuple(item.config) == item for saver in self.all)
        for thread, ns in {
            (i.config["configurable"]["thread_id"], i.config["configurable"]["checkpoint_ns"]) for i in first
        }:
            latest = self.memory.get_tuple(config(None, thread, ns))
            assert all(saver.get_tuple(config(None, thread, ns)) == latest for saver in self.all)


def by_place(items: list[CheckpointTuple]) -> list[CheckpointTuple]:
    return sorted(items, key=lambda item: tuple(item.config["configurable"].values()))


@pytest.mark.timeout(300)
@pytest.mark.long
def test_savers_agree(redis_url: str) -> None:
    with RedisSaver(redis_url) as redis, SqliteSaver(":memory:") as sqlite:

        def machine() -> Savers:
            for saver in (redis, sqlite):
                for thread in ("1", "11", "a:b"):
                    saver.delete_thread(thread)
            return Savers({"redis": redis, "sqlite": sqlite})

        run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
