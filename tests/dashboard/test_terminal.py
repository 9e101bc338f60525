"""The view, at several sizes: what fits is shown, and nothing that would steer the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from fleetgraph.dashboard.board import Board
from fleetgraph.dashboard.picture import Picture
from fleetgraph.dashboard.records import QueueRecord, Snapshot
from fleetgraph.dashboard.terminal import clean, count, screen, span
from tests.dashboard.scenes import NOW, SNAPSHOTS, coordinator, run, snapshot, task, worker

HEADINGS = ["RUN", "TASK", "WORKER", "QUEUE", "COORDINATOR"]

RUN_ID = "0f3e55e1c4d24b8a9c59a1b0a7e1d2c3"


def seen(last: Snapshot) -> Picture:
    board = Board()
    board.read(last, at=0.0)
    return board.picture(0.0)


def lines(picture: Picture, width: int, height: int | None = None) -> list[str]:
    return screen(picture, width, height, "redis://host:6379/0").plain.split("\n")


def busy(count: int = 60) -> Picture:
    """A fleet with more of everything than any screen holds."""
    runs = [run(f"run{number}", created=NOW - number, thread=f"thread-{number}") for number in range(count)]
    over = [run(f"end{number}", "error", error=f"ValueError: number {number}") for number in range(count)]
    tasks = [task(f"j{number}", f"w{number}", run=f"run{number}", id=f"t{number}") for number in range(count)]
    workers = [worker(f"w{number}") for number in range(count)]
    queues = [QueueRecord(f"q{number}", number, 0, 0, 0) for number in range(count)]
    coordinators = [coordinator(f"c{number}") for number in range(count)]
    return seen(snapshot(*runs, *over, *tasks, *workers, *queues, *coordinators, runs_on_record=5000))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (60, 17), (200, 60)])
def test_every_section_has_its_place(width: int, height: int) -> None:
    shown = lines(busy(), width, height)
    assert len(shown) == height
    assert [cell_len(line) for line in shown] == [width] * height
    headings = [line for line in shown if line.split(" ")[0] in HEADINGS]
    assert [line.split(" ")[0] for line in headings] == HEADINGS
    assert "/5,000" in headings[0]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_failed_runs_are_seen_even_when_many_go_on(width: int, height: int) -> None:
    shown = "\n".join(lines(busy(), width, height))
    assert "ValueError" in shown
    assert "running" in shown


@given(SNAPSHOTS, st.integers(1, 220), st.integers(1, 70))
def test_no_picture_is_too_large_for_a_screen(last: Snapshot, width: int, height: int) -> None:
    shown = lines(seen(last), width, height)
    assert len(shown) <= height
    assert all(cell_len(line) <= width for line in shown)
    assert all(line.isprintable() for line in shown)


def test_80_by_24_tells_what_runs_where_for_how_long_and_in_which_attempt() -> None:
    records = [run(RUN_ID, outstanding=2, step=7), task(run=RUN_ID, node="research", attempt=2), worker()]
    shown = lines(seen(snapshot(*records, QueueRecord("fleetgraph", 4, 0, 1, 0), coordinator())), 80, 24)
    (run_line,) = [line for line in shown if line.startswith("0f3e55e1")]
    assert run_line.split() == ["0f3e55e1", "running", "app:graph", "-", "7", "1/2", "5", "60s"]
    (task_line,) = [line for line in shown if line.startswith("research")]
    assert task_line.split() == ["research", "running", "20s", "2", "w1", "1", "0f3e55e1", "2.0s", "fleetgraph"]
    (queue_line,) = [line for line in shown if line.startswith("fleetgraph ") and "redis:" not in line]
    assert queue_line.split() == ["fleetgraph", "4", "-", "1", "1", "0"]


def test_a_wide_screen_shows_ids_as_a_whole() -> None:
    assert any(line.startswith(f"{RUN_ID} ") for line in lines(seen(snapshot(run(RUN_ID))), 140))


def test_who_is_dead_comes_first_and_says_for_how_long() -> None:
    records = [worker("a"), worker("b"), worker("z", heard=NOW - 12), coordinator("c9", lease_ends=NOW - 5)]
    shown = lines(seen(snapshot(*records)), 80, 24)
    assert [line.split()[:3] for line in shown if line.startswith("z ")] == [["z", "dead", "12s"]]
    assert [line.split()[0] for line in shown if line[:2] in ("a ", "b ", "z ")] == ["z", "a", "b"]
    assert "workers 2 of 3" in shown[1]
    assert any(line.startswith("c9") and "dead 5.0s" in line for line in shown)


@pytest.mark.parametrize("height", [24, None])
def test_an_empty_fleet_says_so(height: int | None) -> None:
    shown = "\n".join(lines(seen(snapshot()), 80, height))
    for words in ("no runs", "no tasks", "no workers", "no queues", "no coordinators"):
        assert words in shown


def test_trouble_is_on_top() -> None:
    board = Board()
    board.read(snapshot(run(), suspended=True), at=0.0)
    board.fail("Connection refused")
    shown = lines(board.picture(0.0), 80, 24)
    assert shown[2].startswith("Redis can't be read: Connection refused. Trying again.")
    assert shown[3].startswith("Workers take no tasks")


def test_names_do_not_steer_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202e\r\n\t"
    records = [run("r1", thread=evil, graph=evil, error=evil), task(node=evil), worker(evil), coordinator(evil)]
    text = screen(seen(snapshot(*records)), 140, 40, evil)
    output = io.StringIO()
    Console(file=output, width=140, force_terminal=True, color_system=None).print(text)
    assert not any(letter in output.getvalue() for letter in evil if letter != "\n" and not letter.isprintable())
    assert clean(evil).isprintable()


def test_names_of_wide_letters_are_cut_where_their_cell_ends() -> None:
    for line in lines(seen(snapshot(run(graph="渋谷のグラフ" * 5, thread="スレッド" * 9))), 80, 24):
        assert cell_len(line) == 80


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (-1, "0.0s"), (0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (99, "99s"), (100, "2m"),
        (3600, "60m"), (5970, "2h"), (47 * 3600, "47h"), (50 * 3600, "2d"), (1e12, "999d"),
    ],
)  # fmt: skip
def test_spans_take_four_cells(seconds: Any, text: str) -> None:
    assert span(seconds) == text


@given(st.floats(0, 1e15))
def test_no_span_takes_more(seconds: float) -> None:
    assert len(span(seconds)) <= 4


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9999, "9999"), (12_345, "12,345"), (123_456, "123k"), (98_765_432, "99M")]
)
def test_numbers_are_short(number: int, text: str) -> None:
    assert count(number) == text
