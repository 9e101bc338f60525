"""A graph as something to be shown: its nodes and edges, and the forms they can be drawn in."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from fleetgraph.constants import END
from fleetgraph.drawing import mermaid, picture, terminal
from fleetgraph.drawing.styles import CurveStyle, NodeStyles


class DrawnNode(NamedTuple):
    """A node of a drawing.

    Attributes:
        id: Its name, behind the names of the subgraphs it is in: `research:search`.
        name: Its name in its own graph.
        data: The code it runs; None for START and END.
        metadata: What it was added with, and what marks it: `defer`, `__interrupt`, `__tools`.
    """

    id: str
    name: str
    data: Any = None
    metadata: Mapping[str, Any] | None = None


class DrawnEdge(NamedTuple):
    """An edge of a drawing.

    Attributes:
        source: The id of the node it leaves.
        target: The id of the node it enters.
        data: Its label.
        conditional: Whether it is taken only sometimes.
    """

    source: str
    target: str
    data: str | None = None
    conditional: bool = False


@dataclass
class DrawableGraph:
    """A graph's nodes by id, and its edges, with the ways to draw them. What `get_graph` returns.

    Example:
        >>> print(graph.get_graph().draw_mermaid())  # doctest: +SKIP
        >>> graph.get_graph(xray=True).draw_mermaid_png(output_file_path="graph.png")  # doctest: +SKIP
    """

    nodes: dict[str, DrawnNode] = field(default_factory=dict[str, DrawnNode])
    edges: list[DrawnEdge] = field(default_factory=list[DrawnEdge])

    def first_node(self) -> DrawnNode | None:
        """The one node that no edge enters; None when there is none, or more than one."""
        return self._only_unless({edge.target for edge in self.edges})

    def last_node(self) -> DrawnNode | None:
        """The one node that no edge leaves; None when there is none, or more than one."""
        return self._only_unless({edge.source for edge in self.edges})

    def _only_unless(self, taken: Collection[str]) -> DrawnNode | None:
        left = [node for name, node in self.nodes.items() if name not in taken]
        return left[0] if len(left) == 1 else None

    # --- text ----------------------------------------------------------------------------------------------------

    def draw_mermaid(
        self,
        *,
        with_styles: bool = True,
        curve_style: CurveStyle | Any = CurveStyle.LINEAR,
        node_colors: NodeStyles | Any = None,
        wrap_label_n_words: int = 9,
        frontmatter_config: Mapping[str, Any] | None = None,
    ) -> str:
        """The graph in mermaid's language, which GitHub, GitLab, VS Code and JupyterLab draw; as LangGraph writes it.

        Args:
            with_styles: Whether to write the looks as well: the header, nodes' shapes and colours.
            curve_style: A `CurveStyle`, ours or LangChain's.
            node_colors: A `NodeStyles`, ours or LangChain's.
            wrap_label_n_words: How many words of an edge's label to write on a line.
            frontmatter_config: Mermaid's configuration, such as `{"config": {"theme": "neutral"}}`.
        """
        return mermaid.write(
            self,
            mermaid.PlainSpelling(),
            mermaid.Looks.of(curve_style, node_colors, frontmatter_config) if with_styles else None,
            wrap_label_n_words,
        )

    def draw_ascii(self, *, unicode: bool = False) -> str:
        """The graph as a drawing made of characters, for terminals and logs.

        Args:
            unicode: Whether to use box-drawing characters, which look better where the font has them.

        Raises:
            ImportError: The `draw` extra is not installed.
        """
        return terminal.draw(self, unicode=unicode)

    def print_ascii(self, *, unicode: bool = False) -> None:
        """Print what `draw_ascii` returns."""
        print(self.draw_ascii(unicode=unicode))

    def to_json(self, *, with_schemas: bool = False) -> dict[str, list[dict[str, Any]]]:
        """The nodes and edges as JSON-like data, in LangGraph's shape.

        Args:
            with_schemas: Taken for LangGraph's sake; no node of ours is a schema.
        """
        return {
            "nodes": [_node_json(node) for node in self.nodes.values()],
            "edges": [_edge_json(edge) for edge in self.edges],
        }

    # --- pictures ------------------------------------------------------------------------------------------------

    def draw_mermaid_png(
        self,
        *,
        curve_style: CurveStyle | Any = CurveStyle.LINEAR,
        node_colors: NodeStyles | Any = None,
        wrap_label_n_words: int = 9,
        output_file_path: str | os.PathLike[str] | None = None,
        draw_method: Any = None,
        background_color: str | None = "white",
        padding: int = 10,
        max_retries: int = 1,
        retry_delay: float = 1.0,
        frontmatter_config: Mapping[str, Any] | None = None,
        base_url: str | None = None,
        proxies: Mapping[str, str] | None = None,
        scale: float = picture.SCALE,
    ) -> bytes:
        """The graph as a PNG picture, drawn by mermaid in this process: no browser, no network.

        Args:
            curve_style: A `CurveStyle`, ours or LangChain's.
            node_colors: A `NodeStyles`, ours or LangChain's.
            wrap_label_n_words: How many words of an edge's label to write on a line.
            output_file_path: A file to write the picture to as well.
            draw_method: Taken for LangGraph's sake and not looked at, like `max_retries`, `retry_delay`, `base_url` and
                `proxies`: there is no service to be asked.
            background_color: `#rrggbb` or the name of a basic colour; None leaves the picture transparent.
            padding: Space around the graph, in pixels before scaling.
            frontmatter_config: Mermaid's configuration, such as `{"config": {"theme": "neutral"}}`.
            scale: Pixels of the picture for each pixel of mermaid's layout.

        Returns:
            The bytes of the PNG file.

        Raises:
            ImportError: The `draw` extra is not installed.
            ValueError: The colour is none.
            OSError: The file can't be written.
        """
        png = picture.draw(
            self,
            mermaid.Looks.of(curve_style, node_colors, frontmatter_config),
            words_per_line=wrap_label_n_words,
            background=background_color,
            padding=padding,
            scale=scale,
        )
        if output_file_path is not None:
            Path(output_file_path).write_bytes(png)
        return png

    def draw_png(
        self,
        output_file_path: str | os.PathLike[str] | None = None,
        fontname: str | None = None,
        labels: Mapping[str, Mapping[str, str]] | None = None,
    ) -> bytes:
        """The same picture as `draw_mermaid_png`, under the name of LangGraph's other way to draw one.

        Args:
            output_file_path: A file to write the picture to as well.
            fontname: The font; what it is written in when the machine has no such font is up to the library that draws.
            labels: Other texts: `{"nodes": {id: text}, "edges": {label: text}}`.

        Raises:
            ImportError: The `draw` extra is not installed.
            OSError: The file can't be written.
        """
        font = {"config": {"themeVariables": {"fontFamily": fontname}}} if fontname else None
        return self._relabelled(labels or {}).draw_mermaid_png(
            output_file_path=output_file_path, frontmatter_config=font
        )

    def _relabelled(self, labels: Mapping[str, Mapping[str, str]]) -> DrawableGraph:
        nodes, edges = labels.get("nodes", {}), labels.get("edges", {})
        return DrawableGraph(
            {key: node._replace(name=nodes.get(key, node.name)) for key, node in self.nodes.items()},
            [edge if edge.data is None else edge._replace(data=edges.get(edge.data, edge.data)) for edge in self.edges],
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """What a notebook shows of it: a picture, or mermaid text where the `draw` extra is not installed."""
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if picture.is_possible():
            bundle["image/png"] = self.draw_mermaid_png()
        else:
            bundle["text/markdown"] = f"```mermaid\n{self.draw_mermaid()}```"
        return bundle


def _node_json(node: DrawnNode) -> dict[str, Any]:
    json: dict[str, Any] = {"id": node.id}
    if node.name != END:
        json |= {"type": "runnable", "data": {"id": _address(node), "name": node.id}}
    if node.metadata is not None:
        json["metadata"] = dict(node.metadata)
    return json


def _address(node: DrawnNode) -> list[str]:
    """Where a node's code is defined, as a path of names."""
    if node.data is None:
        return ["fleetgraph", "constants", "START"]
    if callable(own_path := getattr(node.data, "lc_id", None)):
        return list(cast("list[str]", own_path()))
    defined: Any = node.data if hasattr(node.data, "__qualname__") else cast("type[Any]", type(node.data))
    return [*defined.__module__.split("."), *defined.__qualname__.split(".")]


def _edge_json(edge: DrawnEdge) -> dict[str, Any]:
    json: dict[str, Any] = {"source": edge.source, "target": edge.target}
    if edge.data is not None:
        json["data"] = edge.data
    if edge.conditional:
        json["conditional"] = True
    return json
