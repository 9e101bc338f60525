"""What bounds a fleet: the processor time that Redis, coordinator and workers spend on a task; and what a second Redis
adds, with runs placed on either by their threads: python -m benchmarks.scaling
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final
from zlib import crc32

import psutil

from benchmarks.arguments import positive
from benchmarks.workloads import scaled
from fleetgraph.fleet import Fleet

RUNS: Final = 16
"""Runs at once, each in a thread of its own, as a service's callers are."""

TASKS: Final = 100
"""Tasks of each run."""


def placed(fleets: Sequence[Any], thread: str) -> Any:
    """The fleet of a thread: always the same one, as long as there are as many."""
    return fleets[crc32(thread.encode()) % len(fleets)]


def spent(processes: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """Seconds of processor time that kinds of processes have spent."""
    return {kind: sum(sum(one.cpu_times()[:2]) for one in ones) for kind, ones in processes.items()}


def kinds() -> dict[str, list[psutil.Process]]:
    """The processes of the fleets of this one, by what they are."""
    here = psutil.Process()
    children = here.children(recursive=True)
    servers = [one for one in children if "server" in one.name()]
    return {
        "Redis": servers,
        "coordinator and callers": [here],
        "workers": [one for one in children if one not in servers],
    }


def measure(count: int, workers: int, rounds: int, run: Callable[[Any, str], None]) -> tuple[float, dict[str, float]]:
    """Tasks per second through so many Redis servers, and microseconds of processor time per task."""
    with ExitStack() as stack, ThreadPoolExecutor(RUNS) as pool:
        fleets = [stack.enter_context(Fleet.local(workers=workers)) for _ in range(count)]
        for number in range(count):
            run(fleets[number], "warm")

        def run_there(thread: str) -> None:
            run(placed(fleets, thread), thread)

        rates: list[float] = []
        times: list[dict[str, float]] = []
        for number in range(rounds):
            processes = kinds()
            before, began = spent(processes), time.perf_counter()
            threads = [f"{number}-{one}" for one in range(RUNS)]
            list(pool.map(run_there, threads))
            tasks = RUNS * TASKS
            rates.append(tasks / (time.perf_counter() - began))
            after = spent(processes)
            times.append({kind: (after[kind] - before[kind]) / tasks * 1e6 for kind in after})
    return statistics.median(rates), {kind: statistics.median(one[kind] for one in times) for kind in times[0]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="how often to measure (default: 5)")
    rounds: int = parser.parse_args().rounds

    def supersteps(fleet: Any, thread: str) -> None:
        scaled.chain.on(fleet).invoke({"done": 0, "steps": TASKS}, {"recursion_limit": TASKS + 10})

    def sends(fleet: Any, thread: str) -> None:
        scaled.sends.on(fleet).invoke({"tasks": TASKS, "done": []})

    for what, run in (("chains of supersteps", supersteps), ("fan-outs", sends)):
        for count, workers in ((1, 2), (2, 1)):
            rate, times = measure(count, workers, rounds, run)
            shown = ", ".join(f"{kind} {micro:.0f} µs" for kind, micro in times.items())
            print(
                f"{what}, {RUNS} runs at once, {count} Redis, 2 workers in all: {rate:,.0f} tasks/s; per task: {shown}"
            )


if __name__ == "__main__":
    main()
