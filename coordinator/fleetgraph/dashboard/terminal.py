"""The terminal view: a picture as lines of a screen. Needs the extra `watch`.

What a screen can't hold is left out in this order: columns by their importance, then rows, each section keeping some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fleetgraph.dashboard.picture import (
    Health,
    Picture,
    SeenCoordinator,
    SeenQueue,
    SeenRun,
    SeenTask,
    SeenWorker,
    TaskState,
)

ID_LENGTH: Final = 8
"""Characters of an id that are shown at least."""

T = TypeVar("T")

Cell = str | tuple[str, str]
"""A text, or a text and its style."""

_STATUS_STYLES: Final = {
    "pending": "dim",
    "running": "cyan",
    "success": "green",
    "error": "bold red",
    "interrupted": "yellow",
    "cancelled": "magenta",
}
_HEALTH_STYLES: Final = {Health.UP: "green", Health.SILENT: "yellow", Health.DEAD: "bold red"}
_STATE_STYLES: Final = {TaskState.WAITING: "dim", TaskState.RUNNING: "cyan", TaskState.LOST: "bold red"}

_NONE: Final = "-"
_MORE: Final = "…"


@dataclass(frozen=True, slots=True)
class _Column(Generic[T]):
    title: str
    show: Callable[[T], Cell]
    rank: int
    """The columns of the highest ranks are left out first."""
    least: int
    """Cells it takes at least."""
    most: int = 0
    """Cells it takes at most; 0 for `least`."""
    growth: int = 0
    """Those of the lowest ones get what room is left first."""
    align: Literal["left", "right"] = "left"
    identifies: bool = False
    """Whether it shows ids: a few characters of them, or all."""


@dataclass(frozen=True, slots=True)
class _Section(Generic[T]):
    items: Sequence[T]
    total: int
    columns: Sequence[_Column[T]]
    floor: int
    """Rows that it keeps as long as there is room for any."""
    weight: int
    """Its share of what room is left."""
    nothing: str
    """What it says when it is empty."""
    choose: Callable[[Sequence[T], int], Sequence[T]] = lambda items, rows: items[:rows]
    """Which of its items are shown in so many rows."""


def screen(picture: Picture, width: int, height: int | None, where: str) -> Text:
    """The picture on a screen of so many cells.

    Args:
        picture: What to show.
        width: Cells in a line.
        height: Lines; None for as many as it takes.
        where: The Redis, as it may be shown.
    """
    lines = _head(picture, width, where)
    sections = _sections(picture)
    rows = [max(1, len(section.items)) for section in sections]
    if height is not None:
        rows = _shares(sections, height - len(lines))
    for section, count in zip(sections, rows, strict=True):
        if count >= 0:
            lines += _drawn(section, count, width)
    shown = lines if height is None else lines[: max(1, height)]
    return Text("\n", no_wrap=True, overflow="crop").join(shown)


def _head(picture: Picture, width: int, where: str) -> list[Text]:
    rate = "" if picture.events_per_second is None else f"{picture.events_per_second:,.0f} events/s"
    top = _fitted([("fleetgraph", "bold"), clean(where), clock(picture.time), (rate, "bold")], width)
    up = sum(worker.health is Health.UP for worker in picture.workers)
    waiting = sum(queue.waiting for queue in picture.queues)
    running = sum(queue.running for queue in picture.queues)
    counts: list[Cell] = [
        f"runs {picture.runs_held:,} going, {picture.runs_on_record:,} on record",
        f"tasks {running:,} running, {waiting:,} waiting",
        (f"workers {up:,}", "")
        if up == len(picture.workers)
        else (f"workers {up:,} of {len(picture.workers):,}", "yellow"),
    ]
    lines = [top, _fitted(counts, width)]
    if picture.trouble:
        lines.append(_fitted([(f"Redis can't be read: {clean(picture.trouble)}. Trying again.", "bold red")], width))
    if picture.suspended:
        lines.append(_fitted([("Workers take no tasks: somebody suspended them (rq resume).", "yellow")], width))
    return lines


def _sections(picture: Picture) -> list[_Section[Any]]:
    workers = max(picture.workers_on_record, len(picture.workers))
    return [
        _Section(
            picture.runs, max(picture.runs_on_record, len(picture.runs)), _RUNS, 3, 3, "no runs", _going_and_ended
        ),
        _Section(picture.tasks, _known_tasks(picture), _TASKS, 3, 3, "no tasks"),
        _Section(picture.workers, workers, _WORKERS, 2, 2, "no workers"),
        _Section(picture.queues, len(picture.queues), _QUEUES, 1, 1, "no queues"),
        _Section(picture.coordinators, len(picture.coordinators), _COORDINATORS, 1, 1, "no coordinators"),
    ]


def _known_tasks(picture: Picture) -> int:
    return max(len(picture.tasks), sum(queue.waiting + queue.running for queue in picture.queues))


def _going_and_ended(runs: Sequence[SeenRun], rows: int) -> Sequence[SeenRun]:
    """Mostly those that go on, but always some that have ended, which tell what failed."""
    going = [run for run in runs if not run.over]
    ended = runs[len(going) :]
    kept = min(len(ended), max(rows - len(going), rows // 4))
    return [*going[: rows - kept], *ended[:kept]]


# --- rows ------------------------------------------------------------------------------------------------------------


def _shares(sections: Sequence[_Section[Any]], height: int) -> list[int]:
    """How many rows each section gets below its heading; -1 for none and no heading."""
    wants = [max(1, len(section.items)) for section in sections]
    shares = [-1] * len(sections)
    left = height
    for place, section in enumerate(sections):
        least = min(wants[place], section.floor)
        if left >= 1 + least:
            shares[place] = least
            left -= 1 + least
    while left > 0:
        growing = [place for place in range(len(sections)) if 0 <= shares[place] < wants[place]]
        if not growing:
            break
        for place in growing:
            more = min(sections[place].weight, wants[place] - shares[place], left)
            shares[place] += more
            left -= more
    return shares


def _drawn(section: _Section[T], rows: int, width: int) -> list[Text]:
    items = section.choose(section.items, rows)
    cells = [[_cell(column.show(item)) for column in section.columns] for item in items]
    titles = [column.title for column in section.columns]
    if len(items) < section.total:
        titles[0] += f" {len(items):,}/{section.total:,}"
    widths = _widths(section.columns, titles, cells, width)
    lines = [_line([(title, "") for title in titles], section.columns, widths, width, "reverse")]
    lines += [_line(row, section.columns, widths, width) for row in cells]
    if not items and rows > 0:
        lines.append(_fitted([(section.nothing, "dim")], width))
    return lines


def _widths(
    columns: Sequence[_Column[Any]], titles: Sequence[str], cells: Sequence[Sequence[tuple[str, str]]], width: int
) -> list[int]:
    """Cells for each column; 0 for those that are left out."""
    needs = [
        max([cell_len(titles[place]), *(cell_len(row[place][0]) for row in cells)]) for place in range(len(columns))
    ]
    widths = [0] * len(columns)
    left = width
    ranked = sorted(range(len(columns)), key=lambda place: columns[place].rank)
    for place in ranked:
        least = max(columns[place].least, cell_len(titles[place]))
        if left - least >= 0:
            widths[place] = least
            left -= least + 1
    for place in sorted(ranked, key=lambda place: columns[place].growth):
        if widths[place] and left > 0:
            most = max(columns[place].most, columns[place].least)
            more = max(0, min(needs[place], most) - widths[place])
            more = min(more, left) if not columns[place].identifies or more <= left else 0
            widths[place] += more
            left -= more
    return widths


def _line(
    row: Sequence[tuple[str, str]], columns: Sequence[_Column[Any]], widths: Sequence[int], width: int, style: str = ""
) -> Text:
    line = Text(style=style, no_wrap=True)
    for (text, cell_style), column, cells in zip(row, columns, widths, strict=True):
        if cells:
            line.append(" " if line.plain else "")
            line.append(_sized(text, cells, column), cell_style or None)
    line.append(" " * (width - line.cell_len))
    return line


def _sized(text: str, cells: int, column: _Column[Any]) -> str:
    length = cell_len(text)
    if length > cells and not column.identifies:
        return set_cell_size(text, cells - 1) + _MORE
    if column.align == "right":
        return " " * (cells - length) + text
    return set_cell_size(text, cells)


def _fitted(parts: Sequence[Cell], width: int) -> Text:
    """Parts beside each other, as much of them as fits."""
    line = Text(no_wrap=True)
    for text, style in map(_cell, parts):
        if text:
            line.append("  " if line.plain else "")
            line.append(text, style or None)
    line.truncate(width, overflow="ellipsis", pad=True)
    return line


def _cell(cell: Cell) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return clean(text), style


# --- values ----------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text on one line, without what would steer the terminal: names come from anybody."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def span(seconds: float | None) -> str:
    """A span of time, in four characters at most."""
    if seconds is None:
        return _NONE
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}s"
    for limit, size, unit in ((99.5, 1, "s"), (99.5 * 60, 60, "m"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f}{unit}"
    return f"{min(seconds / 86400, 999):.0f}d"


def clock(time: float) -> str:
    """A time of day, where this program runs."""
    return f"{datetime.fromtimestamp(time):%H:%M:%S}"


def count(number: int) -> str:
    """A number, short."""
    if number < 100_000:
        return f"{number:,}" if number >= 10_000 else str(number)
    return f"{number / 1000:,.0f}k" if number < 10_000_000 else f"{number / 1e6:,.0f}M"


def _of(part: int, whole: int | None) -> str:
    return f"{part}/{'?' if whole is None else whole}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or _NONE


# --- columns ---------------------------------------------------------------------------------------------------------


def _last(run: SeenRun) -> Cell:
    """What a run did last, or why it failed."""
    if run.error:
        return run.error.partition("\n")[0], "red" if run.status == "error" else "dim"
    if run.over or not run.last_mode:
        return "", ""
    return f"{run.last_mode} {span(run.quiet)} ago", "dim"


def _waits(queue: SeenQueue) -> Cell:
    return count(queue.waiting), "yellow" if queue.waiting and not queue.workers else ""


def _health(health: Health, silent: float | None = None) -> Cell:
    text = health.value if health is Health.UP or silent is None else f"{health.value} {span(silent)}"
    return text, _HEALTH_STYLES[health]


_RUNS: Final[Sequence[_Column[SeenRun]]] = (
    _Column("RUN", lambda run: run.id, 0, ID_LENGTH, 32, growth=4, identifies=True),
    _Column("STATUS", lambda run: (run.status, _STATUS_STYLES.get(run.status, "")), 1, 9, 11),
    _Column("GRAPH", lambda run: run.graph or _NONE, 2, 10, 32, growth=1),
    _Column("THREAD", lambda run: run.thread or _NONE, 7, 8, 24, growth=2),
    _Column("STEP", lambda run: _NONE if run.superstep is None else count(run.superstep), 3, 4, align="right"),
    _Column("TASKS", lambda run: "" if run.over else _of(run.tasks_running, run.tasks_outstanding), 4, 5, 9),
    _Column("EVENTS", lambda run: count(run.events), 5, 6, 7, align="right"),
    _Column("AGE", lambda run: span(run.took if run.over else run.age), 6, 4, align="right"),
    _Column("COORD", lambda run: run.coordinator[:ID_LENGTH] + "*" * min(run.takeovers, 2), 9, ID_LENGTH, 10),
    _Column("LAST", _last, 8, 12, 80, growth=3),
)
_TASKS: Final[Sequence[_Column[SeenTask]]] = (
    _Column("TASK", lambda task: task.node, 0, 12, 28, growth=1),
    _Column("STATE", lambda task: (task.state.value, _STATE_STYLES[task.state]), 1, 7),
    _Column("FOR", lambda task: span(task.lasted), 2, 4, align="right"),
    _Column("TRY", lambda task: (str(task.attempt), "bold yellow" if task.attempt > 1 else ""), 3, 3, align="right"),
    _Column("WORKER", lambda task: task.worker or _NONE, 4, 10, 32),
    _Column("STEP", lambda task: _NONE if task.superstep is None else count(task.superstep), 6, 4, align="right"),
    _Column("RUN", lambda task: task.run, 5, ID_LENGTH, 32, growth=3, identifies=True),
    _Column("LEASE", lambda task: _NONE if task.lease is None else span(task.lease), 8, 5, align="right"),
    _Column("QUEUE", lambda task: task.queue, 7, 8, 20, growth=2),
)
_WORKERS: Final[Sequence[_Column[SeenWorker]]] = (
    _Column("WORKER", lambda worker: worker.name, 0, 12, 32),
    _Column("HEALTH", lambda worker: _health(worker.health, worker.silent), 1, 8, 11),
    _Column("HOLDS", lambda worker: _of(worker.held, worker.concurrency), 2, 5, 7),
    _Column("DONE", lambda worker: count(worker.succeeded), 3, 5, 6, align="right"),
    _Column("FAILED", lambda worker: (count(worker.failed), "red" if worker.failed else ""), 4, 6, align="right"),
    _Column("UP", lambda worker: span(worker.age), 5, 4, align="right"),
    _Column("QUEUE", lambda worker: _names(worker.queues), 6, 8, 20, growth=1),
    _Column("GRAPHS", lambda worker: _names(worker.graphs), 7, 10, 48, growth=2),
    _Column("HOST", lambda worker: worker.host or _NONE, 8, 4, 24, growth=1),
    _Column("PID", lambda worker: str(worker.pid), 9, 5, 8, align="right"),
)
_QUEUES: Final[Sequence[_Column[SeenQueue]]] = (
    _Column("QUEUE", lambda queue: queue.name, 0, 12, 40),
    _Column("WAITING", _waits, 1, 7, align="right"),
    _Column("OLDEST", lambda queue: span(queue.oldest), 2, 6, align="right"),
    _Column("RUNNING", lambda queue: count(queue.running), 3, 7, align="right"),
    _Column("WORKERS", lambda queue: (count(queue.workers), "" if queue.workers else "red"), 4, 7, align="right"),
    _Column("FAILED", lambda queue: count(queue.failed), 5, 6, align="right"),
)
_COORDINATORS: Final[Sequence[_Column[SeenCoordinator]]] = (
    _Column("COORDINATOR", lambda one: one.id, 0, ID_LENGTH, 32, growth=3, identifies=True),
    _Column("HEALTH", lambda one: _health(one.health, -one.lease), 1, 8, 11),
    _Column("RUNS", lambda one: count(one.runs), 2, 4, align="right"),
    _Column("LEASE", lambda one: span(one.lease), 5, 5, align="right"),
    _Column("UP", lambda one: span(one.age), 4, 4, align="right"),
    _Column("KIND", lambda one: one.kind or _NONE, 3, 8),
    _Column("QUEUE", lambda one: one.queue or _NONE, 8, 8, 20, growth=1),
    _Column("GRAPHS", lambda one: _names(one.graphs), 6, 10, 48, growth=2),
    _Column("HOST", lambda one: one.host or _NONE, 7, 4, 24, growth=1),
    _Column("PID", lambda one: str(one.pid), 9, 5, 8, align="right"),
)
