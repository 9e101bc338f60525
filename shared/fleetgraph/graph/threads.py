"""Threads between their runs: the methods of a compiled graph that look at their state, and write to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.config import RunnableConfig, merge_configs
from fleetgraph.pregel.context import TaskContext, surrounding
from fleetgraph.pregel.instructions import SaveCheckpoint, SaveWrites
from fleetgraph.pregel.labels import TASK_KEY, without_task_ids
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.run import checkpoint_id_behind, new_checkpoint_id, now
from fleetgraph.pregel.saving import saved_metadata
from fleetgraph.pregel.snapshots import Look, is_live, nothing_at, with_configurable
from fleetgraph.pregel.task import Call, Task
from fleetgraph.pregel.updating import Ask, CallCode, Find, Updater
from fleetgraph.types import Durability, StateSnapshot, StateUpdate

if TYPE_CHECKING:
    from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
    from fleetgraph.graph.compiled import CompiledGraph

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """What a config points at: a thread of a graph, or of one inside of it, and the saver that keeps it."""

    graph: CompiledGraph
    config: dict[str, Any]
    saver: BaseCheckpointSaver
    digest: str
    """The name of the hash that ids of its tasks are made with."""


class Threads:
    """What a compiled graph can tell of its threads, and do to them. All of it needs a saver."""

    program: Program
    checkpointer: BaseCheckpointSaver | bool | None
    store: Any
    _bound_config: Config | None

    # --- looking -------------------------------------------------------------------------------------------------

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """A thread's state.

        Without a `checkpoint_id` it is the state as it is now: what tasks of an unfinished superstep have written is in
        `values`, and `next` names the others. With one, it is the state as it was then.

        Args:
            config: `configurable.thread_id`; to look at another than its latest checkpoint `checkpoint_id`, to look
                at a graph inside the graph `checkpoint_ns`. The configs in snapshots are such configs.
            subgraphs: Whether to tell the states of graphs in tasks, too, instead of configs that name them.

        Returns:
            The snapshot; an empty one if there is no such thread or checkpoint.

        Raises:
            ValueError: The graph has no saver.
            KeyError: The config names no thread.

        Example:
            >>> graph.get_state({"configurable": {"thread_id": "1"}}).next
            ('review',)
        """
        place = self._place(config)
        return _seen(_look(place, subgraphs), place.saver)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The async twin of `get_state`."""
        place = self._place(config)
        return await _aseen(_look(place, subgraphs), place.saver)

    def get_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """A thread's states, the newest first. Pass a snapshot's config to `stream` to run again from there.

        Args:
            config: As in `get_state`.
            filter: What the checkpoints' metadata has to hold.
            before: A config that names a checkpoint: only those made before it.
            limit: How many at most.

        Raises:
            ValueError: The graph has no saver.
            KeyError: The config names no thread.
        """
        place = self._place(config)
        named = place.graph._history_config(place.config)  # pyright: ignore[reportPrivateUsage]
        # All at once, so that no cursor is open while the caller does what it likes between two of them.
        for saved in list(place.saver.list(named, filter=filter, before=before, limit=limit)):
            yield _recorded(place, saved)

    async def aget_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: Mapping[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """The async twin of `get_state_history`."""
        place = self._place(config)
        named = place.graph._history_config(place.config)  # pyright: ignore[reportPrivateUsage]
        found = place.saver.alist(named, filter=filter, before=before, limit=limit)
        for saved in [saved async for saved in found]:
            yield _recorded(place, saved)

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, CompiledGraph]]:
        """The graphs that its nodes are, or that the functions of its nodes can be seen to call.

        Args:
            namespace: Only the graph of this node; `node|inner` with `recurse` for one further inside.
            recurse: Whether to look into these graphs, too.

        Returns:
            (namespace, graph) pairs.
        """
        from fleetgraph.drawing.called_graphs import called_graph

        for name in self.program.nodes:
            if namespace is not None and namespace != name and not namespace.startswith(f"{name}|"):
                continue
            graph = called_graph(cast("CompiledGraph", self), name)
            if graph is None:
                continue
            if namespace in (None, name):
                yield name, graph
            if recurse and namespace != name:
                rest = None if namespace is None else namespace[len(name) + 1 :]
                for inner, one in graph.get_subgraphs(namespace=rest, recurse=True):
                    yield f"{name}|{inner}", one

    async def aget_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> AsyncIterator[tuple[str, CompiledGraph]]:
        """The async twin of `get_subgraphs`."""
        for found in self.get_subgraphs(namespace=namespace, recurse=recurse):
            yield found

    # --- writing -------------------------------------------------------------------------------------------------

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """Write to a thread's state, as if a node had returned `values`: what follows from that node is next.

        Path functions behind the node are called here, and now.

        Args:
            config: As in `get_state`. With a `checkpoint_id` the thread goes on from there, and keeps what it had.
            values: What the node would return. None does not change the state.
            as_node: The node; by default the one that ran last. Three names stand for no node: with `__end__` and None
                as values what is pending is given up; `__input__` takes the values for an input; `__copy__`
                makes a copy of the checkpoint, beside it.
            task_id: The task that the update stands for; by default that of the node, if it was to run next.

        Returns:
            The config that names the new checkpoint.

        Raises:
            InvalidUpdateError: There is no such node, several ran last, or the node can't return that.
            ValueError: The graph has no saver.
            KeyError: The config names no thread.
            Exception: What a path function or a reducer raised.
        """
        return self.bulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    async def aupdate_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """The async twin of `update_state`."""
        return await self.abulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    def bulk_update_state(self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]) -> RunnableConfig:
        """Write several supersteps to a thread, each of one or more updates.

        Args:
            config: As in `update_state`.
            supersteps: The updates of each. Several in one superstep must all say of which node they are.

        Returns:
            The config that names the last checkpoint.

        Raises:
            ValueError: There are no supersteps, or no updates in one; or the graph has no saver.
            InvalidUpdateError: As in `update_state`. The supersteps before it are saved.
        """
        place = self._place_of_update(config, supersteps)
        updater = place.graph._updater(place)  # pyright: ignore[reportPrivateUsage]
        answer: Any = None
        with closing(updater.update(place.config, supersteps)) as asking:
            while True:
                try:
                    ask = asking.send(answer)
                except StopIteration as end:
                    return end.value
                answer = _answer(ask, place.saver)

    async def abulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """The async twin of `bulk_update_state`; path functions may be coroutine functions."""
        place = self._place_of_update(config, supersteps)
        updater = place.graph._updater(place)  # pyright: ignore[reportPrivateUsage]
        answer: Any = None
        with closing(updater.update(place.config, supersteps)) as asking:
            while True:
                try:
                    ask = asking.send(answer)
                except StopIteration as end:
                    return end.value
                answer = await _aanswer(ask, place.saver)

    def _updater(self, place: _Place) -> Updater:
        saver = place.saver
        return Updater(
            program=self.program,
            host=_NoRun(saver, self.store),
            digest=place.digest,
            next_version=lambda current: saver.get_next_version(current, None),
            new_id=new_checkpoint_id,
            id_behind=checkpoint_id_behind,
            now=now,
        )

    # --- where ---------------------------------------------------------------------------------------------------

    def _place(self, config: Config, *, must_exist: bool = False) -> _Place:
        around = surrounding()
        inside = around is not None and config.get("configurable", {}).get(TASK_KEY) == around.task.id
        outer = around if inside else None
        saver = self.checkpointer if outer is None else outer.host.saver
        if self.checkpointer is False or not saver:
            raise ValueError("No checkpointer set")
        if saver is True:
            raise RuntimeError("checkpointer=True cannot be used for root graphs.")
        if "thread_id" not in config.get("configurable", {}):
            raise KeyError("thread_id")
        digest = saver.digest if outer is None else outer.task.frame.digest
        graph: Threads = self
        ns = config["configurable"].get("checkpoint_ns")
        if ns and not inside:
            names = without_task_ids(ns, without_numbers=True)
            found = next(self.get_subgraphs(namespace=names, recurse=True), None)
            if found is not None:
                graph = found[1]
                if graph.checkpointer is False:
                    raise ValueError("No checkpointer set")
            elif must_exist:
                raise ValueError(f"Subgraph {names} not found")
        return graph._place_in(config, saver, digest)

    def _place_in(self, config: Config, saver: BaseCheckpointSaver, digest: str) -> _Place:
        """A thread of this very graph."""
        named: Config = merge_configs(self._bound_config, config) if self._bound_config else config
        configurable: Mapping[str, Any] = named.get("configurable", {})
        changes = {"thread_id": str(configurable["thread_id"])}
        if self.checkpointer is True:
            changes["checkpoint_ns"] = without_task_ids(configurable.get("checkpoint_ns", ""))
        return _Place(cast("CompiledGraph", self), with_configurable(named, changes), saver, digest)

    def _place_of_update(self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]) -> _Place:
        place = self._place(config, must_exist=True)
        if not supersteps:
            raise ValueError("No supersteps provided")
        if not all(supersteps):
            raise ValueError("No updates provided")
        return replace(place, config=dict(merge_configs(place.config)))

    def _history_config(self, config: dict[str, Any]) -> dict[str, Any]:
        return with_configurable(config, {"checkpoint_ns": config["configurable"].get("checkpoint_ns", "")})


class _NoRun:
    """The host of path functions that are called outside of a run."""

    durability: Durability = "sync"
    control: Any = None

    def __init__(self, saver: BaseCheckpointSaver | None, store: Any) -> None:
        self.saver = saver
        self.store = store

    def claim_resume(self, task: Task) -> Any:
        return MISSING

    def call(self, task: Task, index: int, call: Call) -> Future[Any]:
        raise RuntimeError(f"{call.name} was called by a path function that no run has called: there it can't be run")

    def time_limit(self, running: TaskContext) -> AbstractContextManager[None]:
        return nullcontext()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


# --- looking up ------------------------------------------------------------------------------------------------------

_Looking = Generator[Config, Any, StateSnapshot]
"""Asks for checkpoints, by the configs that name them; returns the snapshot."""


def _look(place: _Place, subgraphs: bool) -> _Looking:
    saved: CheckpointTuple | None = yield place.config
    if saved is None:
        return nothing_at(place.config)
    look = Look(place.graph.program, saved, digest=place.digest, live=is_live(place.config))
    states: dict[str, Any] = {}
    for task, graph in _graphs_in(place.graph, look):
        if not subgraphs:
            states[task.id] = look.place_of(task)
        elif graph.checkpointer is not False:
            inner = graph._place_in(look.place_of(task), place.saver, place.digest)  # pyright: ignore[reportPrivateUsage]
            states[task.id] = yield from _look(inner, True)
    return look.snapshot(states)


def _recorded(place: _Place, saved: CheckpointTuple) -> StateSnapshot:
    look = Look(place.graph.program, saved, digest=place.digest, live=False)
    return look.snapshot({task.id: look.place_of(task) for task, _ in _graphs_in(place.graph, look)})


def _graphs_in(graph: CompiledGraph, look: Look) -> Iterator[tuple[Task, CompiledGraph]]:
    from fleetgraph.drawing.called_graphs import called_graph

    for task in look.tasks:
        if (inner := called_graph(graph, task.name)) is not None:
            yield task, inner


def _seen(looking: _Looking, saver: BaseCheckpointSaver) -> StateSnapshot:
    saved: CheckpointTuple | None = None
    while True:
        try:
            config = looking.send(saved)
        except StopIteration as end:
            return end.value
        saved = saver.get_tuple(config)


async def _aseen(looking: _Looking, saver: BaseCheckpointSaver) -> StateSnapshot:
    saved: CheckpointTuple | None = None
    while True:
        try:
            config = looking.send(saved)
        except StopIteration as end:
            return end.value
        saved = await saver.aget_tuple(config)


def _answer(ask: Ask, saver: BaseCheckpointSaver) -> Any:
    match ask:
        case Find(config):
            return saver.get_tuple(config)
        case CallCode((callee, args, kwargs), running):
            return callee.call(args, kwargs, running)
        case SaveCheckpoint(config, checkpoint, metadata, versions):
            return saver.put(config, checkpoint, saved_metadata(config, metadata), versions)
        case SaveWrites(config, task, path, writes):
            return saver.put_writes(config, writes, task, path)


async def _aanswer(ask: Ask, saver: BaseCheckpointSaver) -> Any:
    match ask:
        case Find(config):
            return await saver.aget_tuple(config)
        case CallCode((callee, args, kwargs), running):
            return await callee.acall(args, kwargs, running)
        case SaveCheckpoint(config, checkpoint, metadata, versions):
            return await saver.aput(config, checkpoint, saved_metadata(config, metadata), versions)
        case SaveWrites(config, task, path, writes):
            return await saver.aput_writes(config, writes, task, path)
