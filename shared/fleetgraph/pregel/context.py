"""The task that the current thread or coroutine is running."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fleetgraph.pregel.task import Emitter, Task

if TYPE_CHECKING:
    from fleetgraph.pregel.program import NodeProgram
    from fleetgraph.runtime import Runtime

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


class TaskContext:
    """A running task, what it was started with, and what it may ask for; most tasks ask for none of it."""

    def __init__(self, task: Task, node: NodeProgram, emit: Emitter, config: Mapping[str, Any], context: Any) -> None:
        self.task = task
        self.node = node
        self.emit = emit
        self.run_config = config
        self.context = context
        self.attempt = 1
        self.first_attempt_time = time.time()

    @cached_property
    def writer(self) -> Callable[[Any], None]:
        """Emits a `custom` chunk, or does nothing when nobody asked for those."""
        return self.emit.custom if "custom" in self.emit.modes else _discard

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The run's and the node's metadata, and where the task stands."""
        return task_metadata(self.task, self.node, self.run_config)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's config as this task's node sees it."""
        run = self.run_config
        configurable = {
            **run.get("configurable", {}),
            "checkpoint_ns": self.task.ns,
            "checkpoint_id": None,
        }
        config = {**run, "metadata": dict(self.metadata), "configurable": configurable}
        config["tags"] = [*run.get("tags", ()), *self.node.tags]
        return config

    @property
    def runtime(self) -> Runtime[Any]:
        """A fresh view, since a retry changes the attempt."""
        from fleetgraph.runtime import ExecutionInfo, Runtime

        configurable = self.run_config.get("configurable", {})
        run_id = self.run_config.get("run_id")
        return Runtime(
            context=self.context,
            stream_writer=self.writer,
            execution_info=ExecutionInfo(
                checkpoint_id=configurable.get("checkpoint_id"),
                checkpoint_ns=self.task.ns,
                task_id=self.task.id,
                thread_id=configurable.get("thread_id"),
                run_id=None if run_id is None else str(run_id),
                node_attempt=self.attempt,
                node_first_attempt_time=self.first_attempt_time,
            ),
        )


def task_metadata(task: Task, node: NodeProgram, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a trace or a streamed message of the task is labelled with."""
    metadata = {**config.get("metadata", {}), **node.metadata}
    configurable: Mapping[str, Any] = config.get("configurable", {})
    for key in _METADATA_FROM_CONFIGURABLE:
        if configurable.get(key) and key not in metadata:
            metadata[key] = configurable[key]
    metadata["ls_integration"] = "langgraph"
    metadata["langgraph_step"] = task.step
    metadata["langgraph_node"] = task.name
    metadata["langgraph_triggers"] = task.triggers
    metadata["langgraph_path"] = task.path
    metadata["langgraph_checkpoint_ns"] = task.ns
    return metadata


def _discard(_: Any) -> None: ...


_current: ContextVar[TaskContext | None] = ContextVar("fleetgraph_task", default=None)


def current() -> TaskContext:
    """The running task's context.

    Raises:
        RuntimeError: Nothing is running here.
    """
    context = _current.get()
    if context is None:
        raise RuntimeError("Called get_config outside of a runnable context")
    return context


def surrounding_config() -> dict[str, Any] | None:
    """What a graph that is run by a node's code takes over from the run around it; None outside of a node.

    The namespace comes along, so that a saver both use keeps their checkpoints apart.
    """
    context = _current.get()
    if context is None:
        return None
    run = context.run_config
    configurable = {key: value for key, value in run.get("configurable", {}).items() if key != "checkpoint_id"}
    return {
        "tags": run.get("tags", ()),
        "metadata": run.get("metadata", {}),
        "recursion_limit": run["recursion_limit"],
        "configurable": {**configurable, "checkpoint_ns": context.task.ns},
    }


enter = _current.set
leave = _current.reset
