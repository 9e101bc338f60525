"""Clients and coordinators of which only one has a key, or another one: nothing is done, and both sides know why."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from fleetgraph.client import Client, asking
from fleetgraph.coordinator import Limits
from fleetgraph.coordinator.service import Service
from fleetgraph.errors import DecodeError, FleetError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.connection import connect
from fleetgraph.wire.encryption import KEY_VARIABLE, Cipher, is_sealed
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from tests.client import graphs
from tests.fleet.observing import new_thread

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()
HOLDING = "tests.client.graphs:holding"
GIVEN: dict[str, Any] = {"key": "k", "log": []}

Pair = Callable[[str | None, str | None], Client]


@pytest.fixture
def pair(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Makes a service and a client, each with a key or without one."""

    def set_key(key: str | None) -> None:
        if key is None:
            monkeypatch.delenv(KEY_VARIABLE, raising=False)
        else:
            monkeypatch.setenv(KEY_VARIABLE, key)

    with ExitStack() as stack:

        def make(coordinators: str | None, clients: str | None) -> Client:
            set_key(coordinators)
            registry = GraphRegistry()
            registry.add_graph(graphs.holding, HOLDING)
            connection = stack.enter_context(connect(redis_url))
            stack.enter_context(Service(connection, registry, "q", Limits(RETENTION, LOG_EVENTS)))
            set_key(clients)
            return stack.enter_context(Client(redis_url))

        yield make


def test_a_client_without_the_key_starts_nothing(pair: Pair, redis_client: redis.Redis) -> None:
    client, thread = pair(KEY, None), new_thread()
    for ask in (
        lambda: client.submit("holding", GIVEN, thread),
        lambda: client.invoke("holding", GIVEN, thread),
        lambda: client.update_state("holding", thread, {"log": ["x"]}),
        lambda: client.get_state("holding", thread),
    ):
        with pytest.raises(FleetError, match=rf"this client has no key\. Set {KEY_VARIABLE} .*Nothing was done"):
            ask()
    assert client.list_runs() == []
    assert not redis_client.exists(keys.runs())
    assert graphs.holding.get_state(thread).values == {}


@pytest.mark.parametrize(("coordinators", "why"), [(None, "has no key"), (OTHER, r"has [0-9a-f]{8}\.")])
def test_a_coordinator_that_can_not_read_a_call_says_that_it_is_the_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, coordinators: str | None, why: str
) -> None:
    client, thread = pair(coordinators, KEY), new_thread()
    (service,) = client._drive(asking.services())  # pyright: ignore[reportPrivateUsage]
    if coordinators is not None:  # its replies can't be read, either
        monkeypatch.setattr(client, "_codec", _reading(client, OTHER))
    whose = rf"pid {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(DecodeError, match=rf"Coordinator {service.id} can't read .*{whose}\) {why}.*{KEY_VARIABLE}"):
        client.submit("holding", GIVEN, thread)
    assert client.list_runs() == []


def _reading(client: Client, key: str) -> Codec:
    """The codec of a client that has a second key, to read with."""
    return Codec(cipher=Cipher([base64.b64decode(KEY), base64.b64decode(key)]))


def test_both_with_the_key(pair: Pair) -> None:
    client, thread = pair(f"{OTHER},{KEY}", f"{KEY},{OTHER}"), new_thread()
    run = client.submit("holding", GIVEN, thread)
    assert [info.id for info in client.list_runs()] == [run.id]
    assert client.cancel(run.id)


@pytest.mark.parametrize("size", [0, 1, 200, 70_000])
def test_what_is_sealed(size: int) -> None:
    value = {"x": b"x" * size}
    assert is_sealed(Codec(cipher=Cipher([b"k" * 32])).encode(value))
    assert not is_sealed(Codec(cipher=None).encode(value))
    assert not is_sealed(Codec(cipher=None).encode((1, 2)))
    assert not is_sealed(b"")
