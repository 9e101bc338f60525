"""What nodes leave behind when they run: lines in a file, which no fault touches."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fleetgraph.config import get_config
from fleetgraph.runtime import get_runtime

VARIABLE = "FLEETGRAPH_CHAOS_LEDGER"
"""Environment variable: the file. Where it is not set, nothing is written down."""

MARK = "mark"
"""The item of a config's `configurable` that tells one submission from another."""


class Execution(NamedTuple):
    """One task that was tried, of one submission."""

    mark: str
    task: str
    attempt: int
    """1 for the first try of the node, 2 for its first retry."""


@contextmanager
def execution() -> Generator[int]:
    """Writes down that the node begins, and that it has come to its end. Gives which try of it this is."""
    info = get_runtime().execution_info
    assert info is not None
    mark = get_config().get("configurable", {}).get(MARK, "")
    _write(f"begin {mark} {info.task_id} {info.node_attempt}")
    yield info.node_attempt
    _write(f"end {mark} {info.task_id} {info.node_attempt}")


def _write(line: str) -> None:
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        # In one go, so that the lines of several processes don't mix. Who and when is for whoever looks for a cause.
        os.write(descriptor, f"{line} {os.getpid()} {time.time():.2f}\n".encode())
    finally:
        os.close(descriptor)


def begun(path: Path) -> Counter[Execution]:
    """How often each try of each task began."""
    found: Counter[Execution] = Counter()
    for line in path.read_text().splitlines() if path.exists() else ():
        what, mark, task, attempt, *_ = line.split(" ")
        if what == "begin":
            found[Execution(mark, task, int(attempt))] += 1
    return found
