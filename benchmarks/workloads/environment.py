"""How a workload is told to the processes that a fleet starts: through their environment."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any, Final, Protocol

from benchmarks.model import Samples

_WORKLOAD: Final = "FLEETGRAPH_BENCHMARK"


class Workload(Protocol):
    """A module of this folder."""

    def build(self, library: str, saver: Any, **options: Any) -> Any:
        """The graph, compiled by `langgraph` or `fleetgraph`."""
        ...

    def round(self, runnable: Any, size: int, **options: Any) -> Samples:
        """Run it, and give what was measured."""
        ...


def workload(name: str) -> Workload:
    """The workload of a name."""
    module: Any = import_module(f"benchmarks.workloads.{name}")
    return module


def announce(name: str, saver_url: str | None, options: dict[str, Any]) -> None:
    """Tell this process, and those it starts from now on, what `benchmarks.workloads.on_fleet` is to hold."""
    os.environ[_WORKLOAD] = json.dumps([name, saver_url, options])


def announced() -> tuple[str, str | None, dict[str, Any]]:
    """What was announced."""
    name, saver_url, options = json.loads(os.environ[_WORKLOAD])
    return name, saver_url, options
