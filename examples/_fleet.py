"""Where an example runs: in its own process, or on a fleet.

In this process:                     python examples/custom_data.py
On a fleet that is started for it:   python examples/custom_data.py --fleet
On workers that are running:         python examples/custom_data.py --fleet redis://localhost:6379/0
  which were started with:           fleetgraph worker examples/custom_data.py:graph --redis redis://localhost:6379/0
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from fleetgraph.graph.compiled import CompiledGraph


@contextmanager
def placed(graph: CompiledGraph) -> Iterator[CompiledGraph]:
    """`graph`, to run where the command line says. The rest of a script is the same wherever that is."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--fleet",
        nargs="?",
        const="local",
        metavar="URL",
        help="run on a fleet: the one at the Redis URL, or without a URL one that is started for this run",
    )
    where: str | None = parser.parse_args().fleet
    if where is None:
        yield graph
        return

    from fleetgraph.fleet import Fleet

    with Fleet.local(workers=2) if where == "local" else Fleet(where) as fleet:
        yield graph.on(fleet)
