"""The payloads of the stream modes, made from tasks and channels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fleetgraph.pregel.labels import TASK_METADATA
from fleetgraph.pregel.planning import Pending
from fleetgraph.pregel.program import NodeProgram
from fleetgraph.pregel.reserved import RETURN
from fleetgraph.pregel.task import Frame, Task, Write
from fleetgraph.types import Interrupt

_FRAMEWORK_METADATA = TASK_METADATA | {"checkpoint_ns", "checkpoint_id", "thread_id"}


def updates(task: Task, keys: Collection[str], *, alone: bool, cached: bool) -> dict[str, Any]:
    """`{node: what it wrote}`; None when it wrote nothing visible, a list when it wrote one channel repeatedly.

    Args:
        task: What has written.
        keys: The channels to be shown.
        alone: Whether the state is just one of them, which is shown without its name.
        cached: Whether it did not have to run for that.
    """
    shown: list[Any]
    if task.call is not None or alone:
        channels = (RETURN,) if task.call is not None else keys
        shown = [value for channel, value in task.writes if channel in channels]
    else:
        visible = [(channel, value) for channel, value in task.writes if channel in keys]
        together = dict(visible)
        if len(together) < len(visible):
            shown = [{channel: value} for channel, value in visible]
        else:
            shown = [together] if together else []
    chunk: dict[str, Any] = {task.name: None if not shown else shown[0] if len(shown) == 1 else shown}
    if cached:
        chunk["__metadata__"] = {"cached": True}
    return chunk


def task_start(task: Task, node: NodeProgram | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `tasks` tells when a task starts."""
    metadata = {
        key: value
        for key, value in {**config.get("metadata", {}), **(node.metadata if node else {})}.items()
        if key not in _FRAMEWORK_METADATA
    }
    tags = (*config.get("tags", ()), *(node.tags if node else ()))
    if shown := [tag for tag in tags if not tag.startswith("seq:step")]:
        metadata["tags"] = shown
    payload = {"id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers}
    if metadata:
        payload["metadata"] = metadata
    return payload


def task_result(
    task: Task, error: BaseException | None, keys: Sequence[str] | str, asked: Sequence[Interrupt]
) -> dict[str, Any]:
    """What `tasks` tells when a task has ended, or asked something."""
    shown = [*((keys,) if isinstance(keys, str) else keys), RETURN]
    return {
        "id": task.id,
        "name": task.name,
        "error": error,
        "result": _folded(task.writes, shown),
        "interrupts": [_question(one) for one in asked],
    }


def checkpoint(
    *,
    config: Mapping[str, Any],
    parent_config: Mapping[str, Any] | None,
    values: Any,
    metadata: Mapping[str, Any],
    tasks: Sequence[Task],
    pending: Pending,
    frame: Frame,
    output_keys: Sequence[str] | str,
) -> dict[str, Any]:
    """What `checkpoints` tells when a superstep is about to begin, or none will."""
    return {
        "config": public(mapped(config, metadata)),
        "parent_config": None if parent_config is None else public(mapped(parent_config, metadata)),
        "values": values,
        "metadata": metadata,
        "next": [task.name for task in tasks],
        "tasks": [_planned(task, pending, frame, config, output_keys) for task in tasks],
    }


def _planned(
    task: Task, pending: Pending, frame: Frame, config: Mapping[str, Any], keys: Sequence[str] | str
) -> dict[str, Any]:
    state = None
    if (graph := frame.program.nodes[task.name].graph) is not None and graph.checkpointer is not False:
        state = subgraph_config(task.ns, config)
    if (error := pending.error(task.id)) is not None:
        return {"id": task.id, "name": task.name, "error": error, "state": state}
    written = task_output(pending.output(task.id), keys)
    found = {"result": written} if written else {}
    questions = tuple(_question(one) for one in pending.asked(task.id))
    return {"id": task.id, "name": task.name, **found, "interrupts": questions, "state": state}


def returned(writes: Sequence[Write]) -> Any:
    """What a function that ran as a task returned; None for nothing."""
    return next((value for channel, value in writes if channel == RETURN), None)


def task_output(writes: Sequence[Write], keys: Sequence[str] | str) -> Any:
    """What a task that has ended wrote, as `PregelTask.result` shows it; None if it has not ended."""
    if not writes:
        return None
    for channel, value in writes:
        if channel == RETURN:
            return value
    if isinstance(keys, str):
        return _folded(writes, (keys,)).get(keys)
    return _folded(writes, keys)


def subgraph_config(ns: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config that names the state of the subgraph in a task."""
    return {"configurable": {"thread_id": config["configurable"]["thread_id"], "checkpoint_ns": ns}}


def mapped(config: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A config of a subgraph's checkpoint, with the checkpoints of the graphs around it that it belongs to."""
    parents = (metadata or {}).get("parents")
    if not parents:
        return config
    configurable = config["configurable"]
    places = {**parents, configurable.get("checkpoint_ns", ""): configurable.get("checkpoint_id")}
    return {**config, "configurable": {**configurable, "checkpoint_map": places}}


def _question(asked: Interrupt) -> dict[str, Any]:
    return asdict(asked)


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what is only of use inside of a run."""
    configurable: Mapping[str, Any] = config.get("configurable", {})
    return {"configurable": {key: v for key, v in configurable.items() if not key.startswith("__pregel_")}}


def _folded(writes: Sequence[Write], keys: Sequence[str]) -> dict[str, Any]:
    """Channel → write, or `{"$writes": [...]}` where a channel was written repeatedly."""
    grouped: dict[str, list[Any]] = {}
    for channel, value in writes:
        if channel in keys:
            grouped.setdefault(channel, []).append(value)
    return {channel: values[0] if len(values) == 1 else {"$writes": values} for channel, values in grouped.items()}
