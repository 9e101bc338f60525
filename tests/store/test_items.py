"""`Item`, `SearchItem`, and what a store that is not ours inherits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from langgraph.store import base as langgraph_base

import fleetgraph.store.base as ours
from fleetgraph.store.base import BaseStore, Item, Op, PutOp, Result, SearchItem

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def item(key: str = "k") -> Item:
    return Item(value={"a": 1}, key=key, namespace=("n",), created_at=NOON, updated_at=NOON)


def test_items_are_equal_by_all_they_have_and_can_be_members_of_sets() -> None:
    assert item() == item()
    assert item() != item("other")
    assert item() != "k"
    assert len({item(), item(), item("other")}) == 2


def test_an_item_survives_json() -> None:
    plain = item().dict()
    assert plain == {
        "namespace": ["n"],
        "key": "k",
        "value": {"a": 1},
        "created_at": "2025-01-01T12:00:00+00:00",
        "updated_at": "2025-01-01T12:00:00+00:00",
    }
    assert Item(**plain) == item()


def test_an_item_looks_as_langgraphs_does() -> None:
    theirs = langgraph_base.Item(value={"a": 1}, key="k", namespace=("n",), created_at=NOON, updated_at=NOON)
    assert repr(item()) == repr(theirs)
    assert item().dict() == theirs.dict()
    found = SearchItem(("n",), "k", {"a": 1}, NOON, NOON, 0.5)
    assert found.dict() == langgraph_base.SearchItem(("n",), "k", {"a": 1}, NOON, NOON, 0.5).dict()


def test_everything_langgraphs_module_exports_is_there() -> None:
    wanted = {*langgraph_base.__all__, "IndexConfig", "InvalidNamespaceError", "NOT_PROVIDED", "TTLConfig"}
    assert {name for name in wanted if not hasattr(ours, name)} == set()


def test_the_operations_have_langgraphs_fields_and_defaults() -> None:
    for name in ("GetOp", "SearchOp", "PutOp", "ListNamespacesOp", "MatchCondition"):
        mine, theirs = getattr(ours, name), getattr(langgraph_base, name)
        assert mine._fields == theirs._fields
        assert mine._field_defaults == theirs._field_defaults


class Recorder(BaseStore):
    def __init__(self) -> None:
        self.ops: list[Op] = []

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        self.ops += ops
        return [None for _ in self.ops]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return self.batch(ops)


async def test_a_store_without_ttl_says_so() -> None:
    store = Recorder()
    message = "TTL is not supported by Recorder. Use a store implementation that supports TTL or set ttl=None."
    with pytest.raises(NotImplementedError) as raised:
        store.put(("n",), "k", {}, ttl=1)
    assert str(raised.value) == message
    with pytest.raises(NotImplementedError):
        await store.aput(("n",), "k", {}, ttl=1)
    assert store.ops == []


def test_the_configuration_is_what_is_not_said() -> None:
    store = Recorder()
    store.ttl_config = {"default_ttl": 5, "refresh_on_read": False}
    store.supports_ttl = True
    store.put(("n",), "a", {})
    store.put(("n",), "b", {}, ttl=None)
    store.put(("n",), "c", {}, index=["x"], ttl=1.5)
    store.get(("n",), "a")
    store.get(("n",), "a", refresh_ttl=True)
    store.search(("n",))
    store.list_namespaces(prefix=("a",), suffix=("*", "b"))
    assert store.ops == [
        PutOp(("n",), "a", {}, ttl=5),
        PutOp(("n",), "b", {}),
        PutOp(("n",), "c", {}, ["x"], 1.5),
        ours.GetOp(("n",), "a", False),
        ours.GetOp(("n",), "a", True),
        ours.SearchOp(("n",), refresh_ttl=False),
        ours.ListNamespacesOp((ours.MatchCondition("prefix", ("a",)), ours.MatchCondition("suffix", ("*", "b")))),
    ]
