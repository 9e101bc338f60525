"""`InMemorySaver`: what the contract of savers does not tell."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fleetgraph.checkpoint.memory import InMemorySaver, MemorySaver
from fleetgraph.types import Send
from tests.checkpoint.checkpoints import checkpoint, config, found, put


class Counted:
    """Counts its copies."""

    def __init__(self) -> None:
        self.copies = 0

    def __deepcopy__(self, memo: Any) -> Counted:
        self.copies += 1
        return self


class Box:
    def __init__(self, items: list[int]) -> None:
        self.items = items


def test_a_put_copies_what_changed_and_no_more() -> None:
    saver, value = InMemorySaver(), Counted()
    saver.put(config(), checkpoint("a", {"x": value}, {"x": "1"}), {}, {"x": "1"})
    saver.put(config("a"), checkpoint("b", {"x": value, "y": 1}, {"x": "1", "y": "2"}), {}, {"y": "2"})
    assert value.copies == 1
    assert found(saver).checkpoint["channel_values"] == {"x": value, "y": 1}
    assert value.copies == 2


def test_any_class_can_be_kept() -> None:
    class Local:
        def __init__(self, x: int) -> None:
            self.x = x

    saver = InMemorySaver()
    put(saver, "a", {"x": Local(1)})
    assert found(saver).checkpoint["channel_values"]["x"].x == 1


def test_copies_are_deep_whatever_is_in_what() -> None:
    value: dict[str, Any] = {"list": [[1], {"a": [2]}], "tuple": ([3],), "set": {4}, "object": Box([5])}
    value["send"] = Send("node", {"x": [6]}, timeout=7)
    saver = InMemorySaver()
    put(saver, "a", {"x": value})
    value["list"][0].append(0)
    value["list"][1]["a"].append(0)
    value["tuple"][0].append(0)
    value["set"].add(0)
    value["object"].items.append(0)
    value["send"].arg["x"].append(0)
    kept = found(saver).checkpoint["channel_values"]["x"]
    assert kept.pop("object").items == [5]
    send = kept.pop("send")
    assert (send, send.timeout) == (Send("node", {"x": [6]}), value["send"].timeout)
    assert kept == {"list": [[1], {"a": [2]}], "tuple": ([3],), "set": {4}}


def test_a_value_that_cannot_be_copied_is_named() -> None:
    saver = InMemorySaver()
    with pytest.raises(TypeError, match="cannot pickle") as caught:
        put(saver, "a", {"lock": threading.Lock()})
    assert caught.value.__notes__ == ["While a checkpoint was saved or loaded: channel 'lock'"]
    assert saver.get_tuple(config()) is None


def test_its_old_name() -> None:
    assert MemorySaver is InMemorySaver
