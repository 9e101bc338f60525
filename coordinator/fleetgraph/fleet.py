"""`Fleet`: where a graph runs when it is run `on` something."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, Self
from uuid import uuid4

import redis

from fleetgraph.channels.base import MISSING
from fleetgraph.client.subscription import AsyncSubscription, Subscription
from fleetgraph.coordinator import Coordinator, Limits, Run
from fleetgraph.coordinator.workers import GRAPH_PATIENCE
from fleetgraph.errors import FleetError, GraphNotFound
from fleetgraph.graph.compiled import CompiledGraph, Engine
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.lookup import GraphRegistry, Located, being_loaded, locate
from fleetgraph.pregel.run import RunRequest
from fleetgraph.redis_server import RedisServer, check_server
from fleetgraph.wire.connection import connect, connect_async
from fleetgraph.wire.events import RUN, Event
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION

OnDisconnect = Literal["cancel", "continue"]

DEFAULT_QUEUE: Final = "fleetgraph"
"""The queue that fleets and workers share unless told otherwise."""


class Fleet:
    """A Redis and the workers that listen on it.

    Coordinates the runs it is given itself, in a thread of this process. Nothing is connected or started before the
    first run.

    Args:
        url: Of the Redis, 6.2 or newer, or Valkey: `redis://host:6379/0`.
        queue: The queue its workers listen on (`fleetgraph worker --queue`).
        retention: How long a run's events stay in Redis after its end.
        log_events: About how many messages of a run are kept for readers that fall behind.
        patience: How long a run waits for a worker that has its graph in its version, while only others listen. With
            no workers at all, it waits for as long as it takes.
        on_disconnect: What becomes of a run when its iterator is closed early, or this process ends: `cancel` it, or
            let it `continue`; a coordinator service (`fleetgraph coordinator`) then goes on with it.

    Raises:
        ValueError: `on_disconnect` is neither.

    Example:
        >>> fleet = Fleet("redis://queue:6379/0")
        >>> for chunk in graph.on(fleet).stream(inputs, stream_mode="updates"):
        ...     print(chunk)
    """

    def __init__(
        self,
        url: str,
        *,
        queue: str = DEFAULT_QUEUE,
        retention: timedelta = RETENTION,
        log_events: int = LOG_EVENTS,
        patience: timedelta = GRAPH_PATIENCE,
        on_disconnect: OnDisconnect = "cancel",
    ) -> None:
        if on_disconnect not in ("cancel", "continue"):
            raise ValueError(f"on_disconnect is 'cancel' or 'continue', not {on_disconnect!r}.")
        self._url = url
        self._queue = queue
        self._limits = Limits(retention, log_events, patience)
        self._survives = on_disconnect == "continue"
        self._registry = GraphRegistry()
        self._lock = threading.RLock()
        self._opened = ExitStack()
        self._closed = False
        self._client: redis.Redis | None = None
        self._coordinator: Coordinator | None = None

    @staticmethod
    def local(workers: int = 2, *, concurrency: int = 8) -> Fleet:
        """A Redis and worker processes on this machine, started when they are needed and gone at the end.

        The script that uses it needs an `if __name__ == "__main__":` guard, as with `multiprocessing`: workers import
        the script to find its graph. Use it as a context manager.

        Args:
            workers: Worker processes for each graph.
            concurrency: Tasks that each of them runs at once.

        Raises:
            ValueError: One of them is below 1.
        """
        return _LocalFleet(workers, concurrency)

    @staticmethod
    def inline(workers: int = 1, *, concurrency: int = 8, url: str | None = None) -> Fleet:
        """Workers in threads of this process, over a real Redis: the whole way that tasks and events go, with graphs
        from anywhere, also from notebooks and inside functions. For tests and for trying out.

        Args:
            workers: Workers.
            concurrency: Tasks that each of them runs at once.
            url: A Redis to use instead of one that is started for the purpose.
        """
        return _InlineFleet(workers, concurrency, url)

    # --- lifetime ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Cancel the runs that go on, or leave them to a coordinator service (`on_disconnect`), and free all that the
        fleet holds. It can't be used again.
        """
        with self._lock:
            self._closed = True
            coordinator, self._coordinator = self._coordinator, None
            if coordinator is not None:
                coordinator.close()
            self._opened.close()
            self._client = None

    @property
    def url(self) -> str:
        """The URL of the fleet's Redis; starts that Redis, where the fleet has its own."""
        return self._url

    def _connected(self) -> tuple[redis.Redis, Coordinator]:
        """The connection and the coordinator, made at first use.

        Raises:
            RedisUnavailable: No Redis answers at the URL, or it is too old.
            FleetError: The fleet is closed; or this is code that a worker is importing to find its graph.
        """
        if (reference := being_loaded()) is not None:
            raise FleetError(
                f"{reference} runs a graph on a fleet while it is being imported, which is what a worker does to find "
                "its graph. Put the code that runs graphs under `if __name__ == '__main__':`."
            )
        with self._lock:
            if self._closed:
                raise FleetError("The fleet is closed.")
            if self._client is None or self._coordinator is None:
                client = connect(self.url)
                # Connections that readers in other threads still use are theirs to close.
                self._opened.callback(client.connection_pool.disconnect, inuse_connections=False)
                check_server(client)
                self._client = client
                self._coordinator = Coordinator(client, self._registry, self._limits)
            return self._client, self._coordinator

    # --- running -------------------------------------------------------------------------------------------------

    def engine_for(self, graph: CompiledGraph) -> Engine:
        """What runs a graph on this fleet; `graph.on(fleet)` calls it.

        Raises:
            GraphNotFound: Workers could not find the graph, since it is no module-level variable.
        """
        located = self._locate(graph)
        with self._lock:
            self._registry.add_graph(graph, located.name)
        return _FleetEngine(self, graph, located)

    def _locate(self, graph: CompiledGraph) -> Located:
        return locate(graph)

    def _serve(self, graph: CompiledGraph, located: Located) -> str:
        """See to it that workers have the graph. Returns the queue they listen on."""
        return self._queue

    def _new_run(self, graph: CompiledGraph, located: Located, request: RunRequest, *, asynchronous: bool) -> _Started:
        with self._lock:
            client, coordinator = self._connected()
            queue = self._serve(graph, located)
        ref = GraphRef(located.name, graph.program.fingerprint)
        run = coordinator.new_run(graph, ref, queue, request, asynchronous=asynchronous, survives=self._survives)
        return _Started(client, coordinator, run, self._check)

    def _check(self, queue: str) -> None:
        """Raise if the fleet can't finish what is on a queue; called while a run is silent."""


@dataclass(frozen=True, slots=True)
class _Started:
    client: redis.Redis
    coordinator: Coordinator
    run: Run
    check_queue: Callable[[str], None]

    def check(self) -> None:
        if self.run.unreachable is not None:
            raise FleetError(f"Redis refused what run {self.run.id} needed.") from self.run.unreachable
        self.coordinator.check()
        self.check_queue(self.run.queue)

    def leave(self) -> None:
        """The caller reads no more."""
        if not self.run.survives:
            self.coordinator.cancel(self.run)

    def raise_error(self, end: Event | None) -> None:
        """Raise what the run ended with, if it failed: the error itself, or what its last event says of it."""
        error = self.run.error
        if self.run.superseded and end is not None:
            error = end.payload["error"]
        if error is not None:
            raise error


class _FleetEngine:
    """Runs one graph on one fleet: the caller reads events, the coordinator does the rest."""

    def __init__(self, fleet: Fleet, graph: CompiledGraph, located: Located) -> None:
        self._fleet = fleet
        self._graph = graph
        self._located = located

    def stream(self, graph: CompiledGraph, request: RunRequest) -> Iterator[Any]:
        start = self._fleet._new_run  # pyright: ignore[reportPrivateUsage]
        started = start(self._graph, self._located, request, asynchronous=False)
        run = started.run
        end: Event | None = None
        try:
            with Subscription(started.client, run.id, run.codec, started.check) as events:
                started.coordinator.submit(run)
                for event in events:
                    if event.mode == RUN:
                        end = event
                        break
                    if (chunk := request.format.chunk(event.mode, event.payload, event.ns)) is not MISSING:
                        yield chunk
        finally:
            started.leave()
        started.raise_error(end)

    async def astream(self, graph: CompiledGraph, request: RunRequest) -> AsyncIterator[Any]:
        start = self._fleet._new_run  # pyright: ignore[reportPrivateUsage]
        started = await asyncio.to_thread(start, self._graph, self._located, request, asynchronous=True)
        run = started.run
        end: Event | None = None
        try:
            async with (
                connect_async(self._fleet.url) as client,
                AsyncSubscription(client, run.id, run.codec, started.check) as events,
            ):
                await asyncio.to_thread(started.coordinator.submit, run)
                async for event in events:
                    if event.mode == RUN:
                        end = event
                        break
                    if (chunk := request.format.chunk(event.mode, event.payload, event.ns)) is not MISSING:
                        yield chunk
        finally:
            await asyncio.to_thread(started.leave)
        started.raise_error(end)


def _check_counts(workers: int, concurrency: int) -> None:
    if workers < 1 or concurrency < 1:
        raise ValueError(f"A fleet needs at least one worker, and one slot in each: not {workers} and {concurrency}.")


class _OwnRedis(Fleet):
    """A fleet that starts its own Redis."""

    _server: RedisServer | None = None

    @property
    def url(self) -> str:
        with self._lock:
            if self._url:
                return self._url
            if self._server is None:
                if self._closed:
                    raise FleetError("The fleet is closed.")
                self._server = self._opened.enter_context(RedisServer())
                # A program that ends without closing the fleet ends it all the same, workers before their Redis.
                atexit.register(self.close)
                self._opened.callback(atexit.unregister, self.close)
            return self._server.url

    def _check(self, queue: str) -> None:
        if self._server is not None and not self._server.runs:
            raise FleetError("The Redis that this fleet had started for itself has died, and its runs with it.")


class _LocalFleet(_OwnRedis):
    def __init__(self, workers: int, concurrency: int) -> None:
        super().__init__("")
        _check_counts(workers, concurrency)
        self._workers = workers
        self._concurrency = concurrency
        self._groups: dict[str, LocalWorkers] = {}

    def _locate(self, graph: CompiledGraph) -> Located:
        located = super()._locate(graph)
        if located.reference.startswith("__main__:"):
            raise GraphNotFound(
                f"{graph!r} was typed in, not loaded from a file, so worker processes have nothing to load it from. "
                "Put it into a file, or run it with Fleet.inline()."
            )
        return located

    def _serve(self, graph: CompiledGraph, located: Located) -> str:
        # Workers load their graphs when they start, so each graph gets workers, and a queue, of its own.
        group = self._groups.get(located.name)
        if group is None:
            queue = f"{DEFAULT_QUEUE}-{len(self._groups) + 1}"
            group = LocalWorkers(located.reference, self.url, queue, self._workers, self._concurrency)
            self._groups[located.name] = self._opened.enter_context(group)
        return group.queue

    def _check(self, queue: str) -> None:
        super()._check(queue)
        for group in list(self._groups.values()):
            if group.queue == queue:
                group.check()


class _InlineFleet(_OwnRedis):
    def __init__(self, workers: int, concurrency: int, url: str | None) -> None:
        # A queue of its own: other workers on that Redis do not have its graphs, nor its workers theirs.
        super().__init__(url or "", queue=f"{DEFAULT_QUEUE}-inline-{uuid4().hex[:8]}")
        _check_counts(workers, concurrency)
        self._workers = workers
        self._concurrency = concurrency
        self._working = False

    def _locate(self, graph: CompiledGraph) -> Located:
        return Located(f"memory:{graph.name}-{id(graph.program):x}", "")

    def _serve(self, graph: CompiledGraph, located: Located) -> str:
        if not self._working:
            from fleetgraph.worker import FleetWorker

            for _ in range(self._workers):
                client = connect(self.url)
                self._opened.callback(client.close)
                worker = FleetWorker(self._queue, client, self._registry, concurrency=self._concurrency)
                self._opened.callback(worker.start_in_thread())
            self._working = True
        return self._queue


__all__ = ["Fleet"]
