"""Noticing that nobody works on a queue, or nobody who has the graph of a run."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from redis import Redis
from redis.exceptions import RedisError

from fleetgraph.errors import GraphNotServed
from fleetgraph.wire import keys
from fleetgraph.wire.calling import command, execute, execute_all
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.names import is_same_graph
from fleetgraph.wire.transitions import WORKER_TTL

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 3.0
"""How long tasks may wait on a queue without workers before somebody is told; and then again and again."""

GRAPH_PATIENCE: Final = timedelta(seconds=15)
"""How long a run waits for a worker that has its graph, while only others listen: a deploy may be under way."""

LOOKS: Final = 5
"""How rarely workers are looked at while nothing waits on their queue: a task nobody runs may be in someone's hands."""

_SILENCE_SECONDS: Final = 6
"""A worker of ours that has not renewed its record for so long, a few leases, is dead."""


class Waiting(Protocol):
    """A run that waits for workers."""

    @property
    def queue(self) -> str:
        """Where its tasks go."""
        ...

    @property
    def ref(self) -> GraphRef:
        """Its graph."""
        ...


R = TypeVar("R", bound=Waiting)


def _is_alive(ttl: int) -> bool:
    """Whether a worker's record, of which Redis says that it expires in `ttl` seconds, is that of a living one."""
    return ttl == -1 or ttl >= WORKER_TTL.total_seconds() - _SILENCE_SECONDS


def _has(graphs: dict[str, str], ref: GraphRef) -> bool:
    """Whether a worker that has these graphs, name → fingerprint, takes tasks of one; as `serves.lua` decides it."""
    return any(fingerprint == ref.fingerprint and is_same_graph(name, ref.name) for name, fingerprint in graphs.items())


class WorkerWatch(Generic[R]):
    """Warns when tasks wait on a queue that no worker listens on; and finds runs whose graph none of the workers has.

    Args:
        patience: How long such a run waits for one.
    """

    def __init__(self, client: Redis, patience: timedelta = GRAPH_PATIENCE) -> None:
        self._client = client
        self._patience = patience.total_seconds()
        self._looks = 0
        self._alone_since: dict[str, float] = {}
        self._warned: dict[str, float] = {}
        self._unserved_since: dict[tuple[str, GraphRef], float] = {}

    def look(self, runs: Iterable[R]) -> list[tuple[R, GraphNotServed]]:
        """Look at the queues of runs that have tasks there; to be called about once a second.

        Gives the runs that have waited for long enough, and why there is no sense in waiting on.
        """
        self._looks += 1
        runs = list(runs)
        now = time.monotonic()
        alone: dict[str, float] = {}
        unserved: dict[tuple[str, GraphRef], float] = {}
        hopeless: dict[tuple[str, GraphRef], GraphNotServed] = {}
        wanted: dict[str, set[GraphRef]] = {}
        for run in runs:
            wanted.setdefault(run.queue, set()).add(run.ref)
        for queue, refs in wanted.items():
            try:
                waiting = cast(int, execute(self._client, command("LLEN", keys.rq_queue(queue))))
                known = any(where == queue for where, _ in self._unserved_since)
                if not (waiting or known or self._looks % LOOKS == 0):
                    continue
                workers = self._workers(queue)
            except RedisError:
                return []  # the coordinator's own calls tell about a Redis that is away
            if not workers:
                if waiting:
                    alone[queue] = self._alone_since.get(queue, now)
                    self._warn(queue, waiting, alone[queue], now)
                continue
            if None in workers.values():
                continue  # RQ's own worker does not tell which graphs it has
            graphs = {name: about or {} for name, about in workers.items()}
            for ref in refs:
                if not any(_has(one, ref) for one in graphs.values()):
                    key = (queue, ref)
                    unserved[key] = self._unserved_since.get(key, now)
                    if (seconds := now - unserved[key]) >= self._patience:
                        hopeless[key] = GraphNotServed(ref.name, ref.fingerprint, queue, seconds, graphs)
        self._alone_since, self._unserved_since = alone, unserved
        return [(run, hopeless[run.queue, run.ref]) for run in runs if (run.queue, run.ref) in hopeless]

    def why_waits(self, run: Waiting) -> str:
        """What keeps a run with tasks on a queue from going on, as far as the last look told; empty if nothing does."""
        now = time.monotonic()
        start = f"Start one: fleetgraph worker {run.ref.name} --redis URL --queue {run.queue}"
        if now - self._alone_since.get(run.queue, now) >= PATIENCE_SECONDS:
            return f"no worker is listening on queue {run.queue!r}. {start}"
        if now - self._unserved_since.get((run.queue, run.ref), now) >= PATIENCE_SECONDS:
            return (
                f"no worker on queue {run.queue!r} has graph {run.ref.name!r} with fingerprint {run.ref.fingerprint}, "
                f"as this run needs it. {start}"
            )
        return ""

    def _warn(self, queue: str, waiting: int, since: float, now: float) -> None:
        if now - max(since, self._warned.get(queue, since)) < PATIENCE_SECONDS:
            return
        self._warned[queue] = now
        logger.warning(
            "No worker is listening on queue %r, where %d %s. Start one: "
            "fleetgraph worker MODULE:GRAPH --redis URL --queue %s",
            queue,
            waiting,
            "task waits" if waiting == 1 else "tasks wait",
            queue,
        )

    def _workers(self, queue: str) -> dict[str, dict[str, str] | None]:
        """Who listens on a queue: name → its graphs, None if it does not tell."""
        found = sorted(cast("set[bytes]", execute(self._client, command("SMEMBERS", keys.rq_queue_workers(queue)))))
        asked = [command(*words) for key in found for words in (("TTL", key), ("HGET", key, "fleetgraph"))]
        answers = execute_all(self._client, asked) if asked else []
        workers: dict[str, dict[str, str] | None] = {}
        for key, ttl, about in zip(found, answers[::2], answers[1::2], strict=True):
            # The set also names workers that died without signing off; their records expire, or are about to.
            if _is_alive(ttl):
                told: dict[str, Any] = json.loads(about) if about else {}
                workers[key.decode().removeprefix(keys.rq_worker(""))] = told.get("graphs")
        return workers
