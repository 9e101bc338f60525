"""Starting coordinator processes the way people do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.fleet.processes import Process, environment


class CoordinatorProcess(Process):
    """A `fleetgraph coordinator` process. It takes calls when `await_ready` has returned.

    Args:
        graphs: What it loads, as on the command line.
        url: Of the Redis.
        queue: Where the tasks of its runs go.
        options: Further arguments.
        paths: Folders that only it can import from.
    """

    def __init__(
        self, *graphs: str, url: str, queue: str, options: Sequence[str] = (), paths: tuple[Path, ...] = ()
    ) -> None:
        command = [sys.executable, "-m", "fleetgraph.cli", "coordinator", *graphs, "--redis", url, "--queue", queue]
        super().__init__([*command, *options], environment(*paths))
        self.id = ""

    def await_ready(self) -> Self:
        """Return when it takes calls; fails if it ends instead."""
        ready = self.output.readline()
        assert "ready" in ready, f"{ready}\n{self.errors}"
        self.id = ready.removeprefix("fleetgraph coordinator ").partition(":")[0]
        return self
