"""Lists that grow: stored as what was added, loaded as what they were, whatever is forgotten in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from fleetgraph import growing
from fleetgraph.checkpoint import growth, keys
from fleetgraph.checkpoint.base import CheckpointLost
from fleetgraph.checkpoint.encoding import EncodingSaver
from fleetgraph.checkpoint.growth import Standing, Standings, Tail, Version, base_of
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.checkpoint.sqlite import SqliteSaver
from fleetgraph.errors import DecodeError
from fleetgraph.wire.encryption import KEY_VARIABLE
from tests.checkpoint.checkpoints import checkpoint, config, found

ITEM = "x" * 300
"""Four of them are too large to be stored as a whole each time."""

Make = Callable[[], EncodingSaver]


@pytest.fixture(autouse=True)
def small_fan(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few versions have pieces of several sizes."""
    monkeypatch.setattr(growing, "FAN", 4)
    monkeypatch.setattr(growth, "FAN", 4)


@pytest.fixture(params=["plain", "encrypted"])
def sealing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "encrypted":
        monkeypatch.setenv(KEY_VARIABLE, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")


@pytest.fixture(params=["sqlite", "fake redis", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path, sealing: None) -> Iterator[Make]:
    """Makes savers of the same data, each as if in a process of its own."""
    made: list[Any] = []

    def saver() -> EncodingSaver:
        match request.param:
            case "sqlite":
                made.append(SqliteSaver(tmp_path / "threads.sqlite"))
            case "fake redis":
                made.append(RedisSaver(fake))
            case _:
                made.append(RedisSaver(request.getfixturevalue("redis_url")))
        return made[-1]

    with fakeredis.FakeRedis() as fake:
        yield saver
        for one in made:
            one.close()


def items(count: int) -> list[str]:
    return [f"{number} {ITEM}" for number in range(count)]


def name(number: int) -> str:
    return f"{number:04}"


def grow(saver: EncodingSaver, number: int, *, since: int | None, thread: str = "1", run: str = "r") -> None:
    """Save the `number`th checkpoint, with as many items, as the machine would say it."""
    versions = {"log": f"v{number}", "other": "o"}
    grown = {} if since is None else {"log": (f"v{since}", since)}
    saved = checkpoint(name(number), {"log": items(number), "other": 7}, versions)
    parent = None if since is None else name(since)
    saver.put(config(parent, thread), saved, {"run_id": run}, versions, grown=grown)  # type: ignore[call-arg]


def grow_to(saver: EncodingSaver, last: int, *, first: int = 1) -> None:
    for number in range(first, last + 1):
        grow(saver, number, since=number - 1 if number > 1 else None)


def check(saver: EncodingSaver, number: int, thread: str = "1") -> None:
    assert found(saver, name(number), thread).checkpoint["channel_values"] == {"log": items(number), "other": 7}


# --- the pure part -----------------------------------------------------------------------------------------------


def test_what_a_version_rests_on_is_found_again_from_what_is_stored() -> None:
    standing = Standing.whole(Version("v0", 1), 10)
    rests_on: dict[str, str] = {}
    for number in range(1, 300):
        base = standing.base
        assert base == Version(f"v{number - growing.span(number)}", number - growing.span(number) + 1)
        rests_on[f"v{number}"] = base.version
        standing = standing.grown(Version(f"v{number}", number + 1), 1)

        path: list[tuple[int, Version]] = []
        at: str | None = f"v{number}"
        while at is not None:
            path.insert(0, (int(at[1:]), Version(at, int(at[1:]) + 1)))
            at = rests_on.get(at)
        assert len(path) <= 1 + 3 * 5
        assert Standing.along(path, standing.size) == standing


def test_a_path_of_other_steps_is_not_gone_on_with() -> None:
    assert Standing.along([(0, Version("a", 1)), (6, Version("b", 7))], 100) is None


def test_a_tail_is_told_from_a_value() -> None:
    tail = Tail(12, "v:1\0ü", b"\x91\x01")
    assert Tail.parse(tail.data) == tail
    assert base_of(tail.data) == tail.base
    assert Tail.parse(b"\x91\x01") is None
    assert base_of(b"\x91\x01") is None
    with pytest.raises(ValueError, match="grown"):
        Tail.parse(b"\xc1rubbish")


def test_what_was_not_used_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_REMEMBERED", 2)
    known = Standings()
    for version in ("a", "b", "c"):
        known.note("1", "", "log", Standing.whole(Version(version, 1), 1))
    assert known.find("1", "", "log", "a") is None
    assert known.find("1", "", "log", "c") is not None
    known.forget("1")
    assert known.find("1", "", "log", "c") is None


# --- savers ------------------------------------------------------------------------------------------------------


def test_every_version_is_loaded_as_it_was(make: Make) -> None:
    saver = make()
    grow_to(saver, 40)
    for number in range(1, 41):
        check(saver, number)
        check(make(), number)
    assert [len(one.checkpoint["channel_values"]["log"]) for one in make().list(config())] == list(range(40, 0, -1))


def test_another_process_goes_on(make: Make) -> None:
    for number in range(1, 40):
        saver = make()
        if number > 1:
            check(saver, number - 1)
        grow(saver, number, since=number - 1 if number > 1 else None)
    check(make(), 39)
    check(make(), 17)


def test_a_process_that_knows_nothing_stores_the_whole_list(make: Make) -> None:
    """As one does that takes a run over: it may save again what is there already, as another part of the list."""
    grow_to(make(), 12)
    grow_to(make(), 12, first=10)
    for number in range(1, 13):
        check(make(), number)


def test_branches_of_a_thread_rest_on_the_same(make: Make) -> None:
    saver = make()
    grow_to(saver, 9)
    other = [*items(9), "another"]
    versions = {"log": "v10'", "other": "o"}
    saved = checkpoint("0010b", {"log": other, "other": 7}, versions)
    saver.put(config(name(9)), saved, {}, versions, grown={"log": ("v9", 9)})  # type: ignore[call-arg]
    grow_to(saver, 14, first=10)
    assert found(make(), "0010b").checkpoint["channel_values"]["log"] == other
    check(make(), 14)


def test_what_a_kept_checkpoint_rests_on_is_kept(make: Make) -> None:
    saver = make()
    grow_to(saver, 23)
    saver.prune(["1"])
    assert [one.checkpoint["id"] for one in saver.list(config())] == [name(23)]
    check(saver, 23)
    grow_to(saver, 30, first=24)
    saver.prune(["1"])
    check(make(), 30)


def test_checkpoints_of_a_run_are_forgotten_in_between(make: Make) -> None:
    saver = make()
    for number in range(1, 31):
        grow(saver, number, since=number - 1 if number > 1 else None, run="odd" if number % 2 else "even")
    saver.delete_for_runs(["odd"])
    for number in range(2, 31, 2):
        check(saver, number)
    saver.delete_for_runs(["even"])
    assert not list(saver.list(config()))


def test_a_copy_has_all_and_goes_its_own_way(make: Make) -> None:
    saver = make()
    grow_to(saver, 11)
    saver.copy_thread("1", "2")
    saver.delete_thread("1")
    for number in range(1, 12):
        check(saver, number, thread="2")
    grow(saver, 12, since=11, thread="2")
    check(make(), 12, thread="2")


def test_a_thread_that_is_deleted_meanwhile_comes_back_whole(make: Make) -> None:
    saver = make()
    grow_to(saver, 8)
    saver.delete_thread("1")
    grow(saver, 9, since=8)
    check(make(), 9)


def test_a_list_that_did_not_only_grow_is_stored_anew(make: Make) -> None:
    saver = make()
    grow_to(saver, 8)
    versions = {"log": "v9", "other": "o"}
    saver.put(config(name(8)), checkpoint(name(9), {"log": ["new"], "other": 7}, versions), {}, versions)
    grow_to(saver, 8, first=8)
    assert found(make()).checkpoint["channel_values"]["log"] == ["new"]


def test_a_list_whose_former_version_is_not_what_it_is_said_to_be_is_stored_anew(make: Make) -> None:
    saver = make()
    grow_to(saver, 8)
    versions = {"log": "v9", "other": "o"}
    saved = checkpoint(name(9), {"log": items(9), "other": 7}, versions)
    saver.put(config(name(8)), saved, {}, versions, grown={"log": ("v8", 7)})  # type: ignore[call-arg]
    check(make(), 9)


# --- Redis -------------------------------------------------------------------------------------------------------


@pytest.fixture
def saver(redis_url: str) -> Iterator[RedisSaver]:
    with RedisSaver(redis_url) as saver:
        yield saver


@pytest.fixture
def names() -> keys.ThreadKeys:
    return keys.of_thread("fleetgraph:checkpoint", "1")


def test_what_is_stored_is_what_was_added(
    saver: RedisSaver, names: keys.ThreadKeys, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "FAN", 1024)
    monkeypatch.setattr(growth, "FAN", 1024)
    grow_to(saver, 300)
    stored = sum(map(len, redis_client.hvals(names.values)))
    assert stored < 300 * (len(ITEM) + 100)


def test_what_was_stored_before_there_were_tails_is_loaded_and_grows(
    saver: RedisSaver, names: keys.ThreadKeys, redis_client: redis.Redis
) -> None:
    grow(saver, 5, since=None)
    record = f"{keys.member('', name(5))}\0values"
    old = b"6:log\0v57:other\0o"
    assert redis_client.hget(names.records, record) == b"8:\0v5\0\1log8:\0o\0other"
    redis_client.hset(names.records, record, old)
    with RedisSaver(redis_client) as today:
        check(today, 5)
        grow(today, 6, since=5)
        check(today, 6)
        today.prune(["1"])
        check(today, 6)


def test_a_part_that_is_gone_is_missed(saver: RedisSaver, names: keys.ThreadKeys, redis_client: redis.Redis) -> None:
    grow_to(saver, 9)
    redis_client.hdel(names.values, "\0log\0v4")
    check(saver, 3)
    with pytest.raises(CheckpointLost, match="log"):
        found(saver, name(9))


def test_parts_in_no_order_are_refused(saver: RedisSaver, names: keys.ThreadKeys, redis_client: redis.Redis) -> None:
    grow_to(saver, 9)
    redis_client.hset(names.values, "\0log\0v4", Tail(3, "v9", b"\x90").data)
    with pytest.raises(DecodeError, match="in no order"):
        found(saver, name(9))
    redis_client.hset(names.values, "\0log\0v9", b"\xc1")
    with pytest.raises(DecodeError, match="channel 'log' of thread '1'"):
        found(saver, name(9))
