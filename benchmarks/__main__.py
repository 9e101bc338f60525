"""Measure what Fleetgraph costs, beside what it is compared with: python -m benchmarks [name ...]"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from benchmarks import costs
from benchmarks.arguments import new_file, positive
from benchmarks.children import SubjectFailed
from benchmarks.measure import Measured, measure
from benchmarks.model import Group
from benchmarks.peers.environment import ENVIRONMENT_VARIABLE, peer_python, peer_versions
from benchmarks.plot import svg
from benchmarks.report import plain, text
from benchmarks.suite import SUITE
from fleetgraph.redis_server import RedisServer

NAMES = [*SUITE, costs.NAME]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    with RedisServer() as server, server.client() as client:
        untyped: Any = client
        info = untyped.info("server")
    return {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "server": f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}",
        **{name: version(name) for name in ("redis", "hiredis", "rq", "langgraph")},
    }


def measure_group(group: Group, arguments: argparse.Namespace, python: str | None) -> Measured | None:
    """Measure those contenders of a group that were asked for; None if there are none."""
    contenders = [
        contender
        for contender in group.contenders
        if (python is not None or not contender.peer) and (not arguments.only or contender.name in arguments.only)
    ]
    if not contenders:
        return None
    with RedisServer() as server:
        return measure(
            group,
            contenders,
            rounds=arguments.rounds or group.rounds,
            size=arguments.size or group.size,
            url=server.url,
            peer_python=python,
        )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(NAMES)} (default: all)")
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="CONTENDER", help="no others than these, such as: fleet floor"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also measure Celery, Ray and Dask (python -m benchmarks.peers install)",
    )
    parser.add_argument(
        "--rounds", type=positive, metavar="N", help="turns of each contender (default: as the group says)"
    )
    parser.add_argument("--size", type=positive, metavar="N", help="size of a turn (default: as the group says)")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--plot", type=new_file, metavar="FILE", help="also draw them: an SVG")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in NAMES]:
        parser.error(f"no such thing to measure: {', '.join(unknown)} (there are: {', '.join(NAMES)})")
    arguments.names = arguments.names or NAMES
    contenders = {
        contender.name for name in arguments.names for group in SUITE.get(name, ()) for contender in group.contenders
    }
    contenders |= {scenario.name for scenario in costs.SCENARIOS if costs.NAME in arguments.names}
    if unknown := [name for name in arguments.only or () if name not in contenders]:
        parser.error(f"no such contender: {', '.join(unknown)} (there are: {', '.join(sorted(contenders))})")
    return arguments


@dataclass
class Findings:
    """All that was found out so far."""

    about: dict[str, Any]
    measured: list[Measured] = field(default_factory=list[Measured])
    costs: list[costs.Cost] = field(default_factory=list[costs.Cost])

    def write(self, arguments: argparse.Namespace) -> None:
        """Write the files that were asked for."""
        if arguments.json:
            figures = {
                "about": self.about,
                "groups": [plain(measured) for measured in self.measured],
                "costs": [costs.plain(cost) for cost in self.costs],
            }
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
        if arguments.plot and self.measured:
            arguments.plot.write_text(svg(self.measured))


def find_out(arguments: argparse.Namespace, python: str | None, findings: Findings) -> Iterator[str]:
    """Measure one thing after the other; yields what there is to tell when there is more of it."""
    for name in arguments.names:
        for group in SUITE.get(name, ()):
            if (measured := measure_group(group, arguments, python)) is not None:
                findings.measured.append(measured)
                yield text(measured)
    if costs.NAME in arguments.names:
        for cost in costs.count(arguments.only, arguments.size):
            findings.costs.append(cost)
            yield costs.text(cost)


def main() -> int:
    """Measure, and tell. The exit code is 1 if something could not be measured."""
    arguments = parsed()
    python = peer_python() if arguments.peers else None
    if arguments.peers and python is None:
        print(
            f"Celery, Ray and Dask are left out: there is no environment for them. Make one with "
            f"`python -m benchmarks.peers install`, or name one in {ENVIRONMENT_VARIABLE}.\n",
            file=sys.stderr,
        )
    findings = Findings(machine() | ({} if python is None else peer_versions(python)))
    print(", ".join(f"{key} {value}" for key, value in findings.about.items()), flush=True)
    try:
        for told in find_out(arguments, python, findings):
            print(f"\n{told}", flush=True)
            findings.write(arguments)
    except SubjectFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if not (findings.measured or findings.costs):
        print("\nNothing was measured: what was asked for are peers. Add --peers.", file=sys.stderr)
        return 1
    return 1 if any(measured.failures for measured in findings.measured) else 0


if __name__ == "__main__":
    sys.exit(main())
