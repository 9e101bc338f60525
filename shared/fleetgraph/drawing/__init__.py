"""Showing a compiled graph to people and tools: mermaid text, pictures, terminal drawings, JSON, JSON schemas."""

from fleetgraph.drawing.drawable import DrawableGraph, DrawnEdge, DrawnNode
from fleetgraph.drawing.drawn import drawn
from fleetgraph.drawing.json_schema import context_json_schema, input_json_schema, output_json_schema
from fleetgraph.drawing.styles import CurveStyle, NodeStyles

__all__ = [
    "CurveStyle",
    "DrawableGraph",
    "DrawnEdge",
    "DrawnNode",
    "NodeStyles",
    "context_json_schema",
    "drawn",
    "input_json_schema",
    "output_json_schema",
]
