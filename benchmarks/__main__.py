"""Measure what a superstep costs, beside what it is compared with: python -m benchmarks [name ...]"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import Subject, as_json, measure, table
from fleetgraph.redis_server import RedisServer

BASE = "floor"
"""The subject that ratios are taken to."""


def _floor(url: str) -> Subject:
    from benchmarks.floor import PingPong

    return PingPong(url)


def _rq(url: str) -> Subject:
    from benchmarks.peers import StockRQ

    return StockRQ(url)


def _langgraph(url: str) -> Subject:
    from benchmarks.peers import langgraph_in_process

    return langgraph_in_process()


def _in_process(url: str) -> Subject:
    from benchmarks.fleet import in_process

    return in_process()


def _fleet(url: str) -> Subject:
    from benchmarks.fleet import OnFleet

    return OnFleet()


SUBJECTS: dict[str, Callable[[str], Subject]] = {
    "floor": _floor,
    "fleet": _fleet,
    "rq": _rq,
    "in-process": _in_process,
    "langgraph": _langgraph,
}
"""Each imports what it measures only when asked for, so that it can't weigh on the rest."""


def machine(url: str) -> dict[str, Any]:
    """What the figures depend on."""
    import redis

    with redis.Redis.from_url(url) as client:
        untyped: Any = client
        info = untyped.info("server")
    return {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "server": f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}",
        **{name: version(name) for name in ("redis", "hiredis", "rq", "langgraph")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"what to measure: {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--rounds", type=int, default=10, help="how often each takes its turn (default: 10)")
    parser.add_argument("--trips", type=int, default=100, help="round trips in a turn (default: 100)")
    arguments = parser.parse_args()
    names: list[str] = arguments.names or list(SUBJECTS)
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        parser.error(f"no such thing to measure: {', '.join(unknown)} (there are: {', '.join(SUBJECTS)})")

    with RedisServer() as server:
        about = machine(server.url)
        subjects = [SUBJECTS[name](server.url) for name in names]
        results = measure(subjects, arguments.rounds, arguments.trips)
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(f"{arguments.rounds} rounds of {arguments.trips} round trips each, in turns; times in µs\n")
    print(table(results, BASE))
    if arguments.json:
        figures = {"about": about, "results": as_json(results, BASE)}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
