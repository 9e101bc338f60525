"""The rules by which channels take writes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import pytest

from fleetgraph.channels import (
    AnyValue,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValue,
    NamedBarrierValue,
    Topic,
    UntrackedValue,
)
from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.errors import EmptyChannelError, InvalidUpdateError
from fleetgraph.types import Overwrite

BLUEPRINTS: list[BaseChannel] = [
    LastValue(str, key="k"),
    AnyValue(str, key="k"),
    EphemeralValue(str, key="k"),
    UntrackedValue(str, key="k"),
    Topic(str, key="k"),
    Topic(str, accumulate=True, key="k"),
    BinaryOperatorAggregate(list[Any], operator.add, key="k"),
    BinaryOperatorAggregate(Sequence[Any], operator.add, key="k"),
    NamedBarrierValue(str, {"a", "b"}, key="k"),
]


def fresh(channel: BaseChannel) -> BaseChannel:
    return channel.from_checkpoint(MISSING)


def named(channel: BaseChannel) -> str:
    return type(channel).__name__


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=named)
def test_no_writes_leave_a_fresh_channel_as_it_is(blueprint: BaseChannel) -> None:
    assert fresh(blueprint).update([]) is False


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=named)
def test_a_run_never_changes_the_blueprint(blueprint: BaseChannel) -> None:
    available = blueprint.is_available()
    fresh(blueprint).update(["a"] if not isinstance(blueprint, BinaryOperatorAggregate) else [["a"]])
    assert blueprint.is_available() is available
    assert blueprint.checkpoint() in (MISSING, [], set())


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=named)
def test_a_restored_channel_is_as_it_was(blueprint: BaseChannel) -> None:
    channel = fresh(blueprint)
    channel.update(["a"] if not isinstance(blueprint, BinaryOperatorAggregate) else [["a"]])
    restored = blueprint.from_checkpoint(channel.checkpoint())
    if isinstance(blueprint, UntrackedValue):
        assert not restored.is_available()
        assert blueprint.from_checkpoint(channel.snapshot()).get() == "a"
    else:
        assert restored.is_available() == channel.is_available()
        assert restored.checkpoint() == channel.checkpoint()


@pytest.mark.parametrize("blueprint", [b for b in BLUEPRINTS if not b.is_available()], ids=named)
def test_an_empty_channel_can_not_be_read(blueprint: BaseChannel) -> None:
    with pytest.raises(EmptyChannelError):
        fresh(blueprint).get()


@pytest.mark.parametrize("kind", [LastValue, EphemeralValue, UntrackedValue])
def test_two_writes_where_one_is_allowed(kind: type[BaseChannel]) -> None:
    with pytest.raises(InvalidUpdateError, match="At key 'k'"):
        kind(str, key="k").update(["a", "b"])


def test_an_ephemeral_value_lasts_one_superstep() -> None:
    channel = fresh(EphemeralValue(str))
    assert channel.update(["a"]) is True
    assert channel.update([]) is True
    assert not channel.is_available()


def test_a_reducer_of_a_type_that_can_not_be_made_starts_with_the_first_write() -> None:
    def join(left: Any, right: Any) -> Any:
        return f"{left}{right}"

    channel = fresh(BinaryOperatorAggregate(int | None, join))
    channel.update(["a", "b"])
    assert channel.get() == "ab"


@pytest.mark.parametrize(
    "spelled", [Overwrite(["new"]), {"__overwrite__": ["new"]}, {"type": "__overwrite__", "value": ["new"]}]
)
def test_overwrite_wins_over_the_other_writes_of_its_superstep(spelled: Any) -> None:
    channel = fresh(BinaryOperatorAggregate(list[Any], operator.add))
    channel.update([["a"]])
    channel.update([["b"], spelled, ["c"]])
    assert channel.get() == ["new"]


def test_two_overwrites_are_refused() -> None:
    channel = fresh(BinaryOperatorAggregate(list[Any], operator.add))
    with pytest.raises(InvalidUpdateError, match="only one Overwrite"):
        channel.update([Overwrite(["a"]), Overwrite(["b"])])


def test_a_barrier_opens_when_all_have_come_and_closes_behind_them() -> None:
    channel = fresh(NamedBarrierValue(str, {"a", "b"}))
    assert channel.update(["a"]) is True
    assert channel.update(["a"]) is False
    assert not channel.is_available()
    channel.update(["b"])
    assert channel.is_available()
    assert channel.consume() is True
    assert not channel.is_available()


def test_a_barrier_knows_whom_it_waits_for() -> None:
    with pytest.raises(InvalidUpdateError, match="not in"):
        fresh(NamedBarrierValue(str, {"a"})).update(["z"])


def test_a_topic_takes_lists_apart_and_forgets() -> None:
    channel = fresh(Topic(str))
    channel.update(["a", ["b", "c"]])
    assert channel.get() == ["a", "b", "c"]
    assert channel.update([]) is True
    assert not channel.is_available()
