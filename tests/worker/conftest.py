"""A worker to test, and a stand-in for the coordinator that gives it tasks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict, cast

import pytest
import redis

from fleetgraph.constants import START
from fleetgraph.graph import StateGraph
from fleetgraph.graph.compiled import CompiledStateGraph
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.calling import execute
from fleetgraph.wire.connection import connect
from fleetgraph.wire.events import Event, decode_message
from fleetgraph.wire.messages import GraphRef, Outcome, TaskMessage
from fleetgraph.wire.transitions import Dispatch, cancel, dispatch
from fleetgraph.worker import FleetWorker
from tests.waiting import wait_until

QUEUE = "q"
NAME = "tests:graph"


class State(TypedDict):
    """The state of all test graphs."""

    items: Annotated[list[Any], lambda old, new: old + new]


def graph_of(**nodes: Callable[..., Any]) -> CompiledStateGraph:
    """A graph of these nodes."""
    builder = StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(START, name)
    return builder.compile()


class Desk:
    """Gives tasks to workers and takes their outcomes, as the coordinator of one run does."""

    def __init__(self, client: redis.Redis, graph: CompiledStateGraph, run: str = "run1", name: str = NAME) -> None:
        self.client = client
        self.graph = graph
        self.run = run
        self.name = name
        self.id = "desk"
        self.registry = GraphRegistry()
        self.registry.add_graph(graph, name)
        client.hset(keys.run(run), mapping={"status": "running", "epoch": 1, "coordinator": self.id})
        client.expire(keys.run(run), 60)

    def message(self, node: str, task: str, items: list[Any], **changed: Any) -> TaskMessage:
        fields: dict[str, Any] = {
            "run": self.run,
            "inbox": self.id,
            "graph": GraphRef(self.name, self.graph.program.fingerprint),
            "attempt": 1,
            "modes": ("custom", "messages"),
            "id": task,
            "name": node,
            "path": ("__pregel_pull", node),
            "triggers": (START,),
            "step": 1,
            "stop": 25,
            "ns": f"{node}:{task}",
            "input": {"items": items},
            "send": False,
            "snapshot": None,
            "config": {},
            "context": None,
            "more": {},
        }
        return TaskMessage(**{**fields, **changed})

    def give(self, node: str, *tasks: str, attempt: int = 1, **changed: Any) -> None:
        """Dispatch tasks of a node, by their ids; an id is also the only item in the task's input."""
        batch: list[Dispatch] = []
        for task in tasks:
            message = self.message(node, task, [task], attempt=attempt, **changed)
            encoded = self.registry.codec.encode_task(message)
            batch.append(Dispatch(task, attempt, "graph", node, 1, encoded))
        self.put(batch)

    def put(self, batch: list[Dispatch]) -> None:
        """Dispatch tasks whatever their messages are."""
        assert execute(self.client, dispatch(self.run, 1, QUEUE, self.id, batch)) == [True] * len(batch)

    def cancel(self) -> None:
        execute(self.client, cancel(QUEUE, self.run))

    def outcomes(self, count: int, timeout: float = 20) -> dict[str, Outcome]:
        """Wait for so many outcomes; gives those there are by task."""
        inbox = keys.inbox(self.id)
        wait_until(lambda: self.client.llen(inbox) >= count, timeout, what=f"{count} outcomes")
        found = [self.registry.codec.decode_outcome(one) for one in self.client.lrange(inbox, 0, -1)]
        assert len({one.task for one in found}) == len(found), "an outcome was accepted twice"
        return {one.task: one for one in found}

    def outcome(self, task: str) -> Outcome:
        return self.outcomes(1)[task]

    def events(self) -> list[Event]:
        """What is in the run's log."""
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", self.client.xrange(keys.log(self.run)))
        return [event for _, fields in entries for event in decode_message(self.registry.codec, fields[b"m"])]


class Started:
    """Counts the calls of a node that are going on, and lets them wait for a signal."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = False
        self.now = 0
        self.most = 0
        self.total = 0

    def enter(self) -> None:
        with self._changed:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def leave(self) -> None:
        with self._changed:
            self.now -= 1

    def wait(self, timeout: float = 20) -> None:
        """What a node calls: count it in, wait for `release`, count it out."""
        self.enter()
        with self._changed:
            assert self._changed.wait_for(lambda: self._open, timeout), "nobody released the node"
        self.leave()

    def release(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()


@pytest.fixture
def gate() -> Iterator[Started]:
    """Lets nodes wait; opens at the end of the test at the latest."""
    made = Started()
    yield made
    made.release()


@pytest.fixture
def desk_for(redis_client: redis.Redis) -> Callable[..., Desk]:
    """Makes a desk for a graph of the nodes given."""

    def make(**nodes: Callable[..., Any]) -> Desk:
        return Desk(redis_client, graph_of(**nodes))

    return make


@pytest.fixture
def start_worker(redis_url: str, gate: Started, no_leaked_keys: None) -> Iterator[Callable[..., FleetWorker]]:
    """Starts workers on a desk's graph; they are stopped at the end, and must not have broken down."""
    stops: list[Callable[[], None]] = []
    workers: list[FleetWorker] = []
    clients: list[redis.Redis] = []

    def start(desk: Desk, **options: Any) -> FleetWorker:
        client = connect(redis_url)
        clients.append(client)
        registry = GraphRegistry()
        registry.add_graph(desk.graph, NAME)
        worker = FleetWorker(QUEUE, client, registry, **{"concurrency": 4, **options})
        stops.append(worker.start_in_thread())
        workers.append(worker)
        return worker

    yield start
    gate.release()
    for stop in stops:
        stop()
    for client in clients:
        client.close()
    assert [worker.error for worker in workers] == [None] * len(workers)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The actions that were logged, in order."""
    return [cast(str, record.__dict__["action"]) for record in caplog.records if "action" in record.__dict__]


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fleetgraph.worker")
