"""Items that expire."""

from __future__ import annotations

import pytest
import redis

from fleetgraph.store.base import BaseStore, GetOp, PutOp, SearchOp
from fleetgraph.store.memory import InMemoryStore
from fleetgraph.store.redis import RedisStore
from tests.store.conftest import NewStore
from tests.waiting import wait_until

MOMENT = 0.05 / 60
"""Minutes: short enough to wait for."""

SPACE = ("n",)


class Clock:
    """A clock that is moved by hand; it stands at a number of minutes."""

    def __init__(self) -> None:
        self.minutes = 1000.0

    def __call__(self) -> float:
        return 60 * self.minutes


def keys(store: BaseStore, *, refresh: bool = False) -> list[str]:
    return [item.key for item in store.search((), refresh_ttl=refresh)]


# --- all stores --------------------------------------------------------------------------------------------------


def test_an_item_expires(new_store: NewStore) -> None:
    store = new_store()
    store.put(SPACE, "short", {"a": 1}, ttl=MOMENT)
    store.put(SPACE, "long", {"a": 1}, ttl=5)
    store.put(SPACE, "ever", {"a": 1})
    store.put(("o",), "short", {}, ttl=MOMENT)
    wait_until(lambda: keys(store) == ["long", "ever"])
    assert store.get(SPACE, "short", refresh_ttl=False) is None
    assert store.list_namespaces() == [SPACE]
    assert store.search((), filter={"a": 1}, offset=1)[0].key == "ever"


def test_what_expired_can_be_put_again_and_is_new(new_store: NewStore) -> None:
    store = new_store()
    store.put(SPACE, "a", {"n": 1}, ttl=10)
    store.put(SPACE, "b", {})
    first = store.get(SPACE, "a")
    store.put(SPACE, "a", {"n": 1}, ttl=MOMENT)
    wait_until(lambda: store.get(SPACE, "a", refresh_ttl=False) is None)
    store.put(SPACE, "a", {"n": 2})
    assert keys(store) == ["b", "a"]
    again = store.get(SPACE, "a")
    assert first is not None
    assert again is not None
    assert again.created_at > first.created_at


def test_so_is_a_namespace_of_which_everything_expired(new_store: NewStore) -> None:
    store = new_store()
    store.put(("a",), "1", {}, ttl=MOMENT)
    store.put(("b",), "2", {})
    wait_until(lambda: store.get(("a",), "1", refresh_ttl=False) is None)
    store.put(("a",), "1", {})
    assert keys(store) == ["2", "1"]


def test_no_time_to_live_is_none_at_all(new_store: NewStore) -> None:
    store = new_store()
    store.put(SPACE, "a", {"n": 1})
    store.put(SPACE, "a", {"n": 2}, ttl=0)
    store.put(SPACE, "b", {"n": 2}, ttl=-1)
    assert keys(store) == []
    assert store.list_namespaces() == []


def test_the_longest_time_to_live_is_for_ever(new_store: NewStore) -> None:
    store = new_store()
    store.put(SPACE, "a", {}, ttl=float("inf"))
    store.put(SPACE, "b", {}, ttl=1e300)
    assert keys(store, refresh=True) == ["a", "b"]


def test_a_put_without_one_ends_the_time_to_live(new_store: NewStore) -> None:
    store = new_store()
    store.put(SPACE, "a", {}, ttl=MOMENT)
    store.put(SPACE, "b", {}, ttl=MOMENT)
    store.put(SPACE, "a", {})
    wait_until(lambda: keys(store) == ["a"])
    assert store.list_namespaces() == [SPACE]


# --- in memory, by the clock -------------------------------------------------------------------------------------


def test_reading_lets_the_time_begin_anew_or_not() -> None:
    clock = Clock()
    store = InMemoryStore(clock=clock)
    for key in ("got", "found", "peeked", "left"):
        store.put(SPACE, key, {"k": key}, ttl=10)
    clock.minutes += 6
    store.get(SPACE, "got")
    store.search((), filter={"k": "found"})
    store.get(SPACE, "peeked", refresh_ttl=False)
    clock.minutes += 3.9
    assert keys(store) == ["got", "found", "peeked", "left"]
    clock.minutes += 0.1
    assert keys(store) == ["got", "found"]
    clock.minutes += 6
    assert keys(store) == []


def test_only_what_a_search_answers_was_used() -> None:
    clock = Clock()
    store = InMemoryStore(clock=clock)
    for key in "abc":
        store.put(SPACE, key, {}, ttl=10)
    clock.minutes += 6
    store.search((), limit=1, offset=1)
    clock.minutes += 6
    assert keys(store) == ["b"]


def test_the_configuration_says_how_long_and_whether_reading_counts() -> None:
    clock = Clock()
    store = InMemoryStore(ttl={"default_ttl": 10, "refresh_on_read": False}, clock=clock)
    store.put(SPACE, "default", {})
    store.put(SPACE, "ever", {}, ttl=None)
    store.put(SPACE, "own", {}, ttl=20)
    clock.minutes += 9
    assert keys(store) == ["default", "ever", "own"]
    store.get(SPACE, "default")
    store.get(SPACE, "own", refresh_ttl=True)
    clock.minutes += 1
    assert keys(store) == ["ever", "own"]
    clock.minutes += 11
    assert keys(store) == ["ever", "own"]


def test_times_are_those_of_the_clock() -> None:
    clock = Clock()
    store = InMemoryStore(clock=clock)
    store.put(SPACE, "a", {})
    clock.minutes += 1
    store.put(SPACE, "a", {})
    item = store.get(SPACE, "a")
    assert item is not None
    assert item.created_at.timestamp() == 60_000
    assert item.updated_at.timestamp() == 60_060


def test_memory_forgets_what_expired_even_if_nobody_asks_for_it() -> None:
    clock = Clock()
    store = InMemoryStore(clock=clock)
    for number in range(100):
        for _ in range(3):
            store.put(SPACE, str(number), {}, ttl=10)
        store.delete(SPACE, "7")
        clock.minutes += 1
    assert keys(store) == [str(number) for number in range(91, 100)]
    assert len(store._items[SPACE]) == 9
    assert len(store._expiring) <= 3 * 10


# --- in Redis ----------------------------------------------------------------------------------------------------


@pytest.fixture
def used_before(redis_client: redis.Redis, redis_store: RedisStore) -> None:
    """Three items with ten minutes to live each, of which five are over by now, as far as Redis knows."""
    for key in "abc":
        redis_store.put(SPACE, key, {"k": key}, ttl=10)
        redis_client.pexpire(f"fleetgraph:store:item:n..{key}", 300_000)


def minutes_left(client: redis.Redis) -> dict[str, int]:
    return {key: round(client.pttl(f"fleetgraph:store:item:n..{key}") / 60_000) for key in "abc"}


@pytest.mark.usefixtures("used_before")
@pytest.mark.parametrize(
    ("op", "after"),
    [
        (GetOp(SPACE, "b"), {"a": 5, "b": 10, "c": 5}),
        (GetOp(SPACE, "b", refresh_ttl=False), {"a": 5, "b": 5, "c": 5}),
        (SearchOp(()), {"a": 10, "b": 10, "c": 10}),
        (SearchOp((), refresh_ttl=False), {"a": 5, "b": 5, "c": 5}),
        (SearchOp((), limit=1, offset=1), {"a": 5, "b": 10, "c": 5}),
        (SearchOp((), {"k": "c"}), {"a": 5, "b": 5, "c": 10}),
        (SearchOp((), {"k": {"$ne": "a"}}, limit=1, offset=1), {"a": 5, "b": 5, "c": 10}),
        (SearchOp((), {"k": "c"}, refresh_ttl=False), {"a": 5, "b": 5, "c": 5}),
        (PutOp(SPACE, "a", {}, ttl=7), {"a": 7, "b": 5, "c": 5}),
    ],
)
def test_redis_expires_items_by_itself(
    redis_store: RedisStore, redis_client: redis.Redis, op: GetOp | SearchOp | PutOp, after: dict[str, int]
) -> None:
    redis_store.batch([op])
    assert minutes_left(redis_client) == after


def test_the_index_loses_what_expired(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    for number in range(50):
        redis_store.put(("a", str(number)), "k", {}, ttl=MOMENT)
    redis_store.put(("b",), "k", {}, ttl=10)
    wait_until(lambda: redis_store.list_namespaces() == [("b",)])
    assert sorted(redis_client.scan_iter()) == [
        b"fleetgraph:store:expiring",
        b"fleetgraph:store:item:b..k",
        b"fleetgraph:store:keys:b",
        b"fleetgraph:store:number",
        b"fleetgraph:store:under:",
        b"fleetgraph:store:under:b",
    ]
    assert redis_client.zcard("fleetgraph:store:under:") == 1
    assert redis_client.zrange("fleetgraph:store:expiring", 0, -1) == [b"b..k"]


def test_puts_clear_away_what_expired(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    for number in range(50):
        redis_store.put(SPACE, str(number), {}, ttl=MOMENT)
    wait_until(lambda: not [*redis_client.scan_iter("*item*")])
    for number in range(6):
        redis_store.put(("other",), str(number), {})
    assert redis_client.zcard("fleetgraph:store:expiring") == 0
    assert redis_client.exists("fleetgraph:store:keys:n") == 0


def test_a_search_clears_away_what_redis_evicted(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    for key in "abc":
        redis_store.put(SPACE, key, {})
    redis_client.delete("fleetgraph:store:item:n..a", "fleetgraph:store:item:n..c")
    assert [item.key for item in redis_store.search((), offset=1)] == []
    assert keys(redis_store) == ["b"]
    assert redis_client.zrange("fleetgraph:store:keys:n", 0, -1) == [b"b"]
