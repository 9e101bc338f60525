"""Readers of a run that came late, came second, came back, or took over from another."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
import redis

from fleetgraph.client import AsyncClient, Client
from fleetgraph.errors import EventsLost, FleetError, RunNotFound
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.client import graphs
from tests.fleet import gates
from tests.fleet.observing import ALL_MODES, Watched, cut_subscribers, new_key, new_thread
from tests.fleet.processes import environment
from tests.waiting import wait_until

MODES: Any = ["updates", "custom", "values"]
LOG: dict[str, Any] = {"log": []}


def held(key: str) -> dict[str, Any]:
    return {"key": key, "log": []}


def submitted(client: Client, key: str) -> str:
    """A run that stays in its first node until the gate `key` opens."""
    run = client.submit("holding", held(key), new_thread(), stream_mode=MODES)
    wait_until(lambda: gates.arrived(key))
    return run.id


def test_a_late_reader_sees_all(client: Client) -> None:
    key = new_key()
    first = client.stream("holding", held(key), new_thread(), stream_mode=MODES)
    gates.open(key)
    chunks = list(first)
    assert first.status == "success"
    assert list(client.join(first.run_id)) == chunks
    assert list(client.join(first.run_id)) == chunks, "a second one, too"


def test_a_second_reader_joins_while_the_run_goes_on(client: Client) -> None:
    run = submitted(client, key := new_key())
    seen: dict[int, list[Any]] = {1: [], 2: []}
    threads = [threading.Thread(target=lambda n=n: seen[n].extend(client.join(run))) for n in seen]
    for thread in threads:
        thread.start()
    gates.open(key)
    for thread in threads:
        thread.join(20)
    assert seen[1] == seen[2] == list(client.join(run))
    assert [chunk for mode, chunk in seen[1] if mode == "custom"] == ["holds", "goes on", "after"]


def test_from_any_seq(client: Client) -> None:
    chunks = client.stream("family", LOG, stream_mode=MODES)
    whole = [(chunks.seq, chunk) for chunk in chunks]
    assert len({seq for seq, _ in whole}) == len(whole)
    for seq, _ in whole:
        assert list(client.join(chunks.run_id, seq)) == [chunk for later, chunk in whole if later > seq]
    assert list(client.join(chunks.run_id, chunks.seq)) == []
    last = client.get_run(chunks.run_id).seq
    assert list(client.join(chunks.run_id, last)) == [], "there is nothing behind its end"


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_number_that_no_event_has(client: Client, goes_on: bool) -> None:
    key = new_key()
    if not goes_on:
        gates.open(key)
    run = client.submit("holding", held(key), new_thread(), stream_mode=MODES)
    if goes_on:
        wait_until(lambda: gates.arrived(key))
    else:
        run.result()
    last = run.info().seq
    for after in (last + 1000, -1):
        with pytest.raises(FleetError, match=rf"run {run.id} can be joined after 0 to \d+, not after {after}: "):
            next(client.join(run.id, after))
    gates.open(key)
    assert run.result()["log"] == [key, "after 1"]


def test_a_reader_that_stopped_goes_on_where_it_was(client: Client) -> None:
    run = submitted(client, key := new_key())
    reader = client.join(run, stream_mode="custom")
    assert next(reader) == "holds"
    reader.close()
    gates.open(key)
    assert list(client.join(run, reader.seq, stream_mode="custom")) == ["goes on", "after"]


def test_a_reader_is_killed_and_another_takes_up_its_stream(server: RedisServer, client: Client) -> None:
    key = new_key()
    program = f"""
from fleetgraph.client import Client
chunks = Client({server.url!r}).stream("holding", {held(key)!r}, {new_thread()!r}, stream_mode="custom")
for chunk in chunks:
    print(chunks.run_id, chunks.seq, chunk, flush=True)
"""
    reader = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )
    assert reader.stdout is not None
    run, seq, chunk = reader.stdout.readline().split()
    reader.kill()
    reader.wait()
    reader.stdout.close()
    gates.open(key)
    assert chunk == "holds"
    assert list(client.join(run, int(seq), stream_mode="custom")) == ["goes on", "after"]


def test_readers_whose_connections_are_cut_miss_nothing(client: Client, store: redis.Redis) -> None:
    run = submitted(client, key := new_key())
    reader = client.join(run, stream_mode="custom")
    assert next(reader) == "holds"
    assert cut_subscribers(store) >= 1
    gates.open(key)
    assert list(reader) == ["goes on", "after"]


def test_by_mode(client: Client) -> None:
    run = client.submit("family", LOG, stream_mode=MODES).id
    assert list(client.join(run, stream_mode="updates")) == list(graphs.family.stream(LOG))
    assert list(client.join(run, stream_mode=["custom"])) == list(graphs.family.stream(LOG, stream_mode=["custom"]))
    assert list(client.join(run, stream_mode="tasks")) == [], "the run did not stream these"
    assert {part["type"] for part in client.join(run, version="v2")} == set(MODES)


def test_by_namespace(client: Client) -> None:
    run = client.submit("family", LOG, stream_mode="custom", subgraphs=True).id

    def said(**options: Any) -> list[Any]:
        return list(client.join(run, stream_mode="custom", **options))

    assert said(ns=()) == ["top speaks"]
    assert said(ns=("child",)) == ["before speaks"]
    assert said(ns=("child", "inner")) == ["deep speaks"]
    assert said(ns=("nobody",)) == []
    inside = said(ns=("child",), subgraphs=True)
    assert [chunk for _, chunk in inside] == ["before speaks", "deep speaks"]
    (exact, _), _ = inside
    assert exact[0].startswith("child:")
    assert said(ns=exact) == ["before speaks"], "a namespace as chunks have it"
    (part,) = client.join(run, stream_mode="custom", ns=("child", "inner"), version="v2")
    assert (part["type"], part["ns"][0][:6], part["data"]) == ("custom", "child:", "deep speaks")


def test_a_run_that_is_not_there(client: Client) -> None:
    with pytest.raises(RunNotFound, match="there is no run " + "0" * 32):
        next(client.join("0" * 32))
    with pytest.raises(RunNotFound):
        client.handle("0" * 32).status()
    with pytest.raises(RunNotFound):
        client.cancel("0" * 32)


def test_events_that_were_trimmed_are_missed(client: Client, store: redis.Redis) -> None:
    run = client.submit("family", LOG, stream_mode=MODES)
    run.result()
    store.xtrim(keys.log(run.id), maxlen=1, approximate=False)
    with pytest.raises(EventsLost, match=f"run {run.id}: events 1 to "):
        list(run.join())


def test_closing_a_joined_iterator_leaves_the_run_alone(client: Client) -> None:
    run = submitted(client, key := new_key())
    reader = client.join(run)
    next(reader)
    reader.close()
    assert client.get_run(run).status == "running"
    gates.open(key)
    assert client.handle(run).result()["log"] == [key, "after 1"]


def test_closing_a_joined_iterator_cancels_a_run_that_is_read_so(client: Client) -> None:
    key = new_key()
    run = client.submit("holding", held(key), new_thread(), stream_mode=MODES, on_disconnect="cancel")
    reader = run.join()
    assert next(reader) == ("values", held(key))
    reader.close()
    assert run.status() == "cancelled"
    other = submitted(client, key)
    with client.join(other, on_disconnect="cancel") as reader:
        assert next(reader)
    assert client.get_run(other).status == "cancelled"
    gates.open(key)


def test_leaving_a_loop_early_cancels_the_run(client: Client, store: redis.Redis) -> None:
    key = new_key()
    for _ in client.stream("holding", held(key), new_thread(), stream_mode="custom"):
        break
    run = Watched(store)
    wait_until(lambda: run.status == "cancelled", 5)
    wait_until(lambda: run.listeners == 0)
    gates.open(key)


def test_leaving_a_loop_early_leaves_a_run_alone_that_is_to_continue(client: Client) -> None:
    key = new_key()
    with client.stream(
        "holding", held(key), new_thread(), stream_mode=["custom", "values"], on_disconnect="continue"
    ) as chunks:
        assert next(chunks)
    gates.open(key)
    assert client.handle(chunks.run_id).result()["log"] == [key, "after 1"]


def test_a_stream_that_is_never_read_starts_nothing(client: Client) -> None:
    chunks = client.stream("family", LOG)
    with pytest.raises(RunNotFound):
        client.get_run(chunks.run_id)
    chunks.close()


def test_a_run_without_a_coordinator_is_told_about(
    client: Client, store: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetgraph.client.asking.ALONE_SECONDS", 0.5)
    run = new_key()
    store.hset(keys.run(run), mapping={"status": "running", "graph": "app:graph", "coordinator": "gone", "seq": 0})
    store.expire(keys.run(run), 60)

    def read() -> None:
        with pytest.raises(EventsLost):
            list(client.join(run))

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: "its coordinator is gone" in caplog.text, 10)
    assert "fleetgraph coordinator app:graph" in caplog.text
    store.delete(keys.run(run))
    reader.join(10)
    assert not reader.is_alive()


async def test_async_readers(server: RedisServer, service: None) -> None:
    key = new_key()
    async with AsyncClient(server.url) as client:
        run = await client.submit("holding", held(key), new_thread(), stream_mode=MODES)
        async with run.join(stream_mode="custom") as reader:
            assert await anext(reader) == "holds"
        gates.open(key)
        assert [chunk async for chunk in run.join(reader.seq, stream_mode="custom")] == ["goes on", "after"]
        assert [chunk async for chunk in client.join(run.id, stream_mode="custom", ns=())] == [
            "holds",
            "goes on",
            "after",
        ]
        with pytest.raises(RunNotFound):
            await anext(client.join("0" * 32))


async def test_closing_an_async_iterator_early_cancels_the_run(server: RedisServer, service: None) -> None:
    key = new_key()
    async with AsyncClient(server.url) as client:
        async with client.stream("holding", held(key), new_thread(), stream_mode="custom") as chunks:
            assert await anext(chunks) == "holds"
        assert (await client.get_run(chunks.run_id)).status == "cancelled"
        kept = client.stream(
            "holding", held(key), new_thread(), stream_mode=["values", "custom"], on_disconnect="continue"
        )
        assert await anext(kept)
        await kept.aclose()
        gates.open(key)
        assert (await client.handle(kept.run_id).result())["log"] == [key, "after 1"]


def test_every_mode_can_be_joined(client: Client) -> None:
    run = client.submit("tests.fleet.graphs.guide:saved", {"topic": "tea"}, new_thread(), stream_mode=ALL_MODES)
    assert {mode for mode, _ in run.join()} == set(ALL_MODES)
