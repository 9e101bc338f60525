"""Functions that are ended from outside: there, and nowhere else."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from fleetgraph.errors import TaskStopped
from fleetgraph.worker.interrupting import Interruptible
from tests.waiting import wait_until


class Late(Exception):
    """What a test raises in a function."""


def spin(running: threading.Event) -> None:
    running.set()
    while True:
        pass


def run_in_thread(call: Interruptible, function: Any) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call.run(function)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


@pytest.mark.parametrize("kind", [TaskStopped, Late])
def test_a_function_that_computes_ends(kind: type[BaseException]) -> None:
    call, running = Interruptible(), threading.Event()
    thread, caught = run_in_thread(call, lambda: spin(running))
    running.wait(10)
    call.stop() if kind is TaskStopped else call.interrupt(kind)
    thread.join(10)
    assert [type(error) for error in caught] == [kind]


def test_one_that_was_stopped_before_it_began_does_not_begin() -> None:
    call, ran = Interruptible(), list[int]()
    call.stop()
    with pytest.raises(TaskStopped):
        call.run(lambda: ran.append(1))
    assert ran == []


def test_nothing_is_raised_after_its_end() -> None:
    call = Interruptible()
    assert call.run(lambda: 1) == 1
    call.stop()
    call.interrupt(Late)
    for _ in range(1000):
        time.monotonic()


def test_stopping_at_any_moment_ends_the_function_or_nothing() -> None:
    """Thousands of stops, at all moments of short functions: no thread dies, no lock stays taken."""
    jobs, over = [Interruptible() for _ in range(3000)], threading.Event()
    done: list[str] = []

    def work() -> None:
        for call in jobs:
            try:
                call.run(lambda: sum(range(50)))
                done.append("ended")
            except TaskStopped:
                done.append("stopped")
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not over.is_set():
        position = len(done)
        for call in jobs[position : position + 3]:
            call.stop()
    thread.join(10)
    assert len(done) == len(jobs)
    wait_until(lambda: not thread.is_alive())
