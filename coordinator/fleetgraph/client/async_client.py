"""`AsyncClient`: the async twin of `Client`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import redis

from fleetgraph.channels.base import MISSING
from fleetgraph.client import asking
from fleetgraph.client.asking import Asking, Command, T, Watch, adrive
from fleetgraph.client.link import Link
from fleetgraph.client.readable import ReadableCodec
from fleetgraph.client.reading import Modes, Reader, RunResult, reading
from fleetgraph.client.records import RunInfo
from fleetgraph.client.services import known_graphs
from fleetgraph.client.submission import (
    Asked,
    MultitaskStrategy,
    OnDisconnect,
    Submission,
    submission,
    with_thread,
)
from fleetgraph.client.subscription import AsyncSubscription
from fleetgraph.config import RunnableConfig
from fleetgraph.errors import FleetgraphError, ResultTimeout, RunNotFound
from fleetgraph.stream.chunks import Result, Version
from fleetgraph.types import All, Durability, StateSnapshot
from fleetgraph.wire.calls import Method
from fleetgraph.wire.connection import connect_async

logger = logging.getLogger(__name__)


class AsyncChunks(AsyncIterator[Any]):
    """The async twin of `Chunks`."""

    def __init__(self, reader: Reader, chunks: AsyncGenerator[Any]) -> None:
        self.run_id = reader.run
        self._reader = reader
        self._chunks = chunks
        """The chunks behind a first item, which only tells that they can be read from then on."""
        self._started = False

    @property
    def seq(self) -> int:
        """The number of the event that the last chunk came from: `join(run_id, after=seq)` goes on behind it."""
        return self._reader.seq

    @property
    def status(self) -> str | None:
        """How the run ended; None while the end has not been read."""
        return self._reader.status

    async def start(self) -> None:
        """The async twin of `Chunks.start`."""
        if not self._started:
            self._started = True
            await anext(self._chunks)

    async def __anext__(self) -> Any:
        await self.start()
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Read no further. A run with `on_disconnect="cancel"` is cancelled, unless it has ended."""
        await self._chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncRunHandle:
    """The async twin of `RunHandle`."""

    def __init__(self, client: AsyncClient, id: str, on_disconnect: OnDisconnect = "continue") -> None:
        self._client = client
        self._on_disconnect: OnDisconnect = on_disconnect
        self.id = id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    async def info(self) -> RunInfo:
        """What is on record of it; raises `RunNotFound` if nothing is."""
        return await self._client.get_run(self.id)

    async def status(self) -> str:
        """Where it stands; raises `RunNotFound` if it is not on record any more."""
        return (await self.info()).status

    def join(
        self,
        after: int = 0,
        *,
        stream_mode: Modes | None = None,
        subgraphs: bool = False,
        ns: Sequence[str] | None = None,
        version: Version = "v1",
    ) -> AsyncChunks:
        """Its chunks, from any point on: see `Client.join`."""
        return self._client.join(
            self.id,
            after,
            stream_mode=stream_mode,
            subgraphs=subgraphs,
            ns=ns,
            version=version,
            on_disconnect=self._on_disconnect,
        )

    async def cancel(self) -> bool:
        """Cancel it. Returns whether there was something to cancel."""
        return await self._client.cancel(self.id)

    async def result(self, timeout: float | None = None) -> Any:
        """The async twin of `RunHandle.result`."""
        result = RunResult(self.id)
        reader = Reader(self.id, reading("values", False, "v1", None))
        joined = self._client._joined(reader, self._on_disconnect, timeout)  # pyright: ignore[reportPrivateUsage]
        async for chunk in AsyncChunks(reader, joined):
            result.add(chunk)
        return result.value


class AsyncClient:
    """The async twin of `Client`: the same methods with the same arguments. It belongs to one event loop.

    Args:
        url: Of the Redis.
        allow: The classes whose instances arrive as what they are, and may be sent.

    Example:
        >>> async with AsyncClient("redis://queue:6379/0") as client:
        ...     async for chunk in client.stream("joke", {"topic": "ice cream"}, stream_mode="updates"):
        ...         print(chunk)
    """

    def __init__(self, url: str, *, allow: Iterable[type[Any]] = ()) -> None:
        self._link = Link(url)
        self._codec = ReadableCodec(allow)
        self._redis = connect_async(url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._link.shown_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Free its connections."""
        await self._redis.aclose()

    # --- running -----------------------------------------------------------------------------------------------------

    def stream(
        self,
        graph: str,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        version: Version = "v1",
        on_disconnect: OnDisconnect = "cancel",
        multitask_strategy: MultitaskStrategy = "enqueue",
    ) -> AsyncChunks:
        """The async twin of `Client.stream`. Close the iterator (`aclose`) when you leave it early."""
        asked = Asked(
            config,
            context,
            stream_mode,
            output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            subgraphs,
            version,
            on_disconnect,
            multitask_strategy,
        )
        return self._stream(graph, submission(input, asked, whole=False, asynchronous=True, is_read=True))

    async def invoke(
        self,
        graph: str,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        durability: Durability | None = None,
        version: Version = "v1",
        on_disconnect: OnDisconnect = "cancel",
        multitask_strategy: MultitaskStrategy = "enqueue",
    ) -> Any:
        """The async twin of `Client.invoke`."""
        asked = Asked(
            config,
            context,
            stream_mode,
            output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            False,
            version,
            on_disconnect,
            multitask_strategy,
        )
        result = Result(stream_mode, version)
        async with self._stream(graph, submission(input, asked, whole=True, asynchronous=True, is_read=True)) as chunks:
            async for chunk in chunks:
                result.add(chunk)
        return result.value

    async def submit(
        self,
        graph: str,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        on_disconnect: OnDisconnect = "continue",
        multitask_strategy: MultitaskStrategy = "enqueue",
    ) -> AsyncRunHandle:
        """The async twin of `Client.submit`."""
        asked = Asked(
            config,
            context,
            "values" if stream_mode is None else stream_mode,
            output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            subgraphs,
            "v1",
            on_disconnect,
            multitask_strategy,
        )
        made = submission(input, asked, whole=stream_mode is None, asynchronous=True, is_read=False)
        try:
            await self._submit(graph, made)
        except BaseException:
            if on_disconnect == "cancel":  # it may have begun all the same
                await self._abandon(made.run)
            raise
        return AsyncRunHandle(self, made.run, on_disconnect)

    def join(
        self,
        run_id: str,
        after: int = 0,
        *,
        stream_mode: Modes | None = None,
        subgraphs: bool = False,
        ns: Sequence[str] | None = None,
        version: Version = "v1",
        on_disconnect: OnDisconnect = "continue",
    ) -> AsyncChunks:
        """The async twin of `Client.join`."""
        reader = Reader(run_id, reading(stream_mode, subgraphs, version, ns), after)
        return AsyncChunks(reader, self._joined(reader, on_disconnect))

    # --- runs --------------------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str) -> bool:
        """The async twin of `Client.cancel`."""
        if (await self.get_run(run_id)).over:
            return False
        return await self._ask(Method.CANCEL, {"run": run_id})

    async def get_run(self, run_id: str) -> RunInfo:
        """The async twin of `Client.get_run`."""
        return await self._drive(asking.get_run(run_id))

    async def list_runs(
        self, *, status: str | Sequence[str] | None = None, graph: str | None = None, limit: int = 100
    ) -> list[RunInfo]:
        """The async twin of `Client.list_runs`."""
        return await self._drive(asking.list_runs((status,) if isinstance(status, str) else status, graph, limit))

    def handle(self, run_id: str) -> AsyncRunHandle:
        """The handle of a run that was submitted elsewhere. It is not looked for before it is used."""
        return AsyncRunHandle(self, run_id)

    async def graphs(self) -> list[str]:
        """The names of the graphs that live coordinators have."""
        return known_graphs(await self._drive(asking.services()))

    # --- threads -----------------------------------------------------------------------------------------------------

    async def get_state(self, graph: str, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The async twin of `Client.get_state`."""
        return await self._ask(
            Method.GET_STATE, {"config": with_thread("get_state", config), "subgraphs": subgraphs}, graph
        )

    async def get_state_history(
        self,
        graph: str,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """The async twin of `Client.get_state_history`."""
        asked = {
            "config": with_thread("get_state_history", config),
            "filter": None if filter is None else dict(filter),
            "before": before,
            "limit": limit,
        }
        for snapshot in await self._ask(Method.GET_STATE_HISTORY, asked, graph):
            yield snapshot

    async def update_state(
        self, graph: str, config: RunnableConfig, values: Any, as_node: str | None = None
    ) -> RunnableConfig:
        """The async twin of `Client.update_state`."""
        return await self._ask(
            Method.UPDATE_STATE,
            {"config": with_thread("update_state", config), "values": values, "as_node": as_node},
            graph,
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _stream(self, graph: str, made: Submission) -> AsyncChunks:
        reader = Reader(made.run, made.reading)
        return AsyncChunks(reader, self._streamed(graph, made, reader))

    async def _streamed(self, graph: str, made: Submission, reader: Reader) -> AsyncGenerator[Any]:
        watch = Watch(reader.run)
        try:
            async with self._subscribed(reader, watch) as events:
                await self._submit(graph, made)
                yield None
                async for chunk in _chunks(events, reader, watch):
                    yield chunk
        finally:
            if reader.status is None and made.on_disconnect == "cancel":
                await self._abandon(made.run)

    async def _submit(self, graph: str, made: Submission) -> None:
        await self._ask(Method.SUBMIT, made.payload, graph)

    async def _abandon(self, run: str) -> None:
        """Cancel a run that nobody reads any more, if there is one."""
        try:
            await self.cancel(run)
        except RunNotFound:
            return
        except FleetgraphError as error:
            logger.warning("could not cancel run %s: %s", run, error)

    async def _joined(
        self, reader: Reader, on_disconnect: OnDisconnect, timeout: float | None = None
    ) -> AsyncGenerator[Any]:
        watch = Watch(reader.run)
        try:
            info = await self.get_run(reader.run)
            reader.start_from(info)
            watch.timeout = None if info.over else timeout  # what is there is read, however much it is
            async with self._subscribed(reader, watch, late=True) as events:
                yield None
                async for chunk in _chunks(events, reader, watch):
                    yield chunk
        except ResultTimeout:
            on_disconnect = "continue"
            raise
        finally:
            if reader.status is None and on_disconnect == "cancel":
                await self._abandon(reader.run)

    @asynccontextmanager
    async def _subscribed(
        self, reader: Reader, watch: Watch, *, late: bool = False
    ) -> AsyncGenerator[AsyncSubscription]:
        async def idle() -> None:
            await adrive(watch.look(), self._send_once)

        subscription = AsyncSubscription(
            self._redis, reader.run, self._codec, idle, reader.seq, late=late, patience=watch.left
        )
        with self._link.telling():
            async with subscription as events:
                yield events

    async def _ask(self, method: Method, payload: dict[str, Any], graph: str | None = None) -> Any:
        return await self._drive(asking.ask(self._codec, method, payload, graph))

    async def _drive(self, wanted: Asking[T]) -> T:
        with self._link.telling():
            return await adrive(wanted, self._send)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        attempt = self._link.attempt()
        while True:
            try:
                answers = await self._send_once(commands)
            except redis.RedisError as error:
                await asyncio.sleep(attempt.pause_after(error))
            else:
                self._link.works = True
                return answers

    async def _send_once(self, commands: Sequence[Command]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
            return await pipe.execute()


async def _chunks(events: AsyncSubscription, reader: Reader, watch: Watch) -> AsyncIterator[Any]:
    async for event in events:
        if (chunk := reader.take(event)) is not MISSING:
            yield chunk
        if reader.status is None:
            watch.check()
