"""Runs that are submitted: their handles, their records, and who comes first on a thread."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from fleetgraph.client import AsyncClient, Client
from fleetgraph.errors import FleetError, GraphNotFound, NotSupported, RunCancelled, ThreadBusy
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import Command
from tests.client import graphs
from tests.client.conftest import QUEUE
from tests.fleet import gates
from tests.fleet.observing import new_key, new_thread
from tests.waiting import wait_until

LOG: dict[str, Any] = {"log": []}


def held(key: str) -> dict[str, Any]:
    return {"key": key, "log": []}


def holding(client: Client, thread: Any, **options: Any) -> tuple[Any, str]:
    """A run that stays in its first node, and the gate it waits at."""
    key = new_key()
    run = client.submit("holding", held(key), thread, **options)
    wait_until(lambda: gates.arrived(key))
    return run, key


def test_a_run_is_submitted_and_its_result_comes_later(client: Client) -> None:
    run, key = holding(client, new_thread())
    assert run.status() == "running"
    gates.open(key)
    assert run.result() == {"key": key, "log": [key, "after 1"]}
    assert run.status() == "success"
    assert run.result() == {"key": key, "log": [key, "after 1"]}, "it can be asked for again"


def test_the_result_is_what_invoke_returns(client: Client) -> None:
    assert client.submit("narrow", {"name": "you"}, context={"greeting": "hi"}).result() == {"answer": "hi you"}
    assert client.submit("nothing", "x").result() is None is graphs.nothing.invoke("x")
    asked: Any = client.submit("asking", {"topic": "tea", "log": []}, new_thread()).result()
    assert [one.value for one in asked["__interrupt__"]] == [{"ok?": "tea"}]


def test_a_run_that_streams_no_values_has_no_result(client: Client) -> None:
    with pytest.raises(FleetError, match="submit it with that mode"):
        client.submit("family", LOG, stream_mode="custom").result()


def test_what_ends_a_run_is_raised_to_whoever_reads_it(client: Client) -> None:
    run = client.submit("tests.fleet.graphs.failing:graph", {"how": "builtin"})
    with pytest.raises(ValueError, match="no such number: 42"):
        run.result()
    with pytest.raises(ValueError, match="no such number: 42"):
        list(run.join())
    assert run.status() == "error"
    assert "no such number: 42" in (run.info().error or "")


def test_cancel(client: Client) -> None:
    run, key = holding(client, new_thread())
    began = time.monotonic()
    assert run.cancel() is True
    with pytest.raises(RunCancelled):
        run.result()
    assert time.monotonic() - began < 1.0
    assert run.status() == "cancelled"
    assert run.cancel() is False, "it has ended"
    gates.open(key)


def test_cancelling_a_run_that_has_ended_does_nothing(client: Client) -> None:
    run = client.submit("family", LOG)
    run.result()
    assert client.cancel(run.id) is False
    assert run.status() == "success"


def test_what_is_on_record(client: Client) -> None:
    thread = new_thread()
    run = client.submit("asking", {"topic": "tea", "log": []}, thread)
    run.result()
    info = wait_until(lambda: info if (info := run.info()).ended else None)
    assert (info.id, info.status, info.graph) == (run.id, "interrupted", "tests.client.graphs:asking")
    assert (info.thread, info.queue, info.over) == (thread["configurable"]["thread_id"], QUEUE, True)
    assert info.seq >= 3
    assert info.created is not None
    assert info.created <= info.ended
    assert abs(datetime.now(UTC) - info.created) < timedelta(minutes=1)


def test_lists_of_runs(client: Client) -> None:
    first = client.submit("family", LOG)
    first.result()
    second = client.submit("asking", {"topic": "tea", "log": []}, new_thread())
    second.result()
    third, key = holding(client, new_thread())
    ids = [info.id for info in client.list_runs()]
    assert ids[:3] == [third.id, second.id, first.id], "the newest first"
    assert [info.id for info in client.list_runs(limit=2)] == [third.id, second.id]
    assert [info.id for info in client.list_runs(status="interrupted", limit=1)] == [second.id]
    assert [info.id for info in client.list_runs(status=["success", "running"], limit=2)] == [third.id, first.id]
    assert [info.id for info in client.list_runs(graph="family", limit=1)] == [first.id]
    assert {info.graph for info in client.list_runs(graph="tests.client.graphs:asking")} == {
        "tests.client.graphs:asking"
    }
    assert client.list_runs(graph="nobody's") == []
    gates.open(key)
    third.result()


def test_a_status_that_does_not_exist(client: Client) -> None:
    for status in ("bogus", ["success", "bogus"]):
        with pytest.raises(ValueError, match="Unknown status 'bogus': choose among pending, running, success, err"):
            client.list_runs(status=status)


def test_lists_leave_out_what_has_expired(client: Client, store: redis.Redis) -> None:
    from fleetgraph.wire import keys

    run = client.submit("family", LOG)
    run.result()
    store.delete(keys.run(run.id))
    assert run.id not in [info.id for info in client.list_runs()]


# --- threads ---------------------------------------------------------------------------------------------------------


def test_a_second_run_of_a_thread_waits(client: Client) -> None:
    thread = new_thread()
    first, key = holding(client, thread)
    gates.open(other := new_key())
    second = client.submit("holding", held(other), thread)
    assert second.status() == "pending"
    gates.open(key)
    assert second.result()["log"] == [key, "after 1", other, "after 3"]
    assert first.status() == "success"


def test_a_second_run_of_a_thread_is_refused(client: Client) -> None:
    thread = new_thread()
    first, key = holding(client, thread)
    with pytest.raises(ThreadBusy, match=first.id):
        client.submit("holding", held(key), thread, multitask_strategy="reject")
    with pytest.raises(ThreadBusy):
        list(client.stream("holding", held(key), thread, multitask_strategy="reject"))
    gates.open(key)
    first.result()
    gates.open(other := new_key())
    assert client.invoke("holding", held(other), thread, multitask_strategy="reject")["log"][-1] == "after 3"


def test_a_second_run_of_a_thread_interrupts_the_first(client: Client) -> None:
    thread = new_thread()
    first, key = holding(client, thread)
    gates.open(other := new_key())
    second = client.submit("holding", held(other), thread, multitask_strategy="interrupt")
    assert second.result()["log"] == [other, "after 1"]
    assert first.status() == "cancelled"
    gates.open(key)


def test_rollback_is_refused_by_name(client: Client) -> None:
    with pytest.raises(NotSupported, match="multitask_strategy='rollback'"):
        client.submit("family", LOG, multitask_strategy="rollback")  # type: ignore[arg-type]


def test_words_that_do_not_exist(client: Client) -> None:
    with pytest.raises(ValueError, match=r"Unknown multitask_strategy 'x': choose among reject, enqueue, interrupt\."):
        client.submit("family", LOG, multitask_strategy="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unknown on_disconnect"):
        client.stream("family", LOG, on_disconnect="x")  # type: ignore[arg-type]


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_of_graphs(client: Client) -> None:
    assert "tests.client.graphs:family" in client.graphs()
    expected = graphs.family.invoke(LOG)
    assert client.invoke("family", LOG) == client.invoke("tests.client.graphs:family", LOG) == expected
    with pytest.raises(GraphNotFound, match=r"'graph' may be one of several .*failing:graph.*guide:graph"):
        client.invoke("graph", LOG)
    with pytest.raises(GraphNotFound, match=r"No live coordinator has a graph 'nope'; there is: .*graphs:asking"):
        list(client.stream("nope", LOG))


# --- the async twin --------------------------------------------------------------------------------------------------


async def test_the_async_client(server: RedisServer, service: None) -> None:
    thread, key = new_thread(), new_key()
    async with AsyncClient(server.url) as client:
        run = await client.submit("holding", held(key), thread)
        gates.open(key)
        assert await run.result() == {"key": key, "log": [key, "after 1"]}
        assert await run.status() == (await run.info()).status == "success"
        assert (await client.list_runs(status="success", graph="holding", limit=1))[0].id == run.id
        assert "tests.client.graphs:family" in await client.graphs()

        cancelled = await client.submit("holding", held(other := new_key()), thread)
        assert await cancelled.cancel() is True
        with pytest.raises(RunCancelled):
            await cancelled.result()
        gates.open(other)
        with pytest.raises(ValueError, match="no such number: 42"):
            await client.invoke("tests.fleet.graphs.failing:graph", {"how": "builtin"})
        with pytest.raises(NotSupported):
            await client.submit("family", LOG, multitask_strategy="rollback")  # type: ignore[arg-type]

        asked = new_thread()
        await client.invoke("asking", {"topic": "tea", "log": []}, asked)
        assert (await client.get_state("asking", asked)).next == ("review",)
        config = await client.update_state("asking", asked, {"topic": "coffee"})
        assert config["configurable"]["thread_id"] == asked["configurable"]["thread_id"]
        answered = await client.invoke("asking", Command(resume="fine"), asked)
        assert answered == {"topic": "coffee", "log": ["thought of tea", "review: fine"]}
        history = [snapshot async for snapshot in client.get_state_history("asking", asked, limit=2)]
        assert [snapshot.next for snapshot in history] == [(), ("review",)]


async def test_many_runs_at_once(server: RedisServer, service: None) -> None:
    import asyncio

    async with AsyncClient(server.url) as client:
        results = await asyncio.gather(*(client.invoke("family", LOG) for _ in range(30)))
    assert results == [graphs.family.invoke(LOG)] * 30
