"""A compiled graph: what `StateGraph.compile` returns and people run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Protocol, cast

from fleetgraph.config import RunnableConfig, merge_configs
from fleetgraph.errors import NotSupported
from fleetgraph.graph.schema import coercion_of, is_class_of_state
from fleetgraph.pregel import local
from fleetgraph.pregel.context import surrounding_config
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.run import RunRequest
from fleetgraph.stream.chunks import ChunkFormat, Result, Version
from fleetgraph.types import StreamMode

if TYPE_CHECKING:
    from fleetgraph.graph.state import StateGraph

Modes = StreamMode | Sequence[StreamMode]
Keys = str | Sequence[str]


class Engine(Protocol):
    """Runs a graph's requests: this process, or a fleet."""

    def stream(self, graph: CompiledStateGraph, request: RunRequest) -> Iterator[Any]:
        """Yield the chunks of a run."""
        ...

    def astream(self, graph: CompiledStateGraph, request: RunRequest) -> AsyncIterator[Any]:
        """The same, asynchronously."""
        ...


class _InProcess:
    def stream(self, graph: CompiledStateGraph, request: RunRequest) -> Iterator[Any]:
        return local.stream(graph.program, request)

    def astream(self, graph: CompiledStateGraph, request: RunRequest) -> AsyncIterator[Any]:
        return local.astream(graph.program, request)


class Fleetable(Protocol):
    """What `on` takes: a `fleetgraph.fleet.Fleet`."""

    def engine_for(self, graph: CompiledStateGraph) -> Engine:
        """What runs the graph's requests on the fleet."""
        ...


class CompiledStateGraph:
    """A graph that can be run: in this process, or `on` a fleet, with the same chunks in the same order.

    Made by `StateGraph.compile`.
    """

    def __init__(
        self, *, builder: StateGraph, program: Program, checkpointer: Any, name: str, module: str | None
    ) -> None:
        self.builder = builder
        self.program = program
        self.checkpointer = checkpointer
        self.name = name
        self.module = module
        """The module that compiled it, where a process without this object finds it by name."""
        self._engine: Engine = _InProcess()
        self._bound_config: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} nodes={list(self.builder.nodes)}>"

    def on(self, fleet: Fleetable) -> CompiledStateGraph:
        """The same graph, run by a fleet: its nodes on workers, with the same methods and arguments.

        Args:
            fleet: A `fleetgraph.fleet.Fleet`.

        Raises:
            GraphNotFound: A worker could not find this graph: it is no module-level variable of a module.
        """
        copy = self._copy()
        copy._engine = fleet.engine_for(self)
        return copy

    def with_config(self, config: RunnableConfig | None = None, **more: Any) -> CompiledStateGraph:
        """The same graph with a config that every run starts from."""
        copy = self._copy()
        copy._bound_config = merge_configs(self._bound_config, config, more)
        return copy

    def _copy(self) -> CompiledStateGraph:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    # --- running -------------------------------------------------------------------------------------------------

    def stream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        output_keys: Keys | None = None,
        subgraphs: bool = False,
        version: Version = "v1",
        **unsupported: Any,
    ) -> Iterator[Any]:
        """Run the graph and yield chunks while it runs.

        Args:
            input: A mapping of the input's keys, an instance of its schema, or None to continue a thread.
            config: `configurable.thread_id`, `recursion_limit`, `tags`, `metadata` and so on.
            context: An instance of the graph's `context_schema`, or a mapping of its fields.
            stream_mode: What to yield: `values` the state after each superstep, `updates` what each task wrote,
                `custom` what nodes write, `messages` tokens of chat models, `tasks` starts and results,
                `checkpoints` what is saved, `debug` the last two together. One mode yields payloads, a list
                yields (mode, payload).
            output_keys: The channels that `values` and `updates` show; all by default.
            subgraphs: Whether to label chunks with their namespace.
            version: `v2` yields every chunk as `{"type", "ns", "data"}`.

        Raises:
            GraphRecursionError: The run took more supersteps than `recursion_limit`.
            InvalidUpdateError: A node returned no update, or two wrote a channel that takes one.
            EmptyInputError: There is no input, and nothing to continue.
            ValueError: A mode, version or output key that does not exist.
            Exception: Whatever a node raised, with a note that names its task.
        """
        _refuse(unsupported)
        request = self._request(input, config, context, stream_mode, output_keys, subgraphs, version)
        with closing(cast(Any, self._engine.stream(self, request))) as chunks:
            yield from chunks

    async def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        output_keys: Keys | None = None,
        subgraphs: bool = False,
        version: Version = "v1",
        **unsupported: Any,
    ) -> AsyncIterator[Any]:
        """The async twin of `stream`."""
        _refuse(unsupported)
        request = self._request(input, config, context, stream_mode, output_keys, subgraphs, version)
        async with aclosing(cast(Any, self._engine.astream(self, request))) as chunks:
            async for chunk in chunks:
                yield chunk

    def invoke(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        output_keys: Keys | None = None,
        version: Version = "v1",
        **unsupported: Any,
    ) -> Any:
        """Run the graph to its end.

        Returns:
            The last state, restricted to the output schema; a `GraphOutput` of it in version `v2`; a list of all
            chunks when `stream_mode` is another than `values`.

        Raises:
            Exception: Whatever `stream` raises.
        """
        _refuse(unsupported)
        keys = self.program.output_keys if output_keys is None else output_keys
        request = self._request(input, config, context, stream_mode, keys, False, version)
        result = Result(stream_mode, version)
        for chunk in self._engine.stream(self, request):
            result.add(chunk)
        return result.value

    async def ainvoke(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        output_keys: Keys | None = None,
        version: Version = "v1",
        **unsupported: Any,
    ) -> Any:
        """The async twin of `invoke`."""
        _refuse(unsupported)
        keys = self.program.output_keys if output_keys is None else output_keys
        request = self._request(input, config, context, stream_mode, keys, False, version)
        result = Result(stream_mode, version)
        async for chunk in self._engine.astream(self, request):
            result.add(chunk)
        return result.value

    def _request(
        self,
        input: Any,
        config: RunnableConfig | None,
        context: Any,
        stream_mode: Modes | None,
        output_keys: Keys | None,
        subgraphs: bool,
        version: Version,
    ) -> RunRequest:
        outer = surrounding_config()
        if stream_mode is None:
            handed_down = outer is not None and config is not None and "checkpoint_ns" in config.get("configurable", {})
            stream_mode = "values" if handed_down else "updates"
        merged = merge_configs(outer, self._bound_config, config)
        saver = self._saver(merged)
        keys = self.program.stream_keys if output_keys is None else output_keys
        for key in (keys,) if isinstance(keys, str) else keys:
            if key not in self.program.channels:
                raise ValueError(f"Key {key} not in channels")
        return RunRequest(
            input=input,
            config=merged,
            context=self._coerced_context(context),
            format=ChunkFormat.of(
                stream_mode,
                subgraphs,
                version,
                coercion_of(self.builder.output_schema),
                coercion_of(self.builder.state_schema),
            ),
            output_keys=keys if isinstance(keys, str) else tuple(keys),
            checkpointer=saver,
        )

    def _saver(self, config: RunnableConfig) -> Any:
        if self.checkpointer is True:
            raise RuntimeError("checkpointer=True cannot be used for root graphs.")
        if not self.checkpointer:
            return None
        configurable = config.get("configurable")
        if not configurable:
            raise ValueError(
                "Checkpointer requires one or more of the following 'configurable' keys: "
                "thread_id, checkpoint_ns, checkpoint_id"
            )
        if "thread_id" not in configurable:
            raise KeyError("thread_id")
        return self.checkpointer

    def _coerced_context(self, context: Any) -> Any:
        schema: Any = self.builder.context_schema
        if isinstance(context, dict) and is_class_of_state(schema):
            return schema(**cast("dict[str, Any]", context))
        return cast("Any", context)


def _refuse(options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if option == "durability" and value in ("sync", "async"):
            continue  # every checkpoint is saved before what follows it begins, which is more than either asks
        if value not in (None, False, ()):
            raise NotSupported(f"{option}={value!r}")
