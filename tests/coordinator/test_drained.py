"""A run that its caller asked to stop after the superstep at hand stops there, whoever coordinates it by then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.errors import GraphDrained
from fleetgraph.graph import START, StateGraph
from fleetgraph.graph.compiled import Asked
from fleetgraph.runtime import RunControl
from fleetgraph.wire import keys
from fleetgraph.wire.events import RUN
from tests.coordinator import test_takeover
from tests.coordinator.crashing import CrashingRedis, When
from tests.coordinator.test_takeover import Stage, State, ran, told
from tests.waiting import wait_until

THREAD: Any = {"configurable": {"thread_id": "1"}}
held, go_on = threading.Event(), threading.Event()
controls: list[RunControl] = []


def holds(state: State) -> dict[str, Any]:
    """Asks for the end of its run where its caller is this very process; or waits until the test has done so."""
    ran["holds"] += 1
    if controls:
        controls[-1].request_drain("by its caller")
    else:
        held.set()
        assert go_on.wait(20)
    return {"log": ["held"]}


def never(state: State) -> dict[str, Any]:
    ran["never"] += 1
    return {"log": ["never"]}


@pytest.fixture
def stage(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    builder = StateGraph(State).add_node(holds).add_node(never).add_edge(START, "holds").add_edge("holds", "never")
    monkeypatch.setattr(test_takeover, "builder", builder)
    for event in (held, go_on):
        event.clear()
    controls.clear()
    ran.clear()
    stage = Stage(redis_url, InMemorySaver())
    yield stage
    go_on.set()
    stage.close()


def submit(stage: Stage, client: CrashingRedis, control: RunControl) -> tuple[str, str]:
    """Gives the ids of the run, and of its coordinator."""
    asked = Asked(stream_mode=["values"], control=control)
    request = stage.graph._request({"log": ["input"], "total": 1}, THREAD, asked)
    coordinator = stage.coordinator(client)
    run = coordinator.new_run(stage.graph, stage.ref, "q", request, asynchronous=False, survives=True)
    coordinator.submit(run)
    return run.id, coordinator.id


def take_over(stage: Stage, dead: str) -> None:
    stage.client.zadd(keys.coordinators(), {dead: 0})
    stage.coordinator().start()


def ended(stage: Stage, run: str) -> Any:
    """What a run ended with."""
    wait_until(lambda: stage.ended(run), 20, "the run's end")
    return stage.events(run)[-1].payload["error"]


def check(stage: Stage, run: str) -> None:
    """It stopped after its first superstep; the thread goes on where it stood."""
    error = ended(stage, run)
    assert isinstance(error, GraphDrained)
    assert error.reason in ("by its caller", "before it began")
    assert ran["never"] == 0
    assert [event.mode for event in stage.events(run)].count(RUN) == 1


def test_a_run_that_is_asked_while_a_node_runs(stage: Stage) -> None:
    client, control = CrashingRedis.plan(stage.url, 0, When.BEFORE), RunControl()
    run, doomed = submit(stage, client, control)
    assert held.wait(20)
    journal = stage.client.llen(keys.journal(run))

    control.request_drain("by its caller")
    wait_until(lambda: stage.client.llen(keys.journal(run)) > journal, 5, "the coordinator to note that")
    client.fatal = client.trips + 1
    wait_until(lambda: client.dead, 20, "its death")
    take_over(stage, doomed)
    go_on.set()

    check(stage, run)
    assert ran["holds"] == 1
    assert stage.graph.get_state(THREAD).next == ("never",)


class DyingOfIt(CrashingRedis):
    """Its coordinator dies in the round trip that tells of the request, or so many later."""

    later = 0

    def before_sending(self, connection: Any, commands: list[Any]) -> None:
        if not self.fatal and any(
            b"drained" in word for words in commands for word in words if isinstance(word, bytes)
        ):
            self.fatal = self.trips + 1 + self.later
        super().before_sending(connection, commands)


@pytest.mark.parametrize(
    ("early", "when", "later", "stops"),
    [
        (False, When.BEFORE, 0, False),
        (False, When.HALF, 0, True),
        (False, When.ALL_BUT_ONE, 0, True),
        (False, When.AFTER, 0, True),
        (True, When.BEFORE, 0, False),
        (True, When.AFTER, 0, True),
        (True, When.BEFORE, 1, True),
        (True, When.HALF, 1, True),
    ],
)
def test_its_coordinator_dies_when_it_tells_of_it(
    stage: Stage, early: bool, when: When, later: int, stops: bool
) -> None:
    """Who goes on stops it as well, unless nobody was told that it had been asked.

    It was by the node that ends a superstep, or before it began.
    """

    def start(client: CrashingRedis) -> tuple[str, str]:
        controls.append(RunControl())
        if early:
            controls[-1].request_drain("before it began")
        return submit(stage, client, controls[-1])

    run, _ = start(CrashingRedis.plan(stage.url, 0, when))
    check(stage, run)
    undisturbed, once = told(stage.events(run)), dict(ran)
    assert once == ({} if early else {"holds": 1})
    stage.graph.checkpointer.delete_thread("1")
    ran.clear()

    client = DyingOfIt.plan(stage.url, 0, when)
    client.later = later
    run, doomed = start(client)
    wait_until(lambda: client.dead, 20, "the coordinator's death")
    take_over(stage, doomed)

    if stops:
        check(stage, run)
        assert told(stage.events(run)) == undisturbed
        assert ran == once
    else:
        assert ended(stage, run) is None
        assert ran == {"holds": 1, "never": 1}
