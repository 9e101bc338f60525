"""A drawing as a PNG picture: mermaid itself, in an embedded JavaScript engine, lays it out and draws it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from fleetgraph.drawing import mermaid

if TYPE_CHECKING:
    from fleetgraph.drawing.drawable import DrawableGraph

SCALE: Final = 2.0
"""Pixels of a picture for each of mermaid's: sharp on the screens that people have, and printed."""

_TITLE_MARGIN: Final = {"top": 4, "bottom": 12}
"""Pixels above and below a subgraph's title. Mermaid leaves none, and draws arrows over it."""


class _Diagram(Protocol):
    def png(self, *, scale: float, background: str | None) -> bytes: ...


class _Mermaid(Protocol):
    """What we use of the package mermaidx, which comes without types."""

    def render(self, source: str) -> _Diagram: ...


def is_possible() -> bool:
    """Whether what draws pictures is installed."""
    return importlib.util.find_spec("mermaidx") is not None


def draw(
    drawing: DrawableGraph,
    looks: mermaid.Looks,
    *,
    words_per_line: int,
    background: str | None,
    padding: int,
    scale: float,
) -> bytes:
    """The bytes of a PNG file.

    Args:
        words_per_line: Where to wrap the labels of edges.
        background: A colour, or None for transparent.
        padding: Pixels around the graph, before scaling.
        scale: Pixels of the picture for each of mermaid's.

    Raises:
        ImportError: The `draw` extra is not installed.
        ValueError: The background is no colour.
    """
    if not is_possible():
        raise ImportError("Drawing a picture needs a library: pip install 'fleetgraph[draw]'")
    library = cast("_Mermaid", importlib.import_module("mermaidx"))
    source = mermaid.write(drawing, mermaid.QuotedSpelling(), _pictured(looks, padding), words_per_line)
    return library.render(source).png(scale=scale, background=background)


def _pictured(looks: mermaid.Looks, padding: int) -> mermaid.Looks:
    flowchart = {"diagramPadding": padding, "subGraphTitleMargin": _TITLE_MARGIN}
    # Without a seed mermaid's lines differ by fractions of a pixel each time, and so does the file.
    ours: dict[str, Any] = {"handDrawnSeed": 1, "flowchart": flowchart}
    return mermaid.Looks(
        mermaid.merged({"config": ours}, looks.frontmatter),
        {name: style if ":" in style else f"fill:{style}" for name, style in looks.styles.items()},
    )
