"""LangGraph's own savers, as Fleetgraph's: a thread goes on with either library."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import chain
from types import ModuleType
from typing import Any, Final, cast

from fleetgraph import types as ours
from fleetgraph.checkpoint import digests
from fleetgraph.checkpoint.base import (
    BaseCheckpointSaver,
    CheckpointTuple,
    Config,
    PruneStrategy,
    Write,
    kept,
    place_of,
)
from fleetgraph.errors import NotSupported

try:
    from langgraph import types as theirs
    from langgraph.checkpoint.base import BaseCheckpointSaver as TheirSaver
except ImportError as error:
    raise ImportError(f"LangGraphSaver needs LangGraph: pip install 'fleetgraph[langgraph]' ({error})") from error

FORMAT: Final = 4
"""LangGraph's checkpoint format, since its version 0.5."""

_SHARED: Final = ("Send", "Command", "Interrupt", "Overwrite", "TimeoutPolicy")
"""Types that each library has of its own, with the same fields."""

_DEEPEST: Final = 1024
"""Levels of lists and dicts; what is deeper can't be saved anyway, and what contains itself neither."""

_Rules = dict[type[Any], Callable[[Any], Any]]


class LangGraphSaver(BaseCheckpointSaver):
    """Any of LangGraph's savers: for Postgres, SQLite, Redis, MongoDB, ..., those of your own included.

    Threads are stored as LangGraph stores them, so one begun there goes on here, in the middle of a superstep, too,
    and the other way round. `compile` wraps LangGraph's savers by itself.

    What the wrapped saver does to values it does here: by default a tuple comes back as a list, and classes are
    imported by the names that the data gives, unless LANGGRAPH_STRICT_MSGPACK is set.

    Example:
        >>> from langgraph.checkpoint.postgres import PostgresSaver
        >>> with PostgresSaver.from_conn_string(url) as saver:
        ...     graph = builder.compile(checkpointer=LangGraphSaver(saver))

    Args:
        saver: The saver, set up. One without async methods is used from threads.
    """

    digest = digests.LANGGRAPH

    def __init__(self, saver: TheirSaver[Any]) -> None:
        # Their types say dict where a mapping will do, and differ between versions.
        self.saver: Any = saver
        """The wrapped saver."""
        self._takes_path = "task_path" in inspect.signature(saver.put_writes).parameters

    def allow(self, *types: type[Any]) -> None:
        """Let values of these classes be loaded where LANGGRAPH_STRICT_MSGPACK is set; where it isn't, all are."""
        if hasattr(self.saver, "with_allowlist"):  # LangGraph 1.1 and later
            self.saver = self.saver.with_allowlist([(cls.__module__, cls.__name__) for cls in types])

    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        return _loaded(self.saver.get_tuple(_config(config)))

    async def aget_tuple(self, config: Config) -> CheckpointTuple | None:
        return _loaded(await self._call("get_tuple", _config(config)))

    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        # All at once: some hold a lock or a cursor until the last one is taken.
        for item in [*self.saver.list(config, filter=_plain(filter), before=before, limit=limit)]:
            yield _checked(item)

    async def alist(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        options = {"filter": _plain(filter), "before": before, "limit": limit}
        try:
            found = [item async for item in self.saver.alist(config, **options)]
        except NotImplementedError:
            found = await asyncio.to_thread(lambda: [*self.saver.list(config, **options)])
        for item in found:
            yield _checked(item)

    def put(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        return self.saver.put(_config(config), _stored(checkpoint), dict(metadata), dict(new_versions))

    async def aput(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        return await self._call("put", _config(config), _stored(checkpoint), dict(metadata), dict(new_versions))

    def put_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        self.saver.put_writes(_config(config), _written(writes), task_id, *self._path(task_path))

    async def aput_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        await self._call("put_writes", _config(config), _written(writes), task_id, *self._path(task_path))

    def _path(self, task_path: str) -> tuple[str, ...]:
        return (task_path,) if self._takes_path else ()

    def delete_thread(self, thread_id: str) -> None:
        self.saver.delete_thread(str(thread_id))

    async def adelete_thread(self, thread_id: str) -> None:
        await self._call("delete_thread", str(thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.saver.copy_thread(str(source_thread_id), str(target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._call("copy_thread", str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        self.saver.prune([*map(str, thread_ids)], strategy=strategy)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        await self._call("prune", [*map(str, thread_ids)], strategy=strategy)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        self.saver.delete_for_runs(run_ids)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._call("delete_for_runs", run_ids)

    def get_next_version(self, current: Any, channel: None = None) -> Any:
        return self.saver.get_next_version(current, channel)

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call an async method of the wrapped saver, or the sync one in a thread if it has no other."""
        try:
            return await getattr(self.saver, f"a{method}")(*args, **options)
        except NotImplementedError:
            return await asyncio.to_thread(getattr(self.saver, method), *args, **options)


# --- their form of things, and ours -------------------------------------------------------------------------


def _config(config: Config) -> dict[str, Any]:
    # Without labels: ours are in the metadata already, and most of their savers would add them once more.
    place = place_of(config)
    configurable: dict[str, Any] = {"thread_id": place.thread, "checkpoint_ns": place.ns}
    return {"configurable": configurable | ({"checkpoint_id": place.checkpoint_id} if place.checkpoint_id else {})}


def _plain(filter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if filter is None else dict(filter)


def _stored(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: _translated(value, _TO_THEIRS) for name, value in checkpoint["channel_values"].items()}
    return {**checkpoint, "channel_values": values}


def _written(writes: Sequence[Write]) -> list[Write]:
    return [(channel, _translated(kept(value), _TO_THEIRS)) for channel, value in writes]


def _loaded(found: Any) -> CheckpointTuple | None:
    return None if found is None else _checked(found)


def _checked(found: Any) -> CheckpointTuple:
    """Raises `NotSupported` for a checkpoint that only LangGraph can bring up to date."""
    checkpoint = found.checkpoint
    if checkpoint["v"] < FORMAT and (
        checkpoint.get("pending_sends") or any(map(_is_old, checkpoint["channel_versions"]))
    ):
        raise NotSupported(
            f"the checkpoints of thread {found.config['configurable']['thread_id']!r}, which are in an old format "
            f"({checkpoint['v']}) of LangGraph (let LangGraph 1.x run the thread once)"
        )
    values = {name: _translated(value, _TO_OURS) for name, value in checkpoint["channel_values"].items()}
    return CheckpointTuple(
        config=found.config,
        checkpoint={**checkpoint, "channel_values": values},
        metadata=found.metadata,
        parent_config=found.parent_config,
        pending_writes=[
            (task, channel, _translated(value, _TO_OURS)) for task, channel, value in found.pending_writes or ()
        ],
    )


def _is_old(channel: str) -> bool:
    """Whether a channel has the name of one that makes nodes run, as LangGraph named them before 0.3."""
    return channel.startswith("start:") or (channel.startswith("branch:") and channel.count(":") == 3)


def _translated(value: Any, rules: _Rules) -> Any:
    """`value` with the types of one library replaced by the other's, in lists, tuples and dicts of any depth."""
    return _rebuilt(value, rules) if _holds(value, rules) else value


def _holds(value: Any, rules: _Rules) -> bool:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):  # a whole level at a time, mostly in C: this runs for every value, and few hold any
        kinds = set(map(type, level))
        if not kinds.isdisjoint(rules):
            return True
        inner = [item for item in level if type(item) in (list, tuple)]
        inner += [item.values() for item in level if type(item) is dict]
        if not inner:
            return False
        level = list(chain.from_iterable(inner))
    return False


def _rebuilt(value: Any, rules: _Rules) -> Any:
    kind = cast("type[Any]", type(value))
    if kind in rules:
        return rules[kind](value)
    if kind is list:
        return [_rebuilt(item, rules) for item in value]
    if kind is tuple:
        return tuple(_rebuilt(item, rules) for item in value)
    if kind is dict:
        return {key: _rebuilt(item, rules) for key, item in value.items()}
    return value


def _rules(source: ModuleType, target: ModuleType) -> _Rules:
    rules: _Rules = {}
    for name in _SHARED:
        if hasattr(source, name) and hasattr(target, name):
            rules[getattr(source, name)] = _rule(getattr(source, name), getattr(target, name), rules)
    return rules


def _rule(source: type[Any], target: type[Any], rules: _Rules) -> Callable[[Any], Any]:
    """How to make a `target` of a `source`: by the arguments that both take."""
    taken = inspect.signature(target).parameters
    names = [name for name in inspect.signature(source).parameters if name in taken]

    def translate(value: Any) -> Any:
        return target(**{name: _rebuilt(getattr(value, name), rules) for name in names})

    return translate


_TO_THEIRS: Final = _rules(ours, theirs)
_TO_OURS: Final = _rules(theirs, ours)

__all__ = ["LangGraphSaver"]
