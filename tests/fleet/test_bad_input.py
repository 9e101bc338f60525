"""What is wrong gets an error that says what, or a warning; never silence."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from fleetgraph.errors import EmptyInputError, EncodeError, InvalidUpdateError, NotSupported, RedisUnavailable
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.fleet import gates
from tests.fleet.graphs import hold, unsendable
from tests.fleet.observing import Running, Watched, new_key
from tests.fleet.processes import Worker
from tests.waiting import wait_until


@pytest.fixture
def graph(fleet: Fleet) -> Any:
    return unsendable.graph.on(fleet)


def refusal(call: Callable[[], Any]) -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        call()
    assert caught.value.kind == "_thread.lock"
    return caught.value


def test_no_redis_at_the_url() -> None:
    with Fleet("redis://127.0.0.1:1/0") as fleet:
        graph = unsendable.graph.on(fleet)
        with pytest.raises(RedisUnavailable, match=r"no Redis answers at redis://127\.0\.0\.1:1/0"):
            graph.invoke({"where": "nowhere"})


async def test_no_redis_at_the_url_of_an_async_call() -> None:
    with Fleet("redis://127.0.0.1:1/0") as fleet:
        graph = unsendable.graph.on(fleet)
        with pytest.raises(RedisUnavailable, match=r"Fleet\.local\(\)"):
            await graph.ainvoke({"where": "nowhere"})


def test_a_url_that_is_none() -> None:
    with Fleet("127.0.0.1:6379") as fleet, pytest.raises(RedisUnavailable, match="is no Redis URL"):
        unsendable.graph.on(fleet).invoke({"where": "nowhere"})


@pytest.mark.parametrize(
    ("mode", "where", "path"),
    [
        ("updates", "node 'node', input", "$.value.locks[0]"),
        ("values", "graph 'tests.fleet.graphs.unsendable:graph', the state", "$.value.locks[0]"),
        ("tasks", "graph 'tests.fleet.graphs.unsendable:graph', tasks chunk", "$.input.value.locks[0]"),
    ],
)
def test_an_input_that_can_t_travel(graph: Any, mode: Any, where: str, path: str) -> None:
    given = {"where": "input", "value": {"locks": [threading.Lock()]}}
    error = refusal(lambda: list(graph.stream(given, stream_mode=mode)))
    assert (error.where, error.path) == (where, path)
    assert "belongs to its process" in error.hint


async def test_an_input_that_can_t_travel_async(graph: Any) -> None:
    with pytest.raises(EncodeError):
        await graph.ainvoke({"where": "input", "value": threading.Lock()})


def test_a_context_that_can_t_travel(graph: Any) -> None:
    error = refusal(lambda: graph.invoke({"where": "context"}, context={"lock": threading.Lock()}))
    assert (error.where, error.path) == ("node 'node', context", "$.lock")


def test_a_config_that_can_t_travel(graph: Any) -> None:
    error = refusal(lambda: graph.invoke({"where": "config"}, {"configurable": {"lock": threading.Lock()}}))
    assert (error.where, error.path) == ("node 'node', config", "$.configurable.lock")


def test_a_return_value_that_can_t_travel(graph: Any) -> None:
    error = refusal(lambda: graph.invoke({"where": "return"}))
    assert error.where == "node 'node', channel 'result'"
    assert error.path == "$.items[1]"


def test_a_custom_event_that_can_t_travel(graph: Any) -> None:
    error = refusal(lambda: list(graph.stream({"where": "custom"}, stream_mode="custom")))
    assert error.where == "node 'node', custom event"
    assert error.path == "$.progress[0]"


def test_an_argument_of_a_send_that_can_t_travel(graph: Any) -> None:
    error = refusal(lambda: graph.invoke({"where": "send"}))
    assert "node 'node'" in error.where
    assert error.path.endswith(".arg.lock")


def test_what_could_not_travel_leaves_a_fleet_that_works(graph: Any) -> None:
    refusal(lambda: graph.invoke({"where": "input", "value": threading.Lock()}))
    refusal(lambda: graph.invoke({"where": "return"}))
    assert graph.invoke({"where": "nowhere"}) == {"where": "nowhere", "result": "fine"}


def test_an_update_of_the_wrong_type(graph: Any) -> None:
    with pytest.raises(InvalidUpdateError, match="Expected dict, got") as caught:
        graph.invoke({"where": "wrong update"})
    assert "During task with name 'node'" in caught.value.__notes__[0]


def test_an_unknown_stream_mode(graph: Any) -> None:
    with pytest.raises(ValueError, match="Unknown stream mode 'valeus': choose among values, updates"):
        list(graph.stream({"where": "nowhere"}, stream_mode="valeus"))


@pytest.mark.parametrize("given", [None, 3, {"nothing": "known"}], ids=repr)
def test_an_input_that_is_none(graph: Any, given: Any) -> None:
    def refused(by: Any) -> BaseException:
        with pytest.raises((EmptyInputError, InvalidUpdateError, KeyError)) as caught:
            by.invoke(given)
        return caught.value

    there, here = refused(graph), refused(unsendable.graph)
    assert (type(there), str(there)) == (type(here), str(here))


def test_callbacks(graph: Any) -> None:
    with pytest.raises(NotSupported, match=r"config\['callbacks'\] on a fleet"):
        graph.invoke({"where": "nowhere"}, {"callbacks": [object()]})


def test_nobody_on_the_queue_is_told_again_and_again_until_somebody_comes(
    start_worker: Callable[..., Worker],
    server: RedisServer,
    client: redis.Redis,
    queue: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fleetgraph.coordinator.workers.PATIENCE_SECONDS", 0.1)  # it looks once a second

    def warnings() -> list[str]:
        records = [record for record in caplog.records if record.levelno == logging.WARNING]
        return [record.getMessage() for record in records if "No worker is listening" in record.getMessage()]

    key = new_key()
    gates.open(f"{key}:1")
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(hold.graph.on(fleet), {"key": key, "count": 1})
        wait_until(lambda: len(warnings()) >= 2)
        assert warnings()[0] == (
            f"No worker is listening on queue '{queue}', where 1 task waits. Start one: "
            f"fleetgraph worker MODULE:GRAPH --redis URL --queue {queue}"
        )
        start_worker("tests.fleet.graphs.hold:graph")
        assert run.result()["held"] == ["1"]
        told = len(warnings())
        watched = Watched(client)
        assert watched.status == "success"
        assert len(warnings()) == told


def test_busy_workers_are_no_reason_for_a_warning(
    start_worker: Callable[..., Worker],
    server: RedisServer,
    client: redis.Redis,
    queue: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[float] = []
    monkeypatch.setattr("fleetgraph.coordinator.workers.PATIENCE_SECONDS", 0.0)
    from fleetgraph.coordinator.workers import WorkerWatch

    look = WorkerWatch.look

    def counted(self: WorkerWatch[Any], runs: Any) -> Any:
        looked.append(0.0)
        return look(self, runs)

    monkeypatch.setattr(WorkerWatch, "look", counted)
    start_worker("tests.fleet.graphs.hold:graph", concurrency=1)
    key = new_key()
    with Fleet(server.url, queue=queue) as fleet:
        run = Running(hold.graph.on(fleet), {"key": key, "count": 2})
        wait_until(lambda: gates.arrived(f"{key}:1"))
        before = len(looked)
        wait_until(lambda: len(looked) > before + 1)
        assert "No worker" not in caplog.text
        gates.open(f"{key}:1")
        gates.open(f"{key}:2")
        assert run.result()["held"] == ["1", "2"]
