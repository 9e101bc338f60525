"""What only the cache in Redis has: other processes, outages, classes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from fleetgraph.cache import redis as redis_module
from fleetgraph.cache.redis import RedisCache
from fleetgraph.errors import EncodeError, RedisUnavailable
from fleetgraph.redis_server import RedisServer

NODE = ("ns", "module:node")


@dataclass
class Address:
    street: str


@pytest.fixture
def cache(redis_url: str) -> Iterator[RedisCache[Any]]:
    with RedisCache[Any](redis_url) as cache:
        yield cache


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.action for record in caplog.records if hasattr(record, "action")]


def test_caches_on_the_same_redis_and_prefix_share_their_values(redis_url: str) -> None:
    with (
        RedisCache[Any](redis_url) as one,
        RedisCache[Any](redis_url) as two,
        RedisCache[Any](redis_url, prefix="x") as other,
    ):
        one.set({(NODE, "1"): ("a", None)})
        other.set({(NODE, "1"): ("b", None)})
        assert two.get([(NODE, "1")]) == {(NODE, "1"): "a"}
        two.clear()
        assert one.get([(NODE, "1")]) == {}
        assert other.get([(NODE, "1")]) == {(NODE, "1"): "b"}


def test_a_client_comes_first_as_in_langgraph(redis_client: redis.Redis) -> None:
    with RedisCache[Any](redis_client, prefix="mine:") as cache:
        cache.set({(NODE, "1"): ("a", 60), (NODE, "2"): ("a", None)})
    assert sorted(redis_client.scan_iter()) == [b"mine:ns:module%3Anode:1", b"mine:ns:module%3Anode:2"]
    assert 59_000 < redis_client.pttl("mine:ns:module%3Anode:1") <= 60_000
    assert redis_client.ttl("mine:ns:module%3Anode:2") == -1


def test_a_prefix_is_no_pattern(redis_url: str) -> None:
    with RedisCache[Any](redis_url, prefix="a*[b]\\:") as one, RedisCache[Any](redis_url, prefix="ax") as other:
        one.set({(NODE, "1"): ("a", None)})
        other.set({(NODE, "1"): ("b", None)})
        one.clear()
        assert one.get([(NODE, "1")]) == {}
        assert other.get([(NODE, "1")]) == {(NODE, "1"): "b"}


def test_to_clear_takes_small_steps(
    cache: RedisCache[Any], redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_module, "SCAN", 10)
    cache.set({(NODE, str(number)): (number, None) for number in range(200)})
    cache.set({(("other",), str(number)): (number, None) for number in range(50)})
    redis_client.config_resetstat()
    cache.clear([NODE])
    used = redis_client.info("commandstats")
    assert used["cmdstat_scan"]["calls"] >= 5
    assert "cmdstat_keys" not in used
    assert redis_client.dbsize() == 50


def test_values_are_read_and_set_in_one_round_trip_each(cache: RedisCache[Any], redis_client: redis.Redis) -> None:
    keys = [(NODE, str(number)) for number in range(20)]
    redis_client.config_resetstat()
    cache.set(dict.fromkeys(keys, ("a", 60)))
    cache.get(keys)
    used = redis_client.info("commandstats")
    assert (used["cmdstat_set"]["calls"], used["cmdstat_mget"]["calls"]) == (20, 1)


def test_values_of_allowed_classes_come_back_as_what_they_were(redis_url: str) -> None:
    writes = [("home", Address("Main"))]
    with RedisCache[Any](redis_url, types=[Address]) as one, RedisCache[Any](redis_url) as two:
        one.set({(NODE, "1"): (writes, None)})
        two.allow(Address)
        assert two.get([(NODE, "1")]) == {(NODE, "1"): writes}


def test_a_value_that_can_not_travel_is_refused(cache: RedisCache[Any], redis_client: redis.Redis) -> None:
    with pytest.raises(EncodeError, match=r"cache .*module:node.*Address"):
        cache.set({(NODE, "1"): ("a", None), (NODE, "2"): (Address("Main"), None)})
    assert redis_client.dbsize() == 0


def test_a_value_that_can_not_be_read_is_missing_and_logged(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with RedisCache[Any](redis_url, types=[Address]) as one, RedisCache[Any](redis_url) as two:
        one.set({(NODE, "1"): (Address("Main"), None), (NODE, "2"): ("b", None)})
        assert two.get([(NODE, "1"), (NODE, "2")]) == {(NODE, "2"): "b"}
    assert actions(caplog) == ["cache-unreadable"]
    assert "Address" in caplog.text


def test_without_redis_nothing_is_found_and_nothing_kept(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with RedisCache[Any](server.url) as cache:
        cache.set({(NODE, "1"): ("a", None)})
        server.kill()
        assert cache.get([(NODE, "1")]) == {}
        cache.set({(NODE, "2"): ("b", None)})
        assert asyncio.run(cache.aget([(NODE, "1")])) == {}
        with pytest.raises(RedisUnavailable, match=r"RedisCache can't use its Redis at .* for now"):
            cache.clear()
        server.restart()
        cache.set({(NODE, "3"): ("c", None)})
        assert cache.get([(NODE, "3")]) == {(NODE, "3"): "c"}
    assert actions(caplog) == ["redis-lost", "redis-back"]


def test_a_full_redis_keeps_nothing_more(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    with server.client() as client, RedisCache[Any](server.url) as cache:
        client.config_set("maxmemory", 1)
        cache.set({(NODE, "1"): ("a", None)})
        assert cache.get([(NODE, "1")]) == {}
        client.config_set("maxmemory", 0)
    assert actions(caplog) == ["redis-lost", "redis-back"]


def test_a_wrong_password_is_told(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("requirepass", "secret")
    with RedisCache[Any](server.url) as cache, pytest.raises(redis.AuthenticationError):
        cache.get([(NODE, "1")])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: redis.Redis(decode_responses=True), ValueError, "needs a client without decode_responses"),
        (lambda: None, ValueError, "RedisCache needs a URL or a redis.Redis, not NoneType"),
        (lambda: "localhost", RedisUnavailable, "is no Redis URL"),
    ],
)
def test_what_is_no_client_is_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RedisCache(make())
