"""What the workers of a benchmark load: benchmarks/graphs.py:loop"""

from __future__ import annotations

from typing import Any

from benchmarks.loop import build
from fleetgraph import graph

loop: Any = build(graph)
