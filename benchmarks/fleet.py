"""What is ours: a superstep in this process, and one on a fleet."""

from __future__ import annotations

from benchmarks import graphs
from benchmarks.supersteps import InProcess, between_chunks
from fleetgraph.fleet import Fleet


def in_process() -> InProcess:
    """Our own superstep without any Redis."""
    return InProcess("in-process", "Fleetgraph in this process, one superstep", graphs.loop)


class OnFleet:
    """A coordinator in this process and one worker process. It starts a Redis of its own, as users do."""

    name = "fleet"
    what = "Fleetgraph on a fleet of one worker, one superstep"

    def __enter__(self) -> None:
        self._fleet = Fleet.local(workers=1)
        self._graph = graphs.loop.on(self._fleet)

    def __exit__(self, *exc: object) -> None:
        self._fleet.close()

    def round(self, trips: int) -> list[float]:
        return between_chunks(self._graph, trips)
