"""What holds for every cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest

from fleetgraph.cache.base import BaseCache, FullKey
from fleetgraph.cache.memory import InMemoryCache
from fleetgraph.cache.redis import RedisCache
from fleetgraph.errors import NotSupported
from tests.waiting import wait_until

Writes = list[tuple[str, Any]]

NODE = ("__pregel_ns_writes", "module.node", "node")


@pytest.fixture(params=["memory", "fake", "real"])
def cache(request: pytest.FixtureRequest) -> Iterator[BaseCache[Any]]:
    if request.param == "memory":
        yield InMemoryCache()
    elif request.param == "fake":
        with fakeredis.FakeRedis() as client, RedisCache[Any](client) as cache:
            yield cache
    else:
        with RedisCache[Any](request.getfixturevalue("redis_url")) as cache:
            yield cache


def test_what_was_set_can_be_got(cache: BaseCache[Any]) -> None:
    writes: Writes = [("items", ["a", (1, 2)]), ("branch:to:b", None)]
    cache.set({(NODE, "1"): (writes, None), (NODE, "2"): ([], 60)})
    found = cache.get([(NODE, "1"), (NODE, "2"), (NODE, "3"), (("other",), "1")])
    assert found == {(NODE, "1"): writes, (NODE, "2"): []}


def test_nothing_asked_is_nothing_found(cache: BaseCache[Any]) -> None:
    cache.set({})
    assert cache.get([]) == {}


def test_none_is_a_value(cache: BaseCache[Any]) -> None:
    cache.set({(NODE, "1"): (None, None)})
    assert cache.get([(NODE, "1")]) == {(NODE, "1"): None}


def test_a_second_set_replaces_the_value_and_its_time(cache: BaseCache[Any]) -> None:
    cache.set({(NODE, "1"): ("a", 0), (NODE, "2"): ("a", None)})
    cache.set({(NODE, "1"): ("b", None), (NODE, "2"): ("b", 0)})
    assert cache.get([(NODE, "1"), (NODE, "2")]) == {(NODE, "1"): "b"}


def test_a_value_expires(cache: BaseCache[Any]) -> None:
    moment: Any = 0.05
    cache.set({(NODE, "1"): ("a", moment), (NODE, "2"): ("b", 60)})
    wait_until(lambda: cache.get([(NODE, "1"), (NODE, "2")]) == {(NODE, "2"): "b"})


@pytest.mark.parametrize("ttl", [0, -1])
def test_no_time_to_live_is_none_at_all(cache: BaseCache[Any], ttl: int) -> None:
    cache.set({(NODE, "1"): ("a", ttl)})
    assert cache.get([(NODE, "1")]) == {}


def test_the_longest_time_to_live_is_for_ever(cache: BaseCache[Any]) -> None:
    cache.set({(NODE, "1"): ("a", 10**30)})
    assert cache.get([(NODE, "1")]) == {(NODE, "1"): "a"}


def test_what_is_done_to_a_value_does_not_reach_the_cache(cache: BaseCache[Any]) -> None:
    value = ["a"]
    cache.set({(NODE, "1"): (value, None)})
    value.append("b")
    cache.get([(NODE, "1")])[NODE, "1"].append("c")
    assert cache.get([(NODE, "1")]) == {(NODE, "1"): ["a"]}


PLACES: list[FullKey] = [
    ((), "k"),
    (("",), "k"),
    (("a",), "k"),
    (("a",), "b:k"),
    (("a", "b"), "k"),
    (("a:b",), "k"),
    (("a%3Ab",), "k"),
    (("ab",), "k"),
    (("*",), "k"),
    (("[a]",), "\ud800"),
]


@pytest.mark.parametrize("namespace", [(), ("",), ("a",), ("a", "b"), ("a:b",), ("*",), ("[a]",)])
def test_a_namespace_is_cleared_alone(cache: BaseCache[Any], namespace: tuple[str, ...]) -> None:
    cache.set({place: (str(number), None) for number, place in enumerate(PLACES)})
    cache.clear([namespace])
    assert cache.get(PLACES) == {place: str(n) for n, place in enumerate(PLACES) if place[0] != namespace}


def test_several_namespaces_or_none_or_all_can_be_cleared(cache: BaseCache[Any]) -> None:
    cache.set(dict.fromkeys(PLACES, (1, None)))
    cache.clear([])
    assert len(cache.get(PLACES)) == len(PLACES)
    cache.clear([("a",), ("ab",), ("never there",)])
    assert set(cache.get(PLACES)) == {place for place in PLACES if place[0] not in (("a",), ("ab",))}
    cache.clear()
    assert cache.get(PLACES) == {}


async def test_the_async_methods_do_the_same(cache: BaseCache[Any]) -> None:
    await cache.aset({(NODE, "1"): ("a", None), (("b",), "1"): ("b", 60)})
    assert await cache.aget([(NODE, "1"), (("b",), "1")]) == {(NODE, "1"): "a", (("b",), "1"): "b"}
    await cache.aclear([NODE])
    assert await cache.aget([(NODE, "1"), (("b",), "1")]) == {(("b",), "1"): "b"}
    await cache.aclear()
    assert await cache.aget([(("b",), "1")]) == {}
    await cache.aset({})
    assert await cache.aget([]) == {}


@pytest.mark.parametrize("make", [InMemoryCache, lambda **options: RedisCache("redis://localhost", **options)])
def test_a_serializer_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(NotSupported, match="serde"):
        make(serde=object())


def test_a_fleet_knows_which_caches_its_processes_share() -> None:
    assert (BaseCache.shared, InMemoryCache.shared, RedisCache.shared) == (False, False, True)
