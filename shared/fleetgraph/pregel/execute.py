"""Running one task: the node's function, the writes that follow from what it returned, and its conditional edges.

The core is a generator that asks for user code to be called; `execute` and `aexecute` are the shells that call it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Generator, Mapping
from typing import Any, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.constants import END
from fleetgraph.errors import GraphBubbleUp, NodeCancelledError
from fleetgraph.pregel import context as task_context
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.program import TASKS, BranchProgram, Program, trigger_of
from fleetgraph.pregel.task import Emitter, Task, Write
from fleetgraph.stream import messages
from fleetgraph.types import Send

_Steps = Generator[tuple[Callee, Any], Any, list[Write]]
"""Asks for calls of user code, is sent what they return, and returns the task's writes."""


def execute(program: Program, task: Task, emit: Emitter, config: Mapping[str, Any], context: Any = None) -> list[Write]:
    """Run a task in this thread and return its writes, in order.

    When it raises, `task.writes` holds what the node had written before a path function behind it failed.

    Args:
        program: The graph the task belongs to.
        emit: Takes the `custom` and `messages` chunks of the task while it runs.
        config: The run's config.
        context: The run's context, as an instance of the graph's `context_schema`.

    Raises:
        Exception: What the node raised, once its retry policy gives up, with a note that names the task.
        TypeError: The node, or a path function behind it, is a coroutine function.
    """
    running = TaskContext(task, program.nodes[task.name], emit, config, context)
    entered = task_context.enter(running)
    try:
        while True:
            try:
                with messages.streaming(running):
                    steps = _steps(program, running)
                    result = None
                    while True:
                        try:
                            callee, value = steps.send(result)
                        except StopIteration as end:
                            return end.value
                        result = callee.call(value, running)
            except Exception as error:
                time.sleep(_retry_delay(running, error))
    except GraphBubbleUp:
        raise
    except BaseException as error:
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        raise
    finally:
        task_context.leave(entered)


async def aexecute(
    program: Program, task: Task, emit: Emitter, config: Mapping[str, Any], context: Any = None
) -> list[Write]:
    """The same as `execute`, on the event loop; synchronous functions run in a thread of their own."""
    running = TaskContext(task, program.nodes[task.name], emit, config, context)
    entered = task_context.enter(running)
    try:
        while True:
            try:
                with messages.streaming(running):
                    steps = _steps(program, running)
                    result = None
                    while True:
                        try:
                            callee, value = steps.send(result)
                        except StopIteration as end:
                            return end.value
                        result = await callee.acall(value, running)
            except Exception as error:
                await asyncio.sleep(_retry_delay(running, error))
    except GraphBubbleUp:
        raise
    except BaseException as error:
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        raise
    finally:
        task_context.leave(entered)


def _steps(program: Program, running: TaskContext) -> _Steps:
    task, node = running.task, running.node
    messages.saw_input(running)
    writes = task.writes = []
    returned = task.input if node.callee is None else (yield node.callee, task.input)
    writes += node.updates(returned)
    writes += node.edges
    for branch in node.branches:
        answer = yield branch.branch.callee, _seen_by(branch, program, task, writes, returned)
        for destination in branch.branch.destinations(answer):
            if isinstance(destination, Send):
                writes.append((TASKS, destination))
            elif destination != END:
                writes.append((trigger_of(destination), None))
    messages.emit_returned(running, returned)
    return writes


def _seen_by(branch: BranchProgram, program: Program, task: Task, writes: list[Write], returned: Any) -> Any:
    """The state as a path function sees it: with its own task's writes applied, and no sibling's."""
    snapshot = task.snapshot or {}
    channels: dict[str, BaseChannel] = {}
    for key in branch.reading.channels:
        channel = program.channels[key].from_checkpoint(snapshot.get(key, MISSING))
        channel.update([value for name, value in writes if name == key])
        channels[key] = channel
    values = branch.reading.values(channels, task.step, task.stop)
    shaped = branch.reading.shape(values)
    if branch.passthrough and isinstance(shaped, dict) and isinstance(returned, dict):
        return {**cast("dict[str, Any]", returned), **cast("dict[str, Any]", shaped)}
    return cast("Any", shaped)


def node_cancelled(node: str, error: asyncio.CancelledError) -> NodeCancelledError:
    """What to report when a node raised `error` though nobody cancelled it: that must not look like a cancellation."""
    reported = NodeCancelledError(f"Node {node!r} raised CancelledError")
    reported.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        reported.add_note(note)
    return reported


def _retry_delay(running: TaskContext, error: Exception) -> float:
    """Seconds to wait before trying the node again; raises `error` when it is not to be tried again."""
    if isinstance(error, GraphBubbleUp):
        raise error
    attempt = running.attempt
    for policy in running.node.retry:
        if policy.covers(error):
            if attempt >= policy.max_attempts:
                break
            running.attempt += 1
            interval = min(policy.max_interval, policy.initial_interval * policy.backoff_factor ** (attempt - 1))
            return interval + (random.random() if policy.jitter else 0.0)
    raise error
