"""The two clients behind one face, so that a user's program is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

from fleetgraph.client import AsyncChunks, AsyncClient, Chunks, Client
from fleetgraph.client.submission import OnDisconnect

MODES: list[Any] = ["values", "updates", "custom", "tasks"]


class Reading(Protocol):
    """An iterator over chunks that can be left early."""

    def __iter__(self) -> Iterator[Any]: ...

    @property
    def run_id(self) -> str: ...

    @property
    def seq(self) -> int: ...

    @property
    def status(self) -> str | None: ...

    def leave(self) -> None: ...


class Front(Protocol):
    """A client."""

    def submit(self, graph: str, given: Any, config: Any) -> str: ...

    def stream(self, graph: str, given: Any, config: Any, on_disconnect: OnDisconnect = "continue") -> Reading: ...

    def join(self, run: str, after: int) -> Reading: ...

    def cancel(self, run: str) -> bool: ...

    def get_state(self, graph: str, config: Any) -> Any: ...

    def close(self) -> None: ...


class _Reading:
    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.run_id = chunks.run_id

    def __iter__(self) -> Iterator[Any]:
        return iter(self._chunks)

    @property
    def seq(self) -> int:
        return self._chunks.seq

    @property
    def status(self) -> str | None:
        return self._chunks.status

    def leave(self) -> None:
        self._chunks.close()


class SyncFront:
    """A `Client`."""

    def __init__(self, url: str) -> None:
        self._client = Client(url)

    def submit(self, graph: str, given: Any, config: Any) -> str:
        return self._client.submit(graph, given, config, stream_mode=MODES, subgraphs=True).id

    def stream(self, graph: str, given: Any, config: Any, on_disconnect: OnDisconnect = "continue") -> Reading:
        return _Reading(
            self._client.stream(graph, given, config, stream_mode=MODES, subgraphs=True, on_disconnect=on_disconnect)
        )

    def join(self, run: str, after: int) -> Reading:
        return _Reading(self._client.join(run, after, subgraphs=True))

    def cancel(self, run: str) -> bool:
        return self._client.cancel(run)

    def get_state(self, graph: str, config: Any) -> Any:
        return self._client.get_state(graph, config)

    def close(self) -> None:
        self._client.close()


class _AsyncReading:
    def __init__(self, runner: asyncio.Runner, chunks: AsyncChunks) -> None:
        self._runner = runner
        self._chunks = chunks
        self.run_id = chunks.run_id

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                chunk = self._runner.run(self._next())
            except StopAsyncIteration:
                return
            yield chunk

    async def _next(self) -> Any:
        return await anext(self._chunks)

    @property
    def seq(self) -> int:
        return self._chunks.seq

    @property
    def status(self) -> str | None:
        return self._chunks.status

    def leave(self) -> None:
        self._runner.run(self._chunks.aclose())


class AsyncFront:
    """An `AsyncClient`, with an event loop that runs while something is asked of it."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._make(url))

    @staticmethod
    async def _make(url: str) -> AsyncClient:
        return AsyncClient(url)

    def submit(self, graph: str, given: Any, config: Any) -> str:
        submitted = self._client.submit(graph, given, config, stream_mode=MODES, subgraphs=True)
        return self._runner.run(submitted).id

    def stream(self, graph: str, given: Any, config: Any, on_disconnect: OnDisconnect = "continue") -> Reading:
        chunks = self._client.stream(
            graph, given, config, stream_mode=MODES, subgraphs=True, on_disconnect=on_disconnect
        )
        return _AsyncReading(self._runner, chunks)

    def join(self, run: str, after: int) -> Reading:
        return _AsyncReading(self._runner, self._client.join(run, after, subgraphs=True))

    def cancel(self, run: str) -> bool:
        return self._runner.run(self._client.cancel(run))

    def get_state(self, graph: str, config: Any) -> Any:
        return self._runner.run(self._client.get_state(graph, config))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
