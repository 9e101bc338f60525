"""What only the store in Redis has: other processes, connections, round trips, classes."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import redis
import redis.asyncio

from fleetgraph.errors import DecodeError, EncodeError, RedisUnavailable
from fleetgraph.redis_server import RedisServer
from fleetgraph.store import redis as redis_module
from fleetgraph.store import transitions
from fleetgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp
from fleetgraph.store.redis import RedisStore

SPACE = ("users", "ada")


@dataclass
class Address:
    street: str


@dataclass
class Unknown:
    street: str


def keys(store: RedisStore, **options: Any) -> list[str]:
    return [item.key for item in store.search((), **options)]


# --- who shares what ---------------------------------------------------------------------------------------------


def test_stores_on_the_same_redis_and_prefix_share_their_items(redis_url: str) -> None:
    with RedisStore(redis_url) as one, RedisStore(redis_url) as two, RedisStore(redis_url, prefix="x") as other:
        one.put(SPACE, "a", {"n": 1})
        assert keys(two) == ["a"]
        assert keys(other) == []
        two.delete(SPACE, "a")
        assert keys(one) == []


def test_a_fork_can_go_on_with_the_store(redis_store: RedisStore) -> None:
    async def put(key: str) -> None:
        await redis_store.aput(SPACE, key, {})

    asyncio.run(put("parent"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a fork of many threads has but one: just that
        child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(put("child"))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert keys(redis_store) == ["parent", "child"]


def test_many_threads_may_use_it_at_once(redis_store: RedisStore) -> None:
    def work(thread: int) -> None:
        for number in range(40):
            space = ("n", str(number % 4))
            redis_store.put(space, f"{thread}-{number}", {"thread": thread})
            redis_store.put(space, "same", {"thread": thread})
            redis_store.search(("n",), filter={"thread": thread}, limit=5)
            if number % 3:
                redis_store.delete(space, f"{thread}-{number}")
            redis_store.delete(space, "same")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    left = {f"{thread}-{number}" for thread in range(8) for number in range(0, 40, 3)}
    found = keys(redis_store, limit=1000)
    assert len(found) == len(left)
    assert set(found) == left
    assert redis_store.list_namespaces() == [("n", str(number)) for number in range(4)]


async def test_many_tasks_may_use_it_at_once(redis_store: RedisStore) -> None:
    await asyncio.gather(*(redis_store.aput(SPACE, str(number), {}) for number in range(100)))
    assert sorted(keys(redis_store, limit=1000), key=int) == [str(number) for number in range(100)]


async def test_async_calls_do_not_need_the_threads_of_the_event_loop(redis_store: RedisStore) -> None:
    """Sync nodes may hold all of those, for as long as they like."""
    loop, release = asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        blocked = loop.run_in_executor(None, release.wait)
        await redis_store.aput(SPACE, "a", {})
        release.set()
        await blocked
    assert keys(redis_store) == ["a"]


# --- classes -----------------------------------------------------------------------------------------------------


def test_values_of_allowed_classes_come_back_as_what_they_were(redis_url: str) -> None:
    with RedisStore(redis_url, types=[Address]) as store, RedisStore(redis_url) as other:
        store.put(SPACE, "a", {"at": Address("Main")})
        other.allow(Address)
        for one in (store, other):
            item = one.get(SPACE, "a")
            assert item is not None
            assert item.value == {"at": Address("Main")}
        assert keys(other, filter={"at": Address("Main")}) == ["a"]


def test_a_value_that_can_not_travel_is_refused(redis_store: RedisStore) -> None:
    with pytest.raises(EncodeError, match=r"item 'a' of the store's namespace .*'users', 'ada'.*Unknown"):
        redis_store.batch([PutOp(SPACE, "b", {}), PutOp(SPACE, "a", {"at": [Unknown("Main")]})])
    assert keys(redis_store) == []


def test_a_value_of_a_class_that_is_not_allowed_here_is_refused(redis_url: str) -> None:
    with RedisStore(redis_url, types=[Address]) as store, RedisStore(redis_url) as other:
        store.put(SPACE, "a", {"at": Address("Main")})
        for read in (lambda: other.get(SPACE, "a"), lambda: other.search(())):
            with pytest.raises(
                DecodeError, match=r"item 'a' of the store's namespace .*Address.*RedisStore\(\.\.\., types"
            ):
                read()


# --- what it costs -----------------------------------------------------------------------------------------------


class Trips:
    """Counts the round trips of a store: its pipelines that are sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        send = transitions._send

        def counted(client: redis.Redis, prefix: str, calls: Any) -> list[Any]:
            self.calls.append([call.script for call in calls])
            return send(client, prefix, calls)

        monkeypatch.setattr(transitions, "_send", counted)

    def take(self) -> list[list[str]]:
        taken, self.calls = self.calls, []
        return taken


@pytest.fixture
def trips(redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> Trips:
    redis_store.get(SPACE, "load the scripts")
    return Trips(monkeypatch)


def test_all_reads_are_one_round_trip_and_all_writes_another(redis_store: RedisStore, trips: Trips) -> None:
    redis_store.batch([PutOp(SPACE, str(number), {"n": number}) for number in range(50)])
    assert trips.take() == [["put"] * 50]
    redis_store.batch([GetOp(SPACE, str(number)) for number in range(50)])
    assert trips.take() == [["get"] * 50]
    redis_store.batch([PutOp(SPACE, "x", None), GetOp(SPACE, "1"), SearchOp(()), ListNamespacesOp()])
    assert trips.take() == [["get", "search", "namespaces"], ["delete"]]
    redis_store.search((), limit=20, offset=20)
    assert trips.take() == [["search"]]
    redis_store.batch([SearchOp((), {"n": {"$gt": number}}) for number in range(3)])
    assert trips.take() == [["search"] * 3, ["refresh"]]
    redis_store.search((), limit=0)
    assert trips.take() == []


def test_a_search_reads_no_more_than_it_answers(
    redis_store: RedisStore, trips: Trips, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    page = transitions.page

    def recorded(answer: Any) -> transitions.Page:
        found = page(answer)
        read.extend(row.id.decode() for row in found.rows)
        return found

    monkeypatch.setattr(transitions, "page", recorded)
    monkeypatch.setattr(redis_module, "PAGE", 4)
    redis_store.batch([PutOp((space,), str(number), {"n": number}) for space in "ab" for number in range(50)])
    trips.take()
    assert keys(redis_store, limit=4, offset=48) == ["48", "49", "0", "1"]
    assert read == ["a..48", "a..49", "b..0", "b..1"]
    read.clear()
    assert [item.key for item in redis_store.search(("b",), limit=2)] == ["0", "1"]
    assert read == ["b..0", "b..1"]
    read.clear()
    assert [item.key for item in redis_store.search(("b",), filter={"n": 5})] == ["5"]
    assert read == [f"b..{number}" for number in range(50)]
    read.clear()
    assert [item.key for item in redis_store.search(("b",), filter={"n": {"$gt": 0}}, limit=3)] == ["1", "2", "3"]
    assert read == ["b..0", "b..1", "b..2", "b..3"]


def test_a_page_ends_when_it_gets_large(redis_store: RedisStore, trips: Trips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "PAGE_BYTES", 1000)
    redis_store.batch([PutOp(SPACE, str(number), {"text": "x" * 600}) for number in range(7)])
    trips.take()
    assert keys(redis_store, limit=7) == [str(number) for number in range(7)]
    assert trips.take() == [["search"]] * 4


def test_no_command_goes_through_the_whole_database(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    redis_client.config_resetstat()
    redis_store.batch([PutOp(SPACE, "a", {"n": 1}, ttl=1), PutOp(("b",), "c", None)])
    redis_store.batch([SearchOp(("users",), {"n": 1}), SearchOp(()), GetOp(SPACE, "a"), ListNamespacesOp()])
    used = {name.removeprefix("cmdstat_") for name in redis_client.info("commandstats")}
    assert "evalsha" in used
    assert used.isdisjoint({"keys", "scan", "dbsize", "flushdb"})


def test_more_calls_than_go_together_are_sent_in_parts(
    redis_store: RedisStore, trips: Trips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "PIPELINE", 10)
    redis_store.batch([PutOp(SPACE, str(number), {}) for number in range(25)])
    assert [len(calls) for calls in trips.take()] == [10, 10, 5]
    assert keys(redis_store, limit=100) == [str(number) for number in range(25)]


def test_however_many_expired_they_are_cleared_away_in_steps(
    redis_store: RedisStore, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "SWEEP", 4)
    monkeypatch.setattr(transitions, "SWEEP_BESIDE", 0)
    redis_store.batch([PutOp((str(number),), "k", {}, ttl=10) for number in range(10)])
    redis_store.put(("left",), "k", {})
    for number in range(10):  # as if their time had come
        redis_client.zadd("fleetgraph:store:expiring", {f"{number}..k": 1})
    assert redis_store.list_namespaces() == [("left",)]


def test_a_deleted_item_leaves_nothing(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    redis_store.put(("a", "b", "c"), "k", {"n": 1}, ttl=5)
    redis_store.put(("a",), "k", {"n": 1})
    redis_store.delete(("a", "b", "c"), "k")
    redis_store.delete(("a",), "k")
    assert [*redis_client.scan_iter()] == [b"fleetgraph:store:number"]


# --- connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ops", [[GetOp(SPACE, "a"), PutOp(SPACE, "b", {})], [SearchOp((), {"n": 1})]])
def test_scripts_that_redis_forgot_are_loaded_again(
    redis_store: RedisStore, redis_client: redis.Redis, ops: list[Any]
) -> None:
    redis_store.put(SPACE, "a", {"n": 1})
    redis_client.script_flush()
    assert redis_store.batch(ops)[0]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_a_redis_that_restarts_is_found_again(server: RedisServer) -> None:
    with RedisStore(server.url) as store:
        store.put(SPACE, "a", {})
        server.restart()
        store.put(SPACE, "b", {})
        assert store.get(SPACE, "b") is not None


def test_a_command_waits_for_a_redis_that_restarts(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_module, "RETRIES", 60)  # it may take long to start on a busy machine
    with RedisStore(server.url) as store, ThreadPoolExecutor(1) as pool:
        store.put(SPACE, "a", {})
        server.kill()
        put = pool.submit(store.put, SPACE, "b", {})
        server.restart()
        put.result()
        assert store.get(SPACE, "b") is not None


def test_a_redis_that_does_not_come_back_is_told(monkeypatch: pytest.MonkeyPatch, server: RedisServer) -> None:
    monkeypatch.setattr(redis_module, "RETRIES", 1)
    with RedisStore(server.url) as store:
        server.kill()
        with pytest.raises(RedisUnavailable, match=r"RedisStore can't use its Redis at .*:\d+ for now"):
            store.get(SPACE, "a")
        with pytest.raises(RedisUnavailable):
            store.setup()


def test_a_full_redis_is_told_and_reads_go_on(server: RedisServer) -> None:
    with server.client() as client, RedisStore(server.url) as store:
        store.put(SPACE, "a", {"n": 1}, ttl=10)
        client.config_set("maxmemory", 1)
        with pytest.raises(RedisUnavailable, match=r"for now: .*(OOM|maxmemory)"):
            store.put(SPACE, "b", {"n": 1})
        assert store.get(SPACE, "a") is not None
        assert keys(store, filter={"n": 1}) == ["a"]
        store.delete(SPACE, "a")
        assert [*client.scan_iter()] == [b"fleetgraph:store:number"]


def test_a_client_of_the_callers_stays_open(redis_client: redis.Redis) -> None:
    with RedisStore(redis_client) as store:
        store.setup()
        store.put(SPACE, "a", {})
    assert redis_client.ping()
    assert keys(store) == ["a"]


def test_a_store_can_be_made_from_a_url_as_langgraphs_are(redis_url: str) -> None:
    with RedisStore.from_conn_string(redis_url, ttl={"default_ttl": 5}) as store:
        store.setup()
        store.put(SPACE, "a", {})
        assert keys(store) == ["a"]


async def test_a_store_can_be_closed_by_async_with(redis_url: str) -> None:
    async with RedisStore(redis_url) as store:
        await store.aput(SPACE, "a", {})
        assert await store.aget(SPACE, "a") is not None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: redis.Redis(decode_responses=True), ValueError, "needs a client without decode_responses"),
        (lambda: redis.asyncio.Redis(), ValueError, "not a client of redis.asyncio"),
        (lambda: 7, ValueError, "needs a URL or a redis.Redis, not int"),
        (lambda: "localhost:6379", RedisUnavailable, "is no Redis URL"),
    ],
)
def test_what_is_no_client_is_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RedisStore(make())


def test_a_fleet_knows_which_stores_its_processes_share() -> None:
    from fleetgraph.store.base import BaseStore
    from fleetgraph.store.memory import InMemoryStore

    assert (BaseStore.shared, InMemoryStore.shared, RedisStore.shared) == (False, False, True)
