"""The command `fleetgraph`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fleetgraph.errors import FleetgraphError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except FleetgraphError as error:
        print(f"fleetgraph: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetgraph", description="State graphs on a fleet of machines: Redis-queued workers, live streams."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    worker = commands.add_parser("worker", help="run nodes of graphs", description="Run nodes of graphs.")
    worker.add_argument(
        "graphs", nargs="+", metavar="GRAPH", help="module:attribute, file.py:attribute or langgraph.json[:name]"
    )
    worker.add_argument("--redis", metavar="URL", default="redis://localhost:6379/0", help="default: %(default)s")
    worker.add_argument("--queue", default="fleetgraph", help="the queue to listen on; default: %(default)s")
    worker.add_argument("--concurrency", type=_positive, default=8, metavar="N", help="tasks at once; default: 8")
    worker.add_argument("--name", help="what the worker is called; must differ from all others'")
    worker.add_argument(
        "--lease",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="silence after which the worker's tasks go to another; more than any node holds the interpreter's lock; "
        "default: 3",
    )
    worker.add_argument("--owned", action="store_true", help=argparse.SUPPRESS)
    worker.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    worker.set_defaults(run=_run_worker)

    demo = commands.add_parser(
        "demo",
        help="watch a graph run on worker processes, chunk by chunk",
        description="Run the streaming guide's graph on two worker processes and print every mode's chunks.",
    )
    demo.add_argument("--redis", metavar="URL", help="use this Redis and the workers that listen on it")
    demo.set_defaults(run=_run_demo)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _run_worker(options: argparse.Namespace) -> int:
    from fleetgraph.worker.main import run_worker

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` has it, so that app:graph is found in the folder of app.py
    return run_worker(
        options.graphs,
        options.redis,
        queue=options.queue,
        concurrency=options.concurrency,
        name=options.name,
        owned=options.owned,
        ready_fd=options.ready_fd,
        lease_seconds=options.lease,
    )


def _run_demo(options: argparse.Namespace) -> int:
    from fleetgraph.cli.demo import run

    return run(options.redis)
