"""Where a thread stands at a saved checkpoint, and the snapshot that `get_state` gives of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from fleetgraph.checkpoint import digests
from fleetgraph.pregel import payloads
from fleetgraph.pregel.planning import Pending, Planner
from fleetgraph.pregel.program import Program, read_channels
from fleetgraph.pregel.state import State
from fleetgraph.pregel.task import Frame, Task
from fleetgraph.types import PregelTask, StateSnapshot

if TYPE_CHECKING:
    from fleetgraph.checkpoint.base import CheckpointTuple

Config = Mapping[str, Any]


def _same_version(current: Any) -> Any:
    """For a state that is only looked at."""
    return current


@dataclass(slots=True)
class Standing:
    """A thread between two supersteps: its channels, and what is left of the superstep that follows.

    Attributes:
        step: Of the superstep that follows; -1 before the first input.
    """

    state: State
    pending: Pending
    frame: Frame
    checkpoint_id: str
    step: int

    @classmethod
    def at(
        cls,
        program: Program,
        saved: CheckpointTuple,
        next_version: Callable[[Any], Any] = _same_version,
        digest: str = digests.OURS,
    ) -> Standing:
        """Where the thread stood at a checkpoint.

        Args:
            next_version: As in `State`; needed where the state is going to be saved.
            digest: The name of the saver's hash.
        """
        checkpoint = saved.checkpoint
        return cls(
            state=State(
                program,
                checkpoint["channel_values"],
                checkpoint["channel_versions"],
                checkpoint["versions_seen"],
                next_version,
            ),
            pending=Pending(list(saved.pending_writes or ())),
            frame=Frame(
                program,
                saved.config,
                frozenset(),
                ns=saved.config["configurable"].get("checkpoint_ns") or "",
                digest=digest,
            ),
            checkpoint_id=checkpoint["id"],
            step=saved.metadata.get("step", -1) + 1,
        )

    def planned(self) -> list[Task]:
        """The tasks of the superstep that follows, in the order of the Sends, then of the nodes as they were added.

        They are not to be run: a state that does not fit a node's schema can be looked at, and repaired.
        """
        planner = Planner(
            self.frame, self.state, self.checkpoint_id, self.step, self.step + 2, self.pending, to_run=False
        )
        return planner.plan(planner.candidates(None))

    def take_caller_writes(self) -> None:
        """Apply what a caller's `Command` wrote that no superstep has taken yet."""
        if writes := self.pending.of_caller():
            self.state.write(writes)

    def end_superstep(self, tasks: list[Task]) -> None:
        """Apply the writes of those tasks that have ended already, and give up the others."""
        for task in tasks:
            task.writes = self.pending.output(task.id)
        self.state.apply(tasks)


class Look:
    """One look at a thread.

    Args:
        live: Whether to show how far the superstep has got by now, and not the thread as it was when that began.
        digest: The name of the saver's hash.
    """

    def __init__(self, program: Program, saved: CheckpointTuple, *, live: bool, digest: str = digests.OURS) -> None:
        self._program = program
        self._saved = saved
        self._live = live
        self._standing = Standing.at(program, saved, digest=digest)

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks of the superstep that follows."""
        return self._standing.planned()

    def place_of(self, task: Task) -> dict[str, Any]:
        """The config that names the state of the graph that a task is."""
        return payloads.subgraph_config(task.ns, self._saved.config)

    def snapshot(self, states: Mapping[str, Any]) -> StateSnapshot:
        """What there is to be seen.

        Args:
            states: By task id, what to tell of the graphs in tasks: their snapshots, or configs that name them.
        """
        saved, standing, tasks = self._saved, self._standing, self.tasks
        standing.take_caller_writes()
        ended: list[Task] = []
        if self._live:
            ended = [task for task in tasks if standing.pending.output(task.id)]
            if ended:
                standing.end_superstep(ended)
        shown = tuple(self._shown(task, states.get(task.id)) for task in tasks)
        return StateSnapshot(
            values=read_channels(standing.state.channels, self._program.stream_keys),
            next=tuple(task.name for task in tasks if task not in ended),
            config=payloads.mapped(saved.config, saved.metadata),
            metadata=saved.metadata,
            created_at=saved.checkpoint["ts"],
            parent_config=None if saved.parent_config is None else payloads.mapped(saved.parent_config, saved.metadata),
            tasks=shown,
            interrupts=tuple(question for task in shown for question in task.interrupts),
        )

    def _shown(self, task: Task, state: Any) -> PregelTask:
        pending = self._standing.pending
        output = pending.output(task.id)
        return PregelTask(
            id=task.id,
            name=task.name,
            path=task.path,
            error=pending.error(task.id),
            interrupts=() if self._live and output else tuple(pending.asked(task.id)),
            state=state,
            result=payloads.task_output(output, self._program.stream_keys),
        )


def nothing_at(config: Config) -> StateSnapshot:
    """The snapshot of a thread, or of a checkpoint, that is not there."""
    return StateSnapshot({}, (), config, None, None, None, (), ())


def is_live(config: Config) -> bool:
    """Whether a config asks for a thread as it is now, and not for one checkpoint of it."""
    return "checkpoint_id" not in config["configurable"]


def with_configurable(config: Config, more: Mapping[str, Any]) -> dict[str, Any]:
    """A config with further entries in `configurable`."""
    configurable = cast("Mapping[str, Any]", config.get("configurable", {}))
    return {**config, "configurable": {**configurable, **more}}
