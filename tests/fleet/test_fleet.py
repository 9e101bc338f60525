"""What one can do with a `Fleet` and a graph on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from fleetgraph.errors import FleetError, RunCancelled
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import GraphOutput
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs import guide, hold, meeting, memory, rounds, talk
from tests.fleet.observing import ALL_MODES, Running, Watched, comparable, new_key, new_thread
from tests.fleet.processes import Worker
from tests.waiting import wait_until

TOPIC = {"topic": "ice cream"}


def test_the_methods_of_a_graph_do_the_same_on_a_fleet(fleet: Fleet) -> None:
    here, there = guide.graph, guide.graph.on(fleet)
    assert there.invoke(TOPIC) == here.invoke(TOPIC)
    assert there.invoke(TOPIC, stream_mode="updates") == here.invoke(TOPIC, stream_mode="updates")
    assert there.invoke(TOPIC, version="v2") == here.invoke(TOPIC, version="v2") == GraphOutput(here.invoke(TOPIC))
    assert list(there.stream(TOPIC)) == list(here.stream(TOPIC))
    assert list(there.stream(TOPIC, output_keys="joke", stream_mode="values")) == list(
        here.stream(TOPIC, output_keys="joke", stream_mode="values")
    )
    assert list(there.stream(TOPIC, subgraphs=True)) == list(here.stream(TOPIC, subgraphs=True))
    assert list(there.stream(TOPIC, version="v2")) == list(here.stream(TOPIC, version="v2"))


async def test_the_async_methods_of_a_graph_do_the_same_on_a_fleet(fleet: Fleet) -> None:
    here, there = guide.graph, guide.graph.on(fleet)
    assert await there.ainvoke(TOPIC) == await here.ainvoke(TOPIC)
    chunks = [chunk async for chunk in there.astream(TOPIC, stream_mode=["updates", "custom"])]
    assert chunks == [chunk async for chunk in here.astream(TOPIC, stream_mode=["updates", "custom"])]


def test_every_mode_at_once(fleet: Fleet) -> None:
    there = list(guide.saved.on(fleet).stream(TOPIC, new_thread(), stream_mode=ALL_MODES))
    here = list(guide.saved.stream(TOPIC, new_thread(), stream_mode=ALL_MODES))
    assert {mode for mode, _ in there} == set(ALL_MODES)
    assert comparable(there) == comparable(here)


def test_a_config_of_the_graph_reaches_its_nodes(fleet: Fleet) -> None:
    def metadata_of(graph: Any) -> Any:
        config = {"metadata": {"asked_by": "somebody", "from": "the call"}, "tags": ["call"]}
        chunks = graph.stream(TOPIC, config, stream_mode="messages")
        _, metadata = next(iter(list(chunks)))
        return metadata["asked_by"], metadata["from"], metadata["tags"]

    config: Any = {"metadata": {"from": "the graph", "asked_by": "nobody"}, "tags": ["bound"]}
    expected = ("somebody", "the call", ["bound", "call"])
    assert metadata_of(guide.graph.on(fleet).with_config(config)) == expected
    assert metadata_of(guide.graph.with_config(config).on(fleet)) == expected


def test_a_recursion_limit(fleet: Fleet) -> None:
    from fleetgraph.errors import GraphRecursionError

    with pytest.raises(GraphRecursionError, match="Recursion limit of 1 reached"):
        guide.graph.on(fleet).invoke(TOPIC, {"recursion_limit": 1})


def test_a_thread_goes_on_where_it_was_left_here_or_there(fleet: Fleet) -> None:
    def conversation(first: Any, second: Any, third: Any) -> list[Any]:
        thread = new_thread()
        chunks: list[Any] = []
        for graph, said in ((first, "a"), (second, "b"), (third, "c")):
            chunks.append(comparable(graph.stream({"said": said}, thread, stream_mode=ALL_MODES)))
        return chunks

    here, there = memory.graph, memory.graph.on(fleet)
    expected = conversation(here, here, here)
    assert conversation(there, there, there) == expected
    assert conversation(there, here, there) == expected


async def test_a_thread_goes_on_async(fleet: Fleet) -> None:
    thread = new_thread()
    graph = memory.graph.on(fleet)
    await graph.ainvoke({"said": "a"}, thread)
    result = await graph.ainvoke({"said": "b"}, thread)
    assert result["log"] == ["heard a", "reply 1", "heard b", "reply 3"]


def test_a_fleet_is_used_again_and_again(fleet: Fleet, client: redis.Redis) -> None:
    graph = guide.graph.on(fleet)
    before = len(client.client_list())
    for _ in range(20):
        assert graph.invoke(TOPIC)["topic"] == "ice cream and cats"
    assert len(client.client_list()) < before + 10, "connections are not given back"


async def test_a_fleet_is_used_again_and_again_async(fleet: Fleet, client: redis.Redis) -> None:
    graph = guide.graph.on(fleet)
    before = len(client.client_list())
    for _ in range(20):
        assert (await graph.ainvoke(TOPIC))["topic"] == "ice cream and cats"
    assert len(client.client_list()) < before + 10, "connections are not given back"


def test_an_async_graph_on_one_event_loop_after_another(fleet: Fleet) -> None:
    graph = guide.graph.on(fleet)
    for _ in range(3):
        assert asyncio.run(graph.ainvoke(TOPIC))["topic"] == "ice cream and cats"


def test_several_graphs_on_one_fleet(fleet: Fleet) -> None:
    given = {"run": "run", "key": new_key(), "together": 0, "rounds": 1, "log": []}
    first = rounds.graph.on(fleet).stream(given, stream_mode="updates")
    second = guide.graph.on(fleet).stream(TOPIC)
    chunks = [next(first), next(second), *first, *second]
    assert {name for chunk in chunks for name in chunk} == {
        *("gather", "left", "right", "count"),
        *("refine_topic", "generate_joke"),
    }


def test_two_fleets_on_the_same_workers(server: RedisServer, pair: list[Worker], client: redis.Redis) -> None:
    key = new_key()
    with Fleet(server.url, queue="pair") as one, Fleet(server.url, queue="pair") as other:
        first = Running(meeting.graph.on(one), {"key": key, "count": 2})
        second = Running(meeting.graph.on(other), {"key": key, "count": 2})
        # Of four tasks, which all meet at one place, two of each run come from another coordinator.
        assert len(first.result()["places"]) == len(second.result()["places"]) == 2


def test_how_long_runs_stay(server: RedisServer, pair: list[Worker], client: redis.Redis) -> None:
    with Fleet(server.url, queue="pair", retention=timedelta(seconds=100), log_events=7) as fleet:
        guide.graph.on(fleet).invoke(TOPIC)
    run = Watched(client)
    assert 90 <= client.ttl(keys.run(run.id)) <= 100
    assert 90 <= client.ttl(keys.log(run.id)) <= 100
    assert client.hget(keys.run(run.id), "log_events") == b"7"
    assert not client.exists(keys.tasks(run.id), keys.seen(run.id), keys.sent(run.id))


@pytest.mark.parametrize("started", [True, False], ids=["in a node", "in the queue"])
def test_a_run_stays_however_long_it_is_silent(
    start_worker: Callable[..., Worker], server: RedisServer, client: redis.Redis, queue: str, started: bool
) -> None:
    key = new_key()
    with Fleet(server.url, queue=queue, retention=timedelta(seconds=2)) as fleet:
        if started:
            start_worker("tests.fleet.graphs.hold:once")
        run = Running(hold.once.on(fleet), {"key": key})
        wait_until(lambda: gates.arrived(f"{key}:once") if started else client.llen(keys.rq_queue(queue)))
        watched = Watched(client)

        def ends() -> float:
            left = client.pttl(keys.tasks(watched.id))
            assert left > 0
            return time.monotonic() + left / 1000

        begin = ends()
        wait_until(lambda: ends() > begin + 3)  # when it would have expired long ago
        gates.open(f"{key}:never")
        if not started:
            start_worker("tests.fleet.graphs.hold:once")
        assert run.result()["held"] == ["once", "after"]


def test_a_closed_fleet_says_so(server: RedisServer) -> None:
    fleet = Fleet(server.url, queue="pair")
    graph = guide.graph.on(fleet)
    fleet.close()
    with pytest.raises(FleetError, match="closed"):
        graph.invoke(TOPIC)
    with pytest.raises(FleetError, match="closed"):
        asyncio.run(graph.ainvoke(TOPIC))
    fleet.close()


def test_a_closed_local_fleet_says_so() -> None:
    fleet = Fleet.local()
    fleet.close()
    with pytest.raises(FleetError, match="closed"):
        guide.graph.on(fleet).invoke(TOPIC)


def test_a_fleet_that_was_used_and_closed_says_so(server: RedisServer, pair: list[Worker], client: redis.Redis) -> None:
    with Fleet(server.url, queue="pair") as fleet:
        graph = guide.graph.on(fleet)
        graph.invoke(TOPIC)
    with pytest.raises(FleetError, match="closed"):
        graph.invoke(TOPIC)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_closing_a_fleet_ends_the_runs_of_others(
    server: RedisServer, pair: list[Worker], client: redis.Redis, is_async: bool
) -> None:
    key = new_key()
    given = {"key": key, "words": 1, "pauses": [1], "size": 1, "said": 0}
    with Fleet(server.url, queue="pair") as fleet:
        graph = talk.graph.on(fleet)
        run = Running(graph, given, is_async=is_async)
        wait_until(lambda: gates.arrived(f"{key}:1"))
        watched = Watched(client)
    with pytest.raises((RunCancelled, FleetError), match=r"was cancelled|closed"):
        run.result()
    gates.open(f"{key}:1")
    assert watched.status == "cancelled"


def test_an_inline_fleet_streams_the_same_in_every_mode(server: RedisServer, client: redis.Redis) -> None:
    here = list(guide.saved.stream(TOPIC, new_thread(), stream_mode=ALL_MODES))
    with Fleet.inline(workers=2, url=server.url) as fleet:
        there = list(guide.saved.on(fleet).stream(TOPIC, new_thread(), stream_mode=ALL_MODES))
    assert comparable(there) == comparable(here)


def test_an_inline_fleet_with_a_redis_of_its_own(server: RedisServer) -> None:
    with Fleet.inline(workers=2, concurrency=1) as fleet:
        key = new_key()
        gates.open(f"{key}:1")
        gates.open(f"{key}:2")
        assert hold.graph.on(fleet).invoke({"key": key, "count": 2})["held"] == ["1", "2"]
        url = fleet.url
    with redis.Redis.from_url(url) as gone, pytest.raises(redis.ConnectionError):
        gone.ping()
