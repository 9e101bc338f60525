"""What a superstep costs follows what it changes: bytes, as counted by a Redis that nobody else uses."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
import redis

from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.fleet import Fleet
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire.connection import connect
from fleetgraph.worker import FleetWorker

QUEUE = "growth"
APPENDED = 1000
"""Bytes that a superstep adds, where it adds some."""

COPIES = 8
"""How often what a task wrote passes Redis's connections: as its outcome and as an event, in and out each; as a pending
write and as part of a checkpoint, in; as part of the state, in for all tasks and out for the next one."""

OVERHEAD = 9000
"""Bytes that a superstep of one task takes all in all, beside what it changes; 7,000 to 7,500 with a saver."""


class State(TypedDict):
    fixed: str
    log: Annotated[list[str], operator.add]
    turns: int
    limit: int
    adds: bool


def turn(state: State) -> dict[str, Any]:
    if not state["adds"]:
        return {"turns": state["turns"] + 1}
    assert len(state["log"]) == state["turns"]
    return {"turns": state["turns"] + 1, "log": ["x" * APPENDED]}


builder = (
    StateGraph(State)
    .add_node(turn)
    .add_edge(START, "turn")
    .add_conditional_edges("turn", lambda state: "turn" if state["turns"] < state["limit"] else END, ["turn", END])
)
graph = builder.compile()
saved: Any = graph


@pytest.fixture
def traffic(redis_server: RedisServer) -> Iterator[Traffic]:
    with RedisServer() as server, server.client() as client:
        yield Traffic(server.url, client)


class Traffic:
    """A fleet, and what its Redis counts."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.url = url
        self.client = client

    @property
    def bytes(self) -> int:
        stats: dict[str, Any] = self.client.info("stats")  # type: ignore[assignment]
        return stats["total_net_input_bytes"] + stats["total_net_output_bytes"]

    def of_supersteps(
        self, inputs: dict[str, Any], saver: bool, marks: tuple[int, ...], *, lasting: bool = False
    ) -> list[int]:
        """Bytes until after each of these supersteps, from the first of them on."""
        global saved
        registry = GraphRegistry()
        saved = builder.compile(checkpointer=RedisSaver(self.client) if saver else None)
        registry.add_graph(saved, f"{__name__}:saved")
        stop = FleetWorker(QUEUE, connect(self.url), registry, concurrency=2).start_in_thread()
        try:
            with Fleet(self.url, queue=QUEUE, on_disconnect="continue" if lasting else "cancel") as fleet:
                config: Any = {"recursion_limit": marks[-1] + 5, "configurable": {"thread_id": "1"}}
                counted: list[int] = []
                stream = saved.on(fleet).stream({**inputs, "turns": 0, "limit": marks[-1]}, config)
                for number, _ in enumerate(stream, start=1):
                    if number in marks:
                        counted.append(self.bytes)
                return [count - counted[0] for count in counted]
        finally:
            stop()


@pytest.mark.parametrize("saver", [False, True], ids=["no saver", "saver"])
def test_what_does_not_change_is_not_sent_again(traffic: Traffic, saver: bool) -> None:
    inputs = {"fixed": "x" * 10_000_000, "log": [], "adds": False}
    _, sent = traffic.of_supersteps(inputs, saver, (5, 25))
    assert sent / 20 < 20_000


@pytest.mark.timeout(120)
@pytest.mark.parametrize("saver", [False, True], ids=["no saver", "saver"])
def test_a_list_that_grows_is_sent_as_what_it_grows_by(traffic: Traffic, saver: bool) -> None:
    """And so it is stored: the second half of the supersteps costs what the first did."""
    inputs = {"fixed": "", "log": [], "adds": True}
    _, half, whole = traffic.of_supersteps(inputs, saver, (1, 150, 300))
    assert whole < 299 * (APPENDED * COPIES + OVERHEAD)
    assert whole - half < 1.05 * half
    if saver:
        values = b"fleetgraph:checkpoint:{1}:values"
        stored = sum(len(value) for value in traffic.client.hvals(values.decode()))
        assert stored < 300 * (APPENDED + 200)
        assert saved.get_state({"configurable": {"thread_id": "1"}}).values["log"] == ["x" * APPENDED] * 300


def test_a_run_that_outlives_its_process_costs_the_same(traffic: Traffic) -> None:
    """Its journal is made of what Redis has anyway."""
    inputs = {"fixed": "x" * 100_000, "log": [], "adds": True}
    _, half, whole = traffic.of_supersteps(inputs, True, (1, 50, 100), lasting=True)
    assert whole < 99 * (APPENDED * COPIES + OVERHEAD)
    assert whole - half < 1.05 * half
