"""What a graph is compiled with: savers, stores and caches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph


def allow_types(schemas: Iterable[Any], *plugins: Any) -> None:
    """Let those that encode values carry the classes that schemas mention."""
    encoding = [plugin for plugin in plugins if hasattr(plugin, "allow")]
    if encoding:
        from fleetgraph.wire.allowlist import collect_types

        types = collect_types(*schemas)
        for plugin in encoding:
            plugin.allow(*types)


def schemas_within(graph: CompiledGraph) -> Iterator[Any]:
    """The schemas of a graph, and of the graphs that its nodes are or can be seen to call."""
    found, known = [graph], set[int]()
    while found:
        one = found.pop()
        if id(one.program) not in known:
            known.add(id(one.program))
            yield from one.schemas
            yield one.context_schema
            found += [node.graph for node in one.program.nodes.values() if node.graph is not None]
