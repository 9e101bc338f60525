"""Fleetgraph's savers as LangGraph's, so that what is written for those can be run on these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver as TheirSaver
from langgraph.checkpoint.base import CheckpointTuple as TheirTuple

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple


class ReversedSaver(TheirSaver[Any]):
    """One of Fleetgraph's savers with LangGraph's interface."""

    def __init__(self, saver: BaseCheckpointSaver) -> None:
        super().__init__()
        self.saver = saver

    def get_tuple(self, config: Any) -> TheirTuple | None:
        return _theirs(self.saver.get_tuple(config))

    async def aget_tuple(self, config: Any) -> TheirTuple | None:
        return _theirs(await self.saver.aget_tuple(config))

    def list(self, config: Any, **options: Any) -> Iterator[TheirTuple]:  # type: ignore[override]
        for item in self.saver.list(config, **options):
            yield TheirTuple(*item)  # type: ignore[arg-type]

    async def alist(self, config: Any, **options: Any) -> AsyncIterator[TheirTuple]:  # type: ignore[override]
        async for item in self.saver.alist(config, **options):
            yield TheirTuple(*item)  # type: ignore[arg-type]

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return self.saver.put(config, checkpoint, metadata, new_versions)

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return await self.saver.aput(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.saver.put_writes(config, writes, task_id, task_path)

    async def aput_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        await self.saver.aput_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        self.saver.delete_thread(thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        await self.saver.adelete_thread(thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self.saver.acopy_thread(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Any, *, strategy: Any = "keep_latest") -> None:
        await self.saver.aprune(thread_ids, strategy=strategy)

    async def adelete_for_runs(self, run_ids: Any) -> None:
        await self.saver.adelete_for_runs(run_ids)

    def get_next_version(self, current: Any, channel: None) -> Any:
        return self.saver.get_next_version(current, channel)


def _theirs(found: CheckpointTuple | None) -> TheirTuple | None:
    return None if found is None else TheirTuple(*found)  # type: ignore[arg-type]
