"""How a task is labelled: the config and the metadata that its code, its messages and its traces carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fleetgraph.pregel.program import NodeProgram
    from fleetgraph.pregel.task import Task

TASK_KEY: Final = "__pregel_task_id"
"""In the config that a node is given: tells a graph that is called with it that this task runs it."""

# What a task's own metadata takes over from `configurable`, so that a trace or a streamed message can be placed.
_METADATA_FROM_CONFIGURABLE = (
    "thread_id",
    "checkpoint_id",
    "checkpoint_ns",
    "task_id",
    "run_id",
    "assistant_id",
    "graph_id",
)

TASK_METADATA: Final = frozenset(
    {
        "ls_integration",
        "langgraph_step",
        "langgraph_node",
        "langgraph_triggers",
        "langgraph_path",
        "langgraph_checkpoint_ns",
    }
)
"""What a task's metadata says about the task itself."""


def node_of(task: Task) -> NodeProgram | None:
    """The node whose task it is; None for a function that a task called."""
    return None if task.call is not None else task.frame.program.nodes[task.name]


def task_config(task: Task) -> dict[str, Any]:
    """The run's config as the task's code sees it."""
    run, node = task.frame.config, node_of(task)
    configurable = {
        **run.get("configurable", {}),
        "checkpoint_ns": task.ns,
        "checkpoint_id": None,
        TASK_KEY: task.id,
    }
    tags = [*run.get("tags", ()), *(node.tags if node else ())]
    return {**run, "metadata": task_metadata(task), "configurable": configurable, "tags": tags}


def task_metadata(task: Task) -> dict[str, Any]:
    """What a trace or a streamed message of the task is labelled with."""
    config, node = task.frame.config, node_of(task)
    metadata = {**config.get("metadata", {}), **(node.metadata if node else {})}
    configurable: Mapping[str, Any] = config.get("configurable", {})
    for key in _METADATA_FROM_CONFIGURABLE:
        if configurable.get(key) and key not in metadata:
            metadata[key] = configurable[key]
    if task.call is not None and "checkpoint_ns" not in config.get("metadata", {}):  # its caller's is no graph's
        metadata.pop("checkpoint_ns", None)
    metadata["ls_integration"] = "langgraph"
    metadata["langgraph_step"] = task.step
    metadata["langgraph_node"] = task.name
    metadata["langgraph_triggers"] = task.triggers
    metadata["langgraph_path"] = task.path
    metadata["langgraph_checkpoint_ns"] = task.ns
    return metadata


def without_task_ids(ns: str, *, without_numbers: bool = False) -> str:
    """A namespace as the names of nodes only.

    Args:
        without_numbers: Whether to leave out, too, which graph of several in one task it is.
    """
    parts = [part for part in ns.split("|") if not (without_numbers and part.isdigit())]
    return "|".join(part.partition(":")[0] for part in parts)
