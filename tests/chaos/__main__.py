"""The chaos run: `python -m tests.chaos --minutes 10`, from the folder of the repository, with Fleetgraph installed."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from pathlib import Path

from tests.chaos.running import Plan, report, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, metavar="M", help="of faults; default: 5")
    parser.add_argument("--seed", type=int, help="decides what users want and which faults there are; default: random")
    parser.add_argument("--hosts", type=int, default=3, metavar="N", help="each with a coordinator; default: 3")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="on each host; default: 1")
    parser.add_argument("--users", type=int, default=8, metavar="N", help="who submit and read runs; default: 8")
    parser.add_argument("--retention", type=int, default=60, metavar="SECONDS", help="of ended runs; default: 60")
    parser.add_argument(
        "--pause", type=float, default=3.0, metavar="SECONDS", help="between faults, at most; default: 3"
    )
    parser.add_argument("--longest", type=float, default=15.0, metavar="SECONDS", help="of a fault; default: 15")
    parser.add_argument("--faults", nargs="+", default=[], metavar="FAULT", help="only these; default: all")
    parser.add_argument(
        "--network", choices=["namespaces", "proxies"], help="what hosts are; default: what the machine allows"
    )
    parser.add_argument("--folder", type=Path, help="where to leave what the processes have printed")
    parser.add_argument("--quiet", action="store_true", help="print the report only")
    options = parser.parse_args()
    plan = Plan(
        options.minutes * 60,
        secrets.randbelow(1_000_000) if options.seed is None else options.seed,
        options.hosts,
        options.workers,
        options.users,
        options.retention,
        options.pause,
        options.longest,
        options.faults,
        None if options.network is None else options.network == "namespaces",
        not options.quiet,
        options.folder,
    )
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and take everything down first
    print(f"seed {plan.seed}", flush=True)
    findings = run(plan)
    print(report(plan, findings), flush=True)
    return 1 if findings.violations else 0


if __name__ == "__main__":
    sys.exit(main())
