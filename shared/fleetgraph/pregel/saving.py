"""How a driver talks to the run's saver."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, Final

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from fleetgraph.pregel.instructions import Load, SaveCheckpoint, SaveWrites
from fleetgraph.pregel.labels import TASK_METADATA
from fleetgraph.pregel.machine import Checkpoint, Settings
from fleetgraph.pregel.run import CheckpointIds, RunRequest, new_checkpoint_id, now

_VERSION: Final = re.compile(r"\d{32}\.\S+")
"""The versions that LangGraph's savers and ours make: a count, and a random fraction that tells branches apart."""


class CheckpointStore:
    """One run's view of its saver; without a saver everything is a no-op.

    Args:
        request: The run.
        ids: Makes the ids of checkpoints, where the run may have to be told everything again.
        source: What channel versions draw their random part from, in that case.
    """

    def __init__(self, request: RunRequest, ids: CheckpointIds | None = None, source: Random | None = None) -> None:
        self._request = request
        self._ids = ids
        self._make_id: Callable[[str], str] = ids or new_checkpoint_id
        self._source = source
        self.newest = ""
        """The thread's newest checkpoint, as far as it is known: the run's own sort behind it."""
        self._saver: BaseCheckpointSaver | None = request.checkpointer
        self._config = self._named(request.config)
        self._labels = labels(self._config)

    def _named(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        configurable = config.get("configurable", {})
        if self._saver is None or isinstance(thread := configurable["thread_id"], str):
            return config
        # Savers know threads by text; nodes see the id as it was given.
        return {**config, "configurable": {**configurable, "thread_id": str(thread)}}

    def settings(self) -> Settings:
        """How the machine is to run this request."""
        request = self._request
        saving = self._saver is not None
        settings = Settings(
            frame=request.frame,
            modes=request.frame.modes,
            output_keys=request.output_keys,
            saving=saving,
            new_id=lambda: self._make_id(self.newest),
            now=now,
            interrupt_before=request.interrupt_before,
            interrupt_after=request.interrupt_after,
            nested=request.outer is not None,
            at_exit=request.durability == "exit",
            control=request.control,
        )
        return replace(settings, next_version=self._next_version) if saving else settings

    def _next_version(self, current: Any) -> Any:
        assert self._saver is not None
        version = self._saver.get_next_version(current, None)
        if self._source is not None and isinstance(version, str) and _VERSION.fullmatch(version):
            version = f"{version.partition('.')[0]}.{self._source.random():016}"
        return version

    def _note_newest(self, found: CheckpointTuple | None) -> None:
        if found is not None:
            self.newest = max(self.newest, found.checkpoint["id"])

    def load(self) -> Checkpoint | None:
        """Where the thread stands."""
        if self._saver is None:
            return None
        config = self._starting_config()
        if (before := self._request.frame.before) is not None:
            return self.load_inside(Load("", config, before))
        saved = self._saver.get_tuple(config)
        self._note_newest(saved)
        superseded = False
        if saved is not None and config["configurable"].get("checkpoint_id"):
            latest = self._saver.get_tuple(_without_id(config))
            self._note_newest(latest)
            superseded = latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]
        return _checkpoint(config, saved, superseded)

    async def aload(self) -> Checkpoint | None:
        """The async twin of `load`."""
        if self._saver is None:
            return None
        config = self._starting_config()
        if (before := self._request.frame.before) is not None:
            return await self.aload_inside(Load("", config, before))
        saved = await self._saver.aget_tuple(config)
        self._note_newest(saved)
        superseded = False
        if saved is not None and config["configurable"].get("checkpoint_id"):
            latest = await self._saver.aget_tuple(_without_id(config))
            self._note_newest(latest)
            superseded = latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]
        return _checkpoint(config, saved, superseded)

    def _starting_config(self) -> Mapping[str, Any]:
        configurable, ns = self._config["configurable"], self._request.frame.ns
        chosen = configurable.get("checkpoint_map", {}).get(ns) or configurable.get("checkpoint_id")
        return {**self._config, "configurable": {**configurable, "checkpoint_ns": ns, "checkpoint_id": chosen}}

    def load_inside(self, load: Load) -> Checkpoint | None:
        """Where the thread of a graph inside the run's stands."""
        if self._saver is None:
            return None
        config = self._named(load.config)
        if load.before is None:
            saved = self._saver.get_tuple(config)
            if saved is not None and self._ids is not None and saved.checkpoint["id"] > self._ids.bound:
                # What this run saved, told the same by a coordinator that died, has not been saved yet.
                before = {"configurable": {"checkpoint_id": self._ids.bound}}
                saved = next(self._saver.list(_without_id(config), before=before, limit=1), None)
            superseded = False
            if saved is not None and config["configurable"].get("checkpoint_id"):
                latest = self._saver.get_tuple(_without_id(config))
                superseded = latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]
            return _checkpoint(config, saved, superseded)
        before = {"configurable": {"checkpoint_id": load.before}}
        return _checkpoint(config, next(self._saver.list(_without_id(config), before=before, limit=1), None))

    async def aload_inside(self, load: Load) -> Checkpoint | None:
        """The async twin of `load_inside`."""
        if self._saver is None:
            return None
        config = self._named(load.config)
        if load.before is None:
            saved = await self._saver.aget_tuple(config)
            superseded = False
            if saved is not None and config["configurable"].get("checkpoint_id"):
                latest = await self._saver.aget_tuple(_without_id(config))
                superseded = latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]
            return _checkpoint(config, saved, superseded)
        before = {"configurable": {"checkpoint_id": load.before}}
        found = [one async for one in self._saver.alist(_without_id(config), before=before, limit=1)]
        return _checkpoint(config, found[0] if found else None)

    def put(self, save: SaveCheckpoint) -> None:
        """Save a checkpoint."""
        if self._saver is not None:
            config, metadata = self._named(save.config), self._metadata(save)
            self._saver.put(config, save.checkpoint, metadata, save.versions, **_told(self._saver.put, save))

    async def aput(self, save: SaveCheckpoint) -> None:
        """The async twin of `put`."""
        if self._saver is not None:
            config, metadata = self._named(save.config), self._metadata(save)
            await self._saver.aput(config, save.checkpoint, metadata, save.versions, **_told(self._saver.aput, save))

    def _metadata(self, save: SaveCheckpoint) -> dict[str, Any]:
        """The machine's metadata and the caller's, so that a thread's history tells what each run was labelled with."""
        return {**self._labels, **save.metadata}

    def put_writes(self, save: SaveWrites) -> None:
        """Save what a task wrote."""
        if self._saver is not None:
            self._saver.put_writes(self._named(save.config), save.writes, save.task, save.path)

    async def aput_writes(self, save: SaveWrites) -> None:
        """The async twin of `put_writes`."""
        if self._saver is not None:
            await self._saver.aput_writes(self._named(save.config), save.writes, save.task, save.path)


def _told(put: Callable[..., Any], save: SaveCheckpoint) -> dict[str, Any]:
    """What a saver that asks for it is told beside the checkpoint: which lists have only grown."""
    return {"grown": save.grown} if save.grown and _asks_for_growth(getattr(put, "__func__", put)) else {}


@cache
def _asks_for_growth(put: Callable[..., Any]) -> bool:
    return "grown" in inspect.signature(put).parameters


def _without_id(config: Mapping[str, Any]) -> Mapping[str, Any]:
    configurable = {key: value for key, value in config["configurable"].items() if key != "checkpoint_id"}
    return {**config, "configurable": configurable}


def _checkpoint(config: Mapping[str, Any], saved: CheckpointTuple | None, superseded: bool = False) -> Checkpoint:
    """What a saver gave, as the machine takes it."""
    if saved is None:
        return Checkpoint(config=config)
    configurable = {**config.get("configurable", {}), **saved.config.get("configurable", {})}
    return Checkpoint(
        id=saved.checkpoint["id"],
        config={**config, "configurable": configurable},
        parent_config=saved.parent_config,
        metadata=saved.metadata,
        values=saved.checkpoint["channel_values"],
        versions=dict(saved.checkpoint["channel_versions"]),
        updated=saved.checkpoint.get("updated_channels"),
        seen={name: dict(seen) for name, seen in saved.checkpoint["versions_seen"].items()},
        writes=tuple(saved.pending_writes or ()),
        superseded=superseded,
    )


def labels(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller labelled a run with."""
    given = {**config.get("configurable", {}), **config.get("metadata", {})}
    kept = {key: value for key, value in given.items() if not key.startswith("__") and key not in _CHECKPOINT_KEYS}
    return {key: value for key, value in kept.items() if isinstance(value, str | int | bool | float)}


def saved_metadata(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's metadata, with what the caller labelled the run with."""
    return {**labels(config), **metadata}


# What tells where a task stands is no label of the caller's, though a graph that a task runs is given it as such.
_CHECKPOINT_KEYS = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"}) | TASK_METADATA
