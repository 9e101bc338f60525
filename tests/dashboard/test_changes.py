"""What changed, in lines."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from fleetgraph.dashboard.board import Board
from fleetgraph.dashboard.changes import changes
from fleetgraph.dashboard.picture import Picture
from fleetgraph.dashboard.records import Snapshot
from tests.dashboard.scenes import NOW, SNAPSHOTS, coordinator, run, snapshot, task, worker


def seen(last: Snapshot, trouble: str = "") -> Picture:
    board = Board()
    board.read(last, at=0.0)
    if trouble:
        board.fail(trouble)
    return board.picture(0.0)


def lines(before: list[Any], after: list[Any]) -> list[str]:
    return changes(
        seen(snapshot(*before, workers_on_record=0)), seen(snapshot(*after, time=NOW + 1, workers_on_record=0))
    )


def test_a_run_begins_and_ends() -> None:
    assert lines([], [run(created=NOW)]) == ["run r1 running: graph app:graph"]
    failed = run(status="error", error="ValueError: no\nmore", thread="t")
    assert lines([run()], [failed]) == ["run r1 error: graph app:graph, thread t, 5 events in 50.0 s, ValueError: no"]


def test_an_old_run_that_was_left_out_before_is_no_news() -> None:
    assert lines([], [run()]) == []


def test_a_run_is_taken_over() -> None:
    assert lines([run()], [run(coordinator="c2", epoch=2)]) == ["run r1 goes on with coordinator c2"]


def test_a_worker_comes_dies_and_goes() -> None:
    assert lines([], [worker()]) == ["worker w1 is there: queue fleetgraph, graphs app:graph"]
    (died,) = lines([worker()], [worker(heard=NOW - 8)])
    assert died == "worker w1 is dead: no sign of life for 9.0 s, holds 1 tasks"
    assert lines([worker(heard=NOW - 8)], [worker(heard=NOW + 1)]) == ["worker w1 is up again"]
    assert lines([worker()], []) == ["worker w1 has gone"]


def test_a_task_is_lost_and_given_to_another_worker() -> None:
    what = "task t1 of run r1, node think, attempt"
    assert lines([task()], [task(lease_ends=NOW)]) == [f"{what} 1: lost by worker w1"]
    given_on = task(worker="w2", attempt=2, lease_ends=NOW + 9)
    assert lines([task(lease_ends=NOW - 1)], [given_on]) == [f"{what} 2: running on w2"]


def test_a_coordinator_comes_dies_and_goes() -> None:
    assert lines([], [coordinator()]) == ["coordinator c1 is there: service on host"]
    (died,) = lines([coordinator()], [coordinator(lease_ends=NOW)])
    assert died == "coordinator c1 shows no sign of life: it holds 1 runs"
    assert lines([coordinator()], []) == ["coordinator c1 has gone"]


def test_redis_goes_and_comes_back() -> None:
    here, away = seen(snapshot(run())), seen(snapshot(run()), "no answer")
    assert changes(here, away) == ["Redis can't be read: no answer"]
    assert changes(away, away) == []
    assert changes(away, here) == ["Redis can be read again"]


@settings(max_examples=40)  # two snapshots take long to make
@given(SNAPSHOTS, SNAPSHOTS)
def test_any_two_pictures_can_be_told_apart(before: Snapshot, after: Snapshot) -> None:
    assert all(isinstance(line, str) for line in changes(seen(before), seen(after)))
    assert changes(seen(after), seen(after)) == []
