"""A Redis that goes away while a run goes on, and comes back: as it was, or empty."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleetgraph.errors import EventsLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.fleet import gates
from tests.fleet.graphs import hold, talk
from tests.fleet.observing import ALL_MODES, Running, comparable, new_key
from tests.fleet.processes import Worker
from tests.waiting import wait_until

TALK, HOLD = "tests.fleet.graphs.talk:graph", "tests.fleet.graphs.hold:graph"


@pytest.fixture
def durable(server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that remembers what it was told; gates are elsewhere, and are not affected."""
    with RedisServer(appendonly=True) as durable:
        yield durable


@pytest.fixture
def forgetful(server: RedisServer) -> Iterator[RedisServer]:
    with RedisServer() as forgetful:
        yield forgetful


@pytest.mark.parametrize("kill", [False, True], ids=["restarted", "killed"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_restart_of_redis_costs_a_run_nothing(
    start_worker: Callable[..., Worker], durable: RedisServer, queue: str, kill: bool, is_async: bool
) -> None:
    start_worker(TALK, url=durable.url)
    key = new_key()
    given = {"key": key, "words": 4, "pauses": [1, 3, 5], "size": 1, "said": 0}
    with Fleet(durable.url, queue=queue) as fleet:
        run = Running(talk.graph.on(fleet), given, is_async=is_async)
        for pause in (1, 3, 5):
            wait_until(lambda pause=pause: gates.arrived(f"{key}:{pause}"))
            durable.restart(kill=kill)
            gates.open(f"{key}:{pause}")
        assert run.result()["said"] == 5
    assert comparable(run.chunks) == comparable(talk.graph.stream(given, stream_mode=ALL_MODES))


def test_a_restart_of_redis_between_two_runs_is_not_noticed(
    start_worker: Callable[..., Worker], durable: RedisServer, queue: str
) -> None:
    start_worker(TALK, url=durable.url)
    given = {"key": new_key(), "words": 1, "pauses": [], "size": 1, "said": 0}
    with Fleet(durable.url, queue=queue) as fleet:
        graph = talk.graph.on(fleet)
        assert graph.invoke(given)["said"] == 2
        durable.restart()
        assert graph.invoke(given)["said"] == 2
        durable.restart()
        assert asyncio.run(graph.ainvoke(given))["said"] == 2


@pytest.mark.parametrize("modes", ["updates", "tasks"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_redis_that_lost_its_data_ends_a_run_with_an_error(
    start_worker: Callable[..., Worker], forgetful: RedisServer, queue: str, is_async: bool, modes: Any
) -> None:
    start_worker(HOLD, url=forgetful.url)
    key = new_key()
    with Fleet(forgetful.url, queue=queue) as fleet:
        graph = hold.graph.on(fleet)
        run = Running(graph, {"key": key, "count": 1}, is_async=is_async, modes=modes)
        wait_until(lambda: gates.arrived(f"{key}:1"))
        forgetful.restart()
        with pytest.raises(EventsLost, match="is no longer in Redis"):
            run.result()
        gates.open(f"{key}:1")
        other = new_key()
        gates.open(f"{other}:1")
        assert graph.invoke({"key": other, "count": 1})["held"] == ["1"]
