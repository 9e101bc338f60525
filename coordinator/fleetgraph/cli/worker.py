"""`fleetgraph worker`."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable

from fleetgraph.worker.main import run_worker


def run(options: argparse.Namespace) -> int:
    """Work until told to stop."""
    return run_worker(
        options.graphs,
        options.redis,
        queue=options.queue,
        concurrency=options.concurrency,
        name=options.name,
        report=None if options.ready_fd is None else _reporter(options.ready_fd),
        until=_owner_is_gone if options.owned else None,
    )


def _reporter(pipe: int) -> Callable[[str], None]:
    """Says into a pipe, once, how starting went."""
    os.set_inheritable(pipe, False)

    def report(text: str) -> None:
        with os.fdopen(pipe, "w") as writer:
            writer.write(text)

    return report


def _owner_is_gone(stop: Callable[[], None]) -> None:
    """Stop once the process that started this one closes our stdin, as the system does when that process dies."""

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        stop()

    threading.Thread(target=watch, name="fleetgraph-owner", daemon=True).start()
