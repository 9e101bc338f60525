"""A saver that keeps everything in this process."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleetgraph.checkpoint.base import WRITES_INDEX, BaseCheckpointSaver, CheckpointTuple
from fleetgraph.pregel.task import Write


@dataclass(slots=True)
class _Saved:
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    parent_id: str | None
    writes: dict[tuple[str, int], tuple[str, Any]] = field(default_factory=dict[tuple[str, int], tuple[str, Any]])


class InMemorySaver(BaseCheckpointSaver):
    """Keeps threads for as long as the process lives; for tests, scripts and notebooks.

    Values are copied on the way in and out, so that nothing a node does to its input reaches a checkpoint.
    """

    def __init__(self) -> None:
        self._threads: dict[str, dict[str, dict[str, _Saved]]] = defaultdict(lambda: defaultdict(dict))
        self._lock = threading.Lock()

    def get_tuple(self, config: Mapping[str, Any]) -> CheckpointTuple | None:
        thread, ns, checkpoint_id = _named(config)
        with self._lock:
            saved = self._threads[thread][ns] if thread in self._threads else {}
            checkpoint_id = checkpoint_id or max(saved, default=None)
            if checkpoint_id is None or checkpoint_id not in saved:
                return None
            return self._tuple(thread, ns, checkpoint_id, saved[checkpoint_id])

    def list(
        self,
        config: Mapping[str, Any] | None,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        wanted = (config or {}).get("configurable", {})
        last = (before or {}).get("configurable", {}).get("checkpoint_id")
        with self._lock:
            found = [
                self._tuple(thread, ns, checkpoint_id, saved)
                for thread, namespaces in self._threads.items()
                if wanted.get("thread_id") in (None, thread)
                for ns, checkpoints in namespaces.items()
                if wanted.get("checkpoint_ns") in (None, ns)
                for checkpoint_id, saved in checkpoints.items()
                if wanted.get("checkpoint_id") in (None, checkpoint_id)
                if last is None or checkpoint_id < last
                if all(saved.metadata.get(key) == value for key, value in (filter or {}).items())
            ]
        found.sort(key=lambda item: item.checkpoint["id"], reverse=True)
        yield from found[:limit]

    def put(
        self,
        config: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        thread, ns, parent_id = _named(config)
        saved = _Saved(copy.deepcopy(dict(checkpoint)), copy.deepcopy(dict(metadata)), parent_id)
        with self._lock:
            self._threads[thread][ns][checkpoint["id"]] = saved
        return _config(thread, ns, checkpoint["id"])

    def put_writes(self, config: Mapping[str, Any], writes: Sequence[Write], task_id: str, task_path: str = "") -> None:
        thread, ns, checkpoint_id = _named(config)
        with self._lock:
            saved = self._threads[thread][ns][checkpoint_id or ""]
            for index, (channel, value) in enumerate(writes):
                place = (task_id, WRITES_INDEX.get(channel, index))
                if place[1] < 0 or place not in saved.writes:
                    saved.writes[place] = (channel, _copied(value))

    def delete_thread(self, thread_id: str) -> None:
        with self._lock:
            self._threads.pop(thread_id, None)

    def _tuple(self, thread: str, ns: str, checkpoint_id: str, saved: _Saved) -> CheckpointTuple:
        return CheckpointTuple(
            config=_config(thread, ns, checkpoint_id),
            checkpoint=copy.deepcopy(saved.checkpoint),
            metadata=copy.deepcopy(saved.metadata),
            parent_config=None if saved.parent_id is None else _config(thread, ns, saved.parent_id),
            pending_writes=[
                (task_id, channel, _copied(value)) for (task_id, _), (channel, value) in saved.writes.items()
            ],
        )


MemorySaver = InMemorySaver


def _copied(value: Any) -> Any:
    # An exception would keep alive whatever its traceback's frames hold; of a saved one LangGraph too shows the text.
    return repr(value) if isinstance(value, BaseException) else copy.deepcopy(value)


def _named(config: Mapping[str, Any]) -> tuple[str, str, str | None]:
    configurable = config["configurable"]
    return str(configurable["thread_id"]), configurable.get("checkpoint_ns", ""), configurable.get("checkpoint_id")


def _config(thread: str, ns: str, checkpoint_id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}


__all__ = ["InMemorySaver", "MemorySaver"]
