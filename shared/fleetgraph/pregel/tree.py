"""A run as a tree of machines: that of its graph, and one for each task that is a graph itself.

Drivers talk to the tree as if it were one machine. Tasks are told apart by their ids, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from fleetgraph.config import merge_configs
from fleetgraph.errors import GraphBubbleUp, NodeTimeoutError, ParentCommand
from fleetgraph.pregel.execute import retry_delay
from fleetgraph.pregel.instructions import (
    EmitMessages,
    Finished,
    Instruction,
    KnowMessages,
    Load,
    LookUp,
    RunTasks,
    SaveWrites,
    WakeLater,
)
from fleetgraph.pregel.labels import task_config, task_metadata, without_task_ids
from fleetgraph.pregel.machine import Checkpoint, Machine, Settings
from fleetgraph.pregel.program import NodeProgram
from fleetgraph.pregel.task import Call, Frame, Task, Write
from fleetgraph.stream import messages
from fleetgraph.types import Command, TimeoutPolicy

_LIMIT: Final = "!"
"""In the name of a wake: stands between a task and its attempt that must have ended by then."""


@dataclass(slots=True)
class _Inside:
    """A task that is a graph."""

    parent: Machine
    task: Task
    node: NodeProgram
    attempt: int = 1
    machine: Machine | None = None
    chosen: str | None = None
    """The checkpoint that the caller chose for it."""


class Tree:
    """The machines of one run.

    Args:
        root: That of the run's graph.
        subgraphs: Whether chunks of the graphs inside of it are wanted.
    """

    def __init__(self, root: Machine, *, subgraphs: bool) -> None:
        self.root = root
        self._subgraphs = subgraphs
        self._owners: dict[str, Machine] = {}
        """By task that has not ended, the machine it is of."""
        self._called: set[str] = set()
        """The tasks of a replay that were called before."""
        self._inside: dict[str, _Inside] = {}
        self._replayed: set[str] = set()
        self._entered: set[str] = set()

    # --- what the driver tells it --------------------------------------------------------------------------------

    def start(self, value: Any) -> list[Instruction]:
        """Begin the run with an input."""
        return self._carry(self.root, self.root.start(value))

    def finished(self, task_id: str, writes: list[Write], *, cached: bool = False) -> list[Instruction]:
        """A task ended well, with these writes."""
        machine, was_over = self._owners.pop(task_id, None), self.root.over
        if machine is None:
            return []
        return self._told(machine, machine.finished(task_id, writes, cached=cached), was_over)

    def failed(self, task_id: str, error: BaseException, writes: Iterable[Write] = ()) -> list[Instruction]:
        """A task raised, or asks something, after these writes."""
        machine, was_over = self._owners.pop(task_id, None), self.root.over
        if machine is None:
            return []
        return self._told(machine, machine.failed(task_id, error, list(writes)), was_over)

    def looked_up(self, tasks: Iterable[Task], found: Mapping[str, list[Write]]) -> list[Instruction]:
        """What a cache has of some tasks, by id: those that it has not are to be run."""
        out: list[Instruction] = []
        rest: list[Task] = []
        for task in tasks:
            if task.id in found:
                out += self.finished(task.id, found[task.id], cached=True)
            else:
                rest.append(task)
        return out + (self._run(self._owners[rest[0].id], rest) if rest else [])

    def loaded(self, task_id: str, checkpoint: Checkpoint | None) -> list[Instruction]:
        """What the saver has of the graph that a task is."""
        inside = self._inside.get(task_id)
        return [] if inside is None or self.root.over else self._begin(inside, checkpoint)

    def woken(self, task_id: str) -> list[Instruction]:
        """A time that was to be waited for has passed: until a graph is tried again, or has taken too long."""
        limited, _, attempt = task_id.partition(_LIMIT)
        if attempt:
            return self._timed_out(limited, int(attempt))
        inside = self._inside.get(task_id)
        return [] if inside is None or self.root.over else self._enter(inside)

    def called(self, parent: str, index: int, call: Call) -> tuple[Task | None, list[Instruction]]:
        """A task calls a function; see `Machine.called`."""
        machine = self._owners.get(parent)
        if machine is None or self.root.over:
            return None, []
        task, instructions = machine.called(parent, index, call)
        if task is not None:
            if task.frame.replaying is not None and task.id not in self._called:
                self._called.add(task.id)
                self._place_in_replay(task)
            self._owners[task.id] = machine
        return task, self._carry(machine, instructions)

    def claim_resume(self, task_id: str) -> Any:
        """The answer the run was resumed with, for the first task that claims it; else MISSING."""
        return self.root.claim_resume(task_id)

    @property
    def resumable(self) -> bool:
        """Whether a task may have an answer to claim."""
        return self.root.resumable

    def cancel(self, error: BaseException) -> list[Instruction]:
        """End the run from outside."""
        return self.root.cancel(error)

    # --- between the machines ------------------------------------------------------------------------------------

    def _told(self, machine: Machine, instructions: list[Instruction], was_over: bool) -> list[Instruction]:
        """What follows from what became of a task; after the run's end only what is to be kept of it."""
        out = self._carry(machine, instructions)
        return [one for one in out if isinstance(one, SaveWrites)] if was_over else out

    def _carry(self, machine: Machine, instructions: list[Instruction]) -> list[Instruction]:
        """Pass on what a machine says, but for what is between it and the others."""
        out: list[Instruction] = []
        for instruction in instructions:
            if isinstance(instruction, RunTasks):
                tasks = instruction.tasks
                for task in tasks:
                    self._owners[task.id] = machine
                if machine.frame.program.cache is not None:
                    keyed = [task for task in tasks if task.cache_key is not None]
                    if keyed:
                        out.append(LookUp(keyed))
                        tasks = [task for task in tasks if task.cache_key is None]
                out += self._run(machine, tasks)
            elif isinstance(instruction, Finished) and machine is not self.root:
                out += self._left(machine, instruction)
            else:
                out.append(instruction)
        return out

    def _run(self, machine: Machine, tasks: list[Task]) -> list[Instruction]:
        nodes = machine.frame.program.nodes
        if machine.frame.replaying is not None:
            for task in tasks:
                self._place_in_replay(task)
        graphs: list[Task] = []
        if machine.frame.program.subgraphs:
            graphs = [task for task in tasks if task.call is None and nodes[task.name].subgraph is not None]
        if not graphs:
            return [RunTasks(tasks)] if tasks else []
        others = [task for task in tasks if task not in graphs]
        out: list[Instruction] = [RunTasks(others)] if others else []
        for task in graphs:
            inside = self._inside[task.id] = _Inside(machine, task, nodes[task.name])
            out += self._enter(inside)
        return out

    def _place_in_replay(self, task: Task) -> None:
        if task.frame.replaying is not None:
            task.first_in_replay = self._is_new_in_replay(f"functions of {without_task_ids(task.ns)}")

    def _is_new_in_replay(self, place: str) -> bool:
        """Whether a graph has not been looked for in this place yet: the first time it is what it was then."""
        known = place in self._replayed
        self._replayed.add(place)
        return not known

    def _timed_out(self, task_id: str, attempt: int) -> list[Instruction]:
        """A graph in a node has not ended in time: it ends now, whatever its tasks do."""
        inside = self._inside.get(task_id)
        if inside is None or inside.machine is None or inside.attempt != attempt or self.root.over:
            return []
        limit = cast("float", cast(TimeoutPolicy, inside.task.timeout).run_timeout)
        error = NodeTimeoutError(inside.task.name, limit, kind="run", run_timeout=limit)
        return self._carry(inside.machine, inside.machine.cancel(error))

    def _enter(self, inside: _Inside) -> list[Instruction]:
        parent, task = inside.parent, inside.task
        out: list[Instruction] = []
        if task.timeout is not None and task.timeout.run_timeout is not None:
            out.append(WakeLater(f"{task.id}{_LIMIT}{inside.attempt}", cast("float", task.timeout.run_timeout)))
        if "messages" in parent.settings.modes and (ids := messages.known_ids(task.input)):
            out.append(KnowMessages(ids))
        ns = self._ns_of(inside)
        inside.chosen = None
        places: Mapping[str, str] = parent.frame.config.get("configurable", {}).get("checkpoint_map", {})
        if ns in places and ns not in self._entered:  # later in the run it goes on from where it is then
            self._entered.add(ns)
            inside.chosen = places[ns]
        settings, before = self._settings(inside)
        inside.machine = None
        if not settings.saving:
            return out + self._begin(inside, None)
        configurable = settings.frame.config.get("configurable", {})
        named = {**configurable, "checkpoint_ns": settings.frame.ns, "checkpoint_id": inside.chosen}
        out.append(Load(task.id, {**settings.frame.config, "configurable": named}, before))
        return out

    @staticmethod
    def _ns_of(inside: _Inside) -> str:
        task, graph = inside.task, inside.node.subgraph
        ns = task.ns if inside.attempt == 1 else f"{task.ns}|{inside.attempt - 1}"
        if graph is not None and graph.checkpointer is True:
            return without_task_ids(ns)
        return ns

    def _settings(self, inside: _Inside) -> tuple[Settings, str | None]:
        """How the graph that a task is is to be run, and before which checkpoint of the outermost it is to look."""
        parent, task = inside.parent, inside.task
        graph = inside.node.subgraph
        assert graph is not None
        outer = parent.settings
        ns = self._ns_of(inside)
        modes = outer.modes if self._subgraphs else frozenset[str]()
        resuming, before = task.resuming, None
        replaying = parent.frame.replaying
        if replaying is not None and inside.chosen is None:
            resuming = None
            if self._is_new_in_replay(ns.rpartition(":")[0] or ns):
                before = replaying
        config: Mapping[str, Any] = task_config(task)
        if graph.config is not None:
            config = merge_configs({"tags": config["tags"]}, graph.config, config)
        configurable: Mapping[str, Any] = config.get("configurable", {})
        places: Mapping[str, str] = configurable.get("checkpoint_map", {})
        if inside.chosen is None and ns in places:
            places = {place: checkpoint for place, checkpoint in places.items() if place != ns}
            config = {**config, "configurable": {**configurable, "checkpoint_map": places}}
        frame = Frame(
            program=graph.program,
            config=config,
            modes=modes,
            context=parent.frame.context,
            ns=ns,
            nodes=(*parent.frame.nodes, task.name),
            resume_map=parent.frame.resume_map,
            subgraphs=parent.frame.subgraphs,
            unheard=not self._subgraphs and ("messages" in outer.modes or parent.frame.unheard),
            resuming=resuming,
            parents={**parent.frame.parents, parent.frame.ns: parent.checkpoint_id},
            digest=parent.frame.digest,
            replaying=replaying,
        )
        settings = replace(
            outer,
            frame=frame,
            modes=modes,
            output_keys=graph.program.output_keys,
            saving=outer.saving and graph.checkpointer is not False,
            interrupt_before=graph.interrupt_before,
            interrupt_after=graph.interrupt_after,
            nested=True,
        )
        return settings, before

    def _begin(self, inside: _Inside, checkpoint: Checkpoint | None) -> list[Instruction]:
        settings, _ = self._settings(inside)
        try:
            machine = Machine(settings, checkpoint)
        except Exception as error:  # a saved state that the graph can't take
            return self._carry(inside.parent, inside.parent.failed(inside.task.id, error))
        inside.machine = machine
        return self._carry(machine, machine.start(inside.task.input))

    def _left(self, machine: Machine, end: Finished) -> list[Instruction]:
        """A graph inside another one has ended: so has the task that it is."""
        inside = next(one for one in self._inside.values() if one.machine is machine)
        parent, task, error = inside.parent, inside.task, end.error
        if end.interrupt is not None:
            return self._carry(parent, parent.failed(task.id, end.interrupt))
        if error is None:
            return self._returned(inside, machine.result, silent=False)
        if isinstance(error, ParentCommand):
            command: Command[Any] = error.args[0]
            if command.graph in (task.ns, task.name, machine.frame.ns):
                return self._returned(inside, replace(command, graph=None), silent=True)
        delay = retry_delay(inside.node.retry, error, inside.attempt)
        if delay is not None:
            inside.attempt += 1
            return [WakeLater(task.id, delay)]
        if not isinstance(error, GraphBubbleUp):
            error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        return self._carry(parent, parent.failed(task.id, error))

    def _returned(self, inside: _Inside, value: Any, *, silent: bool) -> list[Instruction]:
        parent, task, node = inside.parent, inside.task, inside.node
        del self._inside[task.id]
        if node.branches:
            task.returned = value
            return [RunTasks([task])]
        del self._owners[task.id]
        out = self._carry(parent, parent.returned(task.id, value))
        if not silent and "messages" in parent.settings.modes and (found := messages.returned(value)):
            metadata = task_metadata(task)
            if node.subgraph is not None and node.subgraph.name == task.name:  # LangGraph takes it for the graph's own
                metadata["checkpoint_ns"] = task.ns
            shown: list[tuple[Any, Mapping[str, Any]]] = [(message, dict(metadata)) for message in found]
            out.insert(0, EmitMessages(shown, task.id, parent.frame.path))
        return out
