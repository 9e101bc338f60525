"""Savers: where the state of threads is kept between runs.

A checkpoint is stored under (thread, namespace, id); ids grow with time. The value of a channel is stored under its
version, once, however many checkpoints share it. What a task wrote is stored beside the checkpoint it ran from.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypedDict, cast

from fleetgraph.checkpoint import digests
from fleetgraph.errors import CheckpointLost

WRITES_INDEX: Final[Mapping[str, int]] = {
    "__error__": -1,
    "__scheduled__": -2,
    "__interrupt__": -3,
    "__resume__": -4,
    "__error_source_node__": -5,
}
"""Places of writes that tell about a task; each is kept once per task, the last one winning."""

NO_TASK: Final = "00000000-0000-0000-0000-000000000000"
"""The task id of writes that no task made: those of a `Command` given as input."""

Config = Mapping[str, Any]
Write = tuple[str, Any]
"""Channel, value."""
Grown = Mapping[str, tuple[Any, int]]
"""Channels whose list only grew: a version that is saved, and how many items of the list are those that it has.

`put` and `aput` of a saver that have a parameter `grown` are told so of new versions: it then need not store those
items again.
"""
ChannelVersions = dict[str, str | int | float]
PendingWrite = tuple[str, str, Any]
"""Task id, channel, value."""
PruneStrategy = Literal["keep_latest", "delete"]


class Checkpoint(TypedDict):
    """The state of a graph after a superstep."""

    v: int
    """Version of this format; LangGraph's current one."""
    id: str
    """Unique, and greater than those of earlier checkpoints."""
    ts: str
    """When it was made, as ISO 8601 text."""
    channel_values: dict[str, Any]
    channel_versions: ChannelVersions
    versions_seen: dict[str, ChannelVersions]
    """By node, the versions of the channels that triggered it last."""
    updated_channels: list[str] | None
    """The channels that the superstep before it changed."""


class CheckpointMetadata(TypedDict, total=False):
    """What is known of a checkpoint beside the state; further keys are the caller's labels."""

    source: Literal["input", "loop", "update", "fork"]
    """What made it: an input, a superstep, a manual update, a copy of another one."""
    step: int
    """-1 for the first input, then counting supersteps."""
    parents: dict[str, str]
    """By namespace, the checkpoints of the graphs around this one."""
    run_id: str


class CheckpointTuple(NamedTuple):
    """A saved checkpoint and what belongs to it."""

    config: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    metadata: Mapping[str, Any]
    parent_config: Mapping[str, Any] | None = None
    pending_writes: Sequence[PendingWrite] | None = None
    """What tasks that ran from it wrote, in the order of their paths, then ids, then of writing."""


class BaseCheckpointSaver(ABC):
    """Keeps checkpoints by thread.

    Configs name them: `{"configurable": {"thread_id": ..., "checkpoint_ns": ..., "checkpoint_id": ...}}`.

    The async methods run their sync twins in a thread, so that a saver that does I/O keeps no event loop waiting;
    one that has an async client overrides them.
    """

    digest: str = digests.OURS
    """The name, in `fleetgraph.checkpoint.digests`, of the hash that ids of tasks are made with, which tell whose the
    pending writes are."""

    @abstractmethod
    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        """The checkpoint a config names, or the latest of its namespace when it names none."""

    @abstractmethod
    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first.

        Args:
            config: The thread; with `checkpoint_ns` only that namespace of it, with `checkpoint_id` only that
                checkpoint. None for all threads.
            filter: What their metadata has to hold.
            before: A config that names a checkpoint: only those made before it.
            limit: How many at most.
        """

    @abstractmethod
    def put(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        """Save a checkpoint as the child of the one `config` names. Saving it again changes nothing.

        Args:
            config: The thread, the namespace, and the checkpoint's parent if it has one.
            checkpoint: A `Checkpoint`. Its values need not be stored but for those of `new_versions`.
            metadata: A `CheckpointMetadata`.
            new_versions: The channels that the thread has no value for under their version yet, with it. One that
                has no value in the checkpoint was emptied.

        Returns:
            The config that names it.
        """

    @abstractmethod
    def put_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        """Save what a task wrote, beside the checkpoint that `config` names. Saving it again changes nothing.

        The checkpoint itself may be saved later. The first value of each place in `writes` stays; the channels of
        `WRITES_INDEX` tell about the task, and there the last value wins. Of an exception the text is kept.
        """

    @abstractmethod
    def delete_thread(self, thread_id: str) -> None:
        """Forget everything about a thread."""

    def get(self, config: Config) -> Mapping[str, Any] | None:
        """The checkpoint of `get_tuple`, without what belongs to it."""
        found = self.get_tuple(config)
        return None if found is None else found.checkpoint

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Make a thread a copy of another one, with all its history. What it held before is forgotten.

        Raises:
            NotImplementedError: This saver can't.
        """
        self._lacks("copy_thread")

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        """Forget the history of threads, or with `delete` all about them; each namespace keeps its latest checkpoint.

        Not while a run goes on from an older checkpoint.

        Raises:
            NotImplementedError: This saver can't.
            ValueError: There is no such strategy.
        """
        self._lacks("prune")

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget the checkpoints, in any thread, whose metadata has one of these as its `run_id`.

        Raises:
            NotImplementedError: This saver can't.
        """
        self._lacks("delete_for_runs")

    def get_next_version(self, current: Any, channel: None = None) -> Any:
        """A channel version greater than `current`, and unlike any that another branch of the thread has made of it.

        `current` is None before the first.
        """
        count = 0 if current is None else int(str(current).partition(".")[0])
        return f"{str(count + 1).zfill(32)}.{str(random.random()).zfill(16)}"  # twice as fast as formatting numbers

    async def aget(self, config: Config) -> Mapping[str, Any] | None:
        """The async twin of `get`."""
        found = await self.aget_tuple(config)
        return None if found is None else found.checkpoint

    async def aget_tuple(self, config: Config) -> CheckpointTuple | None:
        """The async twin of `get_tuple`."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The async twin of `list`."""
        found = self.list(config, filter=filter, before=before, limit=limit)
        while (item := await asyncio.to_thread(next, found, None)) is not None:
            yield item

    async def aput(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        """The async twin of `put`."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        """The async twin of `put_writes`."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """The async twin of `delete_thread`."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """The async twin of `copy_thread`."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        """The async twin of `prune`."""
        await asyncio.to_thread(self.prune, thread_ids, strategy=strategy)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """The async twin of `delete_for_runs`."""
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    def _lacks(self, method: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} has no {method}.")


def as_saver(checkpointer: object) -> BaseCheckpointSaver | bool | None:
    """What `compile` was given as checkpointer, as one of Fleetgraph's savers.

    One of LangGraph's savers is wrapped in a `fleetgraph.checkpoint.langgraph.LangGraphSaver`.

    Raises:
        TypeError: It is no saver.
    """
    if checkpointer is None or isinstance(checkpointer, bool | BaseCheckpointSaver):
        return checkpointer
    # An object of a class of theirs exists only once their module is loaded.
    theirs = getattr(sys.modules.get("langgraph.checkpoint.base"), "BaseCheckpointSaver", None)
    if theirs is not None and isinstance(checkpointer, theirs):
        from fleetgraph.checkpoint.langgraph import LangGraphSaver

        return LangGraphSaver(cast(Any, checkpointer))
    error = TypeError(
        f"Invalid checkpointer provided. Expected an instance of `BaseCheckpointSaver`, `True`, `False`, or `None`. "
        f"Received {type(checkpointer).__name__}. Pass a proper saver (e.g., InMemorySaver, AsyncPostgresSaver)."
    )
    if inspect.isclass(checkpointer):
        name = checkpointer.__name__
        error.add_note(f"checkpointer={name} is a class: pass an instance of it, checkpointer={name}(...).")
    raise error


def check_saver(checkpointer: object) -> None:
    """Refuse what is no saver.

    Raises:
        TypeError: It is none.
    """
    as_saver(checkpointer)


# --- for savers ----------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a config points: a thread, a namespace of it, and perhaps one checkpoint there."""

    thread: str
    ns: str
    checkpoint_id: str | None

    @property
    def config(self) -> dict[str, Any]:
        """The config that points there."""
        configurable = {"thread_id": self.thread, "checkpoint_ns": self.ns, "checkpoint_id": self.checkpoint_id}
        return {"configurable": configurable}

    def at(self, checkpoint_id: str) -> Place:
        """A checkpoint in the same namespace."""
        return Place(self.thread, self.ns, checkpoint_id)

    @property
    def parent_config(self) -> dict[str, Any] | None:
        """The config that points there; None where that is no checkpoint."""
        return None if self.checkpoint_id is None else self.config


def place_of(config: Config) -> Place:
    """Where `config` points.

    Raises:
        KeyError: It names no thread.
    """
    configurable = config["configurable"]
    return Place(
        str(configurable["thread_id"]),
        configurable.get("checkpoint_ns") or "",
        configurable.get("checkpoint_id") or None,
    )


class Selection(NamedTuple):
    """What `list` was asked for; None stands for all."""

    thread: str | None
    ns: str | None
    checkpoint_id: str | None
    before: str | None
    filter: Mapping[str, Any]

    def has_id(self, checkpoint_id: str) -> bool:
        """Whether a checkpoint of this id is asked for."""
        if self.before is not None and checkpoint_id >= self.before:
            return False
        return self.checkpoint_id in (None, checkpoint_id)

    def has_metadata(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a checkpoint with this metadata is."""
        return all(metadata.get(key) == value for key, value in self.filter.items())


def selection(config: Config | None, filter: Mapping[str, Any] | None, before: Config | None) -> Selection:
    """What the arguments of `list` ask for."""
    wanted = (config or {}).get("configurable", {})
    thread = wanted.get("thread_id")
    return Selection(
        None if thread is None else str(thread),
        wanted.get("checkpoint_ns"),
        wanted.get("checkpoint_id") or None,
        (before or {}).get("configurable", {}).get("checkpoint_id") or None,
        filter or {},
    )


def write_index(channel: str, position: int) -> int:
    """The place of a task's write: its position among the task's writes, or what `WRITES_INDEX` says."""
    return WRITES_INDEX.get(channel, position)


def kept(value: Any) -> Any:
    """A written value as it is kept: of an exception the text, as its traceback holds on to all the node's data."""
    return repr(value) if isinstance(value, BaseException) else value


def check_strategy(strategy: str) -> None:
    """Refuse what is no strategy of `prune`.

    Raises:
        ValueError: It is none.
    """
    if strategy not in ("keep_latest", "delete"):
        raise ValueError(f"there is no strategy {strategy!r} to prune threads: use 'keep_latest' or 'delete'")


__all__ = [
    "NO_TASK",
    "WRITES_INDEX",
    "BaseCheckpointSaver",
    "ChannelVersions",
    "Checkpoint",
    "CheckpointLost",
    "CheckpointMetadata",
    "CheckpointTuple",
    "PendingWrite",
    "as_saver",
    "check_saver",
]
