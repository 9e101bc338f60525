"""Between the machine's tasks and the messages that carry them to a worker.

A task message's `more` holds, where they apply:

    nodes        the nodes that lead to the task's graph from the run's own, each being a graph in the one before
    ns           the graph's namespace
    checkpoint   the checkpoint the task was planned from, and `parents`, those its graph hangs on
    digest       the name of the hash that ids are made with, if it is not ours
    answers      to the task's questions so far; `map`: answers by the id of the question
    asks         that an answer is there to be claimed
    resuming     what graphs in the task are to do with a thread they find
    replaying    the checkpoint of the outermost graph that is being replayed; `first`: that the task is the first of
                 its node since, so that graphs it calls start from what they were before that checkpoint
    async        that the caller is a coroutine: what can be run in either way runs on the event loop
    saving       that the run has a saver; `exit` that it saves at its end only
    subgraphs    that chunks of graphs in the task are wanted
    unheard      that chunks of `messages` are wanted, but not of this graph: models stream, and nobody is told
    store        that the store is to be reached through the coordinator
    previous     what the thread's last run saved
    returned     what the node has returned already, in an array of one
    call         the reference of the function to be run, instead of a node
    failed       what an error handler is told: the node, what it raised
    timeout      seconds for the attempt, and without progress; what counts as progress
    kept, seen   which values of `input`, and of `snapshot`, are stored: channel → name, growths, digest (see
                 `wire.values.Reference`). `input` has nil in their places
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint import digests
from fleetgraph.errors import DecodeError, NodeError
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.task import Frame, Task
from fleetgraph.types import TimeoutPolicy
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import GraphRef, Outcome, TaskMessage
from fleetgraph.wire.unreadable import unreadable_outcome
from fleetgraph.wire.values import WHOLE, Reference


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What holds for all tasks of a run."""

    run: str
    inbox: str
    graph: GraphRef
    saving: bool
    at_exit: bool
    remote_store: bool
    asynchronous: bool


References = Mapping[str, Reference]


def to_message(
    task: Task,
    facts: RunFacts,
    *,
    attempt: int,
    resumable: bool,
    kept: References | None = None,
    seen: References | None = None,
) -> TaskMessage:
    """The message that asks a worker to run `task`.

    Args:
        facts: About its run.
        attempt: 1, or one more than that of the attempt that was lost.
        resumable: Whether an answer is there to be claimed.
        kept: The values of its input that are stored, by channel; `WHOLE` for all of it.
        seen: Those that the branches behind it see.
    """
    frame = task.frame
    send = task.values is None
    modes = frame.modes if frame.subgraphs else frame.modes & {"custom", "messages"}
    more = _more(task, facts, resumable)
    given, snapshot = task.input if send else task.values, task.snapshot
    if kept:
        more["kept"] = {channel: list(reference) for channel, reference in kept.items()}
        given = None if WHOLE in kept else {k: None if k in kept else v for k, v in (task.values or {}).items()}
    if seen:
        more["seen"] = {channel: list(reference) for channel, reference in seen.items()}
        snapshot = {channel: value for channel, value in (snapshot or {}).items() if channel not in seen}
    return TaskMessage(
        run=facts.run,
        inbox=facts.inbox,
        graph=facts.graph,
        attempt=attempt,
        modes=tuple(sorted(modes)),
        id=task.id,
        name=task.name,
        path=task.path,
        triggers=task.triggers,
        step=task.step,
        stop=task.stop,
        ns=task.ns,
        input=given,
        send=send,
        snapshot=snapshot,
        config=_without_callbacks(frame.config),
        context=frame.context,
        more=more,
    )


def _without_callbacks(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in config.items() if key != "callbacks"} if "callbacks" in config else config


def _more(task: Task, facts: RunFacts, resumable: bool) -> dict[str, Any]:
    frame, timeout = task.frame, task.timeout
    more: dict[str, Any] = {"checkpoint": task.checkpoint_id}
    if frame.nodes:
        more["nodes"] = list(frame.nodes)
    if frame.ns:
        more |= {"ns": frame.ns, "parents": dict(frame.parents)}
    if frame.digest != digests.OURS:
        more["digest"] = frame.digest
    if task.answers:
        more["answers"] = task.answers
    if frame.resume_map:
        more["map"] = dict(frame.resume_map)
    if resumable:
        more["asks"] = True
    if task.resuming is not None:
        more["resuming"] = task.resuming
    if frame.replaying is not None:
        more["replaying"] = frame.replaying
    if task.first_in_replay:
        more["first"] = True
    if facts.asynchronous:
        more["async"] = True
    if facts.saving:
        more["saving"] = True
    if facts.at_exit:
        more["exit"] = True
    if frame.subgraphs:
        more["subgraphs"] = True
    if frame.unheard:
        more["unheard"] = True
    if facts.remote_store:
        more["store"] = True
    if task.previous is not None:
        more["previous"] = task.previous
    if task.returned is not MISSING:
        more["returned"] = [task.returned]
    if task.call is not None:
        more["call"] = task.call.reference
    if task.error is not None:
        more["failed"] = [task.error.node, task.error.error]
    if timeout is not None:
        more["timeout"] = [timeout.run_timeout, timeout.idle_timeout, timeout.refresh_on]
    return more


def named_values(message: TaskMessage) -> dict[str, Reference]:
    """The values of the state that a message only names, by channel."""
    return _named(message, "kept") | _named(message, "seen")


def _named(message: TaskMessage, what: str) -> dict[str, Reference]:
    named: dict[str, Any] = message.more.get(what) or {}
    return {channel: Reference(*reference) for channel, reference in named.items()}


def completed(message: TaskMessage, value: Callable[[str, Reference], Any]) -> TaskMessage:
    """The message with the values in it that it only names.

    Args:
        message: As it came.
        value: Gives a value, each time afresh: that of a channel, by its reference.
    """
    kept, seen = _named(message, "kept"), _named(message, "seen")
    if not kept and not seen:
        return message
    given: Any = message.input
    if kept:
        found = {channel: value(channel, reference) for channel, reference in kept.items()}
        given = found[WHOLE] if WHOLE in found else dict(given) | found
    snapshot = message.snapshot
    if seen:
        found = {channel: value(channel, reference) for channel, reference in seen.items()}
        snapshot = {**(snapshot or {}), **found}
    return replace(message, input=given, snapshot=snapshot)


def from_message(program: Program, message: TaskMessage) -> Task:
    """The task a message asks for, its input in the form the node expects.

    Args:
        program: The run's graph.

    Raises:
        Exception: What the node's schema raises, with the note that names the task.
        FleetError: It is a call of a function that this process does not have.
    """
    more = message.more
    nodes = tuple(more.get("nodes", ()))
    for name in nodes:
        graph = program.nodes[name].subgraph
        assert graph is not None
        program = graph.program
    frame = Frame(
        program=program,
        config=message.config,
        modes=frozenset(message.modes),
        context=message.context,
        ns=more.get("ns", ""),
        nodes=nodes,
        resume_map=more.get("map", {}),
        subgraphs=more.get("subgraphs", False),
        unheard=more.get("unheard", False),
        parents=more.get("parents", {}),
        digest=more.get("digest", digests.OURS),
        replaying=more.get("replaying"),
    )
    task = Task(
        id=message.id,
        name=message.name,
        path=_path(message.path),
        triggers=tuple(message.triggers),
        step=message.step,
        stop=message.stop,
        ns=message.ns,
        input=message.input,
        frame=frame,
        checkpoint_id=more.get("checkpoint", ""),
        resuming=more.get("resuming"),
        first_in_replay=more.get("first", False),
        values=None if message.send else message.input,
        snapshot=message.snapshot,
        answers=list(more.get("answers", ())),
        previous=more.get("previous"),
        returned=more["returned"][0] if "returned" in more else MISSING,
        error=NodeError(*more["failed"]) if "failed" in more else None,
        timeout=TimeoutPolicy(*more["timeout"]) if "timeout" in more else None,
    )
    if "call" in more:
        args, kwargs = message.input
        from fleetgraph.pregel import functions

        task.call = functions.find(more["call"]).call(tuple(args), kwargs)
        task.input = (tuple(args), kwargs)
    elif not message.send:
        _shape_input(task, message)
    return task


def _shape_input(task: Task, message: TaskMessage) -> None:
    try:
        task.input = task.frame.program.nodes[message.name].reading.shape(message.input)
    except Exception as error:
        error.add_note(f"Before task with name '{message.name}' and path '{message.path}'")
        raise


def _path(path: Any) -> tuple[Any, ...]:
    return tuple(_path(part) if isinstance(part, list | tuple) else part for part in path)


def decode_outcome(codec: Codec, data: bytes) -> Outcome:
    """The outcome in a message of an inbox; of one with values that can't be read the failure to read them, so that
    the run does not wait for ever.

    Raises:
        DecodeError: Not even which task it is about can be read.
    """
    try:
        return codec.decode_outcome(data)
    except DecodeError as error:
        outcome = unreadable_outcome(data, error)
        if outcome is None:
            raise
        return outcome
