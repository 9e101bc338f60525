"""A saver that keeps everything in this process."""

from __future__ import annotations

import copy
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from fleetgraph.checkpoint.base import (
    BaseCheckpointSaver,
    CheckpointLost,
    CheckpointTuple,
    Config,
    Place,
    PruneStrategy,
    Selection,
    Write,
    check_strategy,
    kept,
    place_of,
    selection,
    write_index,
)
from fleetgraph.types import Send


class _Saved(NamedTuple):
    head: dict[str, Any]
    """The checkpoint without its values."""
    channels: tuple[str, ...]
    """Those that have a value."""
    metadata: dict[str, Any]
    parent_id: str | None

    @property
    def filled(self) -> list[tuple[str, Any]]:
        """The (channel, version) pairs that have a value."""
        versions = self.head["channel_versions"]
        return [(name, versions[name]) for name in self.channels]


class _Written(NamedTuple):
    path: str
    channel: str
    value: Any


@dataclass(slots=True)
class _Namespace:
    checkpoints: dict[str, _Saved] = field(default_factory=dict[str, _Saved])
    values: dict[tuple[str, Any], Any] = field(default_factory=dict[tuple[str, Any], Any])
    """By channel and version."""
    writes: dict[str, dict[tuple[str, int], _Written]] = field(
        default_factory=dict[str, dict[tuple[str, int], _Written]]
    )
    """By checkpoint, then by task and place."""

    def forget(self, checkpoint_id: str) -> None:
        self.checkpoints.pop(checkpoint_id, None)
        self.writes.pop(checkpoint_id, None)

    def drop_unused_values(self) -> None:
        used = {key for saved in self.checkpoints.values() for key in saved.filled}
        self.values = {key: value for key, value in self.values.items() if key in used}


class InMemorySaver(BaseCheckpointSaver):
    """Keeps threads for as long as the process lives; for tests, scripts and notebooks.

    Values are copied on the way in and out, so that nothing a node does to its input reaches a checkpoint.
    """

    def __init__(self) -> None:
        self._threads: dict[str, dict[str, _Namespace]] = {}
        self._lock = threading.Lock()

    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        place = place_of(config)
        with self._lock:
            namespace = self._threads.get(place.thread, {}).get(place.ns)
            if namespace is None:
                return None
            checkpoint_id = place.checkpoint_id or max(namespace.checkpoints, default=None)
            if checkpoint_id is None or checkpoint_id not in namespace.checkpoints:
                return None
            return _tuple(place.at(checkpoint_id), namespace)

    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        wanted = selection(config, filter, before)
        with self._lock:
            places = sorted(self._selected(wanted), key=lambda place: place.checkpoint_id or "", reverse=True)
        for place in places if limit is None else places[: max(limit, 0)]:
            if found := self.get_tuple(place.config):  # it may have been deleted meanwhile
                yield found

    def _selected(self, wanted: Selection) -> Iterator[Place]:
        for thread, namespaces in self._threads.items():
            if wanted.thread in (None, thread):
                for ns, namespace in namespaces.items():
                    if wanted.ns in (None, ns):
                        for checkpoint_id, saved in namespace.checkpoints.items():
                            if wanted.has_id(checkpoint_id) and wanted.has_metadata(saved.metadata):
                                yield Place(thread, ns, checkpoint_id)

    def put(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        place = place_of(config)
        values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
        new = {(name, version): _copied(values[name], name) for name, version in new_versions.items() if name in values}
        channels = tuple([name for name in values if name in versions])
        saved = _Saved(_head(checkpoint), channels, _copied_items(metadata), place.checkpoint_id)
        with self._lock:
            namespace = self._namespace(place)
            namespace.values.update(new)
            namespace.checkpoints[checkpoint["id"]] = saved
        return place.at(checkpoint["id"]).config

    def put_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        place = place_of(config)
        new: list[tuple[tuple[str, int], _Written]] = []
        for position, (channel, value) in enumerate(writes):
            copied = value if type(value) in _ATOMS else _copied(kept(value), channel)
            new.append(((task_id, write_index(channel, position)), _Written(task_path, channel, copied)))
        with self._lock:
            saved = self._namespace(place).writes.setdefault(config["configurable"]["checkpoint_id"], {})
            for key, written in new:
                if key[1] < 0 or key not in saved:
                    saved[key] = written

    def delete_thread(self, thread_id: str) -> None:
        with self._lock:
            self._threads.pop(str(thread_id), None)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        source, target = str(source_thread_id), str(target_thread_id)
        with self._lock:
            # What is stored is never changed, so the two may share it.
            self._threads[target] = {
                ns: _Namespace(
                    dict(namespace.checkpoints),
                    dict(namespace.values),
                    {checkpoint_id: dict(writes) for checkpoint_id, writes in namespace.writes.items()},
                )
                for ns, namespace in self._threads.get(source, {}).items()
            }

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        check_strategy(strategy)
        if strategy == "delete":
            for thread_id in thread_ids:
                self.delete_thread(thread_id)
            return
        with self._lock:
            for thread_id in thread_ids:
                for namespace in self._threads.get(str(thread_id), {}).values():
                    for checkpoint_id in sorted(namespace.checkpoints)[:-1]:
                        namespace.forget(checkpoint_id)
                    namespace.drop_unused_values()

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        wanted = set(run_ids)
        with self._lock:
            for namespaces in self._threads.values():
                for namespace in namespaces.values():
                    found = [
                        id for id, saved in namespace.checkpoints.items() if saved.metadata.get("run_id") in wanted
                    ]
                    for checkpoint_id in found:
                        namespace.forget(checkpoint_id)
                    if found:
                        namespace.drop_unused_values()

    def _namespace(self, place: Place) -> _Namespace:
        namespaces = self._threads.setdefault(place.thread, {})
        namespace = namespaces.get(place.ns)
        if namespace is None:
            namespace = namespaces[place.ns] = _Namespace()
        return namespace

    # Nothing here waits for anything: no thread is needed.

    async def aget_tuple(self, config: Config) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for item in self.list(config, filter=filter, before=before, limit=limit):
            yield item

    async def aput(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Config:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(self, config: Config, writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.copy_thread(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        self.prune(thread_ids, strategy=strategy)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        self.delete_for_runs(run_ids)


MemorySaver = InMemorySaver


def _tuple(place: Place, namespace: _Namespace) -> CheckpointTuple:
    saved = namespace.checkpoints[place.checkpoint_id or ""]
    filled = saved.filled
    if lost := [key[0] for key in filled if key not in namespace.values]:
        raise CheckpointLost(place.thread, place.ns, place.checkpoint_id or "", lost)
    writes = sorted(
        (written.path, task_id, index, written)
        for (task_id, index), written in namespace.writes.get(place.checkpoint_id or "", {}).items()
    )
    return CheckpointTuple(
        config=place.config,
        checkpoint={
            **_head(saved.head),
            "channel_values": {key[0]: _copied(namespace.values[key], key[0]) for key in filled},
        },
        metadata=_copied_items(saved.metadata),
        parent_config=Place(place.thread, place.ns, saved.parent_id).parent_config,
        pending_writes=[
            (task_id, written.channel, _copied(written.value, written.channel)) for _, task_id, _, written in writes
        ],
    )


def _head(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of all but the values. The large parts are plain, and copied as such for speed."""
    head = dict(checkpoint)
    head.pop("channel_values", None)
    for key, value in head.items():
        if key == "channel_versions":
            head[key] = dict(value)
        elif key == "versions_seen":
            head[key] = {node: dict(seen) for node, seen in value.items()}
        elif type(value) not in _ATOMS:
            head[key] = _copy(value)
    return head


def _copied(value: Any, channel: str) -> Any:
    try:
        return _copy(value)
    except Exception as error:
        error.add_note(f"While a checkpoint was saved or loaded: channel {channel!r}")
        raise


def _copy(value: Any) -> Any:
    """A deep copy, of plain data five times as fast as `deepcopy`; one object in two places becomes two."""
    kind = cast("type[Any]", type(value))
    if kind in _ATOMS:
        return value
    if kind is list:
        return [item if type(item) in _ATOMS else _copy(item) for item in value]
    if kind is dict:
        return _copied_items(value)
    if kind is Send:
        return Send(value.node, _copy(value.arg), timeout=value.timeout)
    return copy.deepcopy(value)


def _copied_items(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: item if type(item) in _ATOMS else _copy(item) for key, item in mapping.items()}


_ATOMS: Final = frozenset([type(None), bool, int, float, str, bytes])


__all__ = ["InMemorySaver", "MemorySaver"]
