"""The superstep machine: the semantics of a run, once, without I/O, threads or clocks.

A driver starts it with an input, runs the tasks it asks for wherever it likes, and tells it what became of each, in
any order. Each call answers with instructions, to be carried out in order.

    start(input) ──► RunTasks ──► finished(task, writes) ─┐   per task: `updates`, `tasks`
                        ▲         failed(task, error)  ───┤
                        │                                 ▼   once all are in: apply writes, `values`, checkpoint
                        └──────────── next superstep ─────┴──► Finished

Writes are applied in the order of the tasks' paths, so the state never depends on which task came in first.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.constants import START
from fleetgraph.errors import (
    EmptyInputError,
    ErrorCode,
    GraphRecursionError,
    NotSupported,
    ParentCommand,
    coded,
)
from fleetgraph.pregel import payloads
from fleetgraph.pregel.instructions import (
    Emit,
    Finished,
    Instruction,
    RunTasks,
    SaveCheckpoint,
    SaveWrites,
)
from fleetgraph.pregel.program import (
    CONTROL_CHANNELS,
    ERROR,
    INTERRUPT,
    NO_WRITES,
    PULL,
    PUSH,
    TASKS,
    NodeProgram,
    Program,
    read_channels,
)
from fleetgraph.pregel.task import Task, Write
from fleetgraph.types import Command, Send

logger = logging.getLogger(__name__)

_INPUT: Final = "__input__"


@dataclass(slots=True)
class Checkpoint:
    """Where a thread stands: what a saver gave back, or nothing."""

    id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    parent_config: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    versions: dict[str, Any] = field(default_factory=dict[str, Any])
    seen: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    updated: Sequence[str] | None = None
    """The channels that the superstep before it changed; None when it does not say."""
    writes: Sequence[tuple[str, str, Any]] = ()
    """(task id, channel, value) of tasks that ran from it, whose superstep never ended."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one run differs from another of the same program."""

    config: Mapping[str, Any]
    modes: frozenset[str]
    output_keys: Sequence[str] | str
    saving: bool
    """Whether there is a saver, so that checkpoints are made and told about."""
    new_id: Callable[[], str]
    """Makes checkpoint ids, each greater than the last."""
    now: Callable[[], str]
    """The time, as ISO 8601 text."""
    next_version: Callable[[Any], Any] = lambda current: (current or 0) + 1
    """The channel version after `current`, which is None before the first."""


class Machine:
    """One run of a program."""

    def __init__(self, program: Program, settings: Settings, checkpoint: Checkpoint | None = None) -> None:
        saved = checkpoint or Checkpoint()
        self.program = program
        self.settings = settings
        self.saved = saved
        self.checkpoint_id = saved.id or settings.new_id()
        self.channels: dict[str, BaseChannel] = {
            key: channel.from_checkpoint(saved.values.get(key, MISSING)) for key, channel in program.channels.items()
        }
        self.versions = dict(saved.versions)
        self.seen = {name: dict(seen) for name, seen in saved.seen.items()}
        self.top_version: Any = max(self.versions.values()) if self.versions else None
        self.saved_versions = dict(self.versions)
        self.config: Mapping[str, Any] = saved.config or settings.config
        self.parent_config = saved.parent_config
        self.metadata: dict[str, Any] = dict(saved.metadata)
        self.step: int = saved.metadata.get("step", -2) + 1
        self.stop: int = self.step + settings.config["recursion_limit"] + 1
        self.updated: set[str] | None = None if saved.updated is None else set(saved.updated)
        self.tasks: dict[str, Task] = {}
        self.unfinished: set[str] = set()
        self.over = False
        self._out: list[Instruction] = []
        self._debug = "debug" in settings.modes

    # --- what the driver tells it --------------------------------------------------------------------------------

    def start(self, value: Any) -> list[Instruction]:
        """Begin the run with an input; None continues what the thread has left unfinished."""
        return self._answer(self._start, value)

    def finished(self, task_id: str, writes: list[Write]) -> list[Instruction]:
        """A task ended well, with these writes.

        Told twice it changes nothing; told after the run failed it saves them, for a later run of the same checkpoint.
        """
        return self._answer(self._finished, task_id, writes)

    def failed(self, task_id: str, error: BaseException, writes: Sequence[Write] = ()) -> list[Instruction]:
        """A task raised, after these writes. The first failure ends the run; the writes are shown, and dropped."""
        return self._answer(self._failed, task_id, error, writes)

    def cancel(self, error: BaseException) -> list[Instruction]:
        """End the run from outside."""
        return self._answer(self._finish, error)

    def _answer(self, stimulus: Callable[..., None], *args: Any) -> list[Instruction]:
        try:
            stimulus(*args)
        except Exception as error:  # a reducer, a schema or a write that does not fit: the run's failure, not ours
            self._finish(error)
        out, self._out = self._out, []
        return out

    # --- one superstep -------------------------------------------------------------------------------------------

    def _start(self, value: Any) -> None:
        if isinstance(value, Command):
            raise NotSupported("a Command as input")
        if value is None and self.versions:
            self._emit_values()
        elif value is not None:
            unfinished = self._plan(self._candidates())
            unfinished.append(Task("", _INPUT, (), (), self.step, self.stop, "", None, writes=[(START, value)]))
            self.updated = self._apply(unfinished)
            self._save("input")
        else:
            raise EmptyInputError(f"Received no input for {START}")
        self._begin_superstep()

    def _begin_superstep(self) -> None:
        tasks = self._plan(self._candidates())
        self._emit_checkpoint(tasks)
        if self.step > self.stop:
            limit = self.settings.config["recursion_limit"]
            raise GraphRecursionError(
                coded(
                    f"Recursion limit of {limit} reached without hitting a stop condition. "
                    "You can increase the limit by setting the `recursion_limit` config key.",
                    ErrorCode.GRAPH_RECURSION_LIMIT,
                )
            )
        if not tasks:
            self._finish(None)
            return
        self.tasks = {task.id: task for task in tasks}
        self._restore_writes()
        self.unfinished = {task.id for task in tasks if not task.writes}
        for task in tasks:
            self._emit_start(task)
        for task in tasks:
            if task.writes:
                self._emit_updates(task, cached=True)
        if not self.unfinished:
            self._end_superstep()
        elif not self._passes_through(tasks):
            self._out.append(RunTasks([task for task in tasks if task.id in self.unfinished]))

    def _passes_through(self, tasks: list[Task]) -> bool:
        """Whether this was the superstep of START, with no user code behind it: then it has been run here and now."""
        node, task = self.program.nodes[START], tasks[0]
        if task.name != START or node.branches:
            return False
        try:
            writes = [*node.updates(task.input), *node.edges]
        except Exception as error:
            error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
            self._failed(task.id, error)
        else:
            self._finished(task.id, writes)
        return True

    def _finished(self, task_id: str, writes: list[Write]) -> None:
        if task_id not in self.unfinished:
            return
        task = self.tasks[task_id]
        task.writes = writes or [(NO_WRITES, None)]
        self.unfinished.discard(task_id)
        if self.settings.saving:
            self._out.append(SaveWrites(self._checkpoint_config(), task, task.writes))
        if self.over:
            return
        self._emit_updates(task)
        self._emit_result(task, None)
        if not self.unfinished:
            self._end_superstep()

    def _failed(self, task_id: str, error: BaseException, writes: Sequence[Write] = ()) -> None:
        if self.over or task_id not in self.unfinished:
            return
        task = self.tasks[task_id]
        if isinstance(error, ParentCommand):  # a signal on its way to a graph around this one, and there is none
            self._finish(ParentCommand(replace(error.args[0], graph="")))
            return
        if self.settings.saving:
            self._out.append(SaveWrites(self._checkpoint_config(), task, [(ERROR, error)]))
        task.writes = list(writes)
        if task.writes:
            self._emit_updates(task)
        self._emit_result(task, error)
        self._finish(error)

    def _end_superstep(self) -> None:
        tasks = list(self.tasks.values())
        self.updated = self._apply(tasks)
        if self._wants("values"):
            keys = self.settings.output_keys
            if not self.updated.isdisjoint((keys,) if isinstance(keys, str) else keys):
                self._emit_values()
        self.tasks = {}
        self._save("loop")
        self._begin_superstep()

    def _finish(self, error: BaseException | None) -> None:
        if not self.over:
            self.over = True
            self._out.append(Finished(error))

    # --- planning ------------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterable[str]:
        """The nodes that may have been triggered, in order."""
        if self.updated:
            triggered = self.program.triggered
            return sorted({name for channel in self.updated for name in triggered.get(channel, ())})
        return self.program.nodes if self.versions else ()

    def _plan(self, candidates: Iterable[str]) -> list[Task]:
        """The tasks of the next superstep: Sends in their order, then nodes."""
        tasks: list[Task] = []
        sends = self.channels[TASKS]
        if sends.is_available():
            for index, send in enumerate(cast("list[Any]", sends.get())):
                if task := self._plan_send(index, send):
                    tasks.append(task)
        for name in candidates:
            node = self.program.nodes[name]
            if self._is_triggered(node):
                tasks.append(self._plan_node(node))
        return tasks

    def _is_triggered(self, node: NodeProgram) -> bool:
        seen = self.seen.get(node.name)
        for trigger in node.triggers:
            version = self.versions.get(trigger)
            if version is None or not self.channels[trigger].is_available():
                continue
            if seen is None or (last := seen.get(trigger)) is None or version > last:
                return True
        return False

    def _plan_node(self, node: NodeProgram) -> Task:
        task_id = self._task_id(node.name, PULL, *node.triggers)
        try:
            values = node.reading.values(self.channels, self.step, self.stop)
            shaped = node.reading.shape(values)
        except Exception as error:
            error.add_note(f"Before task with name '{node.name}' and path '{(PULL, node.name)}'")
            raise
        return Task(
            id=task_id,
            name=node.name,
            path=(PULL, node.name),
            triggers=node.triggers,
            step=self.step,
            stop=self.stop,
            ns=f"{node.name}:{task_id}",
            input=shaped,
            values=values,
            snapshot=self._snapshot(node),
        )

    def _plan_send(self, index: int, send: Any) -> Task | None:
        if not isinstance(send, Send):
            logger.warning("Ignoring invalid packet type %s in pending sends", type(send).__name__)
            return None
        node = self.program.nodes.get(send.node)
        if node is None:
            logger.warning("Ignoring unknown node name %s in pending sends", send.node)
            return None
        task_id = self._task_id(node.name, PUSH, str(index))
        return Task(
            id=task_id,
            name=node.name,
            path=(PUSH, index, False),
            triggers=(PUSH,),
            step=self.step,
            stop=self.stop,
            ns=f"{node.name}:{task_id}",
            input=send.arg,
            snapshot=self._snapshot(node),
        )

    def _snapshot(self, node: NodeProgram) -> dict[str, Any] | None:
        if not node.branches:
            return None
        saved = {key: self.channels[key].snapshot() for key in node.branch_keys}
        return {key: value for key, value in saved.items() if value is not MISSING}

    def _task_id(self, *parts: str) -> str:
        """Derived from the checkpoint and the task's place in it, so that a resumed run plans the same ids."""
        text = "\0".join((self.checkpoint_id, str(self.step), *parts))
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"

    def _restore_writes(self) -> None:
        """Give tasks that already ended, in an earlier run of this checkpoint, their writes back."""
        for task_id, channel, value in self.saved.writes:
            if channel not in (ERROR, INTERRUPT) and (task := self.tasks.get(task_id)):
                task.writes.append((channel, value))
        self.saved.writes = ()

    # --- applying ------------------------------------------------------------------------------------------------

    def _apply(self, tasks: list[Task]) -> set[str]:
        """Apply the tasks' writes, in path order. Returns the channels that changed and hold a value."""
        channels, versions = self.channels, self.versions
        if len(tasks) > 1:
            tasks = sorted(tasks, key=path_order)
        advances = any(task.triggers for task in tasks)
        for task in tasks:
            if task.triggers:
                self.seen.setdefault(task.name, {}).update(
                    {trigger: versions[trigger] for trigger in task.triggers if trigger in versions}
                )
        version = self.settings.next_version(self.top_version)
        self.top_version = version
        for trigger in {trigger for task in tasks for trigger in task.triggers}:
            if trigger in channels and channels[trigger].consume():
                versions[trigger] = version
        writes: dict[str, list[Any]] = {}
        for task in tasks:
            for channel, value in task.writes:
                if channel in channels:
                    writes.setdefault(channel, []).append(value)
                elif channel not in CONTROL_CHANNELS:
                    logger.warning(
                        "Task %s with path %s wrote to unknown channel %s, ignoring it.", task.name, task.path, channel
                    )
        updated: set[str] = set()

        def changed(key: str, channel: BaseChannel) -> None:
            versions[key] = version
            if channel.is_available():
                updated.add(key)

        for key, values in writes.items():
            if (channel := channels[key]).update(values):
                changed(key, channel)
        if advances:
            for key, channel in channels.items():
                if key not in updated and channel.is_available() and channel.update(()):
                    changed(key, channel)
            if updated.isdisjoint(self.program.triggered):
                for key, channel in channels.items():
                    if channel.finish():
                        changed(key, channel)
        return updated

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def _save(self, source: str) -> None:
        self.checkpoint_id = self.settings.new_id()
        self.metadata = {"source": source, "step": self.step, "parents": {}}
        if self.settings.saving:
            self.parent_config = self.config if self.config.get("configurable", {}).get("checkpoint_id") else None
            self._out.append(
                SaveCheckpoint(
                    config=self.config,
                    checkpoint={
                        "v": 4,
                        "id": self.checkpoint_id,
                        "ts": self.settings.now(),
                        "channel_values": {
                            key: value
                            for key, channel in self.channels.items()
                            if key in self.versions and (value := channel.checkpoint()) is not MISSING
                        },
                        "channel_versions": dict(self.versions),
                        "versions_seen": {name: dict(seen) for name, seen in self.seen.items()},
                        "updated_channels": None if self.updated is None else sorted(self.updated),
                    },
                    metadata=self.metadata,
                    versions={k: v for k, v in self.versions.items() if self.saved_versions.get(k) != v},
                )
            )
            self.saved_versions = dict(self.versions)
            self.config = self._checkpoint_config()
        self.step += 1

    def _checkpoint_config(self) -> Mapping[str, Any]:
        configurable = {"checkpoint_ns": "", **self.config.get("configurable", {}), "checkpoint_id": self.checkpoint_id}
        return {**self.config, "configurable": configurable}

    # --- telling -------------------------------------------------------------------------------------------------

    def _wants(self, mode: str) -> bool:
        return mode in self.settings.modes

    def _emit_values(self) -> None:
        if self._wants("values"):
            self._out.append(Emit("values", read_channels(self.channels, self.settings.output_keys)))

    def _emit_updates(self, task: Task, cached: bool = False) -> None:
        if self._wants("updates") and not self.program.nodes[task.name].hidden:
            self._out.append(Emit("updates", payloads.updates(task, self.settings.output_keys, cached), task.id))

    def _emit_start(self, task: Task) -> None:
        node = self.program.nodes[task.name]
        if (self._debug or self._wants("tasks")) and not node.hidden:
            self._emit_debuggable(
                "tasks", "task", payloads.task_start(task, node, self.settings.config), self.step, task.id
            )

    def _emit_result(self, task: Task, error: BaseException | None) -> None:
        node = self.program.nodes[task.name]
        if (self._debug or self._wants("tasks")) and not node.hidden:
            payload = payloads.task_result(task, error, self.program.stream_keys)
            self._emit_debuggable("tasks", "task_result", payload, self.step, task.id)

    def _emit_checkpoint(self, tasks: list[Task]) -> None:
        if self.settings.saving and (self._debug or self._wants("checkpoints")):
            payload = payloads.checkpoint(
                config=self.config,
                parent_config=self.parent_config,
                values=read_channels(self.channels, self.program.stream_keys),
                metadata=self.metadata,
                tasks=tasks,
                pending=self.saved.writes,
                output_keys=self.settings.output_keys,
            )
            self._emit_debuggable("checkpoints", "checkpoint", payload, self.step - 1, None)

    def _emit_debuggable(self, mode: str, kind: str, payload: Any, step: int, task_id: str | None) -> None:
        if self._wants(mode):
            self._out.append(Emit(mode, payload, task_id))
        if self._debug:
            wrapped = {"step": step, "timestamp": self.settings.now(), "type": kind, "payload": payload}
            self._out.append(Emit("debug", wrapped, task_id))


def path_order(task: Task) -> str:
    """Sorts tasks the way their writes are applied: nodes by name, then Sends by index."""
    return "~" + ", ".join(f"{part:010d}" if type(part) is int else str(part) for part in task.path)
