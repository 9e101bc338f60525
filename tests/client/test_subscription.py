"""A long log is read piece by piece, small messages many at a time and large ones few."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fleetgraph.client.subscription import AsyncSubscription, Subscription, next_count
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute_all
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.connection import connect_async
from fleetgraph.wire.events import RUN, encode_event
from fleetgraph.wire.transitions import Events, publish_from_coordinator
from tests.fleet.observing import without_expiry

CODEC = Codec(cipher=None)
SIZES = [10] * 150 + [500_000] * 20 + [10] * 150
"""Bytes of each message of a run that is over."""


def idle() -> None:
    raise AssertionError("the log has it all")


def event(mode: str, payload: Any) -> list[Events]:
    return [Events(1, encode_event(CODEC, mode, (), "", 0, 1.5, payload))]


@pytest.fixture
def run(server: RedisServer) -> str:
    """A run with a long log."""
    name = "run-with-a-long-log"
    with server.client() as client:
        client.delete(keys.run(name), keys.log(name))
        client.hset(keys.run(name), mapping={"status": "success", "epoch": 1})
        calls = [publish_from_coordinator(name, 1, event("custom", "x" * size)) for size in SIZES]
        execute_all(client, [*calls, publish_from_coordinator(name, 1, event(RUN, {"status": "success"}))])
        assert without_expiry(client) == []
    return name


def is_all(seqs: list[int], sizes: list[int]) -> bool:
    return seqs == list(range(1, len(SIZES) + 2)) and sizes == SIZES


def test_a_long_log_is_read_to_its_end(server: RedisServer, run: str) -> None:
    with server.client() as client, Subscription(client, run, CODEC, idle, late=True) as subscription:
        events = list(subscription)
    assert is_all([one.seq for one in events], [len(one.payload) for one in events[:-1]])


def test_a_long_log_is_read_to_its_end_async(server: RedisServer, run: str) -> None:
    async def read() -> list[Any]:
        async with (
            connect_async(server.url) as client,
            AsyncSubscription(client, run, CODEC, idle, late=True) as subscription,
        ):
            return [event async for event in subscription]

    events = asyncio.run(read())
    assert is_all([one.seq for one in events], [len(one.payload) for one in events[:-1]])


@pytest.mark.parametrize(
    ("count", "size", "following"),
    [
        (20, 0, 40),
        (20, 20 * 100, 40),
        (160, 160 * 100, 200),
        (200, 200 * 100, 200),
        (200, 200 * 1_000_000, 4),
        (4, 4 * 1_000_000, 4),
        (1, 100_000_000, 1),
        (4, 4 * 100, 8),
    ],
)
def test_some_four_megabytes_are_read_at_once(count: int, size: int, following: int) -> None:
    assert next_count(count, size) == following
