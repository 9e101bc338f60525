"""The threads of a worker that run user code, and its event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

import pytest

from fleetgraph.worker.slots import CodeThreads, LoopThread

SECONDS = 20.0


@contextmanager
def code_threads(count: int) -> Generator[CodeThreads]:
    errors: list[BaseException] = []
    threads = CodeThreads(count, errors.append)
    threads.start()
    try:
        yield threads
    finally:
        threads.stop()
    assert errors == []


class Gate:
    """What a job waits at, which tells that it has come there."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self._reached.set()
        assert self._opened.wait(SECONDS)

    def reached(self) -> bool:
        return self._reached.wait(SECONDS)

    def is_reached(self) -> bool:
        return self._reached.is_set()

    def open(self) -> None:
        self._opened.set()


def away_at(threads: CodeThreads, gate: Gate) -> None:
    with threads.away:
        gate.pass_through()


def barrier(threads: CodeThreads) -> None:
    """Returns when a job that is given now has been done."""
    done = threading.Event()
    threads.submit(done.set)
    assert done.wait(SECONDS)


def assert_that_the_next_job_waits_for(threads: CodeThreads, gate: Gate) -> None:
    following = threading.Event()
    threads.submit(following.set)
    assert not following.wait(0.05)
    gate.open()
    assert following.wait(SECONDS)


def assert_that_all_can_be_away(threads: CodeThreads, count: int) -> None:
    gates = [Gate() for _ in range(count)]
    for gate in gates:
        threads.submit(partial(away_at, threads, gate))
    assert all(gate.reached() for gate in gates)
    for gate in gates:
        gate.open()
    barrier(threads)


def test_jobs_are_done_in_their_order_by_one_thread() -> None:
    names: list[str] = []
    numbers: list[int] = []
    with code_threads(4) as threads:

        def job(number: int) -> None:
            numbers.append(number)
            names.append(threading.current_thread().name)

        def first() -> None:
            for number in range(100):
                threads.submit(partial(job, number))

        threads.submit(first)
        barrier(threads)
        barrier(threads)  # behind what the first job submitted
    assert numbers == list(range(100))
    assert len(set(names)) == 1


def test_while_a_job_is_present_another_one_waits() -> None:
    present = Gate()
    with code_threads(2) as threads:
        threads.submit(present.pass_through)
        assert present.reached()
        assert_that_the_next_job_waits_for(threads, present)


def test_all_threads_can_be_away_at_once() -> None:
    with code_threads(20) as threads:
        assert_that_all_can_be_away(threads, 20)


def test_a_job_waits_when_all_threads_are_away_and_is_done_by_the_first_that_is_free() -> None:
    gates = [Gate() for _ in range(2)]
    last = threading.Event()
    with code_threads(2) as threads:
        for gate in gates:
            threads.submit(partial(away_at, threads, gate))
        assert all(gate.reached() for gate in gates)
        threads.submit(last.set)
        assert not last.is_set()
        gates[1].open()
        assert last.wait(SECONDS)
        gates[0].open()


def test_a_job_that_was_away_and_is_back_lets_nobody_else_begin() -> None:
    outside, inside = Gate(), Gate()
    with code_threads(2) as threads:

        def job() -> None:
            away_at(threads, outside)
            inside.pass_through()

        threads.submit(job)
        assert outside.reached()
        outside.open()
        assert inside.reached()
        assert_that_the_next_job_waits_for(threads, inside)


@pytest.mark.parametrize("raising", [False, True])
def test_going_away_while_being_away_changes_nothing(raising: bool) -> None:
    within, behind, present = Gate(), Gate(), Gate()

    def job(threads: CodeThreads) -> None:
        with threads.away:
            try:
                with threads.away:
                    within.pass_through()
                    if raising:
                        raise ValueError
            except ValueError:
                pass
            behind.pass_through()
        present.pass_through()

    with code_threads(2) as threads:
        threads.submit(partial(job, threads))
        assert within.reached()
        barrier(threads)
        within.open()
        assert behind.reached()
        barrier(threads)
        behind.open()
        assert present.reached()
        assert_that_the_next_job_waits_for(threads, present)


def test_being_away_means_nothing_in_other_threads() -> None:
    present, following = Gate(), threading.Event()
    with code_threads(2) as threads:
        threads.submit(present.pass_through)
        assert present.reached()
        with threads.away:
            threads.submit(following.set)
            assert not following.wait(0.05)
        present.open()
        assert following.wait(SECONDS)


def test_a_thread_that_is_lent_takes_the_place_of_one_that_waits() -> None:
    waiting, lent = Gate(), Gate()
    with code_threads(1) as threads:
        threads.submit(partial(away_at, threads, waiting))
        assert waiting.reached()
        threads.submit(partial(away_at, threads, lent))
        assert not lent.is_reached()
        threads.lend()
        assert lent.reached()
        threads.take_back()
        waiting.open()
        lent.open()
        barrier(threads)
        gates = [Gate(), Gate()]
        for gate in gates:
            threads.submit(partial(away_at, threads, gate))
        assert gates[0].reached()
        assert not gates[1].is_reached()  # there is one thread again
        for gate in gates:
            gate.open()
        barrier(threads)


def test_what_was_submitted_is_done_before_the_threads_end() -> None:
    done: list[int] = []
    finished = threading.Event()
    present = Gate()
    errors: list[BaseException] = []
    threads = CodeThreads(3, errors.append)
    threads.start()
    threads.submit(present.pass_through)
    assert present.reached()
    for number in range(10):
        threads.submit(partial(done.append, number))
    threads.submit(finished.set)
    threads.stop()
    present.open()
    assert finished.wait(SECONDS)
    assert done == list(range(10))
    assert errors == []


def test_a_job_that_raises_is_told() -> None:
    told = threading.Event()
    errors: list[BaseException] = []

    def crashed(error: BaseException) -> None:
        errors.append(error)
        told.set()

    def job() -> None:
        raise ValueError("broken")

    threads = CodeThreads(1, crashed)
    threads.start()
    threads.submit(job)
    assert told.wait(SECONDS)
    assert [str(error) for error in errors] == ["broken"]


def test_many_coroutines_of_many_threads_run_on_the_loop() -> None:
    errors: list[BaseException] = []
    loop = LoopThread(errors.append)
    loop.start()
    ended: list[BaseException | None] = []
    all_ended = threading.Semaphore(0)
    count, each = 8, 50

    def done(error: BaseException | None) -> None:
        ended.append(error)
        all_ended.release()

    async def work() -> None:
        await asyncio.sleep(0)

    def submit(done: Callable[[BaseException | None], None]) -> None:
        for _ in range(each):
            loop.submit(work(), done)

    submitters = [threading.Thread(target=submit, args=(done,)) for _ in range(count)]
    for thread in submitters:
        thread.start()
    for _ in range(count * each):
        assert all_ended.acquire(timeout=SECONDS)
    for thread in submitters:
        thread.join()
    loop.stop()
    assert ended == [None] * (count * each)
    assert errors == []


def test_a_coroutine_that_is_cancelled_before_it_begins_ends_as_cancelled() -> None:
    errors: list[BaseException] = []
    loop = LoopThread(errors.append)
    loop.start()
    gate, ended = Gate(), threading.Event()
    seen: list[BaseException | None] = []

    async def hold_up() -> None:
        gate.pass_through()

    async def never() -> None:
        raise AssertionError("it began")

    def done(error: BaseException | None) -> None:
        seen.append(error)
        ended.set()

    loop.submit(hold_up(), lambda _: None)
    assert gate.reached()
    loop.submit(never(), done).cancel()
    gate.open()
    assert ended.wait(SECONDS)
    loop.stop()
    assert [type(error) for error in seen] == [asyncio.CancelledError]
    assert errors == []


def test_threads_that_are_lent_and_taken_back_all_the_time_are_as_many_as_before() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with code_threads(4) as threads:

            def job() -> None:
                threads.lend()
                with threads.away:
                    pass
                threads.take_back()

            for _ in range(3000):
                threads.submit(job)
            for _ in range(4):
                barrier(threads)
            assert_that_all_can_be_away(threads, 4)
    finally:
        sys.setswitchinterval(interval)


def test_who_can_not_be_lent_a_thread_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[str] = []
    with code_threads(2) as threads:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        def job() -> None:
            monkeypatch.setattr(threading.Thread, "start", refuse)
            try:
                threads.lend()
            except RuntimeError as error:
                refusals.append(str(error))
            monkeypatch.undo()

        threads.submit(job)
        barrier(threads)
        barrier(threads)
    assert refusals == ["can't start new thread"]
