"""What the workers of a benchmark load: the graph of the workload that was announced to them."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads.environment import announced, workload


def _built() -> Any:
    name, saver_url, options = announced()
    saver = None
    if saver_url is not None:
        from fleetgraph.checkpoint.redis import RedisSaver

        saver = RedisSaver(saver_url)
    return workload(name).build("fleetgraph", saver, **options)


graph: Any = _built()
