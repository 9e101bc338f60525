"""A compiled graph: what `StateGraph.compile` and `@entrypoint` make, and people run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from fleetgraph.checkpoint import digests
from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.config import RunnableConfig, merge_configs
from fleetgraph.graph.batch import arun_batch, run_batch
from fleetgraph.graph.schema import coercion_of, is_class_of_state
from fleetgraph.graph.threads import Threads
from fleetgraph.pregel import local
from fleetgraph.pregel.context import TaskContext, surrounding
from fleetgraph.pregel.labels import TASK_KEY, without_task_ids
from fleetgraph.pregel.planning import cache_namespace
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.run import RunRequest
from fleetgraph.pregel.task import Frame
from fleetgraph.pregel.updates import refuse_foreign
from fleetgraph.runtime import RunControl
from fleetgraph.stream.chunks import ChunkFormat, Coercion, Result, Version
from fleetgraph.types import All, Durability, StreamMode

if TYPE_CHECKING:
    from fleetgraph.drawing import DrawableGraph
    from fleetgraph.graph.state import StateGraph
    from fleetgraph.runnable import GraphRunnable

Modes = StreamMode | Sequence[StreamMode]
Keys = str | Sequence[str]
Nodes = All | Sequence[str]


class Engine(Protocol):
    """Runs a graph's requests: this process, or a fleet."""

    def stream(self, graph: CompiledGraph, request: RunRequest) -> Iterator[Any]:
        """Yield the chunks of a run."""
        ...

    def astream(self, graph: CompiledGraph, request: RunRequest) -> AsyncIterator[Any]:
        """The same, asynchronously."""
        ...


class _InProcess:
    def stream(self, graph: CompiledGraph, request: RunRequest) -> Iterator[Any]:
        graph.program.check_timeouts()
        return local.stream(request)

    def astream(self, graph: CompiledGraph, request: RunRequest) -> AsyncIterator[Any]:
        graph.program.check_timeouts()
        return local.astream(request)


class Fleetable(Protocol):
    """What `on` takes: a `fleetgraph.fleet.Fleet`."""

    def engine_for(self, graph: CompiledGraph) -> Engine:
        """What runs the graph's requests on the fleet."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call of a graph's methods asks for, beside its input."""

    context: Any = None
    stream_mode: Modes | None = None
    print_mode: Modes = ()
    output_keys: Keys | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    durability: Durability | None = None
    subgraphs: bool = False
    debug: bool | None = None
    control: RunControl | None = None
    version: Version = "v1"


class CompiledGraph(Threads):
    """A graph that can be run: in this process, or `on` a fleet, with the same chunks in the same order.

    Args:
        program: What to run.
        checkpointer: Its saver; for a graph in a node also True for a history of its own, False for none.
        store: What its nodes are given as `store`.
        interrupt_before: Nodes before which runs stop.
        interrupt_after: Nodes after which runs stop.
        debug: Whether runs print what they do.
        name: What it is called.
        module: The module that made it, where a process without this object finds it by name.
        context_schema: The class of the `context` that runs are given.
        coerce_output: Makes the output's class out of a mapping.
        coerce_state: Makes the state's class out of a mapping.
        schemas: The types of what it takes, keeps and returns.
    """

    builder: Any = None
    step_timeout: float | None = None
    """Seconds that a superstep may take; the run then fails with a TimeoutError."""

    def __init__(
        self,
        *,
        program: Program,
        checkpointer: BaseCheckpointSaver | bool | None,
        store: Any,
        interrupt_before: Nodes,
        interrupt_after: Nodes,
        debug: bool,
        name: str,
        module: str | None,
        context_schema: Any,
        coerce_output: Coercion | None,
        coerce_state: Coercion | None,
        schemas: Iterable[Any],
    ) -> None:
        self.program = program
        self.checkpointer = checkpointer
        self.store = store
        self.interrupt_before = interrupt_before
        self.interrupt_after = interrupt_after
        self.debug = debug
        self.name = name
        self.module = module
        self.context_schema = context_schema
        self.coerce_output = coerce_output
        self.coerce_state = coerce_state
        self.schemas = tuple(schemas)
        self._engine: Engine = _InProcess()
        self._bound_config: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        nodes = [name for name, node in self.program.nodes.items() if not node.hidden]
        return f"<{type(self).__name__} {self.name!r} nodes={nodes}>"

    @property
    def cache(self) -> Any:
        """What keeps the writes of nodes with a `CachePolicy`."""
        return self.program.cache

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The config that every run starts from."""
        return self._bound_config

    @property
    def nodes(self) -> Mapping[str, Any]:
        """What runs, by name."""
        return self.program.nodes

    def on(self, fleet: Fleetable) -> CompiledGraph:
        """The same graph, run by a fleet: its nodes on workers, with the same methods and arguments.

        Args:
            fleet: A `fleetgraph.fleet.Fleet`.

        Raises:
            GraphNotFound: A worker could not find this graph: it is no module-level variable of a module.
            TypeError: It is no fleet.
        """
        if inspect.isclass(fleet) or not hasattr(fleet, "engine_for"):
            given = cast("object", fleet)
            what = f"Fleet({given!r})" if isinstance(given, str) else "a fleetgraph.fleet.Fleet"
            raise TypeError(f"on({given!r}) is no fleet: pass {what}.")
        copy = self._copy()
        copy._engine = fleet.engine_for(self)
        return copy

    def with_config(self, config: RunnableConfig | None = None, **more: Any) -> CompiledGraph:
        """The same graph with a config that every run starts from."""
        copy = self._copy()
        copy._bound_config = merge_configs(self._bound_config, config, more)
        return copy

    def _copy(self) -> CompiledGraph:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def get_name(self) -> str:
        """What it is called."""
        return self.name

    # --- composing -----------------------------------------------------------------------------------------------

    def as_runnable(self) -> GraphRunnable:
        """The graph as a LangChain runnable, with all that those can: `pipe`, `with_retry`, `map`, `as_tool` and so on.

        Raises:
            ImportError: LangChain is not installed.
        """
        from fleetgraph.runnable import GraphRunnable

        return GraphRunnable(self)

    def __or__(self, other: Any) -> Any:
        """A LangChain sequence: the graph, then `other`."""
        return self.as_runnable() | other

    def __ror__(self, other: Any) -> Any:
        """A LangChain sequence: `other`, then the graph."""
        return other | self.as_runnable()

    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """A LangChain sequence: the graph, then the others."""
        return self.as_runnable().pipe(*others, name=name)

    def clear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """Forget what the cache has of these nodes; of all, without any.

        Raises:
            ValueError: There is no cache.
        """
        self._cache().clear(self._cache_namespaces(nodes))

    async def aclear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """The async twin of `clear_cache`."""
        await self._cache().aclear(self._cache_namespaces(nodes))

    def _cache(self) -> Any:
        if self.program.cache is None:
            raise ValueError("No cache is set for this graph. Cannot clear cache.")
        return self.program.cache

    def _cache_namespaces(self, names: Sequence[str] | None) -> list[tuple[str, ...]]:
        nodes = self.program.nodes
        return [cache_namespace(nodes[name].code_name, name) for name in names or nodes if name in nodes]

    # --- running -------------------------------------------------------------------------------------------------

    def stream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Nodes | None = None,
        interrupt_after: Nodes | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        control: RunControl | None = None,
        version: Version = "v1",
    ) -> Iterator[Any]:
        """Run the graph and yield chunks while it runs.

        Args:
            input: A mapping of the input's keys, an instance of its schema, None to continue a thread, or a `Command`
                that answers what the thread waits for.
            config: `configurable.thread_id`, `recursion_limit`, `tags`, `metadata` and so on.
            context: An instance of the graph's `context_schema`, or a mapping of its fields.
            stream_mode: What to yield: `values` the state after each superstep, `updates` what each task wrote,
                `custom` what nodes write, `messages` tokens of chat models, `tasks` starts and results,
                `checkpoints` what is saved, `debug` the last two together. One mode yields payloads, a list
                yields (mode, payload).
            print_mode: Modes whose chunks are printed, whether or not they are yielded.
            output_keys: The channels that `values` and `updates` show; all by default.
            interrupt_before: Nodes to stop before, `*` for all; instead of those the graph was compiled with.
            interrupt_after: Nodes to stop after.
            durability: When checkpoints are saved: `sync` and `async` after each superstep, `exit` at the end only.
            subgraphs: Whether to yield the chunks of graphs in nodes too, each chunk with its namespace.
            debug: Whether to print updates and values.
            control: Lets the run be stopped after a superstep.
            version: `v2` yields every chunk as `{"type", "ns", "data"}`.

        Raises:
            GraphRecursionError: The run took more supersteps than `recursion_limit`.
            InvalidUpdateError: A node returned no update, or two wrote a channel that takes one.
            EmptyInputError: There is no input, and nothing to continue.
            GraphDrained: `control` asked it to stop.
            ValueError: A mode, version or output key that does not exist.
            Exception: Whatever a node raised, with a note that names its task.
        """
        asked = Asked(
            context,
            stream_mode,
            print_mode,
            output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            subgraphs,
            debug,
            control,
            version,
        )
        with closing(cast(Any, self._engine.stream(self, self._request(input, config, asked)))) as chunks:
            yield from chunks

    async def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Nodes | None = None,
        interrupt_after: Nodes | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        control: RunControl | None = None,
        version: Version = "v1",
    ) -> AsyncIterator[Any]:
        """The async twin of `stream`."""
        asked = Asked(
            context,
            stream_mode,
            print_mode,
            output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            subgraphs,
            debug,
            control,
            version,
        )
        async with aclosing(cast(Any, self._engine.astream(self, self._request(input, config, asked)))) as chunks:
            async for chunk in chunks:
                yield chunk

    def invoke(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Nodes | None = None,
        interrupt_after: Nodes | None = None,
        durability: Durability | None = None,
        debug: bool | None = None,
        control: RunControl | None = None,
        version: Version = "v1",
    ) -> Any:
        """Run the graph to its end; arguments are those of `stream`.

        Returns:
            The last state, restricted to the output schema, with what the run waits for under `__interrupt__`; a
            `GraphOutput` of both in version `v2`; a list of all chunks when `stream_mode` is another than `values`.

        Raises:
            Exception: Whatever `stream` raises.
        """
        asked = Asked(
            context,
            stream_mode,
            print_mode,
            self.program.output_keys if output_keys is None else output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            debug=debug,
            control=control,
            version=version,
        )
        result = Result(stream_mode, version)
        for chunk in self._engine.stream(self, self._request(input, config, asked)):
            result.add(chunk)
        return result.value

    async def ainvoke(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Nodes | None = None,
        interrupt_after: Nodes | None = None,
        durability: Durability | None = None,
        debug: bool | None = None,
        control: RunControl | None = None,
        version: Version = "v1",
    ) -> Any:
        """The async twin of `invoke`."""
        asked = Asked(
            context,
            stream_mode,
            print_mode,
            self.program.output_keys if output_keys is None else output_keys,
            interrupt_before,
            interrupt_after,
            durability,
            debug=debug,
            control=control,
            version=version,
        )
        result = Result(stream_mode, version)
        async for chunk in self._engine.astream(self, self._request(input, config, asked)):
            result.add(chunk)
        return result.value

    def batch(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> list[Any]:
        """Run the graph once for each input, at the same time, in threads.

        Args:
            inputs: What `invoke` takes, each.
            config: One for all, or one for each. The first one's `max_concurrency` is how many run at once.
            return_exceptions: Whether to put an exception in the place of a result, instead of raising the first.
            options: Further arguments of `invoke`.

        Returns:
            What `invoke` returns, in the order of the inputs.

        Raises:
            ValueError: There are not as many configs as inputs.
            Exception: What the first failed run raised, once all have ended.
        """
        return run_batch(self.invoke, inputs, config, options, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> list[Any]:
        """The async twin of `batch`. When a run fails that is to be raised, the others are cancelled."""
        return await arun_batch(self.ainvoke, inputs, config, options, return_exceptions=return_exceptions)

    def _request(self, input: Any, config: RunnableConfig | None, asked: Asked) -> RunRequest:
        refuse_foreign(input)
        around = surrounding()
        inside = around is not None and isinstance(self._engine, _InProcess) and _runs_inside(around, config)
        outer = around if inside else None
        given = config
        if around is not None:
            inherited = dict(around.config)
            if outer is None:  # a thread of its own: nothing of the surrounding run's
                inherited["configurable"] = {}
                inherited.pop("callbacks", None)
            merged = merge_configs(inherited, self._bound_config, given)
        else:
            merged = merge_configs(self._bound_config, given)
        stream_mode = asked.stream_mode
        if stream_mode is None:
            handed_down = config is not None and TASK_KEY in config.get("configurable", {})
            stream_mode = "values" if handed_down else "updates"
        keys = self.program.stream_keys if asked.output_keys is None else asked.output_keys
        for key in (keys,) if isinstance(keys, str) else keys:
            if key not in self.program.channels:
                raise ValueError(f"Key {key} not in channels")
        saver = self._saver(merged, outer)
        printed = ("updates", "values") if asked.debug or self.debug else asked.print_mode
        frame = self._frame(merged, asked, outer, saver)
        chunks = ChunkFormat.of(
            stream_mode, asked.subgraphs, asked.version, self.coerce_output, self.coerce_state, printed, frame.path
        )
        forwarded = outer.emit.modes if outer is not None and outer.task.frame.subgraphs else frozenset[str]()
        frame = _with_modes(frame, chunks.all_modes | forwarded, asked.subgraphs or bool(forwarded))
        return RunRequest(
            input=input,
            frame=frame,
            format=chunks,
            output_keys=keys if isinstance(keys, str) else tuple(keys),
            checkpointer=saver,
            store=outer.host.store if outer is not None else self.store,
            interrupt_before=asked.interrupt_before or self.interrupt_before,
            interrupt_after=asked.interrupt_after or self.interrupt_after,
            durability=asked.durability or (outer.host.durability if outer is not None else "async"),
            control=asked.control or (outer.host.control if outer is not None else RunControl()),
            step_timeout=self.step_timeout,
            outer=outer,
        )

    def _frame(
        self, config: RunnableConfig, asked: Asked, outer: TaskContext | None, saver: BaseCheckpointSaver | None
    ) -> Frame:
        configurable = dict(config.get("configurable", {}))
        if outer is None:
            configurable.pop(TASK_KEY, None)
            if configurable.get("checkpoint_ns"):  # of a graph inside of this one; it may name this one's, too
                own = configurable.get("checkpoint_map", {}).get("")
                configurable |= {"checkpoint_ns": "", "checkpoint_id": own}
            return Frame(
                program=self.program,
                config={**config, "configurable": configurable},
                modes=frozenset(),
                context=self._coerced_context(asked.context),
                parents=configurable.get("checkpoint_map", {}),
                digest=digests.OURS if saver is None else saver.digest,
            )
        task = outer.task
        number = next(outer.graphs)
        ns = f"{task.ns}|{number}" if number else task.ns
        if self.checkpointer is True:
            ns = without_task_ids(ns)
        configurable |= {"checkpoint_ns": task.ns, "checkpoint_id": None}
        context = self._coerced_context(asked.context)
        chosen = ns in configurable.get("checkpoint_map", {})
        replaying = task.frame.replaying
        return Frame(
            program=self.program,
            config={**config, "configurable": configurable},
            modes=frozenset(),
            context=task.frame.context if context is None else context,
            ns=ns,
            resume_map=task.frame.resume_map,
            resuming=task.resuming if replaying is None or chosen else None,
            unheard=not task.frame.subgraphs and ("messages" in task.frame.modes or task.frame.unheard),
            parents={**task.frame.parents, task.frame.ns: task.checkpoint_id},
            digest=task.frame.digest,
            replaying=replaying,
            before=None if chosen else outer.looks_before(ns),
        )

    def _saver(self, config: RunnableConfig, outer: TaskContext | None) -> BaseCheckpointSaver | None:
        if outer is not None:
            return None if self.checkpointer is False else outer.host.saver
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
        schema: Any = self.context_schema
        if isinstance(context, dict) and is_class_of_state(schema):
            return schema(**cast("dict[str, Any]", context))
        return cast("Any", context)

    # --- looking at it -------------------------------------------------------------------------------------------

    def get_graph(self, config: RunnableConfig | None = None, *, xray: bool | int = False) -> DrawableGraph:
        """The graph's nodes and edges, to be drawn.

        Args:
            xray: Whether to open the graphs in its nodes; a number opens so many levels.
        """
        from fleetgraph.drawing import drawn

        return drawn(self, xray=xray)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: bool | int = False) -> DrawableGraph:
        """The same as `get_graph`."""
        return self.get_graph(config, xray=xray)

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of its input."""
        from fleetgraph.drawing import input_json_schema

        return input_json_schema(self)

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of what `invoke` returns."""
        from fleetgraph.drawing import output_json_schema

        return output_json_schema(self)

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """The JSON schema of its context; None if it has none."""
        from fleetgraph.drawing import context_json_schema

        return context_json_schema(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return self.get_graph()._repr_mimebundle_() | {"text/plain": repr(self)}  # pyright: ignore[reportPrivateUsage]


class CompiledStateGraph(CompiledGraph):
    """A compiled `StateGraph`."""

    def __init__(self, *, builder: StateGraph, **options: Any) -> None:
        super().__init__(
            context_schema=builder.context_schema,
            coerce_output=coercion_of(builder.output_schema),
            coerce_state=coercion_of(builder.state_schema),
            schemas=(*builder.schemas, builder.context_schema),
            **options,
        )
        self.builder = builder


def _runs_inside(around: TaskContext, config: RunnableConfig | None) -> bool:
    """Whether a call with this config is part of the task around it, and not a run with a thread of its own."""
    configurable = (config or {}).get("configurable", {})
    addressed = any(configurable.get(key) for key in _ADDRESS)
    return not addressed or configurable.get(TASK_KEY) == around.task.id


_ADDRESS = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
"""What in a config says on which thread a run is to take place, and where."""


def _with_modes(frame: Frame, modes: frozenset[str], subgraphs: bool) -> Frame:
    from dataclasses import replace

    return replace(frame, modes=modes, subgraphs=subgraphs)
