"""What the workers of `benchmarks.scaling` load."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads import fan_out, loop

chain: Any = loop.build("fleetgraph", None)
sends: Any = fan_out.build("fleetgraph", None)
