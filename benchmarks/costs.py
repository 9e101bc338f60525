"""What a task costs Redis, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.children import Child
from benchmarks.model import Contender

NAME: Final = "costs"
"""On the command line."""

WHERE: Final = "benchmarks.subjects.commands:Commands"

FAN_OUT: Final = {"workload": "fan_out", "workers": 2}

TASKS: Final = 1000
"""Supersteps of the loops, and tasks of the fan-outs."""

SCENARIOS: Final = (
    Contender(
        "superstep", "of one node, 1 worker, RedisSaver in the same Redis", WHERE, {"workload": "loop", "saver": True}
    ),
    Contender("superstep, no saver", "of one node, 1 worker", WHERE, {"workload": "loop"}),
    Contender(
        "fan-out", f"of {TASKS:,} tasks, 2 workers, RedisSaver in the same Redis", WHERE, {**FAN_OUT, "saver": True}
    ),
    Contender("fan-out, no saver", f"of {TASKS:,} tasks, 2 workers", WHERE, FAN_OUT),
)

LEAST: Final = 0.005
"""Per task: what happens less often belongs to the run, or to nobody."""


@dataclass(frozen=True)
class Cost:
    """What Redis did per task."""

    scenario: Contender
    each: Mapping[str, float]
    """Totals; `<who> <command or script>`; `<script>: <command>`."""


def count(only: Sequence[str] | None = None, size: int | None = None) -> Iterator[Cost]:
    """Run the scenarios, one after the other.

    Args:
        only: The names of some of them.
        size: How many tasks there are.

    Raises:
        SubjectFailed: One could not be run.
    """
    for scenario in SCENARIOS:
        if only and scenario.name not in only:
            continue
        with Child(scenario, scenario.arguments) as child:
            child.round(size or TASKS)  # what happens once for each worker has happened after it
            yield Cost(scenario, {what: figures[0] for what, figures in child.round(size or TASKS).items()})


def text(cost: Cost) -> str:
    """The table of a scenario."""
    each = cost.each
    inside: dict[str, list[tuple[str, float]]] = {}
    sent: list[tuple[str, float]] = []
    for what, number in each.items():
        script, separator, command = what.partition(": ")
        if separator:
            inside.setdefault(script, []).append((command, number))
        elif " " in what and not what.startswith(("round", "bytes", "commands")):
            sent.append((what, number))
    lines = [
        f"## costs: {cost.scenario.name}, {cost.scenario.what}; per task",
        "",
        f"{each['commands']:.2f} commands in {each['round trips']:.2f} round trips; scripts call "
        f"{each['commands in scripts']:.2f} more; {each['bytes in']:,.0f} bytes in, {each['bytes out']:,.0f} out",
        "",
    ]
    for what, number in _frequent(sent):
        lines.append(f"{number:8.2f}  {what}")
        called = _frequent(inside.get(what.partition(" ")[2], []))
        if called:
            lines.append(f"{'':10}{', '.join(f'{command} {times:.2f}' for command, times in called)}")
    return "\n".join(lines)


def _frequent(counts: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(((what, number) for what, number in counts if number >= LEAST), key=lambda one: -one[1])


def plain(cost: Cost) -> dict[str, Any]:
    """The same, for JSON."""
    return {"scenario": cost.scenario.name, "what": cost.scenario.what, "per_task": dict(cost.each)}
