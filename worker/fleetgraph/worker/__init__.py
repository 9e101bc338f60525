"""Workers: they take tasks from a queue, run the nodes, and hand in what those wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetgraph.worker.stock import run_task
    from fleetgraph.worker.worker import FleetWorker

__all__ = ["FleetWorker", "run_task"]


def __getattr__(name: str) -> Any:
    # RQ takes a tenth of a second to import, which only a process that works has to pay.
    match name:
        case "FleetWorker":
            from fleetgraph.worker.worker import FleetWorker

            return FleetWorker
        case "run_task":
            from fleetgraph.worker.stock import run_task

            return run_task
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
