"""Makes checkpoints, and tells what a saver holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple


def config(checkpoint_id: str | None = None, thread: str = "1", ns: str = "") -> dict[str, Any]:
    """The config that names a checkpoint, or a namespace of a thread."""
    configurable = {"thread_id": thread, "checkpoint_ns": ns}
    return {"configurable": configurable if checkpoint_id is None else configurable | {"checkpoint_id": checkpoint_id}}


def checkpoint(checkpoint_id: str, values: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint with these values; `versions` also names the channels that are empty."""
    return {
        "v": 4,
        "id": checkpoint_id,
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": dict(values),
        "channel_versions": dict(versions),
        "versions_seen": {"node": dict(versions)},
        "updated_channels": sorted(values),
    }


def put(
    saver: BaseCheckpointSaver,
    checkpoint_id: str,
    values: Mapping[str, Any] | None = None,
    *,
    parent: str | None = None,
    thread: str = "1",
    ns: str = "",
    **metadata: Any,
) -> None:
    """Save a checkpoint all of whose values are new."""
    versions = {name: f"{name} of {ns} at {checkpoint_id}" for name in values or {}}
    saved = checkpoint(checkpoint_id, values or {}, versions)
    saver.put(config(parent, thread, ns), saved, {"source": "loop", "step": 0, "parents": {}} | metadata, versions)


def found(
    saver: BaseCheckpointSaver, checkpoint_id: str | None = None, thread: str = "1", ns: str = ""
) -> CheckpointTuple:
    """What `get_tuple` gives, which has to be something."""
    item = saver.get_tuple(config(checkpoint_id, thread, ns))
    assert item is not None
    return item


def ids(saver: BaseCheckpointSaver, of: Mapping[str, Any] | None = None, **options: Any) -> list[str]:
    """The ids that `list` gives, for thread 1 if none is named."""
    return [item.checkpoint["id"] for item in saver.list(config() if of is None else of, **options)]
