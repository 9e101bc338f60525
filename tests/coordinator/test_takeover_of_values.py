"""A coordinator dies in any of its round trips while tasks need large values that it has stored: nobody misses one."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest

from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.coordinator import Coordinator, Limits
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.graph.compiled import Asked
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.connection import connect
from fleetgraph.wire.events import RUN, decode_message
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from fleetgraph.wire.values import LARGE_BYTES
from fleetgraph.worker import FleetWorker
from tests.coordinator.crashing import CrashingRedis, When
from tests.waiting import wait_until

QUEUE = "values"
LARGE = "x" * LARGE_BYTES
ran: Counter[str] = Counter()


class State(TypedDict):
    fixed: str
    log: Annotated[list[str], operator.add]
    turns: int


def one(state: State) -> dict[str, Any]:
    """Sees all that there is, and spoils it: that is its own business."""
    ran[f"one {state['turns']}"] += 1
    assert state["fixed"] == LARGE
    assert state["log"] == [LARGE, *(f"{name} {turn}" for turn in range(state["turns"]) for name in ("one", "two"))]
    state["log"].clear()
    return {"log": [f"one {state['turns']}"], "turns": state["turns"] + 1}


def two(state: State) -> dict[str, Any]:
    ran[f"two {state['turns']}"] += 1
    assert state["log"][0] == LARGE
    return {"log": [f"two {state['turns']}"]}


def after(state: State) -> str:
    assert state["fixed"] == LARGE
    assert state["log"][-1] == f"one {state['turns'] - 1}"
    return END if state["turns"] == 4 else "go on"


builder = (
    StateGraph(State)
    .add_node(one)
    .add_node(two)
    .add_node("next", lambda state: {})
    .add_edge(START, "next")
    .add_edge("next", "one")
    .add_edge("next", "two")
    .add_conditional_edges("one", after, {"go on": "next", END: END})
)


class Stage:
    """A worker, and coordinators that may die."""

    def __init__(self, url: str, saver: RedisSaver | None) -> None:
        self.url = url
        self.saver = saver
        self.graph = builder.compile(checkpointer=saver)
        self.registry = GraphRegistry()
        self.registry.add_graph(self.graph, "stage:values")
        self.ref = GraphRef("stage:values", self.graph.program.fingerprint)
        self.client = connect(url)
        self.stop = FleetWorker(QUEUE, connect(url), self.registry, concurrency=4).start_in_thread()
        self.coordinators: list[Coordinator] = []

    def coordinator(self, fatal: int, when: When) -> tuple[Coordinator, CrashingRedis]:
        client = CrashingRedis.plan(self.url, fatal, when)
        limits = Limits(RETENTION, LOG_EVENTS)
        self.coordinators.append(Coordinator(client, self.registry, limits, service=QUEUE))
        return self.coordinators[-1], client

    def submit(self, coordinator: Coordinator) -> str:
        inputs = {"fixed": LARGE, "log": [LARGE], "turns": 0}
        asked = Asked(stream_mode=["updates"])
        request = self.graph._request(inputs, {"configurable": {"thread_id": "1"}}, asked)
        run = coordinator.new_run(self.graph, self.ref, QUEUE, request, asynchronous=False, survives=True)
        coordinator.submit(run)
        return run.id

    def ended(self, run: str) -> bool:
        return self.client.hget(keys.run(run), "ended") is not None

    def events(self, run: str) -> list[tuple[str, Any]]:
        return [
            (event.mode, event.payload)
            for _, fields in self.client.xrange(keys.log(run))
            for event in decode_message(self.registry.codec, fields[b"m"])
        ]

    def run_to_its_end(self, fatal: int, when: When) -> tuple[str, CrashingRedis]:
        ran.clear()
        doomed, client = self.coordinator(fatal, when)
        run = self.submit(doomed)
        wait_until(lambda: client.dead or self.ended(run), 20, "the coordinator's death")
        if client.dead:
            if self.saver is not None:  # another process would not know what this one has stored
                self.saver._standings.forget()
            self.client.zadd(keys.coordinators(), {doomed.id: 0})
            heir, _ = self.coordinator(0, when)
            heir.start()
            wait_until(lambda: self.ended(run), 20, f"the end of the run whose coordinator died in round trip {fatal}")
            heir.close()
        return run, client

    def close(self) -> None:
        for coordinator in self.coordinators:
            coordinator.close()
        self.stop()


@pytest.fixture(params=["none", "redis"])
def stage(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Stage]:
    stage = Stage(redis_url, RedisSaver(redis_url) if request.param == "redis" else None)
    yield stage
    stage.close()


@pytest.mark.parametrize("when", [When.HALF, When.ALL_BUT_ONE, When.AFTER])
def test_whenever_a_coordinator_dies_no_task_misses_a_value(stage: Stage, when: When) -> None:
    undisturbed, client = stage.run_to_its_end(0, when)
    told = sorted(map(str, stage.events(undisturbed)))
    assert stage.events(undisturbed)[-1] == (RUN, {"status": "success", "error": None})
    died = 0
    for fatal in range(1, client.trips + 2):
        if stage.saver is not None:
            stage.saver.delete_thread("1")
        run, doomed = stage.run_to_its_end(fatal, when)
        died += doomed.dead
        where = f"died {when.value} round trip {fatal} of {client.trips}"
        assert sorted(map(str, stage.events(run))) == told, where
        assert set(ran.values()) == {1}, where
        assert not stage.client.exists(keys.values(run)), where
        if stage.saver is not None:
            state = stage.graph.get_state({"configurable": {"thread_id": "1"}})
            assert state.values["log"][-1] == "two 3", where
            assert len(state.values["log"]) == 9, where
    assert died > 5
