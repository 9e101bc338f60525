"""Redis in trouble: answers that get lost, connections that are cut, restarts, no memory, no data."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rq.suspension import resume, suspend

from fleetgraph.config import get_stream_writer
from fleetgraph.errors import FleetError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, execute
from fleetgraph.wire.connection import connect
from fleetgraph.wire.transitions import Claim, Finished, Refusal, Route, finish, lost
from fleetgraph.worker import FleetWorker, publisher
from fleetgraph.worker.publisher import Sender
from tests.waiting import wait_until
from tests.worker.conftest import NAME, QUEUE, Desk, Started, actions, graph_of
from tests.worker.proxy import LosingProxy


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that keeps its data over a restart."""
    with RedisServer(appendonly=True) as made:
        yield made


@pytest.fixture
def at() -> Iterator[Callable[..., FleetWorker]]:
    """Starts workers on a desk's graph, at a URL."""
    stops: list[Callable[[], None]] = []
    clients: list[redis.Redis] = []

    def start(url: str, desk: Desk, **options: Any) -> FleetWorker:
        clients.append(connect(url))
        registry = GraphRegistry()
        registry.add_graph(desk.graph, NAME)
        worker = FleetWorker(QUEUE, clients[-1], registry, **{"concurrency": 4, **options})
        stops.append(worker.start_in_thread())
        return worker

    yield start
    for stop in stops:
        stop()
    for client in clients:
        client.close()


def talking(state: Any) -> Any:
    writer = get_stream_writer()
    for number in range(5):
        writer(number)
    return {"items": [state["items"][0]]}


@pytest.mark.parametrize(
    "script_key",
    [
        pytest.param(keys.log("run1"), id="publish"),
        pytest.param(keys.rq_queue_workers(QUEUE), id="claim"),
        pytest.param(keys.rq_failed(QUEUE), id="finish"),
        pytest.param(keys.rq_suspended(), id="heartbeat"),
    ],
)
def test_a_lost_answer_neither_loses_nor_doubles_anything(
    redis_client: redis.Redis, redis_server: RedisServer, at: Callable[..., FleetWorker], script_key: str
) -> None:
    ran: Counter[str] = Counter()

    def counting(state: Any) -> Any:
        ran[state["items"][0]] += 1
        return talking(state)

    desk = Desk(redis_client, graph_of(counting=counting))
    tasks = [f"t{number}" for number in range(40)]
    with LosingProxy(redis_server.port) as proxy:
        worker = at(proxy.url, desk, concurrency=2, lease_seconds=0.9)
        for number, task in enumerate(tasks):
            desk.outcomes(number if number % 8 == 3 else 0)  # a worker that has nothing to do gets all kinds of answers
            before = proxy.lost
            if number % 8 == 3:
                proxy.lose_answer_to(script_key)
            desk.give("counting", task)
            wait_until(lambda seen=before, due=number % 8 == 3: proxy.lost > seen or not due, what="an answer to lose")
        found = desk.outcomes(len(tasks))
        worker.stop()
        worker.join()
        assert worker.error is None

    assert {task: found[task].attempt for task in tasks} == dict.fromkeys(tasks, 1)
    assert ran == Counter(tasks)
    events = desk.events()
    assert [event.seq for event in events] == list(range(1, 201))
    for task in tasks:
        assert [event.payload for event in events if event.task == task] == [0, 1, 2, 3, 4]


def test_a_task_handed_out_in_a_lost_answer_is_run(
    redis_client: redis.Redis,
    redis_server: RedisServer,
    at: Callable[..., FleetWorker],
    gate: Started,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    desk = Desk(redis_client, graph_of(waiting=waiting))
    with LosingProxy(redis_server.port) as proxy:
        worker = at(proxy.url, desk, concurrency=1, lease_seconds=30)
        desk.give("waiting", *"123")
        wait_until(lambda: gate.now == 1)
        proxy.lose_answer_to(keys.rq_failed(QUEUE))
        gate.release()

        found = desk.outcomes(3)
        worker.stop()
        worker.join()

    assert proxy.lost == 1
    assert [outcome.attempt for outcome in found.values()] == [1, 1, 1]
    assert gate.total == 3
    assert actions(caplog).count("task-adopted") == 1


def test_cut_connections_neither_lose_nor_double_anything(
    redis_client: redis.Redis,
    redis_server: RedisServer,
    at: Callable[..., FleetWorker],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def nothing(state: Any) -> Any:
        get_stream_writer()(state["items"][0])
        return {"items": []}

    desk = Desk(redis_client, graph_of(nothing=nothing))
    tasks = [f"t{number}" for number in range(600)]
    attempts = dict.fromkeys(tasks, 1)
    over = threading.Event()

    def cut() -> None:
        while not over.wait(0.03):
            proxy.cut()

    def all_in() -> bool:
        # What a worker popped when its connection was cut is nobody's: the coordinator gives it out again.
        for route in execute(redis_client, lost(QUEUE)):
            if attempts[route.task] == route.attempt:
                attempts[route.task] += 1
                desk.give("nothing", route.task, attempt=attempts[route.task])
        return redis_client.llen(keys.inbox(desk.id)) >= len(tasks)

    cutting = threading.Thread(target=cut)
    with LosingProxy(redis_server.port) as proxy:
        workers = [at(proxy.url, desk, lease_seconds=0.9) for _ in range(2)]
        desk.give("nothing", *tasks)
        cutting.start()
        try:
            wait_until(all_in, timeout=40, what="all outcomes")
        finally:
            over.set()
            cutting.join()
        for worker in workers:
            worker.stop()
            worker.join()

    assert set(desk.outcomes(len(tasks))) == set(tasks)
    events = desk.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({(event.task, event.attempt) for event in events}) == len(events)
    assert {event.task for event in events} == set(tasks)
    assert [worker.error for worker in workers] == [None, None]
    assert actions(caplog).count("redis-lost") > 3


@pytest.mark.parametrize("kill", [True, False])
def test_a_restart_of_redis_is_sat_out(
    server: RedisServer, at: Callable[..., FleetWorker], gate: Started, kill: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def waiting(state: Any) -> Any:
        gate.enter()
        gate.leave()
        get_stream_writer()("before")
        gate.wait()
        get_stream_writer()("after")
        return {"items": [state["items"][0]]}

    with server.client() as client:
        desk = Desk(client, graph_of(waiting=waiting))
        worker = at(server.url, desk, lease_seconds=0.9)
        desk.give("waiting", "1", "2")
        wait_until(lambda: gate.now == 2 and len(desk.events()) == 2)

        server.kill()
        gate.release()
        wait_until(lambda: "redis-lost" in actions(caplog))
        server.restart(kill=kill)

        found = desk.outcomes(2)
        assert {task: outcome.writes for task, outcome in found.items()} == {
            "1": [("items", ["1"])],
            "2": [("items", ["2"])],
        }
        assert sorted(event.payload for event in desk.events()) == ["after", "after", "before", "before"]
        desk.give("waiting", "3")
        desk.outcomes(3)
        worker.stop()
        worker.join()
        assert worker.error is None
        assert "redis-back" in actions(caplog)


def test_a_worker_that_redis_forgot_registers_again(
    redis_client: redis.Redis, redis_server: RedisServer, at: Callable[..., FleetWorker]
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    desk = Desk(redis_client, graph_of(quick=quick))
    worker = at(redis_server.url, desk, lease_seconds=0.3)
    redis_client.flushall()

    wait_until(lambda: redis_client.hget(worker.key, "hostname"))

    assert redis_client.smembers(keys.rq_workers()) == {worker.key.encode()}
    assert 0 < redis_client.ttl(worker.key) <= 60
    desk.give("quick", "t")
    assert desk.outcome("t").error is None


def test_without_memory_tasks_finish_and_events_wait(
    server: RedisServer, at: Callable[..., FleetWorker], gate: Started
) -> None:
    def silent(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    def loud(state: Any) -> Any:
        gate.wait()
        get_stream_writer()("late")
        return {"items": []}

    with server.client() as client:
        desk = Desk(client, graph_of(silent=silent, loud=loud))
        at(server.url, desk, concurrency=1, lease_seconds=0.9)
        desk.give("silent", "1")
        desk.give("loud", "2")
        wait_until(lambda: gate.now == 1)

        client.config_set("maxmemory", "1mb")
        gate.release()
        desk.outcomes(1)
        wait_until(lambda: gate.total == 2)
        refused = client.info("errorstats")["errorstat_OOM"]["count"]
        wait_until(lambda: client.info("errorstats")["errorstat_OOM"]["count"] > refused + 3)
        assert desk.events() == []
        client.config_set("maxmemory", "0")

        found = desk.outcomes(2)
        assert [found[task].error for task in "12"] == [None, None]
        assert [event.payload for event in desk.events()] == ["late"]


def test_events_that_redis_forgot_fail_their_task_and_hold_up_no_other(
    redis_client: redis.Redis,
    redis_server: RedisServer,
    at: Callable[..., FleetWorker],
    gate: Started,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(publisher, "REFUSAL_SECONDS", 1000)

    def waiting(state: Any) -> Any:
        get_stream_writer()("sent")
        gate.wait()
        return {"items": []}

    desk = Desk(redis_client, graph_of(waiting=waiting, talking=talking))
    worker = at(redis_server.url, desk)
    desk.give("waiting", "forgotten")
    wait_until(lambda: gate.now == 1 and desk.events())
    assert redis_client.delete(keys.sent(desk.run)) == 1
    gate.release()
    wait_until(lambda: gate.now == 0)

    desk.give("talking", *"123")
    others = desk.outcomes(3)
    monkeypatch.setattr(publisher, "REFUSAL_SECONDS", 0.1)
    found = desk.outcomes(4)
    worker.stop()
    worker.join()

    assert {task: outcome.error for task, outcome in others.items()} == dict.fromkeys("123")
    error = found["forgotten"].error
    assert isinstance(error, FleetError)
    assert "events of task forgotten did not arrive" in str(error)
    assert actions(caplog).count("events-lost") == 1
    assert worker.error is None


class Ending:
    """A finish of a task whose events never arrived."""

    def __init__(self, route: Route) -> None:
        self.sender = Sender(route, items=1)
        self.answer: Finished | None = None

    def call(self) -> Call[Finished | Refusal]:
        items = self.sender.items if self.sender.error is None else None
        claim = Claim("run1-t-1", self.sender.route, b"")
        return finish(QUEUE, "w", claim, b"outcome", failure=None, items=items, settle=False)

    def done(self, finished: Finished | None) -> None:
        self.answer = finished


@pytest.mark.parametrize("gives_up", [True, False])
def test_a_publisher_that_stops_sends_what_is_late(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, gives_up: bool
) -> None:
    monkeypatch.setattr(publisher, "REFUSAL_SECONDS", 1000 if gives_up else 0.2)
    desk = Desk(redis_client, graph_of(talking=talking))
    redis_client.hset(keys.tasks(desk.run), "t", 1)
    redis_client.expire(keys.tasks(desk.run), 60)
    ending = Ending(Route(desk.run, "t", 1, desk.id))
    over = threading.Event()
    crashes: list[BaseException] = []
    sending = publisher.Publisher(
        redis_client, crashed=crashes.append, wait=lambda seconds: gives_up or over.wait(seconds)
    )
    sending.start()

    sending.finish(ending)
    sending.stop()

    assert crashes == []
    if gives_up:
        assert ending.answer is None
    else:
        assert ending.answer == Finished(True, [])
        assert "did not arrive" in str(ending.sender.error)


def test_an_idle_worker_takes_tasks_from_a_full_redis(server: RedisServer, at: Callable[..., FleetWorker]) -> None:
    def silent(state: Any) -> Any:
        return {"items": []}

    with server.client() as client:
        desk = Desk(client, graph_of(silent=silent))
        worker = at(server.url, desk, lease_seconds=0.3)
        suspend(client)
        wait_until(lambda: client.hget(worker.key, "state") == b"suspended")
        desk.give("silent", *"123")
        client.config_set("maxmemory", "1mb")

        resume(client)

        assert all(outcome.error is None for outcome in desk.outcomes(3).values())
        client.config_set("maxmemory", "0")


def test_stopping_while_redis_is_away_gives_up_after_a_while(
    server: RedisServer, at: Callable[..., FleetWorker], monkeypatch: pytest.MonkeyPatch, gate: Started
) -> None:
    from fleetgraph.worker import worker as module

    monkeypatch.setattr(module, "OUTAGE_SECONDS", 0.3)

    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    with server.client() as client:
        desk = Desk(client, graph_of(waiting=waiting))
        worker = at(server.url, desk, lease_seconds=0.9)
        desk.give("waiting", "1")
        wait_until(lambda: gate.now == 1)

        server.kill()
        gate.release()
        worker.stop()
        worker.join()

    assert worker.error is None


def test_too_many_unsent_events_fail_the_node(
    server: RedisServer, at: Callable[..., FleetWorker], monkeypatch: pytest.MonkeyPatch, gate: Started
) -> None:
    monkeypatch.setattr(publisher, "BACKLOG_BYTES", 10_000)

    def flooding(state: Any) -> Any:
        gate.wait()
        for _ in range(100):
            get_stream_writer()("x" * 1000)
        return {"items": []}

    with server.client() as client:
        desk = Desk(client, graph_of(flooding=flooding))
        at(server.url, desk, lease_seconds=0.9)
        desk.give("flooding", "1")
        wait_until(lambda: gate.now == 1)

        client.client_pause(300)
        gate.release()
        error = desk.outcome("1").error

    assert isinstance(error, FleetError)
    assert "events wait for a Redis" in str(error)
