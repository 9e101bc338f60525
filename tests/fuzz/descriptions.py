"""What a generated program is, as plain data: small, printable, and made of parts that can be left out one by one.

Nodes are numbered within their graph. Nothing here knows either library: `building` makes a graph of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

END = -1
"""As a target: nowhere. As the source of a branch: the start."""

NAMES = "dbeafc"
"""The names of the nodes of a graph, by number: their alphabetical order is not the one they are added in."""


@dataclass(frozen=True)
class Send:
    """So many tasks of a node, each with an input of its own."""

    node: int
    times: int = 1


Target = int | Send


@dataclass(frozen=True)
class Router:
    """Where to go: one of the choices, by the length of the log, and nowhere when the log is `until` long.

    So loops end, if the recursion limit doesn't end them first.
    """

    choices: tuple[tuple[Target, ...], ...] = ((END,),)
    until: int = 4


Returns = Literal["dict", "none", "command", "commands", "pairs", "parent"]
"""What a node returns its update in; `parent` goes to the node of the parent graph that has the router's number."""

Writes = Literal["count", "tags", "last"]


@dataclass(frozen=True)
class Node:
    """What a node does, in this order; it writes to the log in any case, or returns nothing at all."""

    customs: int = 0
    fails: int = 0
    """How often it fails before it succeeds."""
    asks: int = 0
    calls: Graph | None = None
    """A graph that it invokes."""
    writes: tuple[Writes, ...] = ()
    returns: Returns = "dict"
    goto: Router | None = None
    """Of the Command that it returns."""
    graph: Graph | None = None
    """A graph that the node is, instead of all this."""
    attempts: int = 1
    """How many its retry policy allows; without one, it is 1."""
    defer: bool = False


@dataclass(frozen=True)
class Branch:
    """A conditional edge."""

    source: int
    router: Router
    mapped: bool = False
    """Whether its function returns keys of a map instead of names."""


@dataclass(frozen=True)
class Graph:
    """A graph of nodes that all share one schema."""

    nodes: tuple[Node, ...]
    entries: tuple[int, ...] = (0,)
    edges: tuple[tuple[int, int], ...] = ()
    joins: tuple[tuple[tuple[int, ...], int], ...] = ()
    branches: tuple[Branch, ...] = ()
    before: tuple[int, ...] = ()
    """Nodes with a breakpoint before them."""
    after: tuple[int, ...] = ()


# --- turns -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """A run with new input."""

    keys: tuple[str, ...] = ("log",)


@dataclass(frozen=True)
class Resume:
    """A run with answers: one value for whoever asks, or by id to all questions, or to one of them."""

    how: Literal["scalar", "all", "one"] = "all"
    update: bool = False
    """Whether the Command brings an update too."""


@dataclass(frozen=True)
class GoOn:
    """A run without input."""


@dataclass(frozen=True)
class Steer:
    """A run with a Command that says where to go."""

    goto: tuple[Target, ...] = ()
    update: bool = False


@dataclass(frozen=True)
class Update:
    """An update of the state, in the name of a node, of nobody, or of the END."""

    as_node: int | None = None


@dataclass(frozen=True)
class Replay:
    """A run from a checkpoint: which one, counted from the newest."""

    back: int = 0


@dataclass(frozen=True)
class Fork:
    """An update of the state at a checkpoint, and a run from there."""

    back: int = 0


Turn = Input | Resume | GoOn | Steer | Update | Replay | Fork


@dataclass(frozen=True)
class Scenario:
    """A graph, what is done with it on one thread, and how its caller calls it."""

    graph: Graph
    turns: tuple[Turn, ...] = (Input(),)
    saver: bool = True
    recursion_limit: int = 6
    asynchronous: bool = False
    """Whether the caller calls the async methods."""
    coroutines: bool = False
    """Whether the nodes are coroutine functions."""
    subgraphs: bool = True
    """Whether the caller asks for what subgraphs stream."""
    version: Literal["v1", "v2"] = "v1"
    durability: Literal["sync", "async", "exit"] | None = None


def graphs_in(graph: Graph) -> Iterator[Graph]:
    """The graph and all graphs in it."""
    yield graph
    for node in graph.nodes:
        for inner in (node.graph, node.calls):
            if inner is not None:
                yield from graphs_in(inner)


def nodes_in(graph: Graph) -> Iterator[Node]:
    """The nodes of the graph and of all graphs in it."""
    for found in graphs_in(graph):
        yield from found.nodes


def routers_in(graph: Graph) -> Iterator[Router]:
    """All routers of the graph and of the graphs in it."""
    for found in graphs_in(graph):
        yield from (branch.router for branch in found.branches)
        yield from (node.goto for node in found.nodes if node.goto is not None)
