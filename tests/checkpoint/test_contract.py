"""What every saver does."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from fleetgraph.checkpoint.base import NO_TASK, BaseCheckpointSaver, CheckpointLost
from fleetgraph.types import Command, Interrupt, Overwrite, Send
from tests.checkpoint.checkpoints import checkpoint, config, found, ids, put

# --- checkpoints -------------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_as_it_was_saved(saver: BaseCheckpointSaver) -> None:
    saved = checkpoint("a", {"items": [1], "text": "t"}, {"items": "1.5", "text": "2.5", "empty": "2.5"})
    metadata = {"source": "loop", "step": 3, "parents": {"": "x"}, "user": "ann"}
    named = saver.put(config("parent"), saved, metadata, saved["channel_versions"])
    assert named == config("a")
    item = found(saver, "a")
    assert item.config == config("a")
    assert item.checkpoint == saved
    assert item.metadata == metadata
    assert item.parent_config == config("parent")
    assert list(item.pending_writes or ()) == []
    assert saver.get(config("a")) == saved


def test_the_latest_checkpoint_is_the_default(saver: BaseCheckpointSaver) -> None:
    for checkpoint_id in ("a", "c", "b"):
        put(saver, checkpoint_id)
    assert found(saver).checkpoint["id"] == "c"
    assert found(saver).parent_config is None


def test_there_may_be_no_such_checkpoint(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    assert saver.get_tuple(config("b")) is None
    assert saver.get_tuple(config(thread="2")) is None
    assert saver.get_tuple(config(ns="sub:1")) is None
    assert saver.get(config("b")) is None


def test_a_thread_id_may_be_a_number(saver: BaseCheckpointSaver) -> None:
    saver.put({"configurable": {"thread_id": 7}}, checkpoint("a", {}, {}), {}, {})
    assert found(saver, thread="7").config == config("a", "7")
    assert saver.get_tuple({"configurable": {"thread_id": 7}}) is not None


def test_a_config_without_a_thread_is_refused(saver: BaseCheckpointSaver) -> None:
    with pytest.raises(KeyError, match="thread_id"):
        saver.get_tuple({"configurable": {}})


@pytest.mark.parametrize("thread", ["", "a}b", "{a}", "a%7Db", "%", "ä ☃:*?[x]", "x" * 500])
def test_a_thread_id_may_be_any_text(saver: BaseCheckpointSaver, thread: str) -> None:
    put(saver, "a", {"of": thread}, thread=thread)
    put(saver, "a", {"of": "another"}, thread="a")
    assert found(saver, thread=thread).checkpoint["channel_values"] == {"of": thread}
    assert thread in {item.config["configurable"]["thread_id"] for item in saver.list(None)}
    saver.delete_thread(thread)
    assert ids(saver, config(thread=thread)) == []
    assert ids(saver, config(thread="a")) == ["a"]


def test_namespaces_do_not_see_each_other(saver: BaseCheckpointSaver) -> None:
    namespaces = ["", "sub:1", "sub:1|inner:2", "sub:11", "sub"]
    for ns in namespaces:
        put(saver, "a", {"of": ns}, ns=ns)
    for ns in namespaces:
        assert found(saver, ns=ns).checkpoint["channel_values"] == {"of": ns}
        assert found(saver, "a", ns=ns).config == config("a", ns=ns)
        assert ids(saver, config(ns=ns)) == ["a"]


def test_saving_again_changes_nothing(saver: BaseCheckpointSaver) -> None:
    for _ in range(2):
        put(saver, "a", {"items": [1]})
        put(saver, "b", {"items": [1, 2]}, parent="a")
    assert ids(saver) == ["b", "a"]
    assert found(saver, "a").checkpoint["channel_values"] == {"items": [1]}
    assert found(saver, "b").parent_config == config("a")


# --- values ------------------------------------------------------------------------------------------------------


def test_only_new_versions_are_stored_and_all_values_come_back(saver: BaseCheckpointSaver) -> None:
    first = checkpoint("a", {"big": "B", "count": 1}, {"big": "1", "count": "1"})
    saver.put(config(), first, {}, {"big": "1", "count": "1"})
    second = checkpoint("b", {"big": "B", "count": 2}, {"big": "1", "count": "2"})
    saver.put(config("a"), second, {}, {"count": "2"})
    assert found(saver, "a").checkpoint["channel_values"] == {"big": "B", "count": 1}
    assert found(saver, "b").checkpoint["channel_values"] == {"big": "B", "count": 2}


def test_a_channel_that_was_emptied_has_no_value(saver: BaseCheckpointSaver) -> None:
    saver.put(config(), checkpoint("a", {"x": 1, "y": 1}, {"x": "1", "y": "1"}), {}, {"x": "1", "y": "1"})
    saver.put(config("a"), checkpoint("b", {"y": 1}, {"x": "2", "y": "1"}), {}, {"x": "2"})
    assert found(saver, "b").checkpoint["channel_values"] == {"y": 1}
    assert found(saver, "b").checkpoint["channel_versions"] == {"x": "2", "y": "1"}


def test_branches_of_a_thread_have_values_of_their_own(saver: BaseCheckpointSaver) -> None:
    start = saver.get_next_version(None)
    saver.put(config(), checkpoint("a", {"x": 0}, {"x": start}), {}, {"x": start})
    for branch in ("b", "c"):
        version = saver.get_next_version(start)
        saver.put(config("a"), checkpoint(branch, {"x": branch}, {"x": version}), {}, {"x": version})
    assert [found(saver, name).checkpoint["channel_values"]["x"] for name in ("a", "b", "c")] == [0, "b", "c"]


def test_none_and_other_false_values_are_values(saver: BaseCheckpointSaver) -> None:
    values: dict[str, Any] = {"none": None, "zero": 0, "text": "", "list": [], "no": False}
    put(saver, "a", values)
    assert found(saver).checkpoint["channel_values"] == values


def test_versions_may_be_numbers(saver: BaseCheckpointSaver) -> None:
    saver.put(config(), checkpoint("a", {"x": 1, "y": 1}, {"x": 1, "y": 1.5}), {}, {"x": 1, "y": 1.5})
    assert found(saver).checkpoint["channel_versions"] == {"x": 1, "y": 1.5}
    assert found(saver).checkpoint["channel_values"] == {"x": 1, "y": 1}


def test_values_keep_their_types(saver: BaseCheckpointSaver) -> None:
    values: dict[str, Any] = {
        "tuple": (1, (2,)),
        "set": {1, 2},
        "bytes": b"\0\xff",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "sends": [Send("node", {"x": 1}), Send("node", (1,))],
        "keys": {1: "a", (2, 3): "b"},
    }
    put(saver, "a", values)
    assert found(saver).checkpoint["channel_values"] == values
    assert type(found(saver).checkpoint["channel_values"]["tuple"]) is tuple


def test_what_is_done_to_a_value_afterwards_does_not_reach_the_checkpoint(saver: BaseCheckpointSaver) -> None:
    values, written = {"items": [1]}, [1]
    metadata: dict[str, Any] = {"labels": [1]}
    put(saver, "a", values, **metadata)
    saver.put_writes(config("a"), [("items", written)], "task")
    values["items"].append(2)
    written.append(2)
    metadata["labels"].append(2)
    for _ in range(2):
        item: Any = found(saver)
        assert item.checkpoint["channel_values"] == {"items": [1]}
        assert item.checkpoint["channel_versions"] == {"items": "items of  at a"}
        assert item.pending_writes == [("task", "items", [1])]
        assert item.metadata["labels"] == [1]
        item.checkpoint["channel_values"]["items"].append(3)
        item.checkpoint["channel_versions"]["other"] = "1"
        item.checkpoint["versions_seen"]["node"]["other"] = "1"
        item.pending_writes[0][2].append(3)
        item.metadata["labels"].append(3)


def test_a_value_that_is_gone_is_an_error_and_not_an_empty_channel(saver: BaseCheckpointSaver) -> None:
    put(saver, "a", {"big": "B", "small": 1})
    saver.delete_thread("1")
    versions = {"big": "big of  at a", "small": "2"}
    saver.put(config("a"), checkpoint("b", {"big": "B", "small": 2}, versions), {}, {"small": "2"})
    with pytest.raises(CheckpointLost, match=r"checkpoint b of thread '1'.*values of big are gone") as caught:
        saver.get_tuple(config())
    assert caught.value.channels == ["big"]


# --- writes ------------------------------------------------------------------------------------------------------


def test_the_first_value_of_each_place_stays(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    saver.put_writes(config("a"), [("items", 1), ("items", 2)], "task")
    saver.put_writes(config("a"), [("items", 8), ("items", 9), ("more", 3)], "task")
    assert found(saver, "a").pending_writes == [("task", "items", 1), ("task", "items", 2), ("task", "more", 3)]


def test_of_what_tells_about_a_task_the_last_value_stays(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    for turn in (1, 2):
        special = [("__error__", f"error {turn}"), ("__interrupt__", [Interrupt(turn, "i")])]
        more = [("__resume__", [turn]), ("__scheduled__", turn), ("__error_source_node__", f"node {turn}")]
        saver.put_writes(config("a"), [*special, *more], "task")
    saver.put_writes(config("a"), [("items", 1)], "task")
    assert sorted(found(saver, "a").pending_writes or (), key=str) == [
        ("task", "__error__", "error 2"),
        ("task", "__error_source_node__", "node 2"),
        ("task", "__interrupt__", [Interrupt(2, "i")]),
        ("task", "__resume__", [2]),
        ("task", "__scheduled__", 2),
        ("task", "items", 1),
    ]


def test_writes_come_in_the_order_in_which_they_are_applied(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    saver.put_writes(config("a"), [(f"c{i}", i) for i in range(12)], "1", "~b")
    saver.put_writes(config("a"), [("x", 1)], "3", "~a")
    saver.put_writes(config("a"), [("x", 2)], "2", "~a")
    saver.put_writes(config("a"), [("x", 3)], NO_TASK)
    tasks = [task for task, *_ in found(saver, "a").pending_writes or ()]
    assert tasks == [NO_TASK, "2", "3", *["1"] * 12]
    assert [value for task, _, value in found(saver, "a").pending_writes or () if task == "1"] == list(range(12))


def test_writes_may_come_before_their_checkpoint(saver: BaseCheckpointSaver) -> None:
    saver.put_writes(config("a"), [("x", 1)], "task")
    assert saver.get_tuple(config()) is None
    assert ids(saver) == []
    put(saver, "a")
    assert found(saver).pending_writes == [("task", "x", 1)]


def test_writes_belong_to_one_checkpoint_of_one_namespace(saver: BaseCheckpointSaver) -> None:
    for checkpoint_id, ns in [("a", ""), ("ab", ""), ("a", "sub:1")]:
        put(saver, checkpoint_id, ns=ns)
        saver.put_writes(config(checkpoint_id, ns=ns), [("x", f"{ns} {checkpoint_id}")], "task")
    assert found(saver, "a").pending_writes == [("task", "x", " a")]
    assert found(saver, "ab").pending_writes == [("task", "x", " ab")]
    assert found(saver, "a", ns="sub:1").pending_writes == [("task", "x", "sub:1 a")]


def test_no_writes_are_nothing(saver: BaseCheckpointSaver) -> None:
    saver.put_writes(config("a"), [], "task")
    put(saver, "a")
    assert found(saver, "a").pending_writes == []


def test_of_an_exception_the_text_is_kept(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    saver.put_writes(config("a"), [("__error__", ValueError("boom"))], "task")
    assert found(saver, "a").pending_writes == [("task", "__error__", "ValueError('boom')")]


def test_writes_carry_what_nodes_write(saver: BaseCheckpointSaver) -> None:
    written: list[Any] = [Send("n", 1), Overwrite([1]), Command(resume={"id": "yes"}), (Interrupt("q", "i"),), None]
    put(saver, "a")
    saver.put_writes(config("a"), [("x", value) for value in written], "task")
    assert [value for _, _, value in found(saver, "a").pending_writes or ()] == written


def test_many_writes(saver: BaseCheckpointSaver) -> None:
    put(saver, "a")
    saver.put_writes(config("a"), [("x", i) for i in range(3000)], "task")
    assert [value for _, _, value in found(saver, "a").pending_writes or ()] == list(range(3000))


# --- history -----------------------------------------------------------------------------------------------------


def test_history_is_newest_first_and_can_be_narrowed(saver: BaseCheckpointSaver) -> None:
    for step, checkpoint_id in enumerate("abcd"):
        put(saver, checkpoint_id, {"step": step}, step=step, source="loop" if step else "input")
    assert ids(saver) == ["d", "c", "b", "a"]
    assert ids(saver, limit=2) == ["d", "c"]
    assert ids(saver, limit=0) == []
    assert ids(saver, before=config("c")) == ["b", "a"]
    assert ids(saver, before=config("c"), limit=1) == ["b"]
    assert ids(saver, before=config("a")) == []
    assert ids(saver, before=config()) == ["d", "c", "b", "a"]
    assert ids(saver, config("b")) == ["b"]
    assert ids(saver, config("b"), before=config("b")) == []
    assert ids(saver, config("x")) == []
    assert ids(saver, filter={"source": "loop"}, limit=2) == ["d", "c"]
    assert ids(saver, filter={"source": "loop", "step": 1}) == ["b"]
    assert ids(saver, filter={"source": "input"}, limit=1) == ["a"]
    assert ids(saver, filter={"source": "update"}) == []
    assert ids(saver, filter={"unknown": 1}) == []
    assert ids(saver, filter={}) == ["d", "c", "b", "a"]


def test_history_tells_all_about_each_checkpoint(saver: BaseCheckpointSaver) -> None:
    put(saver, "a", {"x": 1})
    put(saver, "b", {"x": 2}, parent="a")
    saver.put_writes(config("a"), [("x", 2)], "task")
    assert list(saver.list(config())) == [found(saver, "b"), found(saver, "a")]


def test_history_of_all_namespaces_and_threads(saver: BaseCheckpointSaver) -> None:
    put(saver, "b", thread="1")
    put(saver, "a", thread="1", ns="sub:1")
    put(saver, "c", thread="2")

    def places(of: Any) -> list[tuple[str, str, str]]:
        return [tuple(item.config["configurable"].values()) for item in saver.list(of)]  # type: ignore[misc]

    assert places(None) == [("2", "", "c"), ("1", "", "b"), ("1", "sub:1", "a")]
    assert places({"configurable": {"thread_id": "1"}}) == [("1", "", "b"), ("1", "sub:1", "a")]
    assert places({"configurable": {"thread_id": "1", "checkpoint_id": "a"}}) == [("1", "sub:1", "a")]
    assert places({"configurable": {"checkpoint_ns": ""}}) == [("2", "", "c"), ("1", "", "b")]
    assert places(config(thread="1", ns="sub:1")) == [("1", "sub:1", "a")]


def test_a_long_history(saver: BaseCheckpointSaver) -> None:
    names = [f"{i:04}" for i in range(130)]
    for step, checkpoint_id in enumerate(names):
        put(saver, checkpoint_id, {"step": step}, step=step, even=step % 2 == 0)
    assert ids(saver) == names[::-1]
    assert ids(saver, limit=55) == names[::-1][:55]
    assert ids(saver, filter={"even": True}, limit=50) == names[::-1][1::2][:50]
    assert [item.checkpoint["channel_values"]["step"] for item in saver.list(config())] == list(range(130))[::-1]


def test_a_history_may_be_read_while_it_grows_and_shrinks(saver: BaseCheckpointSaver) -> None:
    for checkpoint_id in "abc":
        put(saver, checkpoint_id)
    history = saver.list(config())
    assert next(history).checkpoint["id"] == "c"
    put(saver, "d")
    saver.put_writes(config("d"), [("x", 1)], "task")
    saver.delete_thread("1")
    assert {item.checkpoint["id"] for item in history} <= {"a", "b"}
    assert ids(saver) == []


# --- threads -----------------------------------------------------------------------------------------------------


def test_a_deleted_thread_is_gone_and_others_stay(saver: BaseCheckpointSaver) -> None:
    for thread in ("1", "11"):
        put(saver, "a", {"x": 1}, thread=thread)
        put(saver, "a", {"x": 1}, thread=thread, ns="sub:1")
        saver.put_writes(config("a", thread), [("x", 1)], "task")
    saver.delete_thread("1")
    saver.delete_thread("1")
    assert list(saver.list({"configurable": {"thread_id": "1"}})) == []
    assert len(list(saver.list({"configurable": {"thread_id": "11"}}))) == 2
    put(saver, "a")
    assert found(saver).pending_writes == []


def test_a_copied_thread_has_its_own_life(saver: BaseCheckpointSaver) -> None:
    for checkpoint_id, ns in [("a", ""), ("b", ""), ("c", "sub:1")]:
        put(saver, checkpoint_id, {"x": [checkpoint_id]}, parent="a" if checkpoint_id == "b" else None, ns=ns)
    saver.put_writes(config("b"), [("x", 1)], "task", "~p")
    put(saver, "z", thread="2")
    saver.copy_thread("1", "2")
    assert ids(saver, {"configurable": {"thread_id": "2"}}) == ["c", "b", "a"]
    copied, original = found(saver, thread="2"), found(saver)
    assert copied._replace(config=original.config, parent_config=original.parent_config) == original
    assert (copied.config, copied.parent_config) == (config("b", "2"), config("a", "2"))
    saver.put_writes(config("b", "2"), [("x", 2)], "other")
    saver.delete_thread("1")
    assert found(saver, thread="2").pending_writes == [("other", "x", 2), ("task", "x", 1)]
    assert ids(saver) == []


def test_copying_onto_itself_or_from_nothing(saver: BaseCheckpointSaver) -> None:
    put(saver, "a", {"x": 1})
    saver.copy_thread("1", "1")
    assert found(saver).checkpoint["channel_values"] == {"x": 1}
    saver.copy_thread("nothing", "1")
    assert ids(saver) == []


def test_pruning_keeps_the_latest_of_each_namespace(saver: BaseCheckpointSaver) -> None:
    versions = {"old": "1", "new": "1"}
    saver.put(config(), checkpoint("a", {"old": 1, "new": 1}, versions), {}, versions)
    saver.put(config("a"), checkpoint("b", {"old": 1, "new": 2}, {"old": "1", "new": "2"}), {}, {"new": "2"})
    put(saver, "a", {"x": 1}, ns="sub:1")
    put(saver, "a", thread="2")
    put(saver, "b", thread="2")
    for checkpoint_id in ("a", "b"):
        saver.put_writes(config(checkpoint_id), [("x", checkpoint_id)], "task")
    saver.prune(["1", "unknown"])
    assert ids(saver, {"configurable": {"thread_id": "1"}}) == ["b", "a"]
    assert found(saver).checkpoint["channel_values"] == {"old": 1, "new": 2}
    assert found(saver).pending_writes == [("task", "x", "b")]
    assert found(saver, ns="sub:1").checkpoint["channel_values"] == {"x": 1}
    assert ids(saver, config(thread="2")) == ["b", "a"]
    saver.prune(["2"], strategy="delete")
    assert ids(saver, config(thread="2")) == []
    with pytest.raises(ValueError, match="no strategy 'all'"):
        saver.prune(["1"], strategy="all")  # type: ignore[arg-type]


def test_the_checkpoints_of_a_run_can_be_deleted(saver: BaseCheckpointSaver) -> None:
    put(saver, "a", {"x": 1}, run_id="r1")
    saver.put(config("a"), checkpoint("b", {"x": 1}, {"x": "x of  at a"}), {"run_id": "r2"}, {})
    saver.put_writes(config("a"), [("x", 1)], "task")
    put(saver, "a", {"x": 1}, thread="2", ns="sub:1", run_id="r1")
    saver.delete_for_runs([])
    saver.delete_for_runs(["r1", "unknown"])
    assert ids(saver) == ["b"]
    assert found(saver).checkpoint["channel_values"] == {"x": 1}
    assert list(saver.list({"configurable": {"thread_id": "2"}})) == []
    put(saver, "a")
    assert found(saver, "a").pending_writes == []


# --- the rest ----------------------------------------------------------------------------------------------------


def test_versions_grow(saver: BaseCheckpointSaver) -> None:
    versions = [saver.get_next_version(None)]
    for _ in range(120):
        versions.append(saver.get_next_version(versions[-1]))
    assert versions == sorted(versions)
    assert saver.get_next_version(versions[0]) != saver.get_next_version(versions[0])
    assert saver.get_next_version(7).startswith(f"{8:032}.")


async def test_each_method_has_an_async_twin(saver: BaseCheckpointSaver) -> None:
    saved = checkpoint("a", {"x": 1}, {"x": "1"})
    assert await saver.aput(config(), saved, {"run_id": "r"}, {"x": "1"}) == config("a")
    await saver.aput_writes(config("a"), [("x", 1)], "task", "~p")
    item = await saver.aget_tuple(config())
    assert item == found(saver)
    assert item is not None
    assert item.pending_writes == [("task", "x", 1)]
    assert await saver.aget(config()) == saved
    assert await saver.aget(config("b")) is None
    assert [item async for item in saver.alist(config(), filter={"run_id": "r"}, limit=3)] == [item]
    await saver.acopy_thread("1", "2")
    await saver.aput(config("a"), checkpoint("b", {}, {}), {}, {})
    await saver.aprune(["1"])
    assert ids(saver) == ["b"]
    await saver.adelete_for_runs(["r"])
    assert ids(saver, config(thread="2")) == []
    await saver.adelete_thread("1")
    assert await saver.aget_tuple(config()) is None


def test_threads_may_share_a_saver(saver: BaseCheckpointSaver) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work(thread: str) -> None:
        try:
            start.wait(10)
            parent = None
            for step in range(15):
                put(saver, f"{step:03}", {"x": step}, parent=parent, thread=thread)
                parent = f"{step:03}"
                saver.put_writes(config(parent, thread), [("x", step)], "task")
                saver.put_writes(config("shared", "shared"), [("x", thread)], thread)
                assert found(saver, thread=thread).checkpoint["channel_values"] == {"x": step}
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(f"thread {i}",)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    put(saver, "shared", thread="shared")
    assert len(found(saver, thread="shared").pending_writes or ()) == 4


async def test_tasks_may_share_a_saver(saver: BaseCheckpointSaver) -> None:
    async def work(task: str) -> None:
        await saver.aput_writes(config("a"), [("x", task)], task)

    await asyncio.gather(*(work(f"{i:02}") for i in range(20)))
    put(saver, "a")
    assert [task for task, *_ in found(saver).pending_writes or ()] == [f"{i:02}" for i in range(20)]


@dataclass
class Point:
    x: int


def test_classes_that_the_graph_names_can_be_saved(saver: BaseCheckpointSaver) -> None:
    if allow := getattr(saver, "allow", None):
        allow(Point)
    put(saver, "a", {"p": [Point(1)]})
    saver.put_writes(config("a"), [("p", Point(2))], "task")
    assert found(saver).checkpoint["channel_values"] == {"p": [Point(1)]}
    assert found(saver).pending_writes == [("task", "p", Point(2))]
