"""The board: events are news until a snapshot that was begun after them; snapshots are the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.dashboard.board import Board
from fleetgraph.dashboard.heads import Head
from fleetgraph.dashboard.picture import Health, Picture, TaskState
from fleetgraph.dashboard.records import QueueRecord, Snapshot
from tests.dashboard.scenes import HEADS, IDS, NOW, SNAPSHOTS, coordinator, run, snapshot, task, worker


def shown(*records: Any, at: float = 0.0, **more: Any) -> Picture:
    """The picture of these records alone."""
    board = Board()
    board.begin()
    board.read(snapshot(*records, **more), at=0.0)
    return board.picture(at)


def told(*records: Any, heads: list[Head], who: str = "r1") -> Picture:
    """The picture of records, and of events that came after them."""
    board = Board()
    board.begin()
    board.read(snapshot(*records), at=0.0)
    board.tell(who, heads, at=0.5)
    return board.picture(1.0)


def test_an_event_is_seen_at_once() -> None:
    (seen,) = told(run(seq=5), heads=[Head(6, "custom", "t", 1), Head(7, "updates", "t", 1)]).runs
    assert (seen.events, seen.last_mode, seen.quiet) == (7, "updates", 0.5)


def test_a_run_that_says_that_it_has_ended_has_ended() -> None:
    (seen,) = told(run(outstanding=2), heads=[Head(6, "run", "", 0, status="error")]).runs
    assert (seen.status, seen.over, seen.took, seen.tasks_outstanding) == ("error", True, 61.0, 0)


def test_an_event_that_comes_late_takes_nothing_back() -> None:
    (seen,) = told(run(status="success", seq=9), heads=[Head(4, "custom", "t", 1)]).runs
    assert (seen.status, seen.events) == ("success", 9)


def test_a_status_that_is_none_is_not_shown() -> None:
    (seen,) = told(run(), heads=[Head(6, "run", "", 0, status="exploded")]).runs
    assert seen.status == "running"


def test_a_snapshot_that_was_begun_before_an_event_does_not_undo_it() -> None:
    board = Board()
    board.begin()
    board.tell("r1", [Head(8, "run", "", 0, status="success")], at=0.1)
    board.read(snapshot(run(seq=5)), at=0.2)
    (seen,) = board.picture(0.3).runs
    assert (seen.status, seen.events) == ("success", 8)


def test_a_snapshot_that_was_begun_after_an_event_is_the_truth() -> None:
    """Redis may have lost what the event told of."""
    board = Board()
    board.tell("r1", [Head(80, "run", "", 0, status="success")], at=0.1)
    board.begin()
    board.read(snapshot(run(seq=5)), at=0.2)
    (seen,) = board.picture(0.3).runs
    assert (seen.status, seen.events) == ("running", 5)


def test_runs_that_nobody_has_on_record_are_asked_for_and_not_shown() -> None:
    board = Board()
    board.tell("new", [Head(1, "values", "", 0)], at=0.0)
    assert board.told == ["new"]
    assert board.picture(0.1).runs == []


def test_the_superstep_is_the_highest_that_was_heard_of() -> None:
    board = Board()
    board.begin()
    board.read(snapshot(run(step=4)), at=0.0)
    board.tell("r1", [Head(6, "debug", "", 0, step=3)], at=0.1)
    assert board.picture(0.2).runs[0].superstep == 4
    board.tell("r1", [Head(7, "checkpoints", "", 0, step=5)], at=0.3)
    board.begin()
    board.read(snapshot(run(step=None)), at=0.4)
    assert board.picture(0.5).runs[0].superstep == 5


@given(
    st.lists(st.one_of(SNAPSHOTS, st.tuples(IDS, st.lists(HEADS, max_size=4)), st.just("begin"), st.just("fail"))),
    SNAPSHOTS,
)
def test_whatever_comes_in_whatever_order_the_last_snapshot_is_what_is_shown(story: list[Any], last: Snapshot) -> None:
    board = Board()
    for clock, happens in enumerate(story):
        match happens:
            case "begin":
                board.begin()
            case "fail":
                board.fail("gone")
            case Snapshot():
                board.read(happens, at=float(clock))
            case who, heads:
                board.tell(who, heads, at=float(clock))
            case _:
                raise AssertionError(happens)
        board.picture(float(clock))
    end = float(len(story))
    board.begin()
    board.read(last, at=end)

    fresh = Board()
    fresh.begin()
    fresh.read(last, at=end)
    remembered = {"superstep": None, "last_mode": "", "quiet": None}
    seen, wanted = (
        replace(one, runs=[replace(each, **remembered) for each in one.runs])
        for one in (board.picture(end + 1), fresh.picture(end + 1))
    )
    assert seen == wanted
    assert board.told == []


@given(st.lists(st.tuples(st.text(max_size=4), st.lists(HEADS, min_size=1, max_size=2)), max_size=60))
def test_what_it_remembers_is_bounded_by_what_is_on_record(news: list[tuple[str, list[Head]]]) -> None:
    board = Board()
    for who, heads in news:
        board.tell(who, heads, at=0.0)
    board.begin()
    board.read(snapshot(run("r1")), at=1.0)
    assert set(board._memory) <= {"r1"}
    assert board._live == {}


@pytest.mark.parametrize(
    ("record", "state", "lasted"),
    [
        (task(worker="", lease_ends=None), TaskState.WAITING, 30.0),
        (task(), TaskState.RUNNING, 20.0),
        (task(lease_ends=None), TaskState.RUNNING, 20.0),
        (task(lease_ends=NOW - 0.1), TaskState.LOST, 20.0),
    ],
    ids=["waits", "runs", "runs, lease not read", "lost"],
)
def test_where_a_task_stands(record: Any, state: TaskState, lasted: float) -> None:
    (seen,) = shown(run(), record).tasks
    assert (seen.state, seen.lasted) == (state, lasted)


@pytest.mark.parametrize(
    ("records", "health"),
    [
        ([worker(heard=NOW - 1)], Health.UP),
        ([worker(heard=NOW - 4)], Health.SILENT),
        ([worker(heard=NOW - 7)], Health.DEAD),
        ([worker(heard=NOW - 7), task(lease_ends=NOW + 20)], Health.UP),
        ([worker(heard=NOW - 7), task(lease_ends=NOW - 1)], Health.DEAD),
        ([worker(heard=NOW - 200, ours=False)], Health.UP),
        ([worker(heard=None)], Health.UP),
    ],
    ids=["up", "silent", "dead", "beats less often", "dead with a task", "RQ's own", "does not say"],
)
def test_how_a_worker_is(records: list[Any], health: Health) -> None:
    (seen,) = shown(*records).workers
    assert seen.health is health


def test_how_a_coordinator_is() -> None:
    seen = shown(coordinator("c1"), coordinator("c2", lease_ends=NOW - 1)).coordinators
    assert [(one.id, one.health) for one in seen] == [("c2", Health.DEAD), ("c1", Health.UP)]


def test_time_that_passes_between_snapshots_makes_nobody_dead() -> None:
    picture = shown(worker(), task(), coordinator(), at=60.0)
    assert picture.workers[0].health is Health.UP
    assert picture.coordinators[0].health is Health.UP
    assert (picture.tasks[0].state, picture.tasks[0].lasted) == (TaskState.RUNNING, 80.0)


def test_while_redis_is_away_all_stays_as_it_was() -> None:
    board = Board()
    board.begin()
    board.read(snapshot(run(), worker()), at=0.0)
    board.begin()
    board.fail("no answer")
    picture = board.picture(100.0)
    assert (picture.trouble, picture.time, picture.runs[0].age) == ("no answer", NOW, 60.0)
    board.begin()
    board.read(snapshot(run()), at=101.0)
    assert board.picture(101.0).trouble == ""


def test_a_queue_tells_how_long_the_next_task_waits_and_who_listens() -> None:
    queue = QueueRecord("fleetgraph", waiting=2, popped=1, running=4, failed=5)
    records = [queue, task("j1", "", enqueued=NOW - 9), task("j2", "", enqueued=NOW - 3), worker()]
    (seen,) = shown(*records, worker("dead", heard=NOW - 50)).queues
    assert (seen.waiting, seen.running, seen.failed, seen.oldest, seen.workers) == (3, 4, 5, 9.0, 1)


def test_events_are_counted() -> None:
    board = Board(listening=True)
    for place in range(100):
        board.tell("r1", [Head(place + 1, "custom", "", 0)], at=place / 10)
    assert board.picture(9.9).events_per_second == pytest.approx(10, abs=1)
    assert board.picture(60.0).events_per_second == 0
    assert shown().events_per_second is None
