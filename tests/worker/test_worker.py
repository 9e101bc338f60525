"""What a worker does with tasks: runs them, side by side, hands in what became of them, and stops when it should."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from rq import Queue
from rq.registry import FailedJobRegistry

from fleetgraph.config import get_stream_writer
from fleetgraph.errors import DecodeError, EncodeError, GraphMismatch, NodeCancelledError
from fleetgraph.wire import keys
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.transitions import Dispatch
from fleetgraph.worker import FleetWorker
from tests.waiting import wait_until
from tests.worker.conftest import NAME, QUEUE, Desk, Started, actions

Start = Callable[..., FleetWorker]
DeskFor = Callable[..., Desk]


def echo(state: Any) -> Any:
    return {"items": [f"echo {state['items'][0]}"]}


async def aecho(state: Any) -> Any:
    await asyncio.sleep(0)
    return {"items": [f"aecho {state['items'][0]}"]}


def emitting(state: Any) -> Any:
    writer = get_stream_writer()
    for number in range(3):
        writer(number)
    return {"items": []}


def test_a_task_becomes_writes(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo, aecho=aecho)
    worker = start_worker(desk)

    desk.give("echo", "t1")
    desk.give("aecho", "t2")

    found = desk.outcomes(2)
    assert found["t1"].writes == [("items", ["echo t1"])]
    assert found["t2"].writes == [("items", ["aecho t2"])]
    assert (found["t1"].run, found["t1"].attempt, found["t1"].worker) == ("run1", 1, worker.name)


def test_more_tasks_than_slots_all_run(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo, aecho=aecho)
    start_worker(desk, concurrency=2)
    start_worker(desk, concurrency=3)
    tasks = [f"t{number}" for number in range(100)]

    desk.give("echo", *tasks[:50])
    desk.give("aecho", *tasks[50:])

    assert set(desk.outcomes(100)) == set(tasks)


def test_synchronous_nodes_run_side_by_side(desk_for: DeskFor, start_worker: Start, gate: Started) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    desk = desk_for(waiting=waiting)
    start_worker(desk, concurrency=3)

    desk.give("waiting", *"12345")
    wait_until(lambda: gate.now == 3)
    gate.release()

    desk.outcomes(5)
    assert gate.most == 3


def test_asynchronous_nodes_share_one_thread(desk_for: DeskFor, start_worker: Start) -> None:
    threads: set[str] = set()
    entered: list[str] = []

    async def meeting(state: Any) -> Any:
        threads.add(threading.current_thread().name)
        entered.append(state["items"][0])
        async with asyncio.timeout(20):
            while len(entered) < 3:
                await asyncio.sleep(0.001)
        return {"items": []}

    desk = desk_for(meeting=meeting)
    start_worker(desk, concurrency=3)

    desk.give("meeting", *"123")

    assert all(outcome.error is None for outcome in desk.outcomes(3).values())
    assert len(threads) == 1


def test_a_synchronous_node_does_not_hold_up_the_event_loop(
    desk_for: DeskFor, start_worker: Start, gate: Started
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": []}

    desk = desk_for(waiting=waiting, aecho=aecho)
    start_worker(desk, concurrency=2)
    desk.give("waiting", "slow")
    wait_until(lambda: gate.now == 1)

    desk.give("aecho", "1", "2", "3")

    assert set(desk.outcomes(3)) == {"1", "2", "3"}
    gate.release()
    desk.outcomes(4)


# --- failures ----------------------------------------------------------------------------------------------------


class Odd(Exception):
    """An exception of the application."""


@pytest.mark.parametrize("error", [ValueError("no"), Odd("odd"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_whatever_a_node_raises_fails_its_task_only(
    desk_for: DeskFor, start_worker: Start, error: BaseException, kind: str
) -> None:
    def failing(state: Any) -> Any:
        raise error

    async def afailing(state: Any) -> Any:
        raise error

    desk = desk_for(failing=failing if kind == "sync" else afailing, echo=echo, aecho=aecho)
    start_worker(desk)

    desk.give("failing", "bad")
    found = desk.outcome("bad")
    desk.give("echo", "fine")
    desk.give("aecho", "well")

    assert found.writes is None
    assert type(error).__name__ in repr(found.error)
    assert desk.outcomes(3)["fine"].error is desk.outcomes(3)["well"].error is None


async def cancelled(state: Any) -> Any:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def cancelling_itself(state: Any) -> Any:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


def cancelled_in_a_thread(state: Any) -> Any:
    raise asyncio.CancelledError


@pytest.mark.parametrize("node", [cancelled, cancelling_itself, cancelled_in_a_thread])
def test_a_node_that_cancels_itself_has_failed(
    desk_for: DeskFor, start_worker: Start, node: Callable[[Any], Any]
) -> None:
    desk = desk_for(node=node)
    start_worker(desk)

    desk.give("node", "t")

    error = desk.outcome("t").error
    assert isinstance(error, NodeCancelledError)
    assert str(error) == "Node 'node' raised CancelledError"
    assert error.__notes__ == ["During task with name 'node' and id 't'"]


def test_a_failure_carries_one_note_that_names_the_task(desk_for: DeskFor, start_worker: Start) -> None:
    def failing(state: Any) -> Any:
        raise ValueError("no")

    desk = desk_for(failing=failing)
    start_worker(desk)

    desk.give("failing", "t")

    error = desk.outcome("t").error
    assert isinstance(error, ValueError)
    assert error.__notes__ == ["During task with name 'failing' and id 't'"]


def test_a_stray_task_of_a_node_can_t_end_the_event_loop(
    desk_for: DeskFor, start_worker: Start, caplog: pytest.LogCaptureFixture
) -> None:
    background: list[asyncio.Task[Any]] = []

    async def exit_soon() -> None:
        raise SystemExit(1)

    async def careless(state: Any) -> Any:
        background.append(asyncio.create_task(exit_soon()))
        await asyncio.sleep(0)
        return {"items": []}

    desk = desk_for(careless=careless, aecho=aecho)
    start_worker(desk)

    desk.give("careless", "1")
    desk.outcome("1")
    desk.give("aecho", "2")

    assert desk.outcomes(2)["2"].error is None
    assert "loop-interrupted" in actions(caplog)
    assert isinstance(background[0].exception(), SystemExit)


def test_a_write_that_can_t_travel_names_node_and_channel(desk_for: DeskFor, start_worker: Start) -> None:
    def locking(state: Any) -> Any:
        return {"items": [{"lock": threading.Lock()}]}

    desk = desk_for(locking=locking)
    start_worker(desk)

    desk.give("locking", "t")

    error = desk.outcome("t").error
    assert isinstance(error, EncodeError)
    assert error.where == "node 'locking', channel 'items'"
    assert (error.path, error.kind) == ("$[0].lock", "_thread.lock")


def test_a_worker_tells_which_graphs_it_has(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo)
    worker = start_worker(desk, concurrency=3)

    about = json.loads(desk.client.hget(worker.key, "fleetgraph") or b"")
    assert about == {
        "graphs": {NAME: desk.graph.program.fingerprint},
        "concurrency": 3,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def test_tasks_of_graphs_that_a_worker_does_not_have_stay_in_the_queue(
    desk_for: DeskFor, start_worker: Start, redis_client: redis.Redis
) -> None:
    desk = desk_for(echo=echo)
    start_worker(desk, concurrency=2)
    other = Desk(redis_client, desk.graph, run="other")
    for run, name, fingerprint in (
        (desk.run, f"app.{NAME}", desk.graph.program.fingerprint),
        ("other", NAME, "another"),
        ("stranger", "elsewhere:graph", desk.graph.program.fingerprint),
    ):
        redis_client.hset(keys.run(run), mapping={"graph": name, "fingerprint": fingerprint})
    stranger = Desk(redis_client, desk.graph, run="stranger")
    other.give("echo", *(f"o{number}" for number in range(250)))
    stranger.give("echo", "s")

    desk.give("echo", *(f"t{number}" for number in range(20)))

    assert set(desk.outcomes(20)) == {f"t{number}" for number in range(20)}
    left = {*(f"other-o{number}-1" for number in range(250)), "stranger-s-1"}
    # It looks at one now and then, and puts it back.
    wait_until(lambda: sorted(Queue(QUEUE, connection=redis_client).job_ids) == sorted(left))
    assert not redis_client.zcard(keys.leases(QUEUE))
    before = cast("Any", redis_client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    time.sleep(1)  # is it busy with them?
    after = cast("Any", redis_client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before < 20
    for one in (other, stranger):
        one.cancel()


def test_a_plain_function_of_a_cancelled_run_is_stopped(desk_for: DeskFor, start_worker: Start) -> None:
    seen: list[str] = []

    def endless(state: Any) -> Any:
        seen.append("began")
        try:
            while True:
                try:
                    pass
                except Exception:
                    seen.append("swallowed")
        finally:
            seen.append("stopped")

    desk = desk_for(endless=endless, echo=echo)
    worker = start_worker(desk, lease_seconds=0.3, concurrency=1)
    desk.give("endless", "t")
    wait_until(lambda: seen == ["began"])

    desk.cancel()

    wait_until(lambda: seen == ["began", "stopped"])
    wait_until(lambda: not worker.get_current_executions(refresh=True))
    again = Desk(desk.client, desk.graph, run="run2")
    again.give("echo", "u")
    wait_until(lambda: desk.client.llen(keys.inbox(desk.id)) == 2)


def test_a_plain_function_that_can_t_be_stopped_gives_its_slot_back(
    desk_for: DeskFor, start_worker: Start, gate: Started
) -> None:
    def stuck(state: Any) -> Any:
        gate.wait()

    desk = desk_for(stuck=stuck, echo=echo)
    worker = start_worker(desk, lease_seconds=0.3, concurrency=1)
    desk.give("stuck", "t")
    wait_until(lambda: gate.now == 1)

    desk.cancel()

    wait_until(lambda: not worker.get_current_executions(refresh=True))
    assert gate.now == 1
    again = Desk(desk.client, desk.graph, run="run2")
    again.give("echo", "u")
    wait_until(lambda: desk.client.llen(keys.inbox(desk.id)) == 2)
    gate.release()
    again.give("echo", "v")
    wait_until(lambda: desk.client.llen(keys.inbox(desk.id)) == 3)


def test_a_graph_of_another_shape_is_refused(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo)
    worker = start_worker(desk)

    desk.give("echo", "t", graph=GraphRef(NAME, "another"))

    error = desk.outcome("t").error
    assert isinstance(error, GraphMismatch)
    assert (error.graph, error.wanted, error.worker) == (NAME, "another", worker.name)


def test_input_that_the_schema_refuses_fails_the_task(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo)
    start_worker(desk)

    desk.give("echo", "t", name="nonesuch")

    assert isinstance(desk.outcome("t").error, KeyError)


@pytest.mark.parametrize("message", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x80"])
def test_a_message_that_can_t_be_read_fails_its_task_at_once(
    desk_for: DeskFor, start_worker: Start, message: bytes
) -> None:
    desk = desk_for(echo=echo)
    start_worker(desk)

    desk.put([Dispatch("poison", 1, "graph", "echo", 1, message)])
    desk.give("echo", "fine")

    found = desk.outcomes(2)
    assert isinstance(found["poison"].error, DecodeError)
    assert found["fine"].error is None


def test_a_job_of_somebody_else_fails_in_rq(desk_for: DeskFor, start_worker: Start, redis_client: redis.Redis) -> None:
    desk = desk_for(echo=echo)
    start_worker(desk)

    job = Queue(QUEUE, connection=redis_client).enqueue("os.getpid")

    registry = FailedJobRegistry(QUEUE, connection=redis_client)
    wait_until(lambda: registry.get_job_ids() == [job.id])
    result = job.latest_result()
    assert result is not None
    assert "none of Fleetgraph's" in str(result.exc_string)
    desk.give("echo", "t")
    assert desk.outcome("t").error is None


# --- events ------------------------------------------------------------------------------------------------------


def test_events_precede_the_outcome_and_name_their_task(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(emitting=emitting)
    start_worker(desk)

    desk.give("emitting", "t")
    desk.outcome("t")

    events = desk.events()
    assert [event.payload for event in events] == [0, 1, 2]
    assert [event.seq for event in events] == [1, 2, 3]
    assert {(event.mode, event.ns, event.task, event.attempt) for event in events} == {("custom", (), "t", 1)}


def test_events_of_parallel_tasks_keep_the_order_of_each(desk_for: DeskFor, start_worker: Start) -> None:
    def many(state: Any) -> Any:
        writer = get_stream_writer()
        for number in range(500):
            writer(number)
        return {"items": []}

    desk = desk_for(many=many)
    start_worker(desk)

    desk.give("many", *"abcd")
    desk.outcomes(4)

    events = desk.events()
    assert [event.seq for event in events] == list(range(1, 2001))
    for task in "abcd":
        assert [event.payload for event in events if event.task == task] == list(range(500))


def test_events_leave_while_the_node_runs(desk_for: DeskFor, start_worker: Start, gate: Started) -> None:
    def waiting(state: Any) -> Any:
        get_stream_writer()("begun")
        gate.wait()
        return {"items": []}

    desk = desk_for(waiting=waiting)
    start_worker(desk)

    desk.give("waiting", "t")

    wait_until(lambda: [event.payload for event in desk.events()] == ["begun"])
    assert desk.client.llen(keys.inbox(desk.id)) == 0
    gate.release()
    desk.outcome("t")


def test_modes_that_nobody_asked_for_cost_nothing(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(emitting=emitting)
    start_worker(desk)

    desk.give("emitting", "t", modes=())
    desk.outcome("t")

    assert desk.events() == []


def test_changing_what_was_emitted_changes_nothing(desk_for: DeskFor, start_worker: Start) -> None:
    def mutating(state: Any) -> Any:
        payload = {"tokens": 1}
        get_stream_writer()(payload)
        payload["tokens"] = 2
        return {"items": []}

    desk = desk_for(mutating=mutating)
    start_worker(desk)

    desk.give("mutating", "t")
    desk.outcome("t")

    assert [event.payload for event in desk.events()] == [{"tokens": 1}]


def test_an_event_that_can_t_travel_raises_where_it_is_emitted(desk_for: DeskFor, start_worker: Start) -> None:
    def careful(state: Any) -> Any:
        try:
            get_stream_writer()([threading.Lock()])
        except EncodeError as error:
            return {"items": [str(error.where), error.path]}
        return {"items": ["sent"]}

    desk = desk_for(careful=careful)
    start_worker(desk)

    desk.give("careful", "t")

    assert desk.outcome("t").writes == [("items", ["node 'careful', custom event", "$[0]"])]


# --- superseded, cancelled, stopped ------------------------------------------------------------------------------


def test_a_superseded_attempt_counts_for_nothing(desk_for: DeskFor, start_worker: Start, gate: Started) -> None:
    attempts: list[int] = []

    def late(state: Any) -> Any:
        attempts.append(len(attempts) + 1)
        if attempts[-1] == 1:
            gate.wait()
            get_stream_writer()("late")
        return {"items": [f"attempt {attempts[-1]}"]}

    desk = desk_for(late=late)
    start_worker(desk, lease_seconds=0.3)
    desk.give("late", "t")
    wait_until(lambda: gate.now == 1)

    desk.give("late", "t", attempt=2)
    found = desk.outcome("t")
    gate.release()

    assert found.attempt == 2
    wait_until(lambda: gate.now == 0)
    desk.give("late", "after")
    desk.outcomes(2)
    assert desk.events() == []


def test_an_asynchronous_node_of_a_cancelled_run_is_stopped(
    desk_for: DeskFor, start_worker: Start, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    async def endless(state: Any) -> Any:
        seen.append("began")
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("stopped")

    desk = desk_for(endless=endless)
    worker = start_worker(desk, lease_seconds=0.3)
    desk.give("endless", "t")
    wait_until(lambda: seen == ["began"])

    desk.cancel()

    wait_until(lambda: seen == ["began", "stopped"])
    wait_until(lambda: not worker.get_current_executions(refresh=True))
    assert "task-lost" in actions(caplog)
    assert desk.client.lrange(keys.inbox(desk.id), 0, -1) == [b"!cancel run1"]


def test_stopping_finishes_what_is_held_and_takes_nothing_new(
    desk_for: DeskFor, start_worker: Start, gate: Started
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()
        return {"items": [state["items"][0]]}

    desk = desk_for(waiting=waiting)
    worker = start_worker(desk, concurrency=2)
    desk.give("waiting", *"12345")
    wait_until(lambda: gate.now == 2)

    worker.stop()
    gate.release()
    worker.join()

    assert set(desk.outcomes(2)) == {"1", "2"}
    assert gate.total == 2
    left = Queue(QUEUE, connection=desk.client).job_ids
    assert left == ["run1-3-1", "run1-4-1", "run1-5-1"]
    desk.cancel()


def test_a_worker_that_waits_stops_at_once(desk_for: DeskFor, start_worker: Start) -> None:
    worker = start_worker(desk_for(echo=echo))
    waiting = wait_until(lambda: [one for one in worker.connection.client_list() if one["cmd"] == "subscribe"])
    assert waiting

    worker.stop()
    worker.join()

    assert worker.error is None


def test_a_task_popped_while_the_worker_is_told_to_stop_goes_back(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo)
    for number in range(20):
        worker = start_worker(desk)
        dispatching = threading.Thread(target=desk.give, args=["echo", f"t{number}"])
        dispatching.start()
        worker.stop()
        worker.join()
        dispatching.join()

    start_worker(desk)

    assert len(desk.outcomes(20)) == 20


def test_a_stuck_node_of_a_cancelled_run_does_not_keep_the_worker(
    desk_for: DeskFor, start_worker: Start, gate: Started
) -> None:
    def waiting(state: Any) -> Any:
        gate.wait()

    desk = desk_for(waiting=waiting)
    worker = start_worker(desk, lease_seconds=0.3)
    desk.give("waiting", "t")
    wait_until(lambda: gate.now == 1)

    desk.cancel()
    worker.stop()
    worker.join()

    assert gate.now == 1


def test_burst_mode_ends_with_the_queue(desk_for: DeskFor, redis_url: str, no_leaked_keys: None) -> None:
    desk = desk_for(echo=echo)
    desk.give("echo", *"123")

    with redis.Redis.from_url(redis_url) as client:
        worker = FleetWorker(QUEUE, client, desk.registry, concurrency=2)
        assert worker.work(burst=True) is True
        assert FleetWorker(QUEUE, client, desk.registry).work(burst=True) is False

    assert len(desk.outcomes(3)) == 3


def test_two_workers_of_one_name_are_refused(desk_for: DeskFor, start_worker: Start) -> None:
    desk = desk_for(echo=echo)
    start_worker(desk, name="twin")

    with pytest.raises(ValueError, match="twin"):
        start_worker(desk, name="twin")
