"""Tasks that wait: for graphs in nodes, for functions they call, for answers. No slot is held by one that waits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.errors import NodeTimeoutError
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import Command
from tests.fleet import gates
from tests.fleet.graphs import nested
from tests.fleet.observing import new_key
from tests.fleet.processes import Worker
from tests.waiting import wait_until

MODULE = "tests.fleet.graphs.nested"
INPUT: Any = {"key": "", "log": []}


@pytest.fixture
def one_slot(start_worker: Callable[..., Worker], server: RedisServer, queue: str) -> Any:
    """Starts one worker process with one slot for a graph; gives the fleet of it."""

    def start(name: str, workers: int = 1) -> Fleet:
        for _ in range(workers):
            start_worker(f"{MODULE}:{name}", concurrency=1)
        return Fleet(server.url, queue=queue)

    return start


def test_one_slot_completes_graphs_nested_three_deep(one_slot: Any) -> None:
    with one_slot("three_deep") as fleet:
        chunks = list(nested.three_deep.on(fleet).stream(INPUT, subgraphs=True))
    assert [update for _, update in chunks] == [
        {name: {"key": "", "log": ["leaf"]} if name != "leaf" else {"log": ["leaf"]}}
        for name in ("leaf", "inner", "middle", "outer")
    ]
    assert [len(ns) for ns, _ in chunks] == [3, 2, 1, 0]


def test_one_slot_runs_a_graph_that_a_node_calls(one_slot: Any) -> None:
    with one_slot("calling") as fleet:
        assert nested.calling.on(fleet).invoke(INPUT)["log"] == ["leaf"]


def test_one_slot_completes_an_entrypoint_that_awaits_ten_tasks(one_slot: Any) -> None:
    with one_slot("ten_tasks") as fleet:
        assert nested.ten_tasks.on(fleet).invoke(100) == 2 * sum(range(100, 110))


def test_a_caller_whose_worker_dies_does_not_run_finished_tasks_again(
    server: RedisServer, queue: str, start_worker: Callable[..., Worker]
) -> None:
    key, result = new_key(), list[Any]()
    first = start_worker(f"{MODULE}:two_gates", concurrency=1)
    with Fleet(server.url, queue=queue) as fleet:
        call = threading.Thread(target=lambda: result.append(nested.two_gates.on(fleet).invoke(key)))
        call.start()
        gates.open(f"{key}:1")
        wait_until(lambda: len(gates.arrived(f"{key}:2")) == 1, 15, "the second task")
        first.popen.kill()  # with the caller waiting in it, and the task it waits for running in it
        start_worker(f"{MODULE}:two_gates", concurrency=1)
        wait_until(lambda: len(gates.arrived(f"{key}:2")) == 2, 15, "the second task on another worker")
        gates.open(f"{key}:2")
        call.join(15)
    assert result == [[1, 2]]
    assert len(gates.arrived(f"{key}:caller")) == 2
    assert len(gates.arrived(f"{key}:1")) == 1


def test_an_answer_is_consumed_by_exactly_one_of_two_workers(one_slot: Any) -> None:
    key, config = new_key(), {"configurable": {"thread_id": "1"}}
    graph = nested.asking.compile(InMemorySaver(), name="asking")
    graph.module = None
    with Fleet.inline(workers=2, concurrency=1) as fleet:
        asked = graph.on(fleet).invoke({"key": key, "log": []}, config)["__interrupt__"]
        assert sorted(one.value for one in asked) == ["one", "two"]
        with pytest.raises(RuntimeError, match="multiple pending interrupts"):
            graph.on(fleet).invoke(Command(resume="yes"), config)
        answers = {one.id: f"yes to {one.value}" for one in asked}
        log = graph.on(fleet).invoke(Command(resume=answers), config)["log"]
    assert log == [f"{name} in {os.getpid()}: yes to {name}" for name in ("one", "two")]


def test_a_function_that_computes_for_too_long_is_ended_and_tried_again(one_slot: Any) -> None:
    with one_slot("impatient") as fleet:
        assert nested.impatient.on(fleet).invoke({"key": new_key(), "log": []})["log"] == ["done"]


def test_a_function_that_can_t_be_ended_fails_without_its_worker(one_slot: Any) -> None:
    with one_slot("stuck") as fleet:
        for _ in range(2):  # the slot is free again, though its first thread still sleeps
            with pytest.raises(NodeTimeoutError, match=r"Node 'blocked' exceeded its run timeout of 0\.300s"):
                nested.stuck.on(fleet).invoke(INPUT)


def test_a_store_in_the_caller_s_process_is_one_for_all_workers(one_slot: Any) -> None:
    with one_slot("remembering", workers=2) as fleet:
        graph = nested.remembering.on(fleet)
        for number in range(4):
            assert graph.invoke({"key": f"note {number}", "log": []})["log"] == [f"note {number}"]
    assert [item.value["known"] for item in nested.store.search(("notes",))] == [0, 1, 2, 3]


def test_an_answer_is_not_lost_with_the_worker_that_was_given_it(
    server: RedisServer, queue: str, start_worker: Callable[..., Worker]
) -> None:
    key, config, result = new_key(), {"configurable": {"thread_id": new_key()}}, list[Any]()
    first = start_worker(f"{MODULE}:staying", concurrency=1)
    with Fleet(server.url, queue=queue) as fleet:
        graph = nested.staying.on(fleet)
        assert "__interrupt__" in graph.invoke({"key": key, "log": []}, config)
        call = threading.Thread(target=lambda: result.append(graph.invoke(Command(resume="yes"), config)))
        call.start()
        wait_until(lambda: len(gates.arrived(f"{key}:answered")) == 1, 15, "the answer's arrival")
        first.popen.kill()
        start_worker(f"{MODULE}:staying", concurrency=1)
        call.join(20)
    assert [end["log"] for end in result] == [["yes"]]
    assert len(gates.arrived(f"{key}:answered")) == 2


def test_each_of_a_task_s_threads_needs_an_answer_of_its_own(one_slot: Any) -> None:
    config: Any = {"configurable": {"thread_id": new_key()}}
    with one_slot("crowd") as fleet:
        graph = nested.crowd.on(fleet)
        end = graph.invoke(INPUT, config)
        for answer in ("first", "second", "third"):
            assert len(end["__interrupt__"]) == 1
            end = graph.invoke(Command(resume=answer), config)
    assert sorted(end["log"]) == ["first", "second", "third"]
