"""What a reader gets when pub/sub loses messages: every event, once, in order; or an error that says what is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from fleetgraph.coordinator import Run
from fleetgraph.errors import EventsLost
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.fleet import gates
from tests.fleet.graphs.talk import graph
from tests.fleet.observing import ALL_MODES, Running, Watched, comparable, cut_subscribers, new_key
from tests.fleet.processes import Worker, started
from tests.waiting import wait_until

WORDS = 12
CUTS = [1, 5, 9, WORDS + 1]
"""Before which words the connection is cut; after the last one, all that follows to the end of the run is lost."""
PAUSES = [1, 3, 5, 7, 9, 11, WORDS + 1]
"""Where the node waits. Between two cuts the reader gets something live, so that it is connected when it is cut."""


def given(key: str, pauses: list[int] = PAUSES, words: int = WORDS, size: int = 1) -> dict[str, Any]:
    return {"key": key, "words": words, "pauses": pauses, "size": size, "said": 0}


def in_process(value: dict[str, Any]) -> list[Any]:
    """What a run in this process shows, of the same input."""
    for word in value["pauses"]:
        gates.open(f"{value['key']}:{word}")
    return comparable(graph.stream(value, stream_mode=ALL_MODES))


def pause_after(chunk: Any) -> int | None:
    """The pause that the node makes after it emitted this chunk, if it makes one."""
    mode, payload = chunk
    if mode == "tasks" and payload["name"] == "talk" and "triggers" in payload:
        return PAUSES[0]
    if mode == "custom" and isinstance(payload, dict) and payload["word"] + 1 in PAUSES:
        return payload["word"] + 1
    return None


def go_on(client: redis.Redis, key: str, pause: int) -> None:
    """End a pause; where the reader is to be cut, let the node come to its next pause, or to the end, unheard."""
    if pause not in CUTS:
        gates.open(f"{key}:{pause}")
        return
    run = Watched(client)
    before = run.last_seq
    assert cut_subscribers(client) == 1
    gates.open(f"{key}:{pause}")
    if pause == PAUSES[-1]:
        wait_until(lambda: run.status == "success")
    else:
        unheard = PAUSES[PAUSES.index(pause) + 1] - pause
        wait_until(lambda: run.last_seq == before + unheard)
    assert run.listeners == 0


def test_what_is_lost_while_the_reader_is_away_is_read_from_the_log(fleet: Fleet, client: redis.Redis) -> None:
    key = new_key()
    chunks: list[Any] = []
    pauses: list[int] = []
    for chunk in graph.on(fleet).stream(given(key), stream_mode=ALL_MODES):
        chunks.append(chunk)
        if (pause := pause_after(chunk)) is not None:
            pauses.append(pause)
            go_on(client, key, pause)
    assert pauses == PAUSES
    assert comparable(chunks) == in_process(given(key))


async def test_what_is_lost_while_an_async_reader_is_away_is_read_from_the_log(
    fleet: Fleet, client: redis.Redis
) -> None:
    key = new_key()
    chunks: list[Any] = []
    pauses: list[int] = []
    async for chunk in graph.on(fleet).astream(given(key), stream_mode=ALL_MODES):
        chunks.append(chunk)
        if (pause := pause_after(chunk)) is not None:
            pauses.append(pause)
            go_on(client, key, pause)  # blocks the event loop, so that the reader is away
    assert pauses == PAUSES
    assert comparable(chunks) == in_process(given(key))


class Cutter(threading.Thread):
    """Cuts the reader off whenever the node pauses, in the middle of whatever the reader does then."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        super().__init__(name="cutter")
        self._client = client
        self._key = key
        self.cuts = 0

    def run(self) -> None:
        for word in PAUSES:
            wait_until(lambda word=word: gates.arrived(f"{self._key}:{word}"))
            for _ in range(3):
                wait_until(lambda: cut_subscribers(self._client))
                self.cuts += 1
            gates.open(f"{self._key}:{word}")


@pytest.fixture
def cutter(client: redis.Redis) -> Iterator[Cutter]:
    thread = Cutter(client, new_key())
    thread.start()
    yield thread
    thread.join()
    assert thread.cuts == 3 * len(PAUSES)


def test_a_reader_that_is_cut_while_it_reads_misses_nothing(fleet: Fleet, cutter: Cutter) -> None:
    value = given(cutter._key)
    chunks = list(graph.on(fleet).stream(value, stream_mode=ALL_MODES))
    assert comparable(chunks) == in_process(value)


async def test_an_async_reader_that_is_cut_while_it_reads_misses_nothing(fleet: Fleet, cutter: Cutter) -> None:
    value = given(cutter._key)
    chunks = [chunk async for chunk in graph.on(fleet).astream(value, stream_mode=ALL_MODES)]
    assert comparable(chunks) == in_process(value)


# --- readers that do not read --------------------------------------------------------------------------------------


def test_a_run_does_not_wait_for_its_reader(fleet: Fleet, client: redis.Redis) -> None:
    value = given(new_key(), pauses=[])
    stream = graph.on(fleet).stream(value, stream_mode=ALL_MODES)
    chunks = [next(stream)]
    run = Watched(client)
    wait_until(lambda: run.status == "success")
    chunks += stream
    assert comparable(chunks) == in_process(value)


async def test_a_run_does_not_wait_for_its_async_reader(fleet: Fleet, client: redis.Redis) -> None:
    value = given(new_key(), pauses=[])
    stream = graph.on(fleet).astream(value, stream_mode=ALL_MODES)
    chunks = [await anext(stream)]
    run = Watched(client)
    wait_until(lambda: run.status == "success")
    chunks += [chunk async for chunk in stream]
    assert comparable(chunks) == in_process(value)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_coordinator_that_is_slow_to_begin_is_waited_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(fleet, "_check", looks.append)
    begin = Run.begin

    def late(run: Run) -> list[Any]:
        wait_until(lambda: len(looks) >= 2)  # after each of which the reader has found an empty log
        return begin(run)

    monkeypatch.setattr(Run, "begin", late)
    value = given(new_key(), pauses=[])
    run = Running(graph.on(fleet), value, is_async=is_async)
    assert run.result()["said"] == WORDS + 1
    assert comparable(run.chunks) == in_process(value)


@pytest.fixture(scope="module")
def strict_server() -> Iterator[RedisServer]:
    """A Redis that has little patience with slow readers, and trims logs to the letter."""
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("client-output-buffer-limit", "pubsub 64kb 0 0")
            client.config_set("stream-node-max-entries", 1)
        yield server


@pytest.fixture(scope="module")
def strict_worker(server: RedisServer, strict_server: RedisServer) -> Iterator[Worker]:
    worker = Worker("tests.fleet.graphs.talk:graph", url=strict_server.url, queue="strict")
    with started(worker):
        yield worker.await_ready()


@pytest.fixture
def strict_client(strict_server: RedisServer, strict_worker: Worker) -> Iterator[redis.Redis]:
    with strict_server.client() as client:
        yield client


def test_a_reader_whom_redis_cuts_for_its_slowness_misses_nothing(
    strict_server: RedisServer, strict_client: redis.Redis
) -> None:
    value = given(new_key(), pauses=[], words=100, size=400_000)  # more than the sockets between them can hold
    with Fleet(strict_server.url, queue="strict") as fleet:
        stream = graph.on(fleet).stream(value, stream_mode=ALL_MODES)
        chunks = [next(stream)]
        run = Watched(strict_client)
        wait_until(lambda: run.status == "success")
        assert run.listeners == 0
        chunks += stream
    assert comparable(chunks) == in_process(value)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_events_that_were_trimmed_before_they_were_read_are_reported(
    strict_server: RedisServer, strict_client: redis.Redis, is_async: bool
) -> None:
    key = new_key()
    words = 30
    pauses = list(range(1, words + 2))
    with Fleet(strict_server.url, queue="strict", log_events=5) as fleet:
        runs = graph.on(fleet)
        value = given(key, pauses=pauses, words=words)
        stream: Any = (
            runs.astream(value, stream_mode=ALL_MODES) if is_async else runs.stream(value, stream_mode=ALL_MODES)
        )
        seen = 1
        _ = await anext(stream) if is_async else next(stream)
        run = Watched(strict_client)
        wait_until(lambda: gates.arrived(f"{key}:1"))
        assert cut_subscribers(strict_client) == 1
        for word in pauses:  # one by one, so that each is a message of its own
            before = run.last_seq
            gates.open(f"{key}:{word}")
            wait_until(lambda before=before: run.last_seq > before)
        wait_until(lambda: run.status == "success")
        assert run.listeners == 0
        with pytest.raises(EventsLost) as caught:
            if is_async:
                async for _ in stream:
                    seen += 1
            else:
                for _ in stream:
                    seen += 1
    assert caught.value.run == run.id
    assert caught.value.first == seen + 1
    kept = int(strict_client.xrange(keys.log(run.id), count=1)[0][0].split(b"-")[0])
    assert caught.value.first < caught.value.last < kept
    assert "larger log_events" in str(caught.value)


def test_a_log_that_is_gone_before_it_was_read_is_reported(
    fleet: Fleet, server: RedisServer, client: redis.Redis
) -> None:
    key = new_key()
    with Fleet(server.url, queue="pair", retention=timedelta(seconds=1)) as forgetful:
        stream = graph.on(forgetful).stream(given(key, pauses=[1]), stream_mode=ALL_MODES)
        next(stream)
        run = Watched(client)
        assert cut_subscribers(client) == 1
        gates.open(f"{key}:1")
        wait_until(lambda: not client.exists(keys.run(run.id), keys.log(run.id)))
        with pytest.raises(EventsLost):
            list(stream)
