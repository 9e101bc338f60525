"""A coordinator dies in any of its round trips; another goes on with its runs: nothing is lost, nothing done twice."""

from __future__ import annotations

import operator
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
import redis

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.config import get_stream_writer
from fleetgraph.coordinator import Coordinator, Limits
from fleetgraph.func import task
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.graph.compiled import Asked
from fleetgraph.lookup import GraphRegistry
from fleetgraph.types import RetryPolicy, Send
from fleetgraph.wire import keys
from fleetgraph.wire.connection import connect
from fleetgraph.wire.events import RUN, decode_message
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from fleetgraph.worker import FleetWorker
from tests.coordinator.crashing import CrashingRedis, SleepingRedis, When
from tests.waiting import wait_until

QUEUE = "q"
MODES = ["values", "updates", "custom", "tasks"]
ran: Counter[str] = Counter()


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]


class Item(TypedDict):
    number: int


def first(state: State) -> dict[str, Any]:
    ran["first"] += 1
    get_stream_writer()("first runs")
    return {"log": ["first"]}


def spread(state: State) -> list[Send]:
    return [Send("item", {"number": number}) for number in range(3)]


def item(state: Item) -> dict[str, Any]:
    ran[f"item {state['number']}"] += 1
    return {"total": state["number"]}


@task
def double(number: int) -> int:
    ran["double"] += 1
    return 2 * number


def calling(state: State) -> dict[str, Any]:
    return {"total": double(state["total"]).result()}


def flaky(state: State) -> dict[str, Any]:
    ran["flaky"] += 1
    if ran["flaky"] == 1:
        raise ConnectionError("the first time")
    return {"log": ["flaky"]}


inner = (
    StateGraph(State)
    .add_node(flaky)
    .add_node("deep", lambda state: {"log": ["deep"]})
    .add_edge(START, "flaky")
    .add_edge("flaky", "deep")
    .compile()
)

builder = (
    StateGraph(State)
    .add_node(first)
    .add_node("item", item)
    .add_node(calling)
    .add_node("child", inner, retry_policy=RetryPolicy(initial_interval=0.01, jitter=False))
    .add_edge(START, "first")
    .add_conditional_edges("first", spread, ["item"])
    .add_edge("item", "calling")
    .add_edge("calling", "child")
    .add_edge("child", END)
)


class Stage:
    """A worker in a thread, and coordinators that may die."""

    def __init__(self, url: str, saver: Any) -> None:
        self.url = url
        self.graph = builder.compile(checkpointer=saver)
        self.registry = GraphRegistry()
        self.registry.add_graph(self.graph, "stage:graph")
        self.ref = GraphRef("stage:graph", self.graph.program.fingerprint)
        self.client = connect(url)
        self.worker = FleetWorker(QUEUE, connect(url), self.registry, concurrency=4)
        self.stop = self.worker.start_in_thread()
        self.coordinators: list[Coordinator] = []

    def coordinator(self, client: redis.Redis | None = None) -> Coordinator:
        made = Coordinator(client or connect(self.url), self.registry, Limits(RETENTION, LOG_EVENTS), service=QUEUE)
        self.coordinators.append(made)
        return made

    def submit(self, coordinator: Coordinator, *, survives: bool = True) -> str:
        asked = Asked(stream_mode=MODES, subgraphs=True)
        request = self.graph._request({"log": ["input"], "total": 1}, {"configurable": {"thread_id": "1"}}, asked)
        run = coordinator.new_run(self.graph, self.ref, QUEUE, request, asynchronous=False, survives=survives)
        coordinator.submit(run)
        return run.id

    def ended(self, run: str) -> bool:
        return self.client.hget(keys.run(run), "ended") is not None

    def events(self, run: str) -> list[Any]:
        found = [
            event
            for _, fields in self.client.xrange(keys.log(run))
            for event in decode_message(self.registry.codec, fields[b"m"])
        ]
        assert [event.seq for event in found] == list(range(1, len(found) + 1))
        return found

    def close(self) -> None:
        for coordinator in self.coordinators:
            coordinator.close()
        self.stop()


def told(events: list[Any]) -> Counter[str]:
    """What events tell, whatever the ids in it and the order of parallel tasks."""
    return Counter(f"{e.mode} {[part.partition(':')[0] for part in e.ns]} {shown(e.payload)}" for e in events)


def shown(payload: Any) -> Any:
    if isinstance(payload, dict) and "triggers" in payload:
        return {"starts": payload["name"], "input": payload["input"]}
    if isinstance(payload, dict) and "result" in payload:
        return {"ended": payload["name"], "result": payload["result"], "error": payload["error"]}
    return payload


@pytest.fixture
def stage(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Stage]:
    ran.clear()
    saver = {"none": lambda: None, "memory": InMemorySaver, "redis": lambda: RedisSaver(redis_url)}[request.param]()
    stage = Stage(redis_url, saver)
    yield stage
    stage.close()


def expected(stage: Stage) -> tuple[list[Any], int]:
    """What an undisturbed run streams, and how many round trips its coordinator makes."""
    client = CrashingRedis.plan(stage.url, 0, When.AFTER)
    run = stage.submit(stage.coordinator(client))
    wait_until(lambda: stage.ended(run), 20, "the run's end")
    ran.clear()
    if isinstance(stage.graph.checkpointer, RedisSaver | InMemorySaver):
        stage.graph.checkpointer.delete_thread("1")
    return stage.events(run), client.trips


def run_to_its_end(stage: Stage, fatal: int, when: When) -> tuple[str, bool]:
    """A run whose coordinator dies in its `fatal`th round trip, and is taken over; tells whether it died."""
    client = CrashingRedis.plan(stage.url, fatal, when)
    doomed = stage.coordinator(client)
    run = stage.submit(doomed)
    wait_until(lambda: client.dead or stage.ended(run), 20, "the coordinator's death")
    stage.client.zadd(keys.coordinators(), {doomed.id: 0})
    heir = stage.coordinator()
    heir.start()
    wait_until(lambda: stage.ended(run), 20, f"the end of the run whose coordinator died in round trip {fatal}")
    heir.close()
    return run, client.dead


@pytest.mark.parametrize(
    ("stage", "when"),
    [
        ("none", When.HALF),
        ("none", When.AFTER),
        ("memory", When.HALF),
        ("redis", When.BEFORE),
        ("redis", When.ALL_BUT_ONE),
    ],
    indirect=["stage"],
)
def test_whenever_a_coordinator_dies_another_goes_on(stage: Stage, when: When) -> None:
    undisturbed, trips = expected(stage)
    states = [event.payload for event in undisturbed if event.mode == "values"]
    assert trips > 5
    died = 0
    for fatal in range(1, trips + 3):
        ran.clear()
        run, dead = run_to_its_end(stage, fatal, when)
        died += dead

        events = stage.events(run)
        where = f"died {when.value} round trip {fatal} of {trips}"
        assert told(events) == told(undisturbed), where
        assert [event.payload for event in events if event.mode == "values"] == states, where
        assert [event.mode for event in events].count(RUN) == 1, where
        assert ran == {"first": 1, "item 0": 1, "item 1": 1, "item 2": 1, "double": 1, "flaky": 2}, where
        if stage.graph.checkpointer:
            history = list(stage.graph.get_state_history({"configurable": {"thread_id": "1"}}))
            shown = [event.payload for event in undisturbed if event.mode == "values" and not event.ns]
            assert [state.values for state in reversed(history)][1:] == shown, where
            assert len({state.config["configurable"]["checkpoint_id"] for state in history}) == 6, where
            stage.graph.checkpointer.delete_thread("1")
    assert died > 5


@pytest.mark.parametrize("stage", ["redis"], indirect=True)
def test_of_two_that_believe_they_own_a_run_the_former_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one sleeps, in the middle of a run, for longer than its lease; when it wakes it acts as before."""
    undisturbed, _ = expected(stage)
    client = SleepingRedis.plan(stage.url)
    former = stage.coordinator(client)
    run = stage.submit(former)
    assert client.asleep.wait(20)
    stage.client.zadd(keys.coordinators(), {former.id: 0})
    heir = stage.coordinator()
    heir.start()
    wait_until(lambda: stage.ended(run), 20, "the end of the run, with the heir")
    before = stage.client.xlen(keys.log(run)), stage.client.hgetall(keys.run(run))

    client.wake.set()

    wait_until(lambda: former.running == 0, 20, "the former one to see that it has lost the run")
    assert client.refused - {b"OK", b"QUEUED"} == {b"superseded"}
    assert (stage.client.xlen(keys.log(run)), stage.client.hgetall(keys.run(run))) == before
    assert told(stage.events(run)) == told(undisturbed)
    assert ran == {"first": 1, "item 0": 1, "item 1": 1, "item 2": 1, "double": 1, "flaky": 2}
    assert former.check() is None


def test_a_run_that_was_to_end_with_its_process_is_cancelled(redis_url: str) -> None:
    stage = Stage(redis_url, None)
    try:
        client = CrashingRedis.plan(redis_url, 4, When.BEFORE)
        doomed = stage.coordinator(client)
        run = stage.submit(doomed, survives=False)
        wait_until(lambda: client.dead, 20, "the coordinator's death")
        stage.client.zadd(keys.coordinators(), {doomed.id: 0})
        stage.coordinator().start()

        wait_until(lambda: stage.ended(run), 20, "the run's end")

        assert stage.client.hget(keys.run(run), "status") == b"cancelled"
        last = stage.events(run)[-1]
        assert last.mode == RUN
        assert last.payload["status"] == "cancelled"
        assert not stage.client.exists(keys.tasks(run), keys.journal(run))
        assert stage.client.llen(keys.rq_queue(QUEUE)) == 0
    finally:
        stage.close()


class Unseen(list[Any]):
    """A list that looks empty."""

    def __bool__(self) -> bool:
        return False


def test_a_run_that_begins_is_not_taken_for_one_left_behind(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coordinator finds a dead one in the moment between a run's record and its beginning."""
    stage = Stage(redis_url, None)
    try:
        client = CrashingRedis.plan(redis_url, 4, When.BEFORE)
        doomed = stage.coordinator(client)
        left = stage.submit(doomed, survives=False)
        wait_until(lambda: client.dead, 20, "the coordinator's death")
        stage.client.zadd(keys.coordinators(), {doomed.id: 0})
        other = stage.coordinator()
        held_back = Unseen()
        with monkeypatch.context() as patch:
            patch.setattr(other, "_wanted", held_back)
            run = stage.submit(other, survives=False)
            wait_until(lambda: stage.ended(left), 20, "the end of the run that was left behind")
        other._wanted.extend(held_back)  # pyright: ignore[reportPrivateUsage]

        wait_until(lambda: stage.ended(run), 20, "the run's end")

        assert stage.client.hget(keys.run(left), "status") == b"cancelled"
        assert stage.client.hget(keys.run(run), "status") == b"success"
    finally:
        stage.close()


class Asleep(CrashingRedis):
    """Its coordinator's thread falls asleep in its next round trip once it is told to."""

    tired = False

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        if self.tired:
            self.dead = True
            awake.wait()
        super().before_sending(connection, commands)


awake = threading.Event()


def test_what_is_ordered_of_one_that_was_forgotten_is_not(redis_url: str) -> None:
    """It slept, others took over all it had; another thread of it puts a run on record, and then it dies."""
    stage = Stage(redis_url, None)
    awake.clear()
    client = Asleep.plan(redis_url, 0, When.BEFORE)
    former = stage.coordinator(client)
    heir = stage.coordinator()
    try:
        run = stage.submit(former)
        wait_until(lambda: stage.ended(run), 20, "its first run")
        client.tired = True
        wait_until(lambda: client.dead, 20, "its sleep")
        stage.client.zadd(keys.coordinators(), {former.id: 0})
        heir.start()
        wait_until(lambda: not stage.client.exists(keys.coordinator(former.id)), 20, "the heir to forget it")
        former._beaten -= 10  # pyright: ignore[reportPrivateUsage]

        ordered = stage.submit(former)

        wait_until(lambda: stage.ended(ordered), 20, "the end of the run, with the heir")
        assert stage.client.hget(keys.run(ordered), "status") == b"success"
        assert stage.client.hget(keys.run(ordered), "coordinator") == heir.id.encode()
        wait_until(lambda: not stage.client.exists(keys.inbox(former.id)), 20, "the end of its inbox")
    finally:
        awake.set()
        stage.close()
