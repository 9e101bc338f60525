"""States of many channels: what a checkpoint takes is what changed, and little for the rest."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from fleetgraph.checkpoint import keys
from fleetgraph.checkpoint.encoding import EncodingSaver
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.checkpoint.sqlite import SqliteSaver
from fleetgraph.errors import DecodeError
from fleetgraph.wire.encryption import KEY_VARIABLE
from tests.checkpoint.checkpoints import checkpoint, config, found

CHANNELS = 200


def version(number: int) -> str:
    return f"{number:032}.0.123456789012{number:04}"


def put(saver: EncodingSaver, number: int) -> dict[str, Any]:
    """Save the `number`th checkpoint, in which one channel is new; of the first all are."""
    values = {f"channel {index}": "first" for index in range(CHANNELS)}
    versions = dict.fromkeys(values, version(1))
    changed = "channel 7"
    if number > 1:
        values[changed], versions[changed] = f"{number}", version(number)
    new = versions if number == 1 else {changed: version(number)}
    saver.put(config(), checkpoint(f"{number:04}", values, versions), {}, new)
    return values


@pytest.fixture(params=["sqlite", "fake redis", "redis", "encrypted"])
def saver(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EncodingSaver]:
    with fakeredis.FakeRedis() as client:
        match request.param:
            case "sqlite":
                with SqliteSaver(tmp_path / "threads.sqlite") as made:
                    yield made
            case "fake redis":
                yield RedisSaver(client)
            case "redis":
                with RedisSaver(request.getfixturevalue("redis_url")) as made:
                    yield made
            case _:
                monkeypatch.setenv(KEY_VARIABLE, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
                yield RedisSaver(client)


def test_many_channels_are_loaded_as_they_were(saver: EncodingSaver) -> None:
    saved = {number: put(saver, number) for number in range(1, 4)}
    for number, values in saved.items():
        assert found(saver, f"{number:04}").checkpoint["channel_values"] == values
    saver.prune(["1"])
    assert found(saver).checkpoint["channel_values"] == saved[3]


def test_what_is_known_of_the_channels_that_did_not_change_takes_little(redis_client: redis.Redis) -> None:
    saver = RedisSaver(redis_client)
    put(saver, 1)
    names = keys.of_thread("fleetgraph:checkpoint", "1")
    before = sum(map(len, redis_client.hvals(names.records)))
    put(saver, 2)
    assert sum(map(len, redis_client.hvals(names.records))) - before < CHANNELS * 25


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: b"x\xff" + data, lambda data: zlib.compress(b"x")]
)
def test_a_damaged_checkpoint_is_refused(redis_client: redis.Redis, damage: Any) -> None:
    saver = RedisSaver(redis_client)
    put(saver, 1)
    names, member = keys.of_thread("fleetgraph:checkpoint", "1"), keys.member("", "0001")
    head = redis_client.hget(names.records, member)
    redis_client.hset(names.records, member, damage(head))
    with pytest.raises(DecodeError, match="a checkpoint of thread '1'"):
        found(saver)
