"""How a driver talks to the run's saver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from fleetgraph.pregel.instructions import SaveCheckpoint, SaveWrites
from fleetgraph.pregel.machine import Checkpoint, Settings, path_order
from fleetgraph.pregel.run import RunRequest, new_checkpoint_id, now


class CheckpointStore:
    """One run's view of its saver; without a saver everything is a no-op."""

    def __init__(self, saver: BaseCheckpointSaver | None, config: Mapping[str, Any]) -> None:
        self._saver = saver
        configurable = config.get("configurable", {})
        if saver is not None:  # savers know threads by text; nodes see the id as it was given
            configurable = {**configurable, "thread_id": str(configurable["thread_id"])}
        self._config = {**config, "configurable": configurable}

    def settings(self, request: RunRequest) -> Settings:
        """How the machine is to run this request."""
        saving = self._saver is not None
        return Settings(
            config=self._config,
            modes=request.format.modes,
            output_keys=request.output_keys,
            saving=saving,
            new_id=new_checkpoint_id,
            now=now,
            **({"next_version": self._next_version} if saving else {}),
        )

    def _next_version(self, current: Any) -> Any:
        assert self._saver is not None
        return self._saver.get_next_version(current, None)

    def load(self) -> Checkpoint | None:
        """Where the thread stands."""
        return None if self._saver is None else self._loaded(self._saver.get_tuple(self._config))

    async def aload(self) -> Checkpoint | None:
        return None if self._saver is None else self._loaded(await self._saver.aget_tuple(self._config))

    def _loaded(self, saved: CheckpointTuple | None) -> Checkpoint:
        if saved is None:
            return Checkpoint()
        configurable = {**self._config.get("configurable", {}), **saved.config.get("configurable", {})}
        return Checkpoint(
            id=saved.checkpoint["id"],
            config={**self._config, "configurable": configurable},
            parent_config=saved.parent_config,
            metadata=saved.metadata,
            values=saved.checkpoint["channel_values"],
            versions=dict(saved.checkpoint["channel_versions"]),
            updated=saved.checkpoint.get("updated_channels"),
            seen={name: dict(seen) for name, seen in saved.checkpoint["versions_seen"].items()},
            writes=tuple(saved.pending_writes or ()),
        )

    def put(self, save: SaveCheckpoint) -> None:
        if self._saver is not None:
            self._saver.put(save.config, save.checkpoint, self._metadata(save), save.versions)

    async def aput(self, save: SaveCheckpoint) -> None:
        if self._saver is not None:
            await self._saver.aput(save.config, save.checkpoint, self._metadata(save), save.versions)

    def _metadata(self, save: SaveCheckpoint) -> dict[str, Any]:
        """The machine's metadata and the caller's, so that a thread's history tells what each run was labelled with."""
        labels = {**self._config.get("configurable", {}), **self._config.get("metadata", {})}
        kept = {k: v for k, v in labels.items() if not k.startswith("__") and k not in _CHECKPOINT_KEYS}
        plain = {k: v for k, v in kept.items() if isinstance(v, str | int | bool | float)}
        return {**plain, **save.metadata}

    def put_writes(self, save: SaveWrites) -> None:
        if self._saver is not None:
            self._saver.put_writes(save.config, save.writes, save.task.id, path_order(save.task))

    async def aput_writes(self, save: SaveWrites) -> None:
        if self._saver is not None:
            await self._saver.aput_writes(save.config, save.writes, save.task.id, path_order(save.task))


_CHECKPOINT_KEYS = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"})
