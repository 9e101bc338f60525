"""Draws descriptions. What is left out on purpose is said where it is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st

from tests.fuzz.descriptions import (
    END,
    Branch,
    Fork,
    GoOn,
    Graph,
    Input,
    Node,
    Replay,
    Resume,
    Router,
    Scenario,
    Send,
    Steer,
    Target,
    Turn,
    Update,
    Writes,
    graphs_in,
)

Draw = Any

DEPTH = 2
"""How deep graphs are nested, the outermost not counted."""


def _seldom(draw: Draw, one_in: int) -> bool:
    """True once in so many draws; shrinks to False."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def _targets(size: int, *, ends: bool = True, sends: bool = True) -> st.SearchStrategy[Target]:
    kinds: list[st.SearchStrategy[Target]] = [st.integers(END if ends else 0, size - 1)]
    if sends:
        kinds.append(st.builds(Send, st.integers(0, size - 1), st.integers(1, 2)))
    return st.one_of(kinds)


def _routers(size: int) -> st.SearchStrategy[Router]:
    choice = st.lists(_targets(size), min_size=1, max_size=2).map(tuple)
    return st.builds(Router, st.lists(choice, min_size=1, max_size=3).map(tuple), st.integers(0, 6))


@st.composite
def nodes(draw: Draw, size: int, depth: int, called: bool) -> Node:
    """A node of a graph of so many nodes."""
    attempts = draw(st.integers(2, 3)) if _seldom(draw, 8) else 1
    defer = _seldom(draw, 12)
    if depth < DEPTH and _seldom(draw, 5):
        return Node(graph=draw(graphs(depth + 1, called)), attempts=attempts, defer=defer)
    returns = draw(st.sampled_from(["dict", "dict", "dict", "none", "command", "commands", "pairs"]))
    writes: list[Writes] = ["count", "tags"]
    # Two tasks of one superstep may not both write to a key without a reducer.
    more: tuple[Writes, ...] = ("last",) if _seldom(draw, 8) else ()
    return Node(
        customs=draw(st.sampled_from([0, 0, 1, 2])),
        fails=draw(st.integers(1, 2)) if _seldom(draw, 40) or (attempts > 1 and _seldom(draw, 2)) else 0,
        asks=draw(st.integers(1, 2)) if _seldom(draw, 6) else 0,
        calls=draw(graphs(depth + 1, True)) if depth < DEPTH and _seldom(draw, 12) else None,
        writes=(*draw(st.lists(st.sampled_from(writes), unique=True, max_size=2)), *more),
        returns=returns,
        goto=draw(_routers(size)) if returns in ("command", "commands", "pairs") and draw(st.booleans()) else None,
        attempts=attempts,
        defer=defer,
    )


@st.composite
def graphs(draw: Draw, depth: int = 0, called: bool = False) -> Graph:
    """A graph at a depth; `called` says whether a node calls it or one around it, instead of being it."""
    if depth > 0 and not called and _seldom(draw, 6):
        return draw(_chains(depth))
    size = draw(st.integers(2, 6) if depth == 0 else st.integers(1, 3))
    number = st.integers(0, size - 1)
    # Loops are for branches and Commands: those of edges never end but by the recursion limit.
    forward = st.tuples(number, st.integers(1, size)).map(lambda pair: (pair[0], min(sum(pair), size) % size or END))
    pairs = st.tuples(number, number) if _seldom(draw, 12) else forward
    several = st.lists(number, min_size=2, max_size=3, unique=True).map(tuple)
    graph = Graph(
        nodes=tuple(draw(nodes(size, depth, called)) for _ in range(size)),
        entries=tuple(draw(st.lists(number, min_size=1, max_size=3, unique=True))),
        edges=tuple(draw(st.lists(pairs, max_size=size + 1, unique=True))),
        joins=tuple(draw(st.lists(st.tuples(several, number), max_size=1))) if size > 2 else (),
    )
    sources = [n for n in range(size) if graph.nodes[n].graph is None]
    branches: list[Branch] = []
    for _ in range(draw(st.integers(0, 2))):
        source = draw(st.sampled_from([END, *sources])) if sources else END
        branches.append(Branch(source, draw(_routers(size)), draw(st.booleans())))
    breakpoints = tuple(draw(st.lists(number, max_size=2, unique=True))) if _seldom(draw, 8) else ()
    after = tuple(draw(st.lists(number, max_size=1))) if _seldom(draw, 12) else ()
    return replace(graph, branches=tuple(branches), before=breakpoints, after=after)


@st.composite
def _chains(draw: Draw, depth: int) -> Graph:
    """Nodes in a row, of which the last goes to a node of the parent.

    Only so: going there stops a graph as a failure does, and what becomes of siblings is up to the scheduler.
    """
    size = draw(st.integers(1, 2))
    row = [replace(draw(nodes(size, DEPTH, False)), returns="dict", goto=None, fails=0) for _ in range(size)]
    to = draw(st.lists(st.integers(0, 3), min_size=1, max_size=2).map(tuple))
    row[-1] = replace(row[-1], returns="parent", goto=Router((to,)))
    return Graph(tuple(row), edges=tuple((n, n + 1) for n in range(size - 1)))


@st.composite
def turns(draw: Draw, size: int, saver: bool) -> tuple[Turn, ...]:
    """What is done with a thread: an input, and up to three more."""
    keys = st.sampled_from([("log",), ("log", "count"), ("log", "tags"), ("log", "count", "tags", "last")])
    inputs = st.builds(Input, keys)
    first = Input(()) if _seldom(draw, 20) else draw(inputs)
    if not saver:
        return (first, *draw(st.lists(inputs, max_size=1)))
    node = st.integers(0, size - 1)
    resumes = st.builds(Resume, st.sampled_from(["all", "scalar", "one"]), st.booleans())
    # A Command of nothing fails in LangGraph, for want of a variable.
    steers = st.builds(Steer, st.lists(_targets(size, ends=False), min_size=1, max_size=2).map(tuple), st.booleans())
    others = [
        *(resumes, resumes, resumes, st.just(GoOn()), st.just(GoOn()), inputs, steers),
        *(
            st.builds(Update, st.none() | node),
            st.builds(Replay, st.integers(0, 6)),
            st.builds(Fork, st.integers(0, 6)),
        ),
    ]
    return (first, *cast("list[Turn]", draw(st.lists(st.one_of(others), max_size=3))))


@st.composite
def scenarios(draw: Draw) -> Scenario:
    """A program and how it is called."""
    graph = draw(graphs())
    saver = not _seldom(draw, 5)
    asynchronous = draw(st.booleans())
    return Scenario(
        graph=graph,
        turns=draw(turns(len(graph.nodes), saver)),
        saver=saver,
        # Graphs in graphs hand their log on, so that it doubles with each.
        recursion_limit=draw(st.integers(2, 10 if len(list(graphs_in(graph))) == 1 else 6)),
        asynchronous=asynchronous,
        coroutines=asynchronous and draw(st.booleans()),
        subgraphs=draw(st.booleans()),
        version=draw(st.sampled_from(["v1", "v2"])),
        durability=draw(st.sampled_from([None, None, "sync", "exit"])) if saver else None,
    )
