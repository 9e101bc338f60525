"""The coordinators that answer calls, as their records tell of them, and which of them to ask."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fleetgraph.errors import GraphNotFound, NoCoordinator
from fleetgraph.wire.calls import SERVICE
from fleetgraph.wire.names import is_called

START_ONE = "Start one: fleetgraph coordinator MODULE:GRAPH --redis URL"


@dataclass(frozen=True, slots=True)
class Service:
    """A coordinator that answers calls."""

    id: str
    graphs: Mapping[str, str]
    """Name → fingerprint of the graphs it has."""
    runs: int
    """How many it holds."""

    @classmethod
    def of_record(cls, id: str, record: Mapping[bytes, bytes]) -> Service | None:
        """The service whose record this is; None if it is none, or tells nothing."""
        if record.get(b"kind", b"").decode() != SERVICE:
            return None
        graphs: Any = json.loads(record.get(b"graphs", b"{}"))
        return cls(id, cast("dict[str, str]", graphs), int(record.get(b"runs", b"0")))


def known_graphs(services: Iterable[Service]) -> list[str]:
    """The names of all graphs that somebody has, sorted."""
    return sorted({name for service in services for name in service.graphs})


def resolve(services: Sequence[Service], graph: str) -> str:
    """The whole name of a graph: as it is, or of the only one whose attribute is called so.

    Raises:
        NoCoordinator: There are no services.
        GraphNotFound: None of them has such a graph, or it is not clear which one is meant.
    """
    if not services:
        raise NoCoordinator(f"No coordinator answers calls on that Redis. {START_ONE}")
    known = known_graphs(services)
    if graph in known:
        return graph
    found = [name for name in known if is_called(name, graph)]
    if len(found) == 1:
        return found[0]
    if found:
        raise GraphNotFound(f"{graph!r} may be one of several graphs; say which: {', '.join(found)}.")
    raise GraphNotFound(
        f"No live coordinator has a graph {graph!r}; there is: {', '.join(known) or 'none'}. Start a coordinator that "
        "has it: fleetgraph coordinator MODULE:GRAPH --redis URL"
    )


def choose(services: Sequence[Service], graph: str | None) -> Service:
    """The service to ask: among those that have the graph, one that holds the fewest runs.

    Raises:
        NoCoordinator: None has it.
    """
    fit = [service for service in services if graph is None or graph in service.graphs]
    if not fit:
        what = "answers calls on that Redis" if graph is None else f"has graph {graph!r} any more"
        raise NoCoordinator(f"No coordinator {what}. {START_ONE}")
    fewest = min(service.runs for service in fit)
    return random.choice([service for service in fit if service.runs == fewest])
