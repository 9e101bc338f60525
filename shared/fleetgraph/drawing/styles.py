"""What can be chosen about a drawing's looks. Names and values are those of `langchain_core.runnables.graph`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CurveStyle(Enum):
    """How mermaid draws an edge from one node to the next."""

    BASIS = "basis"
    BUMP_X = "bumpX"
    BUMP_Y = "bumpY"
    CARDINAL = "cardinal"
    CATMULL_ROM = "catmullRom"
    LINEAR = "linear"
    MONOTONE_X = "monotoneX"
    MONOTONE_Y = "monotoneY"
    NATURAL = "natural"
    STEP = "step"
    STEP_AFTER = "stepAfter"
    STEP_BEFORE = "stepBefore"


@dataclass
class NodeStyles:
    """The CSS of mermaid's nodes, such as `fill:#f2f0ff`; pictures also take a bare colour."""

    default: str = "fill:#f2f0ff,line-height:1.2"
    first: str = "fill-opacity:0"
    last: str = "fill:#bfb6fc"
