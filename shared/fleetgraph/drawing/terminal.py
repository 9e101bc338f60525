"""A drawing made of characters."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from fleetgraph.drawing.drawable import DrawableGraph


_ENTITIES: Final = str.maketrans({"#": "#35;", '"': "#quot;", "|": "#124;"})
"""What would end a text, and what begins such an entity."""
_LABEL_WIDTH: Final = 28
"""Characters on a line of a label: one long label must not push the nodes apart."""


class _Termaid(Protocol):
    """What we use of the package termaid."""

    def render(self, source: str, *, use_ascii: bool, inline_edge_labels: bool, max_label_width: int) -> str: ...


def draw(drawing: DrawableGraph, *, unicode: bool) -> str:
    """Boxes for nodes, solid lines for edges, dotted and labelled ones for conditional edges.

    Nodes of subgraphs are named with their path, and have no box around them.

    Raises:
        ImportError: The `draw` extra is not installed.
    """
    if importlib.util.find_spec("termaid") is None:
        raise ImportError("Drawing with characters needs a library: pip install 'fleetgraph[draw]'")
    library = cast("_Termaid", importlib.import_module("termaid"))
    text = library.render(
        _source(drawing), use_ascii=not unicode, inline_edge_labels=True, max_label_width=_LABEL_WIDTH
    )
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def _source(drawing: DrawableGraph) -> str:
    """The drawing in the part of mermaid's language that termaid reads: it knows no `-. label .->`."""
    ids = {name: f"n{number}" for number, name in enumerate(drawing.nodes)}
    lines = ["graph TD"]
    for name, node in drawing.nodes.items():
        label = _quoted(name if ":" in name else node.name)
        lines.append(f"{ids[name]}({label})")
    for edge in drawing.edges:
        arrow = "-.->" if edge.conditional else "-->"
        label = "" if edge.data is None else f"|{_quoted(' '.join(edge.data.split()))}|"
        lines.append(f"{ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ENTITIES)}"'
