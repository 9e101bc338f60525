"""The channel on which a worker is given tasks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from fleetgraph.wire import keys
from fleetgraph.wire.connection import connect
from fleetgraph.worker.channel import TaskChannel

LEASE = timedelta(seconds=0.6)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        yield made


@pytest.fixture
def channel(client: redis.Redis) -> Iterator[TaskChannel]:
    made = TaskChannel(client, "w1", LEASE)
    made.open()
    yield made
    made.close()


def heard(channel: TaskChannel) -> bytes:
    while (message := channel.wait()) is None:
        pass
    return message


def test_it_hears_what_is_handed_to_the_worker(client: redis.Redis, channel: TaskChannel) -> None:
    client.publish(keys.handed("w2"), b"another's")
    client.publish(keys.handed("w1"), b"a task")
    client.publish(keys.handed("w1"), b"")

    assert [heard(channel), heard(channel)] == [b"a task", b""]


def test_it_may_be_silent_for_long(client: redis.Redis, channel: TaskChannel) -> None:
    assert [channel.wait() for _ in range(5)] == [None] * 5
    assert not channel.stalled
    client.publish(keys.handed("w1"), b"a task")
    assert heard(channel) == b"a task"


def test_a_connection_that_gives_no_sign_of_life_is_found_out(
    client: redis.Redis, channel: TaskChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    untyped: Any = client.connection_pool.connection_class
    monkeypatch.setattr(untyped, "send_command", lambda *_, **__: None)  # it goes nowhere

    assert channel.wait() is None
    with pytest.raises(redis.TimeoutError):
        channel.wait()


def test_a_connection_that_was_cut_is_told_about_and_can_be_had_again(
    client: redis.Redis, channel: TaskChannel
) -> None:
    untyped: Any = client
    untyped.client_kill_filter(_type="pubsub")

    with pytest.raises(redis.ConnectionError):
        heard(channel)
    channel.open()
    client.publish(keys.handed("w1"), b"a task")
    assert heard(channel) == b"a task"
