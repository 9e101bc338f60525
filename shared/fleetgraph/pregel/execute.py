"""Running one task: the node's function, the writes that follow from what it returned, and its conditional edges.

The core is a generator that asks for user code to be called; `execute` and `aexecute` are the shells that call it.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.constants import END
from fleetgraph.errors import GraphBubbleUp, GraphInterrupt, NodeCancelledError, ParentCommand, is_invalid_resume
from fleetgraph.pregel import context as task_context
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.program import BranchProgram, NodeProgram, Reading
from fleetgraph.pregel.reserved import RETURN, TASKS, trigger_of
from fleetgraph.pregel.task import Emitter, Host, Task, Write
from fleetgraph.pregel.timeouts import time_limit
from fleetgraph.stream import messages
from fleetgraph.types import Command, RetryPolicy, Send

Request = tuple[Callee, tuple[Any, ...], Mapping[str, Any]]
"""User code to be called, with its arguments."""
Steps = Generator[Request, Any, list[Write]]
"""Asks for calls of user code, is sent what they return, and returns the task's writes."""

_NO_KEYWORDS: Final[Mapping[str, Any]] = {}


def execute(task: Task, emit: Emitter, host: Host) -> list[Write]:
    """Run a task in this thread and return its writes, in order.

    When it raises, `task.writes` holds what the node had written before a path function behind it failed, or a record
    of the answers it was given, if it asks for another.

    Args:
        emit: Takes the `custom` and `messages` chunks of the task while it runs.
        host: Answers what it asks of its run.

    Raises:
        GraphInterrupt: It waits for an answer.
        Exception: What the node raised, once its retry policy gives up, with a note that names the task.
        TypeError: The node, or a path function behind it, is a coroutine function.
    """
    running = TaskContext(task, _program_of(task), emit, host)
    entered = task_context.enter(running)
    try:
        while True:
            try:
                with messages.streaming(running), host.time_limit(running):
                    steps = _steps(running)
                    request = next(steps)
                    while True:
                        callee, args, kwargs = request
                        try:
                            result = callee.call(args, kwargs, running)
                        except ParentCommand as error:
                            request = steps.throw(error)
                        else:
                            request = steps.send(result)
            except StopIteration as end:
                return end.value
            except Exception as error:
                host.sleep(_retry_delay(running, error))
    except BaseException as error:
        _note(running, error)
        raise
    finally:
        task_context.leave(entered)


async def aexecute(task: Task, emit: Emitter, host: Host) -> list[Write]:
    """The same as `execute`, on the event loop; synchronous functions run in a thread of their own.

    Raises:
        NodeTimeoutError: An attempt took longer than the task's timeout.
    """
    running = TaskContext(task, _program_of(task), emit, host)
    running.on_loop = True
    entered = task_context.enter(running)
    try:
        while True:
            try:
                with messages.streaming(running):
                    async with time_limit(running):
                        steps = _steps(running)
                        request = next(steps)
                        while True:
                            callee, args, kwargs = request
                            try:
                                result = await callee.acall(args, kwargs, running)
                            except ParentCommand as error:
                                request = steps.throw(error)
                            else:
                                request = steps.send(result)
            except StopIteration as end:
                return end.value
            except Exception as error:
                await asyncio.sleep(_retry_delay(running, error))
    except BaseException as error:
        _note(running, error)
        raise
    finally:
        task_context.leave(entered)


def _program_of(task: Task) -> NodeProgram:
    if task.call is None:
        return task.frame.program.nodes[task.name]
    return NodeProgram(
        name=task.name,
        callee=Callee(task.call.function, task.name),
        triggers=task.triggers,
        reading=Reading((), {}, None),
        updates=lambda returned: [(RETURN, returned)],
        retry=task.call.retry,
    )


def _note(running: TaskContext, error: BaseException) -> None:
    """Say whose error it is; and keep what is to be known of a task that asks something."""
    task = running.task
    if isinstance(error, GraphInterrupt):
        task.writes = running.given_answers
    elif not isinstance(error, GraphBubbleUp):
        task.writes = task.writes or running.given_answers
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        if isinstance(error, KeyError) and error.args and str(error.args[0]).startswith("__pregel_"):
            error.add_note("It comes from a function of LangGraph's: import that from fleetgraph instead of langgraph.")


def _steps(running: TaskContext) -> Steps:
    task, node = running.task, running.node
    if running.attempt > 1:
        running.begin_attempt()
    writes = task.writes = []
    if task.returned is not MISSING:
        returned = task.returned
    elif node.callee is None:
        returned = task.input
    else:
        messages.saw_input(running)
        args, kwargs = task.input if task.call is not None else ((task.input,), _NO_KEYWORDS)
        try:
            returned = yield node.callee, args, kwargs
        except ParentCommand as signal:
            command: Command[Any] = signal.args[0]
            if command.graph not in (task.ns, task.name):
                raise
            returned = replace(command, graph=None)
    writes += running.given_answers
    writes += running.extra_writes
    yield from follow(running, returned)
    messages.emit_returned(running, returned)
    return writes


def follow(running: TaskContext, returned: Any) -> Steps:
    """What follows from what the task's node returned: asks for its path functions to be called, adds to its writes."""
    task, node, writes = running.task, running.node, running.task.writes
    writes += node.updates(returned)
    writes += node.edges
    for branch in node.branches:
        answer = yield branch.branch.callee, (_seen_by(branch, task, writes, returned),), _NO_KEYWORDS
        for destination in branch.branch.destinations(answer):
            if isinstance(destination, Send):
                writes.append((TASKS, destination))
            elif destination != END:
                writes.append((trigger_of(destination), None))
    return writes


def _seen_by(branch: BranchProgram, task: Task, writes: list[Write], returned: Any) -> Any:
    """The state as a path function sees it: with its own task's writes applied, and no sibling's."""
    snapshot = task.snapshot or {}
    written: defaultdict[str, list[Any]] = defaultdict(list)
    for name, value in writes:
        written[name].append(value)
    channels: dict[str, BaseChannel] = {}
    for key in branch.reading.channels:
        channel = channels[key] = task.frame.program.channels[key].from_checkpoint(snapshot.get(key, MISSING))
        channel.update(written[key])
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
    delay = retry_delay(running.node.retry, error, running.attempt)
    if delay is None:
        raise error
    running.attempt += 1
    return delay


def retry_delay(policies: Sequence[RetryPolicy], error: BaseException, attempt: int) -> float | None:
    """Seconds to wait after this attempt, from 1, failed; None when it was the last."""
    if isinstance(error, GraphBubbleUp) or not isinstance(error, Exception) or is_invalid_resume(error):
        return None
    for policy in policies:
        if policy.covers(error):
            if attempt >= policy.max_attempts:
                return None
            interval = min(policy.max_interval, policy.initial_interval * policy.backoff_factor ** (attempt - 1))
            return interval + (random.random() if policy.jitter else 0.0)
    return None
