"""What holds for every store."""

from __future__ import annotations

import subprocess
import sys
from collections import UserDict
from datetime import UTC, datetime
from typing import Any

import pytest

from fleetgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)

USERS = ("users", "ada")


def keys(found: list[SearchItem]) -> list[str]:
    return [item.key for item in found]


def value_of(store: BaseStore, namespace: tuple[str, ...], key: str) -> Any:
    item = store.get(namespace, key)
    return None if item is None else item.value


def test_what_was_put_can_be_got(store: BaseStore) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    store.put(USERS, "food", {"likes": ["figs"], "pair": (1, b"\0")})
    item = store.get(USERS, "food")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (USERS, "food", {"likes": ["figs"], "pair": (1, b"\0")})
    assert before <= item.created_at == item.updated_at
    assert item.created_at.utcoffset() == UTC.utcoffset(None)


def test_what_is_not_there_is_none(store: BaseStore) -> None:
    store.put(USERS, "food", {})
    assert store.get(USERS, "drink") is None
    assert store.get(("users",), "food") is None
    assert store.get((*USERS, "more"), "food") is None


def test_a_second_put_replaces_the_value_and_keeps_the_time_of_the_first(store: BaseStore) -> None:
    store.put(USERS, "food", {"a": 1})
    first = store.get(USERS, "food")
    store.put(USERS, "food", {"b": 2})
    second = store.get(USERS, "food")
    assert first is not None
    assert second is not None
    assert second.value == {"b": 2}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


def test_what_was_deleted_is_gone(store: BaseStore) -> None:
    store.put(USERS, "food", {"a": 1})
    store.delete(USERS, "food")
    store.delete(USERS, "never there")
    assert store.get(USERS, "food") is None
    assert store.search(()) == []
    assert store.list_namespaces() == []


def test_to_put_none_deletes(store: BaseStore) -> None:
    store.put(USERS, "food", {"a": 1})
    store.batch([PutOp(USERS, "food", None)])
    assert store.get(USERS, "food") is None


def test_what_is_done_to_a_value_does_not_reach_the_store(store: BaseStore) -> None:
    value = {"items": [1]}
    store.put(USERS, "k", value)
    value["items"].append(2)
    value_of(store, USERS, "k")["items"].append(3)
    store.search(USERS)[0].value["items"].append(4)
    assert value_of(store, USERS, "k") == {"items": [1]}


def test_any_mapping_can_be_put(store: BaseStore) -> None:
    store.put(USERS, "k", UserDict({"a": 1}))
    assert value_of(store, USERS, "k") == {"a": 1}


@pytest.mark.parametrize("key", ["", ".", "..a", "a..b", "a:b*", "ключ", "\0", "\ud800", "%"])
def test_any_text_is_a_key(store: BaseStore, key: str) -> None:
    store.put(USERS, key, {"a": 1})
    store.put(("users",), key, {"b": 2})
    assert value_of(store, USERS, key) == {"a": 1}
    assert [(item.namespace, item.key) for item in store.search(USERS)] == [(USERS, key)]


@pytest.mark.parametrize("label", ["a:b", "*", "ключ", " ", "\ud800"])
def test_labels_may_have_anything_but_periods(store: BaseStore, label: str) -> None:
    store.put((label, label), "k", {"a": 1})
    assert value_of(store, (label, label), "k") == {"a": 1}
    assert store.list_namespaces() == [(label, label)]
    assert store.search((label[:-1] or "x",)) == []


def test_a_key_that_is_no_text_becomes_one(store: BaseStore) -> None:
    number: Any = 7
    store.put(USERS, number, {"a": 1})
    assert value_of(store, USERS, "7") == {"a": 1}


# --- search ------------------------------------------------------------------------------------------------------


def test_a_search_finds_what_is_in_a_namespace_and_below(store: BaseStore) -> None:
    for namespace in [("a",), ("a", "b"), ("ab",), ("b", "a")]:
        store.put(namespace, "-".join(namespace), {})
    assert keys(store.search(("a",))) == ["a", "a-b"]
    assert keys(store.search(("a", "b"))) == ["a-b"]
    assert keys(store.search(())) == ["a", "a-b", "ab", "b-a"]
    assert store.search(("a", "b", "c")) == []


def test_items_are_found_by_namespace_in_the_order_in_which_these_came_into_use(store: BaseStore) -> None:
    for namespace, key in [("z", "2"), ("a", "x"), ("z", "1"), ("a", "b"), ("z", "2")]:
        store.put((namespace,), key, {})
    assert keys(store.search(())) == ["2", "1", "x", "b"]


def test_what_is_deleted_and_put_again_is_the_newest(store: BaseStore) -> None:
    for key in "abc":
        store.put(USERS, key, {})
    store.delete(USERS, "a")
    store.put(USERS, "a", {})
    assert keys(store.search(())) == ["b", "c", "a"]


def test_a_search_has_a_limit_and_an_offset(store: BaseStore) -> None:
    for number in range(30):
        store.put(USERS, str(number), {"even": number % 2 == 0})
    assert keys(store.search(())) == [str(number) for number in range(10)]
    assert keys(store.search((), limit=3, offset=27)) == ["27", "28", "29"]
    assert keys(store.search((), limit=3, offset=29)) == ["29"]
    assert keys(store.search((), limit=3, offset=30)) == []
    assert keys(store.search((), limit=0)) == []
    assert keys(store.search((), filter={"even": False}, limit=2, offset=1)) == ["3", "5"]
    assert keys(store.search((), filter={"even": False}, limit=100, offset=13)) == ["27", "29"]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({}, "abcd"),
        ({"n": 1}, "a"),
        ({"n": {"$eq": 2}}, "b"),
        ({"n": {"$ne": 1}}, "bcd"),
        ({"n": {"$gt": 1}}, "b"),
        ({"n": {"$gte": 1}}, "ab"),
        ({"n": {"$lt": 2}}, "a"),
        ({"n": {"$lte": 2.0}}, "ab"),
        ({"n": {"$gt": 0, "$lt": 2}}, "a"),
        ({"kind": "x"}, "ad"),
        ({"kind": "x", "n": 1}, "a"),
        ({"n": None}, "cd"),
        ({"at": {"place": "here"}}, "c"),
        ({"at": {"place": {"$ne": "here"}}}, "d"),
        ({"at": {"size": {"$gt": 3}}}, "d"),
        ({"tags": ["p", "q"]}, "b"),
        ({"tags": ("p", {"$ne": "r"})}, "b"),
        ({"tags": ["p"]}, ""),
    ],
)
def test_filters(store: BaseStore, filter: dict[str, Any], found: str) -> None:
    store.put(USERS, "a", {"n": 1, "kind": "x"})
    store.put(USERS, "b", {"n": 2, "tags": ["p", "q"]})
    store.put(USERS, "c", {"at": {"place": "here", "size": 3}})
    store.put(USERS, "d", {"at": {"place": "there", "size": 4}, "kind": "x"})
    assert "".join(keys(store.search(USERS, filter=filter))) == found


def test_an_unknown_operator_is_refused(store: BaseStore) -> None:
    store.put(USERS, "a", {"n": 1})
    with pytest.raises(ValueError, match=r"Unsupported operator: \$in"):
        store.search((), filter={"n": {"$in": [1]}})


def test_to_order_by_what_is_no_number_is_refused(store: BaseStore) -> None:
    store.put(USERS, "a", {"n": "many"})
    with pytest.raises(ValueError, match="could not convert string to float"):
        store.search((), filter={"n": {"$gt": 1}})


def test_a_query_changes_nothing_without_an_index(store: BaseStore) -> None:
    store.put(USERS, "a", {"n": 1})
    found = store.search((), query="one")
    assert [(item.key, item.score) for item in found] == [("a", None)]


# --- namespaces --------------------------------------------------------------------------------------------------

SPACES = [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b", "f"), ("a", "c", "f"), ("b",)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, sorted(SPACES)),
        ({"prefix": ("a", "b"), "max_depth": 3}, [("a", "b", "c"), ("a", "b", "d"), ("a", "b", "f")]),
        ({"prefix": ("a", "*", "f")}, [("a", "b", "f"), ("a", "c", "f")]),
        ({"prefix": ("*", "c")}, [("a", "c", "f")]),
        ({"suffix": ("f",)}, [("a", "b", "f"), ("a", "c", "f")]),
        ({"suffix": ("*", "f"), "prefix": ("a", "c")}, [("a", "c", "f")]),
        ({"suffix": ("x",)}, []),
        ({"max_depth": 1}, [("a",), ("b",)]),
        ({"limit": 2, "offset": 1}, [("a", "b", "d", "e"), ("a", "b", "d", "i")]),
        ({"max_depth": 2, "limit": 2, "offset": 1}, [("a", "c"), ("b",)]),
    ],
)
def test_namespaces_can_be_listed(store: BaseStore, options: dict[str, Any], found: list[Any]) -> None:
    for namespace in reversed(SPACES):
        store.put(namespace, "k", {})
    assert store.list_namespaces(**options) == found


def test_a_namespace_is_listed_as_long_as_it_has_an_item(store: BaseStore) -> None:
    assert store.get(("looked", "at"), "k") is None
    store.put(("a", "b"), "1", {})
    store.put(("a", "b"), "2", {})
    store.put(("a",), "3", {})
    store.delete(("a", "b"), "1")
    assert store.list_namespaces() == [("a",), ("a", "b")]
    store.delete(("a", "b"), "2")
    assert store.list_namespaces() == [("a",)]


def test_several_prefixes_have_all_to_fit(store: BaseStore) -> None:
    for namespace in SPACES:
        store.put(namespace, "k", {})
    conditions = (MatchCondition("prefix", ("*", "b")), MatchCondition("prefix", ("a", "*", "d")))
    assert store.batch([ListNamespacesOp(conditions)]) == [[("a", "b", "d", "e"), ("a", "b", "d", "i")]]


def test_an_unknown_kind_of_match_is_refused(store: BaseStore) -> None:
    store.put(USERS, "a", {})
    unknown: Any = "infix"
    with pytest.raises(ValueError, match="Unsupported match type: infix"):
        store.batch([ListNamespacesOp((MatchCondition(unknown, ("a",)),))])


# --- batches -----------------------------------------------------------------------------------------------------


def test_a_batch_reads_what_was_there_before_it(store: BaseStore) -> None:
    store.put(USERS, "a", {"n": 1})
    results: Any = store.batch(
        [
            PutOp(USERS, "a", {"n": 2}),
            GetOp(USERS, "a"),
            PutOp(USERS, "b", {"n": 3}),
            SearchOp(USERS),
            ListNamespacesOp(),
            PutOp(("other",), "c", {}),
            PutOp(USERS, "b", {"n": 4}),
        ]
    )
    assert [result is None for result in results] == [True, False, True, False, False, True, True]
    assert results[1].value == {"n": 1}
    assert keys(results[3]) == ["a"]
    assert results[4] == [USERS]
    assert value_of(store, USERS, "a") == {"n": 2}
    assert value_of(store, USERS, "b") == {"n": 4}


def test_an_empty_batch_does_nothing(store: BaseStore) -> None:
    assert store.batch([]) == []


def test_a_batch_that_can_not_be_done_changes_nothing(store: BaseStore) -> None:
    store.put(USERS, "a", {"n": 1})
    with pytest.raises(ValueError, match="Unsupported operator"):
        store.batch([PutOp(USERS, "a", {"n": 2}), SearchOp((), {"n": {"$no": 1}})])
    with pytest.raises(ValueError, match="Unknown operation type"):
        unknown: Any = [PutOp(USERS, "a", {"n": 2}), "get"]
        store.batch(unknown)
    assert value_of(store, USERS, "a") == {"n": 1}


@pytest.mark.parametrize(
    "op",
    [
        SearchOp((), limit=-1),
        SearchOp((), offset=-1),
        ListNamespacesOp(offset=-1),
        PutOp(USERS, "a", {}, ttl=float("nan")),
    ],
)
def test_numbers_that_make_no_sense_are_refused(store: BaseStore, op: Any) -> None:
    with pytest.raises(ValueError, match=r"can't be negative|is not a number"):
        store.batch([op])


# --- namespaces that no store takes ------------------------------------------------------------------------------

BAD_LABELS: list[tuple[Any, str]] = [
    (("a.b",), "Invalid namespace label 'a.b' found in ('a.b',). Namespace labels cannot contain periods ('.')."),
    (("a", ""), "Namespace labels cannot be empty strings. Got  in ('a', '')"),
    (
        ("a\0",),
        "Invalid namespace label 'a\0' found in ('a\\x00',). Namespace labels cannot contain NUL bytes ('\\x00').",
    ),
    ((1,), "Invalid namespace label '1' found in (1,). Namespace labels must be strings, but got int."),
]


@pytest.mark.parametrize(("namespace", "message"), BAD_LABELS)
def test_bad_labels_are_refused(store: BaseStore, namespace: Any, message: str) -> None:
    calls = [
        lambda: store.get(namespace, "k"),
        lambda: store.put(namespace, "k", {}),
        lambda: store.delete(namespace, "k"),
        lambda: store.search(namespace),
        lambda: store.list_namespaces(prefix=namespace),
        lambda: store.list_namespaces(suffix=namespace),
        lambda: store.batch([GetOp(namespace, "k")]),
        lambda: store.batch([SearchOp(namespace)]),
        lambda: store.batch([ListNamespacesOp((MatchCondition("prefix", namespace),))]),
    ]
    for call in calls:
        with pytest.raises(InvalidNamespaceError) as raised:
            call()
        assert str(raised.value) == message


def test_some_namespaces_can_not_be_put_into(store: BaseStore) -> None:
    with pytest.raises(InvalidNamespaceError, match=r"^Namespace cannot be empty\.$"):
        store.put((), "k", {})
    with pytest.raises(InvalidNamespaceError, match=r'^Root label for namespace cannot be "langgraph"\. Got: \('):
        store.put(("langgraph", "x"), "k", {})
    assert store.get(("langgraph", "x"), "k") is None


# --- async -------------------------------------------------------------------------------------------------------


async def test_the_async_methods_do_the_same(store: BaseStore) -> None:
    await store.aput(USERS, "a", {"n": 1})
    await store.aput(USERS, "b", {"n": 2}, ttl=None)
    item = await store.aget(USERS, "a")
    assert item is not None
    assert item.value == {"n": 1}
    assert keys(await store.asearch(USERS, filter={"n": 2})) == ["b"]
    assert await store.alist_namespaces(prefix=("users",), max_depth=1) == [("users",)]
    await store.adelete(USERS, "a")
    assert await store.aget(USERS, "a") is None
    assert keys(store.search(())) == ["b"]


async def test_the_async_methods_check_the_same(store: BaseStore) -> None:
    with pytest.raises(InvalidNamespaceError):
        await store.aput((), "k", {})
    with pytest.raises(InvalidNamespaceError):
        await store.aget(("a.b",), "k")
    with pytest.raises(InvalidNamespaceError):
        await store.adelete(("a.b",), "k")
    with pytest.raises(InvalidNamespaceError):
        await store.asearch(("a.b",))
    with pytest.raises(InvalidNamespaceError):
        await store.alist_namespaces(suffix=("a.b",))


# --- what a newcomer imports -------------------------------------------------------------------------------------


def test_to_import_stores_and_caches_needs_no_redis() -> None:
    modules = ["store.base", "store.memory", "cache.base", "cache.memory"]
    imports = "\n".join(f"import fleetgraph.{name}" for name in modules)
    code = f"import sys\n{imports}\nprint(sorted({{'redis', 'langchain_core', 'msgpack'}} & set(sys.modules)))"
    path = ["-c", f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{code}"]
    answer = subprocess.run([sys.executable, *path], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
