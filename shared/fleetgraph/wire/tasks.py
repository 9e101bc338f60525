"""Between the machine's tasks and the messages that carry them to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from fleetgraph.pregel.program import Program
from fleetgraph.pregel.task import Task
from fleetgraph.wire.messages import GraphRef, Outcome, TaskMessage

_unpack: Any = cast("Any", msgpack).unpackb


def _no_value(code: int, data: bytes) -> None:
    """Stands in for an extension that is not to be built."""


def to_message(
    task: Task,
    *,
    run: str,
    inbox: str,
    graph: GraphRef,
    attempt: int,
    modes: tuple[str, ...],
    config: Mapping[str, Any],
    context: Any,
) -> TaskMessage:
    """The message that asks a worker to run `task`."""
    send = task.values is None
    return TaskMessage(
        run=run,
        inbox=inbox,
        graph=graph,
        attempt=attempt,
        modes=modes,
        id=task.id,
        name=task.name,
        path=task.path,
        triggers=task.triggers,
        step=task.step,
        stop=task.stop,
        ns=task.ns,
        input=task.input if send else task.values,
        send=send,
        snapshot=task.snapshot,
        config=config,
        context=context,
    )


def from_message(program: Program, message: TaskMessage) -> Task:
    """The task a message asks for, its input in the form the node expects.

    Raises:
        Exception: What the node's schema raises, with the note that names the task.
    """
    node = program.nodes[message.name]
    try:
        shaped = message.input if message.send else node.reading.shape(message.input)
    except Exception as error:
        error.add_note(f"Before task with name '{message.name}' and path '{message.path}'")
        raise
    return Task(
        id=message.id,
        name=message.name,
        path=tuple(message.path),
        triggers=tuple(message.triggers),
        step=message.step,
        stop=message.stop,
        ns=message.ns,
        input=shaped,
        values=None if message.send else message.input,
        snapshot=message.snapshot,
    )


def unreadable_outcome(data: bytes, error: Exception) -> Outcome | None:
    """An outcome that failed to decode, as a failure of the task it is about; None if not even that can be read.

    Without it, a value of a type that only the worker knows would leave the run waiting for ever.
    """
    try:
        parts = cast("list[Any]", _unpack(data, strict_map_key=False, ext_hook=_no_value))
        _, run, task, attempt, worker, *_ = parts
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        return None
    if not (isinstance(run, str) and isinstance(task, str) and isinstance(attempt, int)):
        return None
    return Outcome(run, task, attempt, str(worker), None, error)
