"""`RedisSaver`: what it costs, when it forgets, and what it does when Redis or the data is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis
from redis.connection import Connection
from redis.crc import key_slot

from fleetgraph.checkpoint.base import CheckpointLost
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.errors import DecodeError, EncodeError, RedisUnavailable
from fleetgraph.redis_server import RedisServer
from tests.checkpoint.checkpoints import checkpoint, config, found, ids, put
from tests.waiting import wait_until


@dataclass
class Point:
    x: int


@pytest.fixture
def saver(redis_url: str) -> Iterator[RedisSaver]:
    with RedisSaver(redis_url) as saver:
        yield saver


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were sent in each round trip."""
    sizes: list[int] = []
    send: Callable[..., Any] = Connection.send_packed_command

    def counting(self: Any, command: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(command) if isinstance(command, bytes | str) else sum(map(len, command)))
        return send(self, command, *args, **options)

    monkeypatch.setattr(Connection, "send_packed_command", counting)
    return sizes


def used(saver: RedisSaver) -> None:
    """Do everything once, so that nothing has to be connected or loaded any more."""
    put(saver, "a", {"x": 1}, thread="warm")
    saver.get_tuple(config(thread="warm"))
    saver.prune(["warm"])


# --- what it costs -----------------------------------------------------------------------------------------------


def test_each_call_is_one_round_trip(saver: RedisSaver, sent: list[int]) -> None:
    used(saver)
    calls: list[Callable[[], Any]] = [
        lambda: put(saver, "a", {f"channel {i}": i for i in range(50)}),
        lambda: saver.put_writes(config("a"), [("x", i) for i in range(50)], "task"),
        lambda: saver.get_tuple(config()),
        lambda: saver.get_tuple(config("a")),
        lambda: saver.delete_thread("1"),
    ]
    for call in calls:
        sent.clear()
        call()
        assert len(sent) == 1


def test_a_put_sends_what_changed_however_large_the_state_is(saver: RedisSaver, sent: list[int]) -> None:
    used(saver)
    big = "x" * 1_000_000
    versions = {"big": "1", "count": "1"}
    saver.put(config(), checkpoint("a", {"big": big, "count": 1}, versions), {}, versions)
    sent.clear()
    saver.put(config("a"), checkpoint("b", {"big": big, "count": 2}, versions | {"count": "2"}), {}, {"count": "2"})
    assert sum(sent) < 1000
    assert found(saver).checkpoint["channel_values"] == {"big": big, "count": 2}


def test_a_page_of_history_brings_each_value_once(saver: RedisSaver, redis_client: redis.Redis) -> None:
    big, names = "x" * 100_000, [f"{i:02}" for i in range(20)]
    for parent, name in zip([None, *names], names, strict=False):
        saver.put(config(parent), checkpoint(name, {"big": big}, {"big": "1"}), {}, {} if parent else {"big": "1"})
    before = redis_client.info("stats")["total_net_output_bytes"]  # type: ignore[index]
    assert ids(saver) == names[::-1]
    assert redis_client.info("stats")["total_net_output_bytes"] - before < 200_000  # type: ignore[index]


def test_history_is_fetched_as_it_is_read(saver: RedisSaver, sent: list[int]) -> None:
    used(saver)
    for i in range(100):
        put(saver, f"{i:03}")
    sent.clear()
    history = saver.list(config())
    assert sent == []
    next(history)
    assert len(sent) == 2  # the ids, and a page


# --- keys --------------------------------------------------------------------------------------------------------


def test_a_thread_has_five_keys_in_one_slot_and_leaves_none(saver: RedisSaver, redis_client: redis.Redis) -> None:
    for i in range(10):
        put(saver, f"{i}", {"x": i}, ns=f"sub:{i}")
        saver.put_writes(config(f"{i}", ns=f"sub:{i}"), [("x", i)], "task")
    keys: Any = redis_client.keys()
    assert len(keys) == 5
    assert all(key.startswith(b"fleetgraph:checkpoint:{1}:") for key in keys)
    assert len({key_slot(key) for key in keys}) == 1
    saver.delete_thread("1")
    assert redis_client.keys() == []


def test_pruning_frees_what_is_no_longer_needed(saver: RedisSaver, redis_client: redis.Redis) -> None:
    for i in range(30):
        put(saver, f"{i:02}", {"x": "x" * 1000}, parent=f"{i - 1:02}" if i else None)
        saver.put_writes(config(f"{i:02}"), [("x", i)], "task")
    saver.prune(["1"])
    key = "fleetgraph:checkpoint:{1}:"
    assert [redis_client.hlen(f"{key}{name}") for name in ("records", "values", "writes")] == [3, 1, 1]
    assert [redis_client.zcard(f"{key}{name}") for name in ("checkpoints", "places")] == [1, 1]


def test_savers_with_other_prefixes_do_not_see_each_other(redis_url: str) -> None:
    with RedisSaver(redis_url, prefix="app[1]*") as one, RedisSaver(redis_url, prefix="app1x") as other:
        put(one, "a", run_id="r")
        put(other, "b", run_id="r")
        assert [item.checkpoint["id"] for item in one.list(None)] == ["a"]
        one.delete_for_runs(["r"])
        assert (ids(one), ids(other)) == ([], ["b"])


def test_many_threads_are_found(saver: RedisSaver) -> None:
    threads = [f"thread {i}" for i in range(1500)]
    for thread in threads:
        saver.put(config(thread=thread), checkpoint("a", {}, {}), {}, {})
    assert len({item.config["configurable"]["thread_id"] for item in saver.list(None)}) == len(threads)


def test_threads_without_a_ttl_stay(saver: RedisSaver, redis_client: redis.Redis) -> None:
    put(saver, "a", {"x": 1})
    saver.get_tuple(config())
    assert {redis_client.ttl(key) for key in redis_client.scan_iter()} == {-1}


@pytest.mark.usefixtures("no_leaked_keys")
def test_a_ttl_counts_from_the_last_use(redis_url: str, redis_client: redis.Redis) -> None:
    with RedisSaver(redis_url, ttl=timedelta(hours=1)) as saver:
        put(saver, "a", {"x": 1})
        saver.put_writes(config("a"), [("x", 1)], "task")
        saver.copy_thread("1", "2")
        keys: list[bytes] = list(redis_client.scan_iter())
        assert len(keys) == 10
        uses: list[Callable[[], Any]] = [
            lambda: saver.get_tuple(config()),
            lambda: list(saver.list(config())),
            lambda: saver.put_writes(config("a"), [("x", 1)], "task"),
            lambda: put(saver, "b"),
        ]
        for use in uses:
            for key in keys:
                redis_client.expire(key, 10)
            use()
            left = {key: redis_client.ttl(key) for key in keys}
            assert all((seconds > 3000) == (b"{1}" in key) for key, seconds in left.items())  # type: ignore[operator]


def test_a_thread_expires_as_a_whole(redis_url: str, redis_client: redis.Redis) -> None:
    with RedisSaver(redis_url, ttl=timedelta(milliseconds=50)) as saver:
        put(saver, "a", {"x": 1})
        wait_until(lambda: redis_client.dbsize() == 0)
        assert saver.get_tuple(config()) is None


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_ttl_that_is_none_is_refused(redis_url: str, ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="ttl has to be positive"):
        RedisSaver(redis_url, ttl=ttl)


# --- clients -----------------------------------------------------------------------------------------------------


def test_a_client_of_the_caller_stays_open(redis_client: redis.Redis) -> None:
    with RedisSaver(redis_client) as saver:
        put(saver, "a")
    assert redis_client.ping()


async def test_it_closes_its_own_connections(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    before = redis_client.info("clients")["connected_clients"]  # type: ignore[index]
    async with RedisSaver(redis_server.url) as saver:
        await saver.aget_tuple(config())
    with RedisSaver.from_conn_string(redis_server.url, ttl=timedelta(days=1)) as saver:
        saver.setup()
    wait_until(lambda: redis_client.info("clients")["connected_clients"] == before)  # type: ignore[index]


def test_a_client_that_decodes_is_refused(redis_server: RedisServer) -> None:
    with redis_server.client(decode_responses=True) as client, pytest.raises(ValueError, match="decode_responses"):
        RedisSaver(client)


def test_what_is_no_redis_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: None)
    with pytest.raises(RedisUnavailable, match="is no Redis URL"):
        RedisSaver("localhost")
    with RedisSaver("redis://127.0.0.1:1/0") as saver, pytest.raises(RedisUnavailable, match="no Redis answers"):
        saver.setup()


def test_a_cluster_will_do() -> None:
    with RedisServer(config={"cluster-enabled": "yes"}) as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
            wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok")  # type: ignore[no-untyped-call]
        cluster: Any = redis.RedisCluster(host="127.0.0.1", port=server.port)
        try:
            saver = RedisSaver(cluster)
            for thread in ("", "1", "a{b}c"):
                put(saver, "a", {"x": [1]}, thread=thread, run_id="r")
                put(saver, "b", {"x": [2]}, thread=thread, parent="a")
                saver.put_writes(config("b", thread), [("x", 3)], "task")
                assert ids(saver, config(thread=thread)) == ["b", "a"]
                assert found(saver, thread=thread).pending_writes == [("task", "x", 3)]
            saver.copy_thread("1", "elsewhere")
            assert found(saver, thread="elsewhere").checkpoint["channel_values"] == {"x": [2]}
            saver.prune(["1"])
            saver.delete_for_runs(["r"])
            assert [item.checkpoint["id"] for item in saver.list(None)] == ["b"] * 4
            saver.delete_thread("1")
            assert ids(saver) == []
        finally:
            cluster.close()


# --- trouble -----------------------------------------------------------------------------------------------------


def test_a_class_that_is_not_allowed_is_refused_and_says_what_to_do(saver: RedisSaver, redis_url: str) -> None:
    saver.allow(Point)
    put(saver, "a", {"ok": 1, "p": [Point(1)]})
    with RedisSaver(redis_url) as ignorant:
        with pytest.raises(DecodeError) as caught:
            ignorant.get_tuple(config())
        for part in ("channel 'p' of thread '1'", "Point' is not on the allow-list", "RedisSaver(..., types=[...])"):
            assert part in str(caught.value)
        with pytest.raises(EncodeError, match=r"channel 'p': can't send the value at \$\.p, of type .*Point"):
            put(ignorant, "b", {"p": {"p": Point(1)}})
        with pytest.raises(EncodeError, match="channel 'p'"):
            ignorant.put_writes(config("a"), [("x", 1), ("p", Point(1))], "task")
        assert ids(saver) == ["a"]
        assert found(saver).pending_writes == []
    with RedisSaver(redis_url, types=[Point]) as knowing:
        assert found(knowing).checkpoint["channel_values"] == {"ok": 1, "p": [Point(1)]}


def test_a_part_that_redis_evicted_is_missed(saver: RedisSaver, redis_client: redis.Redis) -> None:
    put(saver, "a", {"x": 1, "y": 1})
    redis_client.delete("fleetgraph:checkpoint:{1}:values")
    with pytest.raises(CheckpointLost, match=r"values of x, y are gone.*noeviction"):
        saver.get_tuple(config())


def test_data_of_another_format_is_refused(saver: RedisSaver, redis_client: redis.Redis) -> None:
    put(saver, "a")
    redis_client.hset("fleetgraph:checkpoint:{1}:records", "\0a", b"\x91\x63")  # [99]
    with pytest.raises(DecodeError, match="thread '1' has format 99"):
        saver.get_tuple(config())
    redis_client.hset("fleetgraph:checkpoint:{1}:records", "\0a", b"\xc1")
    with pytest.raises(DecodeError, match="a checkpoint of thread '1': the bytes are not"):
        saver.get_tuple(config())


def test_a_redis_that_forgot_its_scripts_is_told_them_again(saver: RedisSaver, redis_client: redis.Redis) -> None:
    used(saver)
    redis_client.script_flush()
    put(saver, "a")
    put(saver, "b")
    assert found(saver).checkpoint["id"] == "b"
    redis_client.script_flush()
    saver.prune(["1"])
    assert ids(saver) == ["b"]


def test_a_restart_of_redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(appendonly=True) as server, RedisSaver(server.url) as saver:
        put(saver, "a", {"x": 1})
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            server.restart()

        monkeypatch.setattr("redis.retry.sleep", pause)
        server.kill()
        put(saver, "b", {"x": 2}, parent="a")
        assert len(pauses) == 1
        server.kill()
        assert ids(saver) == ["b", "a"]
        assert found(saver).checkpoint["channel_values"] == {"x": 2}
