"""Which updates only add items behind those of a list, so that what was stored of it can stay."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from fleetgraph.channels import BinaryOperatorAggregate, LastValue, Topic
from fleetgraph.channels.base import BaseChannel
from fleetgraph.channels.binop import only_appends
from fleetgraph.graph.message import add_messages
from fleetgraph.types import Overwrite


def updated(channel: BaseChannel, *updates: list[Any], start: Any) -> BaseChannel:
    living = channel.from_checkpoint(start)
    for values in updates:
        assert living.update(values)
    return living


def aggregate(reducer: Any) -> BinaryOperatorAggregate:
    return BinaryOperatorAggregate(list, reducer)


def extend(old: list[Any], new: list[Any]) -> list[Any]:
    old.extend(new)
    return old


def test_adding_lists_appends() -> None:
    assert updated(aggregate(operator.add), [["b"], ["c"]], start=["a"]).appended
    assert updated(aggregate(operator.add), [[]], start=["a"]).appended


def test_an_overwrite_does_not() -> None:
    assert not updated(aggregate(operator.add), [["b"], Overwrite(["c"])], start=["a"]).appended
    assert updated(aggregate(operator.add), [Overwrite(["c"])], [["d"]], start=["a"]).appended


def test_other_reducers_may_have_changed_anything() -> None:
    assert not updated(aggregate(lambda old, new: old + new), [["b"]], start=["a"]).appended
    assert not updated(aggregate(extend), [["b"]], start=["a"]).appended
    assert not updated(BinaryOperatorAggregate(int, operator.add), [2], start=1).appended
    assert not updated(LastValue(list), [["b"]], start=["a"]).appended


def test_what_is_no_plain_list_may_add_in_its_own_way() -> None:
    class Backwards(list[Any]):
        def __add__(self, other: Any) -> Any:
            return Backwards([*other, *self])

        def __radd__(self, other: Any) -> Any:
            return [*self, *other]

    assert not updated(aggregate(operator.add), [["b"]], start=Backwards(["a"])).appended
    assert not updated(aggregate(operator.add), [Backwards(["b"])], start=["a"]).appended


def test_a_topic_appends_if_it_keeps_what_it_has() -> None:
    assert updated(Topic(accumulate=True), ["b"], start=["a"]).appended
    assert not updated(Topic(), ["b"], start=["a"]).appended


def test_messages_append_unless_one_is_replaced_removed_or_given_an_id() -> None:
    messages = pytest.importorskip("langchain_core.messages")
    human, remove = messages.HumanMessage, messages.RemoveMessage

    def ends(new: list[Any], old: list[Any]) -> bool:
        return updated(aggregate(add_messages), [new], start=old).appended

    assert ends([human("b")], [human("a", id="1")])
    assert ends([human("b", id="2")], [human("a", id="1")])
    assert not ends([human("b", id="1")], [human("a", id="1")])
    assert not ends([remove(id="1")], [human("a", id="1"), human("b", id="2")])
    assert not ends([human("b", id="2")], [{"role": "user", "content": "a"}])
    assert not only_appends(add_messages, [without := human("a")], [without, human("b")])
