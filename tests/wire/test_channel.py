"""Listening to a pub/sub channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from fleetgraph.wire.channel import Channel, Channels
from fleetgraph.wire.connection import connect


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        yield made


@pytest.fixture
def channel(client: redis.Redis) -> Iterator[Channel]:
    made = Channel(client, "news", 5.0)
    made.open()
    yield made
    made.close()


def test_messages_come_in_order_whatever_is_in_them(client: redis.Redis, channel: Channel) -> None:
    sent = [b"", b"\x00\r\n+OK\r\n", b"x" * 1_000_000]
    for message in sent:
        assert client.publish("news", message) == 1
    client.publish("other news", b"not for it")

    assert [channel.read() for _ in sent] == sent


def test_it_waits_for_no_longer_than_it_is_told(client: redis.Redis, channel: Channel) -> None:
    assert channel.read(0.01) is None
    client.publish("news", b"late")
    assert channel.read() == b"late"


def test_redis_gives_a_sign_of_life(channel: Channel) -> None:
    assert not channel.asked
    channel.ask()
    assert channel.asked
    assert channel.read() is None
    assert not channel.asked


def test_a_connection_that_was_cut_is_opened_again(client: redis.Redis, channel: Channel) -> None:
    untyped: Any = client
    untyped.client_kill_filter(_type="pubsub")
    with pytest.raises(redis.ConnectionError):
        channel.read()
    with pytest.raises(redis.ConnectionError, match="closed"):
        channel.read()

    channel.open()
    client.publish("news", b"again")
    assert channel.read() == b"again"


def test_who_closes_it_listens_no_more(client: redis.Redis, channel: Channel) -> None:
    channel.close()
    channel.close()
    assert client.publish("news", b"lost") == 0


def test_all_channels_of_a_pattern_are_heard(client: redis.Redis) -> None:
    channels = Channels(client, "news of *", 5.0)
    channels.open()
    sent = [(b"news of today", b"one"), (b"news of *", b""), (b"news of today", b"two")]
    for name, message in sent:
        assert client.publish(name, message) == 1
    client.publish("other news", b"not for it")
    assert [channels.read() for _ in sent] == sent
    assert channels.read(0.01) is None
    channels.close()
    with pytest.raises(redis.ConnectionError, match="closed"):
        channels.read()
