"""`Client`: running graphs from a program that does not have their code."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import redis

from fleetgraph.channels.base import MISSING
from fleetgraph.client import asking
from fleetgraph.client.asking import Asking, Command, T, Watch, drive
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
from fleetgraph.client.subscription import Subscription
from fleetgraph.config import RunnableConfig
from fleetgraph.errors import FleetgraphError, ResultTimeout, RunNotFound
from fleetgraph.stream.chunks import Result, Version
from fleetgraph.types import All, Durability, StateSnapshot
from fleetgraph.wire.calls import Method
from fleetgraph.wire.connection import connect

logger = logging.getLogger(__name__)


class Chunks(Iterator[Any]):
    """The chunks of a run, while it runs: an iterator, which can be closed early.

    Attributes:
        run_id: The run's id. Whoever has it can `join` the run.
    """

    def __init__(self, reader: Reader, chunks: Generator[Any]) -> None:
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

    def start(self) -> None:
        """Submit the run, or find the one to join, now; else that happens when the first chunk is asked for.

        Raises:
            Exception: What asking for the first chunk would raise before there is one.
        """
        if not self._started:
            self._started = True
            next(self._chunks)

    def __next__(self) -> Any:
        self.start()
        return next(self._chunks)

    def close(self) -> None:
        """Read no further. A run with `on_disconnect="cancel"` is cancelled, unless it has ended."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RunHandle:
    """A run that was submitted, or found."""

    def __init__(self, client: Client, id: str, on_disconnect: OnDisconnect = "continue") -> None:
        self._client = client
        self._on_disconnect: OnDisconnect = on_disconnect
        self.id = id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def info(self) -> RunInfo:
        """What is on record of it.

        Raises:
            RunNotFound: Nothing any more.
        """
        return self._client.get_run(self.id)

    def status(self) -> str:
        """Where it stands: `pending`, `running`, `success`, `error`, `interrupted` or `cancelled`.

        Raises:
            RunNotFound: It is not on record any more.
        """
        return self.info().status

    def join(
        self,
        after: int = 0,
        *,
        stream_mode: Modes | None = None,
        subgraphs: bool = False,
        ns: Sequence[str] | None = None,
        version: Version = "v1",
    ) -> Chunks:
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

    def cancel(self) -> bool:
        """Cancel it. Returns whether there was something to cancel."""
        return self._client.cancel(self.id)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end. Returns the last state, as `invoke` does; needs a run that streams `values`.

        Args:
            timeout: How many seconds to wait for it; None for as long as it takes.

        Raises:
            ResultTimeout: It has not ended by then. It goes on, also if it was submitted with
                `on_disconnect="cancel"`, and its result can be asked for again. It is a `TimeoutError`.
            FleetError: It streams no `values`.
            Exception: What ended it.
        """
        result = RunResult(self.id)
        reader = Reader(self.id, reading("values", False, "v1", None))
        joined = self._client._joined(reader, self._on_disconnect, timeout)  # pyright: ignore[reportPrivateUsage]
        for chunk in Chunks(reader, joined):
            result.add(chunk)
        return result.value


class Client:
    """Runs graphs on a fleet, from a program that does not have their code: a coordinator service does (`fleetgraph
    coordinator app.py:graph --redis URL`).

    The methods take the arguments of the graph's own and give the same chunks and results, with two differences that
    come from not having the code: instances of the graph's classes arrive as plain data, unless the client is told of
    the classes; and `version="v2"` makes no instances of the state's class.

    A graph is called by its whole name (`app:graph`), by the name it has in a `langgraph.json`, or by its attribute
    (`graph`) if no other graph's is called the same. Threads may share a client.

    Args:
        url: Of the Redis: `redis://host:6379/0`.
        allow: The classes whose instances arrive as what they are, and may be sent: those of the state, say.

    Example:
        >>> client = Client("redis://queue:6379/0")
        >>> for chunk in client.stream("joke", {"topic": "ice cream"}, stream_mode="updates"):
        ...     print(chunk)
    """

    def __init__(self, url: str, *, allow: Iterable[type[Any]] = ()) -> None:
        self._link = Link(url)
        self._codec = ReadableCodec(allow)
        self._redis = connect(url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._link.shown_url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free its connections."""
        self._redis.close()

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
    ) -> Chunks:
        """Run a graph and yield chunks while it runs. The run is submitted when the first chunk is asked for.

        Args:
            graph: The name of the graph.
            input: A mapping, None to continue a thread, or a `Command` that answers what the thread waits for.
            config: `configurable.thread_id`, `recursion_limit`, `tags`, `metadata` and so on.
            context: A mapping of the fields of the graph's `context_schema`.
            stream_mode: One mode yields payloads, a list yields (mode, payload): see `graph.stream`.
            output_keys: The channels that `values` and `updates` show; all by default.
            interrupt_before: Nodes to stop before, `*` for all.
            interrupt_after: Nodes to stop after.
            durability: When checkpoints are saved.
            subgraphs: Whether to yield the chunks of graphs in nodes too, each chunk with its namespace.
            version: `v2` yields every chunk as `{"type", "ns", "data"}`.
            on_disconnect: `cancel` if closing the iterator early is to cancel the run;
                `continue` lets it go on, for others to `join`.
            multitask_strategy: What to do while another run of the thread goes on: `enqueue` waits for its end,
                `reject` raises, `interrupt` cancels it.

        Raises:
            NoCoordinator: Nobody answers calls on that Redis.
            GraphNotFound: No coordinator has the graph.
            NotSupported: The strategy `rollback`.
            EventsLost: This reader was so slow that events are gone from the log.
            RunCancelled: Somebody cancelled the run.
            Exception: Whatever `graph.stream` raises. An exception of a class that this program does not have arrives
                as a `RemoteNodeError` that names it.
        """
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
        return self._stream(graph, submission(input, asked, whole=False, asynchronous=False, is_read=True))

    def invoke(
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
        """Run a graph to its end; arguments are those of `stream`.

        Returns:
            The last state, as `graph.invoke` does; a list of all chunks when `stream_mode` is another than `values`.

        Raises:
            Exception: Whatever `stream` raises.
        """
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
        for chunk in self._stream(graph, submission(input, asked, whole=True, asynchronous=False, is_read=True)):
            result.add(chunk)
        return result.value

    def submit(
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
    ) -> RunHandle:
        """Start a run and return at once; arguments are those of `stream`.

        Args:
            stream_mode: The modes that readers can join it in. Without any it streams `values`, as `invoke` asks for
                them, of which its `result()` is made.
            on_disconnect: `cancel` if the run is to be cancelled when a reader that joined it through the handle
                closes its iterator early.

        Raises:
            Exception: What `stream` raises before its first chunk.
        """
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
        made = submission(input, asked, whole=stream_mode is None, asynchronous=False, is_read=False)
        try:
            self._submit(graph, made)
        except BaseException:
            if on_disconnect == "cancel":  # it may have begun all the same
                self._abandon(made.run)
            raise
        return RunHandle(self, made.run, on_disconnect)

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
    ) -> Chunks:
        """The chunks of a run that was submitted elsewhere, or whose reader is gone: those it has streamed, and then
        those it streams. Any number of readers may do so.

        Args:
            run_id: The run's id.
            after: The number of the last event that is known already (`Chunks.seq`); 0 for all.
            stream_mode: Which modes to yield, among those that the run was submitted with; all of them without any, as
                (mode, payload).
            subgraphs: Whether to yield the chunks of graphs in nodes too, if the run was submitted with that.
            ns: Only the chunks of this graph inside the run's own: the names of the nodes that lead to it, such as
                `("child",)`, or a namespace as chunks have it. With `subgraphs` those of graphs inside of it as well.
            version: `v2` yields every chunk as `{"type", "ns", "data"}`.
            on_disconnect: `cancel` if closing the iterator early is to cancel the run.

        Raises:
            RunNotFound: There is no such run; when the first chunk is asked for.
            FleetError: It has no event of the number `after`.
            EventsLost: Events that come next are gone from the run's log.
            Exception: What ended the run.
        """
        reader = Reader(run_id, reading(stream_mode, subgraphs, version, ns), after)
        return Chunks(reader, self._joined(reader, on_disconnect))

    # --- runs --------------------------------------------------------------------------------------------------------

    def cancel(self, run_id: str) -> bool:
        """Cancel a run. Returns whether there was something to cancel: False if it has ended.

        Raises:
            NoCoordinator: Nobody answers calls on that Redis.
            RunNotFound: There is no such run.
        """
        if self.get_run(run_id).over:
            return False
        return self._ask(Method.CANCEL, {"run": run_id})

    def get_run(self, run_id: str) -> RunInfo:
        """What is on record of a run.

        Raises:
            RunNotFound: Nothing.
        """
        return self._drive(asking.get_run(run_id))

    def list_runs(
        self, *, status: str | Sequence[str] | None = None, graph: str | None = None, limit: int = 100
    ) -> list[RunInfo]:
        """The runs that are on record, the newest first.

        Args:
            status: Only those of this status, or of one of these.
            graph: Only those of this graph.
            limit: How many at most.

        Raises:
            ValueError: There is no such status.
        """
        return self._drive(asking.list_runs((status,) if isinstance(status, str) else status, graph, limit))

    def handle(self, run_id: str) -> RunHandle:
        """The handle of a run that was submitted elsewhere. It is not looked for before it is used."""
        return RunHandle(self, run_id)

    def graphs(self) -> list[str]:
        """The names of the graphs that live coordinators have."""
        return known_graphs(self._drive(asking.services()))

    # --- threads -----------------------------------------------------------------------------------------------------

    def get_state(self, graph: str, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """A thread's state: see `graph.get_state`.

        Raises:
            KeyError: `config` names no thread.
            NoCoordinator: Nobody answers calls on that Redis.
            GraphNotFound: No coordinator has the graph.
            Exception: What `graph.get_state` raises.
        """
        asked = {"config": with_thread("get_state", config), "subgraphs": subgraphs}
        return self._ask(Method.GET_STATE, asked, graph)

    def get_state_history(
        self,
        graph: str,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """A thread's states, the newest first: see `graph.get_state_history`. Fetched when the first is asked for.

        Raises:
            Exception: As `get_state`.
        """
        asked = {
            "config": with_thread("get_state_history", config),
            "filter": None if filter is None else dict(filter),
            "before": before,
            "limit": limit,
        }
        yield from self._ask(Method.GET_STATE_HISTORY, asked, graph)

    def update_state(
        self, graph: str, config: RunnableConfig, values: Any, as_node: str | None = None
    ) -> RunnableConfig:
        """Write to a thread's state, as if a node had returned `values`: see `graph.update_state`.

        Raises:
            FleetError: The coordinator died before it replied: nobody knows whether it was done.
            Exception: What `graph.update_state` raises, and as `get_state`.
        """
        return self._ask(
            Method.UPDATE_STATE,
            {"config": with_thread("update_state", config), "values": values, "as_node": as_node},
            graph,
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _stream(self, graph: str, made: Submission) -> Chunks:
        reader = Reader(made.run, made.reading)
        return Chunks(reader, self._streamed(graph, made, reader))

    def _streamed(self, graph: str, made: Submission, reader: Reader) -> Generator[Any]:
        watch = Watch(reader.run)
        try:
            with self._subscribed(reader, watch) as events:
                self._submit(graph, made)
                yield None
                yield from _chunks(events, reader, watch)
        finally:
            if reader.status is None and made.on_disconnect == "cancel":
                self._abandon(made.run)

    def _submit(self, graph: str, made: Submission) -> None:
        self._ask(Method.SUBMIT, made.payload, graph)

    def _abandon(self, run: str) -> None:
        """Cancel a run that nobody reads any more, if there is one."""
        try:
            self.cancel(run)
        except RunNotFound:
            return
        except FleetgraphError as error:
            logger.warning("could not cancel run %s: %s", run, error)

    def _joined(self, reader: Reader, on_disconnect: OnDisconnect, timeout: float | None = None) -> Generator[Any]:
        watch = Watch(reader.run)
        try:
            info = self.get_run(reader.run)
            reader.start_from(info)
            watch.timeout = None if info.over else timeout  # what is there is read, however much it is
            with self._subscribed(reader, watch, late=True) as events:
                yield None
                yield from _chunks(events, reader, watch)
        except ResultTimeout:
            on_disconnect = "continue"
            raise
        finally:
            if reader.status is None and on_disconnect == "cancel":
                self._abandon(reader.run)

    @contextmanager
    def _subscribed(self, reader: Reader, watch: Watch, *, late: bool = False) -> Generator[Subscription]:
        idle = partial(self._look, watch)
        events = Subscription(self._redis, reader.run, self._codec, idle, reader.seq, late=late, patience=watch.left)
        with self._link.telling(), events:
            yield events

    def _look(self, watch: Watch) -> None:
        drive(watch.look(), self._send_once)

    def _ask(self, method: Method, payload: dict[str, Any], graph: str | None = None) -> Any:
        return self._drive(asking.ask(self._codec, method, payload, graph))

    def _drive(self, wanted: Asking[T]) -> T:
        with self._link.telling():
            return drive(wanted, self._send)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        attempt = self._link.attempt()
        while True:
            try:
                answers = self._send_once(commands)
            except redis.RedisError as error:
                time.sleep(attempt.pause_after(error))
            else:
                self._link.works = True
                return answers

    def _send_once(self, commands: Sequence[Command]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
            for command in commands:
                pipe.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
            return pipe.execute()


def _chunks(events: Subscription, reader: Reader, watch: Watch) -> Iterator[Any]:
    for event in events:
        if (chunk := reader.take(event)) is not MISSING:
            yield chunk
        if reader.status is None:
            watch.check()
