"""From a compiled graph to what can be drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fleetgraph.channels.base import BaseChannel
from fleetgraph.constants import END, START
from fleetgraph.drawing.called_graphs import called_graph
from fleetgraph.drawing.drawable import DrawableGraph, DrawnEdge, DrawnNode
from fleetgraph.drawing.reach import Destinations, Rehearsal, rehearse
from fleetgraph.pregel.reserved import trigger_of

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph
    from fleetgraph.graph.state import StateGraph
    from fleetgraph.pregel.program import Program


def drawn(graph: CompiledGraph, *, xray: bool | int = False) -> DrawableGraph:
    """The nodes and edges of a compiled graph.

    Args:
        graph: The compiled graph.
        xray: Whether to draw, in place of a node that is a graph or calls one, that graph; a number is how many levels
            of them.

    Example:
        >>> drawn(graph).first_node().id  # doctest: +SKIP
        '__start__'
    """
    return _drawn(graph, xray, ())


def _drawn(graph: CompiledGraph, xray: bool | int, around: tuple[Program, ...]) -> DrawableGraph:
    drawing = DrawableGraph(nodes=_nodes(graph))
    _add_edges(drawing, rehearse(graph.program, _destinations(graph)))
    if xray:
        deeper = xray if isinstance(xray, bool) else xray - 1
        around = (*around, graph.program)
        for name in list(drawing.nodes):
            inner = called_graph(graph, name)
            # A graph that calls itself has no end of levels.
            if inner is not None and not any(inner.program is program for program in around):
                _unfold(drawing, name, _drawn(inner, deeper, around))
    return drawing


def _destinations(graph: CompiledGraph) -> dict[str, Destinations]:
    found: dict[str, Destinations] = {}
    builder: StateGraph | None = getattr(graph, "builder", None)  # an entrypoint has none
    for name, spec in builder.nodes.items() if builder else ():
        found[name] = {target: spec.destination_labels.get(target) for target in spec.destinations}
    return found


# --- nodes -------------------------------------------------------------------------------------------------------


def _nodes(graph: CompiledGraph) -> dict[str, DrawnNode]:
    before, after = _names(graph, "interrupt_before"), _names(graph, "interrupt_after")
    nodes: dict[str, DrawnNode] = {}
    for name, node in graph.program.nodes.items():
        code = node.subgraph if node.callee is None else node.callee.code
        metadata = dict(node.metadata)
        if _is_deferred(graph.program, name):
            metadata["defer"] = True
        if stops := [when for when, names in (("before", before), ("after", after)) if name in names]:
            metadata["__interrupt"] = ",".join(stops)
        if isinstance(tools := getattr(code, "tools_by_name", None), Mapping) and tools:
            metadata["__tools"] = list(cast("Mapping[str, Any]", tools))
        nodes[name] = DrawnNode(name, name, code, metadata or None)
    return nodes if START in nodes else nodes | {START: DrawnNode(START, START)}


def _is_deferred(program: Program, node: str) -> bool:
    """Whether a node waits for all others to end: what wakes it does so only when the run would finish."""
    trigger = program.channels.get(trigger_of(node))
    return trigger is not None and type(trigger).finish is not BaseChannel.finish


def _names(graph: CompiledGraph, attribute: str) -> frozenset[str]:
    """The nodes a breakpoint was put at by name; one at every node (`*`) tells nothing about any, and is not drawn."""
    names: Sequence[str] = getattr(graph, attribute, None) or ()
    return frozenset() if isinstance(names, str) else frozenset(names)


# --- edges -------------------------------------------------------------------------------------------------------


def _add_edges(drawing: DrawableGraph, rehearsal: Rehearsal) -> None:
    """Draw one edge for each pair of nodes, unconditional if there is such a one, and the ways out to END."""
    pairs: dict[tuple[str, str], DrawnEdge] = {}

    def add(edge: DrawnEdge) -> None:
        pairs.setdefault((edge.source, edge.target), edge)

    first = [name for name in rehearsal.first if name != START]
    for name in first:  # the graph has no START of its own that leads to it
        add(DrawnEdge(START, name))
    reaches = sorted(
        rehearsal.reaches, key=lambda reach: (reach.source, reach.target, reach.conditional, reach.label or "")
    )
    for reach in reaches:
        label = None if reach.label == reach.target else reach.label
        add(DrawnEdge(reach.source, reach.target, label, reach.conditional))
    dead_ends = {reach.target for reach in reaches} - {reach.source for reach in reaches} - {END}
    if dead_ends:
        for name in sorted(dead_ends):
            add(DrawnEdge(name, END))
    elif len(rehearsal.last) == 1 and not any(reach.target == END for reach in reaches):
        add(DrawnEdge(rehearsal.last[0], END, conditional=True))
    drawing.edges.extend(pairs.values())
    if any(edge.target == END for edge in drawing.edges):
        drawing.nodes[END] = DrawnNode(END, END)


# --- subgraphs ---------------------------------------------------------------------------------------------------


def _unfold(drawing: DrawableGraph, name: str, inner: DrawableGraph) -> None:
    """Put `inner` in the place of the node `name`; leave the node where nothing says how to come in, or out."""
    if len(inner.nodes) < 2 or inner.first_node() is None or inner.last_node() is None:
        return
    inner = _without_bare(DrawableGraph.last_node, _without_bare(DrawableGraph.first_node, inner))
    entry, leave = inner.first_node(), inner.last_node()
    if entry is None or leave is None:
        raise RuntimeError(f"subgraph {name!r} lost its way in or out when its ends were dropped")
    del drawing.nodes[name]
    for key, node in inner.nodes.items():
        drawing.nodes[f"{name}:{key}"] = node._replace(id=f"{name}:{key}")
    drawing.edges = [
        *(
            edge._replace(
                source=f"{name}:{leave.id}" if edge.source == name else edge.source,
                target=f"{name}:{entry.id}" if edge.target == name else edge.target,
            )
            for edge in drawing.edges
        ),
        *(edge._replace(source=f"{name}:{edge.source}", target=f"{name}:{edge.target}") for edge in inner.edges),
    ]


def _without_bare(end: Callable[[DrawableGraph], DrawnNode | None], inner: DrawableGraph) -> DrawableGraph:
    """Without START, or END, where only one edge touches it and one node remains to come in by, or to leave by."""
    node = end(inner)
    if node is None:
        return inner
    rest = DrawableGraph(
        {key: other for key, other in inner.nodes.items() if key != node.id},
        [edge for edge in inner.edges if node.id not in (edge.source, edge.target)],
    )
    return rest if len(inner.edges) - len(rest.edges) == 1 and end(rest) is not None else inner
