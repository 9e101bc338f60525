"""Planning a superstep: from a state to the tasks that follow from it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.checkpoint import digests
from fleetgraph.errors import NodeError
from fleetgraph.pregel.answers import interrupt_id
from fleetgraph.pregel.callee import code_name
from fleetgraph.pregel.labels import task_config
from fleetgraph.pregel.program import NodeProgram
from fleetgraph.pregel.reserved import ERROR, NULL_TASK, PREVIOUS, PULL, PUSH, RESUME, TASK_CONTROL, TASKS
from fleetgraph.pregel.state import State, path_text
from fleetgraph.pregel.task import CacheKey, Call, Frame, Task, Write
from fleetgraph.types import CachePolicy, Send

logger = logging.getLogger(__name__)

PendingWrite = tuple[str, str, Any]
"""(task id, channel, value): a write that is saved beside a checkpoint, whose superstep has not ended."""


@dataclass(slots=True)
class Pending:
    """The writes saved beside a checkpoint, by task."""

    writes: list[PendingWrite] = field(default_factory=list[PendingWrite])

    def output(self, task_id: str) -> list[Write]:
        """What a task that has ended wrote; empty for one that has not."""
        return [(c, value) for t, c, value in self.writes if t == task_id and c not in TASK_CONTROL]

    def answers(self, task_id: str) -> list[Any]:
        """The answers a task has been given."""
        for task, channel, value in self.writes:
            if task == task_id and channel == RESUME:
                return list(cast("list[Any]", value)) if isinstance(value, list) else [value]
        return []

    def error(self, task_id: str) -> Any:
        """What a task failed with, as it was saved; None if it did not."""
        return next((value for t, c, value in self.writes if t == task_id and c == ERROR), None)

    def asked(self, task_id: str) -> list[Any]:
        """What a task asked last."""
        found = [value for t, c, value in self.writes if t == task_id and c == "__interrupt__"]
        return [one for value in found for one in _listed(value)]

    def waiting(self) -> dict[str, Any]:
        """The questions nobody has answered, by id."""
        tasks = dict.fromkeys(task for task, _, _ in self.writes if task != NULL_TASK)
        return {one.id: one for task in tasks if not self.output(task) for one in self.asked(task)}

    def of_caller(self) -> list[Write]:
        """What the caller's `Command` wrote."""
        return [(channel, value) for task, channel, value in self.writes if task == NULL_TASK]


def _listed(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]


@dataclass(slots=True)
class Planner:
    """Plans the tasks of one superstep.

    Attributes:
        checkpoint_id: The checkpoint that it follows, from which the tasks' ids are derived.
        step: Its number.
        stop: The first step that the recursion limit forbids.
        pending: What an earlier run of the same checkpoint has left.
    """

    frame: Frame
    state: State
    checkpoint_id: str
    step: int
    stop: int
    pending: Pending
    resuming: bool | None = None
    """What graphs in the tasks are to do with a thread they find."""
    to_run: bool = True
    """Whether the tasks are to be run, and not only to be told about: then their input need not fit any schema."""

    def plan(self, candidates: Iterable[str]) -> list[Task]:
        """The tasks: Sends in their order, then those among the candidates that are triggered.

        Raises:
            Exception: What the schema of a node's input raised, with a note that names the node.
        """
        tasks: list[Task] = []
        sends = self.state.channels.get(TASKS)
        if sends is not None and sends.is_available():
            for index, send in enumerate(cast("list[Any]", sends.get())):
                if task := self._send(index, send):
                    tasks.append(task)
        nodes, is_triggered = self.frame.program.nodes, self.state.is_triggered
        for name in candidates:
            node = nodes[name]
            if is_triggered(node):
                tasks.append(self._node(node))
        return tasks

    def candidates(self, updated: Iterable[str] | None) -> Iterable[str]:
        """The nodes that may be triggered, in order, when these channels were updated; all if that is not known."""
        if updated:
            triggered = self.frame.program.triggered
            return sorted({name for channel in updated for name in triggered.get(channel, ())})
        return self.frame.program.nodes if self.state.versions else ()

    def called(self, parent: Task, index: int, call: Call) -> Task:
        """The task for the `index`th function that a task calls."""
        task_id = self._task_id(parent.ns, call.name, PUSH, path_text(parent.path), str(index))
        task = self._task(task_id, call.name, (PUSH, parent.path, index, True), (PUSH,), (call.args, dict(call.kwargs)))
        self._put_behind(task, parent)
        task.call = call
        task.timeout = call.timeout
        if call.cache is not None and self.frame.program.cache is not None:
            key = call.cache.key_func(*call.args, **call.kwargs)
            task.cache_key = _cache_key(code_name(call.function), "", key, call.cache)
        return task

    def _put_behind(self, task: Task, parent: Task) -> None:
        """Make a task one that stands in the namespace of another, though it belongs to the same superstep."""
        parents = {**parent.frame.parents, parent.frame.ns: self.checkpoint_id}
        task.ns = f"{parent.ns}|{task.name}:{task.id}"
        task.frame = replace(self.frame, ns=parent.ns, config=task_config(parent), parents=parents)
        self._give_answers(task)  # those that are known by its namespace

    def handler(self, failed: Task, node: NodeProgram, error: BaseException) -> Task:
        """The task that handles the failure of another."""
        task_id = self._task_id(failed.ns, node.name, PUSH, "node_error_handler", failed.id)
        path = (*failed.path[:3], "node_error_handler", False)
        task = self._task(task_id, node.name, path, (PUSH,), failed.input)
        self._put_behind(task, failed)
        task.values = failed.values
        task.error = NodeError(failed.name, error)
        return task

    def _node(self, node: NodeProgram) -> Task:
        try:
            values = node.reading.values(self.state.channels, self.step, self.stop)
            shaped = node.reading.shape(values) if self.to_run else values
        except Exception as error:
            error.add_note(f"Before task with name '{node.name}' and path '{(PULL, node.name)}'")
            raise
        task_id = self._task_id(self.frame.ns, node.name, PULL, *node.triggers)
        task = self._task(task_id, node.name, (PULL, node.name), node.triggers, shaped)
        task.values = values
        return self._completed(task, node)

    def _send(self, index: int, send: Any) -> Task | None:
        if not isinstance(send, Send):
            logger.warning("Ignoring invalid packet type %s in pending sends", type(send).__name__)
            return None
        node = self.frame.program.nodes.get(send.node)
        if node is None:
            logger.warning("Ignoring unknown node name %s in pending sends", send.node)
            return None
        task_id = self._task_id(self.frame.ns, node.name, PUSH, str(index))
        task = self._task(task_id, node.name, (PUSH, index, False), (PUSH,), send.arg)
        task = self._completed(task, node)
        task.timeout = send.timeout or node.timeout
        return task

    def _completed(self, task: Task, node: NodeProgram) -> Task:
        """Give a task what its node asks for beyond an input."""
        if not self.to_run:
            return task
        channels = self.state.channels
        task.snapshot = branch_snapshot(node, channels)
        if self.frame.program.remembers and (previous := channels[PREVIOUS]).is_available():
            task.previous = previous.get()
        task.timeout = node.timeout
        if node.cache is not None and self.frame.program.cache is not None:
            task.cache_key = _cache_key(node.code_name, node.name, node.cache.key_func(task.input), node.cache)
        return task

    def _task(self, task_id: str, name: str, path: tuple[Any, ...], triggers: tuple[str, ...], given: Any) -> Task:
        frame, ns = self.frame, f"{name}:{task_id}"
        if frame.ns:
            ns = f"{frame.ns}|{ns}"
        task = Task(
            id=task_id,
            name=name,
            path=path,
            triggers=triggers,
            step=self.step,
            stop=self.stop,
            ns=ns,
            input=given,
            frame=frame,
            checkpoint_id=self.checkpoint_id,
            resuming=self.resuming,
            state=self.state,
        )
        if self.pending.writes or frame.resume_map:
            self._give_answers(task)
        return task

    def _give_answers(self, task: Task) -> None:
        task.answers = self.pending.answers(task.id)
        _add_mapped_answer(task, self.frame.resume_map)

    def _task_id(self, ns: str, name: str, *parts: str) -> str:
        """Derived from the checkpoint and the task's place in it, so that a resumed run plans the same ids.

        Args:
            ns: The namespace that the task's own stands behind.
        """
        text = "".join((f"{ns}|{name}" if ns else name, str(self.step), name, *parts))
        digest = digests.digest(self.frame.digest, _id_bytes(self.checkpoint_id) + text.encode())
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def branch_snapshot(node: NodeProgram, channels: Mapping[str, BaseChannel]) -> dict[str, Any] | None:
    """What path functions behind a node are to see of the state; None if there are none."""
    if not node.branches:
        return None
    saved = {key: channels[key].snapshot() for key in node.branch_keys}
    return {key: value for key, value in saved.items() if value is not MISSING}


def _add_mapped_answer(task: Task, answers: Mapping[str, Any]) -> None:
    """Add the answer to the task's next question, if the caller gave one by its id."""
    if not answers:
        return
    for number in (len(task.answers), 0):  # older versions of LangGraph gave all of a task's questions the first id
        if (key := interrupt_id(task.ns, number, task.frame.digest)) in answers:
            task.answers.append(answers[key])
            return


def _id_bytes(checkpoint_id: str) -> bytes:
    try:
        return bytes.fromhex(checkpoint_id.replace("-", ""))
    except ValueError:  # not a UUID: nobody but us has made ids of it
        return checkpoint_id.encode()


def _cache_key(code: str, node: str, key: str | bytes, policy: CachePolicy) -> CacheKey:
    digest = hashlib.blake2b(key.encode() if isinstance(key, str) else key, digest_size=16).hexdigest()
    return CacheKey(cache_namespace(code, node), digest, policy.ttl)


def cache_namespace(code: str, node: str) -> tuple[str, ...]:
    """Where a cache keeps the writes of a node, or of a function that tasks call."""
    return ("fleetgraph", code, node) if node else ("fleetgraph", code)
