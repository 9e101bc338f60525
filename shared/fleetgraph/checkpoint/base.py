"""Savers: where the state of threads is kept between runs."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fleetgraph.pregel.program import ERROR, INTERRUPT, RESUME
from fleetgraph.pregel.task import Write

WRITES_INDEX = {ERROR: -1, INTERRUPT: -3, RESUME: -4}
"""Places of writes that tell about a task; each is kept once per task, the last one winning."""


class CheckpointTuple(NamedTuple):
    """A saved checkpoint and what belongs to it."""

    config: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    metadata: Mapping[str, Any]
    parent_config: Mapping[str, Any] | None = None
    pending_writes: Sequence[tuple[str, str, Any]] | None = None


class BaseCheckpointSaver(ABC):
    """Keeps checkpoints by thread.

    Configs name them: `{"configurable": {"thread_id": ..., "checkpoint_ns": ..., "checkpoint_id": ...}}`.
    """

    @abstractmethod
    def get_tuple(self, config: Mapping[str, Any]) -> CheckpointTuple | None:
        """The checkpoint a config names, or the thread's latest when it names none."""

    @abstractmethod
    def list(
        self,
        config: Mapping[str, Any] | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints of a thread, newest first; those whose metadata has `filter`, that came before `before`."""

    @abstractmethod
    def put(
        self,
        config: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Save a checkpoint as the child of the one `config` names. Returns the config that names it."""

    @abstractmethod
    def put_writes(self, config: Mapping[str, Any], writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        """Save what a task wrote, beside the checkpoint that `config` names. Saving it again changes nothing."""

    @abstractmethod
    def delete_thread(self, thread_id: str) -> None:
        """Forget everything about a thread."""

    def get_next_version(self, current: str | None, channel: None = None) -> str:
        """A channel version greater than `current`, and than any that another branch of the thread has made of it."""
        count = 0 if current is None else int(str(current).split(".")[0])
        return f"{count + 1:032}.{random.random():016}"

    async def aget_tuple(self, config: Mapping[str, Any]) -> CheckpointTuple | None:
        """The async twin of `get_tuple`."""
        return self.get_tuple(config)

    async def aput(
        self,
        config: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """The async twin of `put`."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: Mapping[str, Any], writes: Sequence[Write], task_id: str, task_path: str = ""
    ) -> None:
        """The async twin of `put_writes`."""
        self.put_writes(config, writes, task_id, task_path)


def check_saver(checkpointer: object) -> None:
    """Refuse what is no saver.

    Raises:
        TypeError: It is none.
    """
    if checkpointer is None or isinstance(checkpointer, bool | BaseCheckpointSaver):
        return
    raise TypeError(
        f"Invalid checkpointer provided. Expected an instance of `BaseCheckpointSaver`, `True`, `False`, or `None`. "
        f"Received {type(checkpointer).__name__}. Pass a proper saver (e.g., InMemorySaver, AsyncPostgresSaver)."
    )
