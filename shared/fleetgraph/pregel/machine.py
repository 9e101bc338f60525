"""The superstep machine: the semantics of one graph's run, once, without I/O, threads or clocks.

A driver starts it with an input, runs the tasks it asks for wherever it likes, and tells it what became of each, in
any order. Each call answers with instructions, to be carried out in order.

    start(input) ──► RunTasks ──► finished(task, writes) ─┐   per task: `updates`, `tasks`
                        ▲         failed(task, error)  ───┤
                        │                                 ▼   once all are in: apply writes, `values`, checkpoint
                        └──────────── next superstep ─────┴──► Finished

Writes are applied in the order of the tasks' paths, so the state never depends on which task came in first. A task that
is a graph has a machine of its own; `tree` holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.constants import START, TAG_HIDDEN
from fleetgraph.errors import (
    EmptyInputError,
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    InvalidUpdateError,
    ParentCommand,
    coded,
    is_invalid_resume,
)
from fleetgraph.pregel import payloads
from fleetgraph.pregel.answers import names_questions
from fleetgraph.pregel.instructions import (
    CacheWrites,
    Emit,
    Finished,
    Instruction,
    RunTasks,
    SaveCheckpoint,
    SaveWrites,
)
from fleetgraph.pregel.planning import Pending, PendingWrite, Planner
from fleetgraph.pregel.program import NodeProgram, read_channels
from fleetgraph.pregel.reserved import ERROR, ERROR_SOURCE, INTERRUPT, NO_WRITES, NULL_TASK, RESUME, TASK_CONTROL
from fleetgraph.pregel.state import Line, State, Written, path_order
from fleetgraph.pregel.task import Call, Frame, Task, Write
from fleetgraph.pregel.updates import command_writes
from fleetgraph.types import Command, Interrupt

FORKING_SOURCES: Final = ("update", "fork")
"""Sources of checkpoints that start a branch of their thread already."""


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
    writes: Sequence[PendingWrite] = ()
    """What tasks wrote that ran from it, and whose superstep never ended."""
    superseded: bool = False
    """Whether it was asked for by its id, and the thread has gone on since."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one run differs from another of the same graph."""

    frame: Frame
    modes: frozenset[str]
    """The stream modes whose chunks are wanted of this graph."""
    output_keys: Sequence[str] | str
    saving: bool
    """Whether there is a saver, so that checkpoints are made and told about."""
    new_id: Callable[[], str]
    """Makes checkpoint ids, each greater than the last."""
    now: Callable[[], str]
    """The time, as ISO 8601 text."""
    next_version: Callable[[Any], Any] = lambda current: (current or 0) + 1
    """The channel version after `current`, which is None before the first."""
    interrupt_before: Sequence[str] = ()
    """Nodes to stop before; `*` stands for all."""
    interrupt_after: Sequence[str] = ()
    nested: bool = False
    """Whether it is run by a task of another graph."""
    at_exit: bool = False
    """Whether to save one checkpoint, at the end, instead of one after each superstep."""
    control: Any = None
    """The `RunControl` that may ask the run to stop after a superstep."""


class Machine:
    """One run of one graph."""

    def __init__(self, settings: Settings, checkpoint: Checkpoint | None = None) -> None:
        saved = checkpoint or Checkpoint()
        self.settings = settings
        self.frame = settings.frame
        self.saved = saved
        self.state = State(settings.frame.program, saved.values, saved.versions, saved.seen, settings.next_version)
        self.pending = Pending(list(saved.writes))
        self.checkpoint_id = saved.id or settings.new_id()
        self.config: Mapping[str, Any] = saved.config or settings.frame.config
        self.parent_config = saved.parent_config
        self.metadata: dict[str, Any] = dict(saved.metadata)
        self.step: int = saved.metadata.get("step", -2) + 1
        self.stop: int = self.step + settings.frame.config["recursion_limit"] + 1
        self.updated: set[str] | None = set(saved.updated) if saved.updated else None
        self.tasks: dict[str, Task] = {}
        self.unfinished: set[str] = set()
        self.resume: Any = MISSING
        """The answer the run was resumed with, until a task claims it or the first superstep ends."""
        self.resuming: bool | None = settings.frame.resuming
        """What graphs in this superstep's tasks are to do with a thread they find."""
        self.result: Any = None
        """The last state that was to be shown."""
        self.over = False
        self._asked: list[Interrupt] | None = None
        self._refused: BaseException | None = None
        self._claims: dict[str, Any] = {}
        self._saved_versions = dict(saved.versions)
        self._saved_lists: dict[str, tuple[Line, int]] = {}
        """Channels that hold a list, as they were when they were saved last."""
        self._note_lists(saved.versions, saved.values)
        self._saved_id = saved.id
        self._config_here: Mapping[str, Any] | None = None
        """Names the checkpoint at hand, once that has been asked for."""
        self._hands_back = True
        self._out: list[Instruction] = []
        keys = settings.output_keys
        self._shown: Collection[str] = (keys,) if isinstance(keys, str) else frozenset(keys)
        self._tells_updates = "updates" in settings.modes
        self._tells_values = "values" in settings.modes
        self._debug = "debug" in settings.modes
        self._tells_tasks = self._debug or "tasks" in settings.modes
        self._tells_checkpoints = settings.saving and (self._debug or "checkpoints" in settings.modes)
        self._hides_all = TAG_HIDDEN in settings.frame.config.get("tags", ())
        self._kept: list[SaveWrites] = []

    # --- what the driver tells it --------------------------------------------------------------------------------

    def start(self, value: Any) -> list[Instruction]:
        """Begin the run with an input; None continues what the thread has left unfinished, as a Command does."""
        return self._answer(self._start, value)

    def finished(self, task_id: str, writes: list[Write], *, cached: bool = False) -> list[Instruction]:
        """A task ended well, with these writes; `cached` when it did not have to run for that.

        Told twice it changes nothing; told after the run failed it saves them, for a later run of the same checkpoint.
        """
        return self._answer(self._finished, task_id, writes, cached)

    def failed(self, task_id: str, error: BaseException, writes: Sequence[Write] = ()) -> list[Instruction]:
        """A task raised, after these writes.

        The first failure ends the run; its writes are shown, and dropped. A `GraphInterrupt` is no failure: the run
        stops when the other tasks have ended.
        """
        return self._answer(self._failed, task_id, error, writes)

    def returned(self, task_id: str, value: Any) -> list[Instruction]:
        """The graph that a task is returned a value."""
        task = self.tasks[task_id]
        return self._answer(self._return, task, self.frame.program.nodes[task.name], value)

    def called(self, parent: str, index: int, call: Call) -> tuple[Task | None, list[Instruction]]:
        """A task calls a function: its `index`th such call, from 0.

        Returns:
            The task for it, to be run unless it has ended in an earlier run of this checkpoint, in which case it has
            writes; None if nobody waits for what the caller does.
        """
        before = len(self._out)
        task = self._called(parent, index, call)
        out, self._out = self._out[before:], self._out[:before]
        return task, out

    def claim_resume(self, task_id: str) -> Any:
        """The answer the run was resumed with, for the first task that claims it, as often as it does; else MISSING."""
        if task_id not in self._claims and self.resume is not MISSING:
            self._claims[task_id], self.resume = self.resume, MISSING
        return self._claims.get(task_id, MISSING)

    @property
    def resumable(self) -> bool:
        """Whether a task may have an answer to claim; again, too, if the worker that was given it has died."""
        return self.resume is not MISSING or bool(self._claims)

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

    # --- starting ------------------------------------------------------------------------------------------------

    def _start(self, value: Any) -> None:
        told = self.frame.resuming if self.settings.nested else None
        command = cast("Command[Any]", value) if isinstance(value, Command) else None
        asks = value is None or command is not None or self._continues_run()
        resuming = bool(self.state.versions) and (asks if told is None else told)
        travelling = self._travels(command, told)
        replaying = travelling or self.saved.superseded
        self._hands_back = not replaying
        if travelling:
            self.pending.writes = [write for write in self.pending.writes if write[1] != RESUME]
        source = self.metadata.get("source")
        forks = resuming and travelling and (source not in FORKING_SOURCES or self.saved.superseded)
        replayed = self._replayed(source)
        if command is not None:
            self._take_command(command, resuming, forks)
        # Also before new input: what an earlier Command wrote has only been waiting for the next superstep.
        if writes := self.pending.of_caller():
            self._mark_updated(self.state.write(writes))
        if resuming:
            self.state.pass_interrupt()
            if forks:
                self.pending.writes = [write for write in self.pending.writes if write[1] != INTERRUPT]
                self._save("fork")
            self._emit_values()
        elif value is not None:
            discarded = self._planner().plan(self._planner().candidates(self.updated))
            given = Written([(self.frame.program.input_channel, cast("Any", value))])
            self.updated = self.state.apply([*discarded, given])
            self.pending.writes = []
            self._save("input")
        elif told is None:
            raise EmptyInputError(f"Received no input for {self.frame.program.input_channel}")
        if not self.settings.nested:
            self.resuming = resuming
            if travelling:  # with new input graphs inside are as they are now: before the checkpoint of that
                self.frame = replace(self.frame, replaying=replayed if resuming else self.checkpoint_id)
        self._begin_superstep()

    def _continues_run(self) -> bool:
        """Whether the caller gives the input of a run that is under way once more, to go on with it."""
        run_id = self.frame.config.get("metadata", {}).get("run_id")
        return not self.settings.nested and run_id is not None and run_id == self.metadata.get("run_id")

    def _travels(self, command: Command[Any] | None, told: bool | None) -> bool:
        """Whether it is to run again from a checkpoint that the caller chose, and not to go on from there."""
        configurable = self.frame.config.get("configurable", {})
        if self.settings.nested and self.frame.ns in configurable.get("checkpoint_map", {}):
            return True
        if not configurable.get("checkpoint_id") and self.frame.replaying is None:
            return False
        return not (told or (command is not None and command.resume is not None))

    def _replayed(self, source: str | None) -> str:
        """The checkpoint that subgraphs are to look before: of a fork, which came after theirs, the one it forks."""
        parent = (self.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        return parent if source in FORKING_SOURCES and parent else self.checkpoint_id

    def _take_command(self, command: Command[Any], resuming: bool, forks: bool) -> None:
        if command.graph == Command.PARENT:
            raise InvalidUpdateError("There is no parent graph")
        by_id = False
        if command.resume is not None:
            if not self.settings.saving:
                raise RuntimeError("Cannot use Command(resume=...) without checkpointer")
            answer: Any = command.resume
            by_id = names_questions(answer)
            if by_id:
                self.frame = replace(self.frame, resume_map=answer)
            elif len(self.pending.waiting()) > 1:
                raise RuntimeError(
                    "When there are multiple pending interrupts, you must specify the interrupt id when resuming. "
                    "Docs: https://docs.langchain.com/oss/python/langgraph/interrupts#handling-multiple-interrupts."
                )
        writes = command_writes(command)
        if by_id:
            writes = [write for write in writes if write[0] != RESUME]
        elif not writes:
            raise EmptyInputError("Received empty Command input")
        if not resuming or not writes:
            return
        answers = [write for write in writes if write[0] == RESUME]
        kept = [(c, value) for c, value in self.pending.of_caller() if c != RESUME]
        # Savers know an ordinary write by its place, so those that came before keep theirs.
        saved = [*kept, *(write for write in writes if write[0] != RESUME), *answers]
        self.pending.writes = [write for write in self.pending.writes if write[0] != NULL_TASK]
        self.pending.writes += [(NULL_TASK, channel, value) for channel, value in saved]
        if not forks:
            self._save_writes(NULL_TASK, "", saved)

    def _find_resume(self) -> None:
        """The caller's answer, unless a task that has it is known from an earlier run."""
        answer = next((value for task, c, value in self.pending.writes if task == NULL_TASK and c == RESUME), MISSING)
        if answer is MISSING:
            return
        tasks = {task for task, c, _ in self.pending.writes if task != NULL_TASK and c == RESUME}
        if not any(self.pending.answers(task)[-1:] == [answer] for task in tasks):
            self.resume = answer

    def _mark_updated(self, channels: set[str]) -> None:
        if self.updated is not None:
            self.updated |= channels

    # --- one superstep -------------------------------------------------------------------------------------------

    def _planner(self) -> Planner:
        return Planner(self.frame, self.state, self.checkpoint_id, self.step, self.stop, self.pending, self.resuming)

    def _begin_superstep(self) -> None:
        planner = self._planner()
        tasks = planner.plan(planner.candidates(self.updated))
        self._emit_checkpoint(tasks)
        if self.step > self.stop:
            limit = self.frame.config["recursion_limit"]
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
        handlers: list[Task] = []
        if self.pending.writes:
            self._find_resume()
            if self._hands_back:
                for task in tasks:
                    task.writes = self.pending.output(task.id)
                handlers = [handler for task in tasks if (handler := self._handled_before(task))]
        if self._stops_at(self.settings.interrupt_before, tasks):
            self._stop()
            return
        if self.settings.control is not None and self.settings.control.drain_requested:
            raise GraphDrained(self.settings.control.drain_reason)
        self.tasks |= {task.id: task for task in handlers}
        for task in self.tasks.values():
            self._emit_start(task)
        to_run: list[Task] = []
        for task in self.tasks.values():
            if not task.writes:
                to_run.append(task)
            elif task.writes[0][0] not in TASK_CONTROL:
                self._emit_updates(task, cached=True)
        self.unfinished = {task.id for task in to_run}
        if not to_run:
            self._end_superstep()
        elif not self._passes_through(tasks):
            self._out.append(RunTasks(to_run))

    def _handled_before(self, task: Task) -> Task | None:
        """The task that handles what this one failed with in an earlier run of the checkpoint."""
        if not any(t == task.id and channel == ERROR_SOURCE for t, channel, _ in self.pending.writes):
            return None
        error = self.pending.error(task.id)
        handler = self._handler_of(task)
        if handler is None or error is None:
            return None
        shown = error if isinstance(error, BaseException) else Exception(error)
        task.writes = [(ERROR, shown)]
        return self._planner().handler(task, handler, shown)

    def _passes_through(self, tasks: list[Task]) -> bool:
        """Whether this was the superstep of START, with no user code behind it: then it has been run here and now."""
        task = tasks[0]
        if task.name != START or len(tasks) > 1:
            return False
        node = self.frame.program.nodes[START]
        if node.branches or node.callee is not None:
            return False
        self._return(task, node, task.input)
        return True

    def _return(self, task: Task, node: NodeProgram, value: Any) -> None:
        """A task whose node is no code of the user's returns a value."""
        try:
            writes = [*node.updates(value), *node.edges]
        except Exception as error:
            error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
            self._failed(task.id, error, ())
        else:
            self._finished(task.id, writes, False)

    def _finished(self, task_id: str, writes: list[Write], cached: bool) -> None:
        if task_id not in self.unfinished:
            return
        task = self.tasks[task_id]
        if all(channel in TASK_CONTROL for channel, _ in writes):
            writes = [*writes, (NO_WRITES, None)]
        task.writes = writes
        self.unfinished.discard(task_id)
        if self.settings.saving:
            self._save_writes(task.id, path_order(task), writes)
        if task.cache_key is not None and not cached:
            self._out.append(CacheWrites(task, task.cache_key, writes))
        if self.over:
            return
        self._emit_updates(task, cached)
        if not cached:
            self._emit_result(task, None)
        self._end_if_all_are_in()

    def _failed(self, task_id: str, error: BaseException, writes: Sequence[Write]) -> None:
        if self.over or task_id not in self.unfinished:
            return
        task = self.tasks[task_id]
        if isinstance(error, GraphInterrupt):
            self._interrupted(task, error, writes)
            return
        if isinstance(error, ParentCommand):
            command: Command[Any] = error.args[0]
            if command.graph == Command.PARENT:
                error = ParentCommand(replace(command, graph=self.frame.ns))
            self._finish(error)
            return
        if isinstance(error, GraphBubbleUp):
            self._finish(error)
            return
        refused = is_invalid_resume(error)
        handler = None if refused else self._handler_of(task)
        control: list[Write] = [(ERROR, error)] if handler is None else [(ERROR, error), (ERROR_SOURCE, task.name)]
        # Its answers are kept, since it asks again when it is run again; what else it wrote belongs to no ended task.
        answers = [write for write in writes if write[0] == RESUME]
        self._save_writes(task.id, path_order(task), [*answers, *control])
        task.writes = list(writes)
        if task.writes:
            self._emit_updates(task)
        self._emit_result(task, error)
        if refused:  # another answer can be given; what others do with theirs is not cut off
            task.writes = []
            self._refused = self._refused or error
            self.unfinished.discard(task_id)
            self._end_if_all_are_in()
        elif task.call is not None:  # its caller is told, and decides
            task.writes = []
            self.unfinished.discard(task_id)
            self._end_if_all_are_in()
        elif handler is None:
            self._finish(error)
        else:
            task.writes += control
            self.unfinished.discard(task_id)
            following = self._planner().handler(task, handler, error)
            if self._hands_back:
                following.writes = self.pending.output(following.id)
            self.tasks[following.id] = following
            if following.writes:
                self._end_if_all_are_in()
            else:
                self.unfinished.add(following.id)
                self._out.append(RunTasks([following]))

    def _handler_of(self, task: Task) -> NodeProgram | None:
        node = None if task.call is not None else self.frame.program.nodes[task.name]
        return None if node is None or node.error_handler is None else self.frame.program.nodes[node.error_handler]

    def _interrupted(self, task: Task, error: GraphInterrupt, writes: Sequence[Write]) -> None:
        """A task asks something, or stopped at a breakpoint inside of it."""
        asked = error.interrupts
        self.unfinished.discard(task.id)
        task.writes = []
        if asked:
            answers = [write for write in writes if write[0] == RESUME]
            self._save_writes(task.id, path_order(task), [(INTERRUPT, list(asked)), *answers[-1:]])
        if task.call is not None:  # its caller asks the same
            self._end_if_all_are_in()
            return
        self._asked = [*(self._asked or ()), *asked]
        if asked and not self._is_hidden(task):
            if self._tells_updates:
                self._emit("updates", {INTERRUPT: asked}, task.id)
            if self._tells_values:
                keys = self.settings.output_keys
                shown: dict[str, Any] = {} if isinstance(keys, str) else read_channels(self.state.channels, keys)
                self._emit("values", {**shown, INTERRUPT: asked}, task.id)
            self._emit_result(task, None, asked)
        self._end_if_all_are_in()

    def _called(self, parent: str, index: int, call: Call) -> Task | None:
        caller = self.tasks.get(parent)
        if self.over or caller is None or parent not in self.unfinished:
            return None
        task = self._planner().called(caller, index, call)
        if (known := self.tasks.get(task.id)) is not None and (known.writes or task.id in self.unfinished):
            return known
        self.tasks[task.id] = task
        if self._hands_back:
            task.writes = self.pending.output(task.id)
        self._emit_start(task)
        if not task.writes:
            self.unfinished.add(task.id)
        return task

    def _end_if_all_are_in(self) -> None:
        if self.unfinished or self.over:
            return
        if self._refused is not None:
            self._finish(self._refused)
        elif self._asked is not None:
            self._stop()
        else:
            self._end_superstep()

    def _end_superstep(self) -> None:
        tasks = list(self.tasks.values())
        self.updated = self.state.apply(tasks)
        self.tasks = {}
        self.pending.writes = []
        self.resume = MISSING
        self._claims = {}
        self._hands_back = True
        self._kept = []
        self._save("loop")
        self._show_values(self.updated)  # whoever sees them may look at the thread, or change them
        if self._stops_at(self.settings.interrupt_after, tasks):
            planner = self._planner()
            self._emit_checkpoint(planner.plan(planner.candidates(self.updated)))
            self._stop()
            return
        self.resuming = None
        self._begin_superstep()

    def _stops_at(self, nodes: Sequence[str], tasks: list[Task]) -> bool:
        """Whether a breakpoint stands at one of these tasks, and was not passed already."""
        if not nodes:
            return False
        known = self.frame.program.nodes
        named = (
            not self._hides_all and any(not known[task.name].hidden for task in tasks if task.name in known)
            if nodes == "*"
            else any(task.name in nodes for task in tasks)
        )
        return named and self.state.changed_since_interrupt()

    def _stop(self) -> None:
        """The run waits: for answers, or at a breakpoint."""
        asked = GraphInterrupt(tuple(self._asked or ()))
        if not self.settings.nested:
            tasks = list(self.tasks.values())
            if any(task.writes for task in tasks):
                self._flush()
                self._show_values(self.state.apply(tasks))
            if not asked.interrupts and self._tells_updates:
                self._emit("updates", {INTERRUPT: ()})
        self._finish(None, asked)

    def _finish(self, error: BaseException | None, interrupt: GraphInterrupt | None = None) -> None:
        if not self.over:
            if not self.settings.nested or error is not None or interrupt is not None or self.keeps_thread:
                self._flush()
            self.over = True
            self._out.append(Finished(error, interrupt))

    @property
    def keeps_thread(self) -> bool:
        """Whether a graph inside another one keeps one history for all runs of the thread."""
        return self.settings.nested and ":" not in self.frame.ns

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def _save(self, source: str) -> None:
        self.checkpoint_id, self._config_here = self.settings.new_id(), None
        self.metadata = {"source": source, "step": self.step, "parents": dict(self.frame.parents)}
        self.step += 1
        if self.settings.saving and not self.settings.at_exit:
            # From a fork all nodes are candidates when it is loaded again, as from an update.
            self._put(None if source == "fork" else self.updated)

    def _put(self, updated: set[str] | None) -> None:
        config, ns = self.config, self.frame.ns
        configurable = config.get("configurable", {})
        self.parent_config = config if configurable.get("checkpoint_id") else None
        if configurable.get("checkpoint_ns") != ns:
            config = {**config, "configurable": {**configurable, "checkpoint_ns": ns}}
        versions, values = dict(self.state.versions), self.state.checkpoint()
        before = self._saved_versions
        changed = {key: version for key, version in versions.items() if before.get(key) != version}
        self._out.append(
            SaveCheckpoint(
                config=config,
                checkpoint={
                    "v": 4,
                    "id": self.checkpoint_id,
                    "ts": self.settings.now(),
                    "channel_values": values,
                    "channel_versions": versions,
                    "versions_seen": dict(self.state.seen),
                    "updated_channels": None if updated is None else sorted(updated),
                },
                metadata=self.metadata,
                versions=changed,
                grown=self._grown(changed),
            )
        )
        self._note_lists(changed, values)
        self._saved_versions = versions
        self._saved_id = self.checkpoint_id
        self.config = self._checkpoint_config()

    def _note_lists(self, channels: Iterable[str], values: Mapping[str, Any]) -> None:
        for key in channels:
            if key in self.state.channels and type(value := values.get(key)) is list:
                self._saved_lists[key] = self.state.line(key), len(cast("list[Any]", value))
            else:
                self._saved_lists.pop(key, None)

    def _grown(self, changed: Iterable[str]) -> dict[str, tuple[Any, int]]:
        return {
            key: (self._saved_versions[key], known[1])
            for key in changed
            if (known := self._saved_lists.get(key)) is not None
            and key in self._saved_versions
            and known[0] is self.state.line(key)
        }

    def _flush(self) -> None:
        """Save what was held back until the end."""
        if not (self.settings.saving and self.settings.at_exit) or self.over:
            return
        if self._saved_id != self.checkpoint_id:
            self._put(self.updated)
        for save in self._kept:
            self._out.append(replace(save, config=self._checkpoint_config()))
        self._kept = []

    def _save_writes(self, task: str, path: str, writes: list[Write]) -> None:
        if not self.settings.saving:
            return
        untracked = self.frame.program.untracked
        kept = [write for write in writes if write[0] not in untracked] if untracked else writes
        save = SaveWrites(self._checkpoint_config(), task, path, kept)
        if self.settings.at_exit and not self.over:
            self._kept.append(save)
        else:
            self._out.append(save)

    def _checkpoint_config(self) -> Mapping[str, Any]:
        if self._config_here is None:
            configurable = {
                **self.config.get("configurable", {}),
                "checkpoint_ns": self.frame.ns,
                "checkpoint_id": self.checkpoint_id,
            }
            self._config_here = {**self.config, "configurable": configurable}
        return self._config_here

    # --- telling -------------------------------------------------------------------------------------------------

    def _emit(self, mode: str, payload: Any, task_id: str | None = None) -> None:
        self._out.append(Emit(mode, payload, task_id, self.frame.path))

    def _show_values(self, updated: set[str]) -> None:
        """Emit the state if a superstep that changed these channels changed what is shown of it."""
        if not updated.isdisjoint(self._shown):
            self._emit_values()

    def _emit_values(self) -> None:
        if self._tells_values or self.settings.nested:
            self.result = read_channels(self.state.channels, self.settings.output_keys)
            if self._tells_values:
                self._emit("values", self.result)

    def _is_hidden(self, task: Task) -> bool:
        return self._hides_all or (task.call is None and self.frame.program.nodes[task.name].hidden)

    def _emit_updates(self, task: Task, cached: bool = False) -> None:
        if self._tells_updates and not self._is_hidden(task):
            alone = isinstance(self.settings.output_keys, str)
            self._emit("updates", payloads.updates(task, self._shown, alone=alone, cached=cached), task.id)

    def _emit_start(self, task: Task) -> None:
        if self._tells_tasks and not self._is_hidden(task):
            node = None if task.call is not None else self.frame.program.nodes[task.name]
            payload = payloads.task_start(task, node, self.frame.config)
            self._emit_debuggable("tasks", "task", payload, self.step, task.id)

    def _emit_result(self, task: Task, error: BaseException | None, asked: Sequence[Interrupt] = ()) -> None:
        if self._tells_tasks and not self._is_hidden(task):
            payload = payloads.task_result(task, error, self.frame.program.stream_keys, asked)
            self._emit_debuggable("tasks", "task_result", payload, self.step, task.id)

    def _emit_checkpoint(self, tasks: list[Task]) -> None:
        if self._tells_checkpoints:
            payload = payloads.checkpoint(
                config=self._checkpoint_config(),
                parent_config=self.parent_config,
                values=read_channels(self.state.channels, self.frame.program.stream_keys),
                metadata=self.metadata,
                tasks=tasks,
                pending=self.pending,
                frame=self.frame,
                output_keys=self.settings.output_keys,
            )
            self._emit_debuggable("checkpoints", "checkpoint", payload, self.step - 1, None)

    def _emit_debuggable(self, mode: str, kind: str, payload: Any, step: int, task_id: str | None) -> None:
        if mode in self.settings.modes:
            self._emit(mode, payload, task_id)
        if self._debug:
            wrapped = {"step": step, "timestamp": self.settings.now(), "type": kind, "payload": payload}
            self._emit("debug", wrapped, task_id)
