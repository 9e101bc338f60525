"""The payloads of the stream modes, made from tasks and channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fleetgraph.pregel.program import ERROR, NodeProgram
from fleetgraph.pregel.task import Task, Write

_FRAMEWORK_METADATA = frozenset(
    {
        "langgraph_step",
        "langgraph_node",
        "langgraph_triggers",
        "langgraph_path",
        "langgraph_checkpoint_ns",
        "checkpoint_ns",
        "checkpoint_id",
        "thread_id",
    }
)


def updates(task: Task, keys: Sequence[str] | str, cached: bool) -> dict[str, Any]:
    """`{node: what it wrote}`; None when it wrote nothing visible, a list when it wrote one channel repeatedly."""
    shown: list[Any]
    if isinstance(keys, str):
        shown = [value for channel, value in task.writes if channel == keys]
    else:
        visible = [(channel, value) for channel, value in task.writes if channel in keys]
        if not visible:
            shown = []
        elif max(Counter(channel for channel, _ in visible).values()) > 1:
            shown = [{channel: value} for channel, value in visible]
        else:
            shown = [dict(visible)]
    chunk: dict[str, Any] = {task.name: None if not shown else shown[0] if len(shown) == 1 else shown}
    if cached:
        chunk["__metadata__"] = {"cached": True}
    return chunk


def task_start(task: Task, node: NodeProgram, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `tasks` tells when a task starts."""
    metadata = {
        key: value
        for key, value in {**config.get("metadata", {}), **node.metadata}.items()
        if key not in _FRAMEWORK_METADATA
    }
    if tags := [tag for tag in (*config.get("tags", ()), *node.tags) if not tag.startswith("seq:step")]:
        metadata["tags"] = tags
    payload = {"id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers}
    if metadata:
        payload["metadata"] = metadata
    return payload


def task_result(task: Task, error: BaseException | None, keys: Sequence[str] | str) -> dict[str, Any]:
    """What `tasks` tells when a task has ended."""
    return {
        "id": task.id,
        "name": task.name,
        "error": error,
        "result": _folded(task.writes, (keys,) if isinstance(keys, str) else keys),
        "interrupts": [],
    }


def checkpoint(
    *,
    config: Mapping[str, Any],
    parent_config: Mapping[str, Any] | None,
    values: Any,
    metadata: Mapping[str, Any],
    tasks: Sequence[Task],
    pending: Sequence[tuple[str, str, Any]],
    output_keys: Sequence[str] | str,
) -> dict[str, Any]:
    """What `checkpoints` tells when a superstep is about to begin, or none will."""
    return {
        "config": _public(config),
        "parent_config": None if parent_config is None else _public(parent_config),
        "values": values,
        "metadata": metadata,
        "next": [task.name for task in tasks],
        "tasks": [_planned(task, pending, output_keys) for task in tasks],
    }


def _planned(task: Task, pending: Sequence[tuple[str, str, Any]], keys: Sequence[str] | str) -> dict[str, Any]:
    writes = [(channel, value) for task_id, channel, value in pending if task_id == task.id]
    error = next((value for channel, value in writes if channel == ERROR), None)
    if error is not None:
        return {"id": task.id, "name": task.name, "error": error, "state": None}
    result = _folded(writes, (keys,) if isinstance(keys, str) else keys)
    found = {"result": result} if result else {}
    return {"id": task.id, "name": task.name, **found, "interrupts": (), "state": None}


def _public(config: Mapping[str, Any]) -> dict[str, Any]:
    configurable: Mapping[str, Any] = config.get("configurable", {})
    return {"configurable": {key: v for key, v in configurable.items() if not key.startswith("__pregel_")}}


def _folded(writes: Sequence[Write], keys: Sequence[str]) -> dict[str, Any]:
    """Channel → write, or `{"$writes": [...]}` where a channel was written repeatedly."""
    grouped: dict[str, list[Any]] = {}
    for channel, value in writes:
        if channel in keys:
            grouped.setdefault(channel, []).append(value)
    return {channel: values[0] if len(values) == 1 else {"$writes": values} for channel, values in grouped.items()}
