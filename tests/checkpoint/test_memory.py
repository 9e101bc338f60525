"""`InMemorySaver`."""

from __future__ import annotations

from typing import Any

import pytest

from fleetgraph.checkpoint.base import check_saver
from fleetgraph.checkpoint.memory import InMemorySaver


def config(checkpoint_id: str | None = None, thread: str = "1") -> dict[str, Any]:
    configurable = {"thread_id": thread, "checkpoint_ns": ""}
    return {"configurable": configurable if checkpoint_id is None else configurable | {"checkpoint_id": checkpoint_id}}


def saver_with(*ids: str) -> InMemorySaver:
    saver = InMemorySaver()
    parent: Any = config()
    for step, checkpoint_id in enumerate(ids):
        parent = saver.put(parent, {"id": checkpoint_id, "channel_values": {"items": [step]}}, {"step": step}, {})
    return saver


def test_the_latest_checkpoint_is_the_default() -> None:
    found = saver_with("a", "b").get_tuple(config())
    assert found is not None
    assert found.checkpoint["id"] == "b"
    assert found.parent_config == config("a")


def test_a_checkpoint_can_be_asked_for_by_id() -> None:
    found = saver_with("a", "b").get_tuple(config("a"))
    assert found is not None
    assert found.metadata == {"step": 0}
    assert found.parent_config is None


def test_threads_do_not_see_each_other() -> None:
    assert saver_with("a").get_tuple(config(thread="other")) is None


def test_what_is_done_to_a_value_afterwards_does_not_reach_the_checkpoint() -> None:
    saver, values = InMemorySaver(), {"items": [1]}
    saver.put(config(), {"id": "a", "channel_values": values}, {}, {})
    values["items"].append(2)
    found = saver.get_tuple(config())
    assert found is not None
    found.checkpoint["channel_values"]["items"].append(3)
    again = saver.get_tuple(config())
    assert again is not None
    assert again.checkpoint["channel_values"] == {"items": [1]}


def test_writes_are_kept_once_and_what_tells_about_a_task_is_replaced() -> None:
    saver = saver_with("a")
    saver.put_writes(config("a"), [("items", 1), ("items", 2)], "task")
    saver.put_writes(config("a"), [("items", 9)], "task")
    saver.put_writes(config("a"), [("__error__", "first")], "task")
    saver.put_writes(config("a"), [("__error__", "second")], "task")
    found = saver.get_tuple(config("a"))
    assert found is not None
    assert found.pending_writes == [
        ("task", "items", 1),
        ("task", "items", 2),
        ("task", "__error__", "second"),
    ]


def test_history_is_newest_first_and_can_be_narrowed() -> None:
    saver = saver_with("a", "b", "c")

    def ids(**options: Any) -> list[str]:
        return [found.checkpoint["id"] for found in saver.list(config(), **options)]

    assert ids() == ["c", "b", "a"]
    assert ids(limit=1) == ["c"]
    assert ids(before=config("c")) == ["b", "a"]
    assert ids(filter={"step": 1}) == ["b"]


def test_a_deleted_thread_is_gone() -> None:
    saver = saver_with("a")
    saver.delete_thread("1")
    assert saver.get_tuple(config()) is None


def test_versions_grow() -> None:
    saver, versions = InMemorySaver(), [""]
    current: str | None = None
    for _ in range(12):
        current = saver.get_next_version(current)
        versions.append(current)
    assert versions == sorted(versions)


@pytest.mark.parametrize("nothing", [None, True, False, InMemorySaver()])
def test_what_passes_for_a_saver(nothing: Any) -> None:
    check_saver(nothing)


def test_what_does_not_pass_for_a_saver() -> None:
    with pytest.raises(TypeError, match="Invalid checkpointer provided"):
        check_saver(InMemorySaver)
