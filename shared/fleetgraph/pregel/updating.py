"""Writing to a thread between its runs: what `update_state` and `bulk_update_state` do.

It is a generator that asks for a checkpoint to be looked up, for one to be saved, and for path functions to be called,
since an update is written in the name of a node, and what follows from that node follows from the update, too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import NAMESPACE_OID, uuid5

from fleetgraph.checkpoint import digests
from fleetgraph.constants import END
from fleetgraph.errors import InvalidUpdateError
from fleetgraph.pregel import context as task_context
from fleetgraph.pregel import payloads
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.execute import Request, follow
from fleetgraph.pregel.instructions import SaveCheckpoint, SaveWrites
from fleetgraph.pregel.planning import Pending, branch_snapshot
from fleetgraph.pregel.program import Program
from fleetgraph.pregel.reserved import INTERRUPT
from fleetgraph.pregel.snapshots import Standing, with_configurable
from fleetgraph.pregel.state import INPUT, State, Written, path_text
from fleetgraph.pregel.task import Frame, Host, Task
from fleetgraph.stream import messages
from fleetgraph.types import StateUpdate

if TYPE_CHECKING:
    from fleetgraph.checkpoint.base import CheckpointTuple

Config = Mapping[str, Any]

COPY: Final = "__copy__"
"""As the name of a node: make another checkpoint like this one, beside it."""


@dataclass(frozen=True, slots=True)
class Find:
    """Look up the checkpoint that a config names, and answer with it."""

    config: Config


@dataclass(frozen=True, slots=True)
class CallCode:
    """Call user code, and answer with what it returns."""

    request: Request
    running: TaskContext


Ask = Find | CallCode | SaveCheckpoint | SaveWrites
"""What an update asks for. `SaveCheckpoint` is answered with the config that names it."""
Asking = Generator[Ask, Any, Config]
"""Asks, and returns the config that names the last checkpoint."""


@dataclass(frozen=True, slots=True)
class _Base:
    """The checkpoint that an update is made on."""

    standing: Standing
    saved: CheckpointTuple | None
    config: Config
    """Names it, or the thread where there is none, with all that the caller's config says besides."""
    at_its_end: bool
    """Whether it is the thread's newest, and not one that the caller chose."""

    @property
    def parents(self) -> dict[str, str]:
        return dict(self.saved.metadata.get("parents", {})) if self.saved is not None else {}


@dataclass(frozen=True, slots=True)
class Updater:
    """Writes to the threads of one graph.

    Attributes:
        host: Answers what path functions ask.
        next_version: The channel version after `current`, which is None before the first.
        new_id: Makes checkpoint ids, each greater than the last.
        id_behind: Makes one that is just greater than another: an update of a thread on which a run goes on comes
            before what that saves next.
        now: The time, as ISO 8601 text.
        digest: The name of the saver's hash.
    """

    program: Program
    host: Host
    next_version: Callable[[Any], Any]
    new_id: Callable[[], str]
    id_behind: Callable[[str], str]
    now: Callable[[], str]
    digest: str = digests.OURS

    def update(self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]) -> Asking:
        """Write several supersteps, one after the other.

        Raises:
            InvalidUpdateError: An update fits no node, or the node not the update.
            Exception: What a path function or a reducer raised.
        """
        at = config
        at_its_end = not config["configurable"].get("checkpoint_id")
        for number, updates in enumerate(supersteps):
            named = with_configurable(config, at["configurable"])
            listed = [StateUpdate(*update) for update in updates]
            at = yield from self._superstep(named, listed, goes_on=number > 0, at_its_end=at_its_end)
        return at

    def _superstep(self, config: Config, updates: list[StateUpdate], *, goes_on: bool, at_its_end: bool) -> Asking:
        saved: CheckpointTuple | None = yield Find(config)
        base = self._base(config, saved, at_its_end=at_its_end)
        first = updates[0]
        if first.values is None and first.as_node == END:
            _only(updates, "Cannot apply multiple updates when clearing state")
            return (yield from self._clear(base))
        if first.as_node == INPUT:
            _only(updates, "Cannot apply multiple updates when updating as input")
            return (yield from self._give(base, first.values))
        if first.as_node == COPY:
            _only(updates, "Cannot copy checkpoint with multiple updates")
            return (yield from self._copy(base, config, first.values))
        return (yield from self._write(base, config, updates, goes_on=goes_on))

    def _base(self, config: Config, saved: CheckpointTuple | None, *, at_its_end: bool) -> _Base:
        if saved is not None:
            standing = Standing.at(self.program, saved, self.next_version, self.digest)
            return _Base(standing, saved, with_configurable(config, saved.config["configurable"]), at_its_end)
        named = with_configurable(config, {"checkpoint_ns": config["configurable"].get("checkpoint_ns") or ""})
        standing = Standing(
            state=State(self.program, {}, {}, {}, self.next_version),
            pending=Pending(),
            frame=Frame(
                self.program, named, frozenset(), ns=named["configurable"]["checkpoint_ns"], digest=self.digest
            ),
            checkpoint_id=self.new_id(),
            step=0,
        )
        return _Base(standing, None, named, at_its_end)

    # --- the kinds of updates ------------------------------------------------------------------------------------

    def _clear(self, base: _Base) -> Asking:
        """End the superstep with what has been written in it."""
        standing = base.standing
        tasks = standing.planned()
        standing.take_caller_writes()
        standing.end_superstep(tasks)
        return (yield from self._save(base, "update", standing.step))

    def _give(self, base: _Base, value: Any) -> Asking:
        """Give the graph an input, without running it."""
        channel = self.program.input_channel
        if value is None:
            raise InvalidUpdateError(f"Received no input writes for {channel}")
        base.standing.state.write([(channel, value)])
        return (yield from self._save(base, "input", base.standing.step if base.saved is not None else -1))

    def _copy(self, base: _Base, config: Config, updates: Any) -> Asking:
        """Save the checkpoint once more, as its own sibling, and then write updates to the copy, if any are given."""
        saved = base.saved
        if saved is None:
            raise InvalidUpdateError("Cannot copy a non-existent checkpoint")
        parent = (saved.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        metadata = {"source": "fork", "step": base.standing.step, "parents": base.parents}
        checkpoint = {**saved.checkpoint, "id": self.new_id(), "ts": self.now(), "updated_channels": None}
        named = with_configurable(base.config, {"checkpoint_id": parent})
        found: Config = yield SaveCheckpoint(named, checkpoint, metadata, {})
        at = payloads.mapped(found, saved.metadata)
        if not isinstance(updates, list) or not updates:
            return at
        by_node: dict[str | None, list[StateUpdate]] = {}
        for item in cast("list[Any]", updates):
            if not isinstance(item, Sequence) or len(cast("Sequence[Any]", item)) < 2:
                raise InvalidUpdateError(f"Invalid update item: {item} when copying checkpoint")
            update = StateUpdate(*cast("Sequence[Any]", item)[:2])
            by_node.setdefault(update.as_node, []).append(update)
        following = [update for group in by_node.values() for update in group]
        named = with_configurable(config, at["configurable"])
        return (yield from self._superstep(named, following, goes_on=True, at_its_end=False))

    def _write(self, base: _Base, config: Config, updates: list[StateUpdate], *, goes_on: bool) -> Asking:
        """Write as if nodes had returned the updates."""
        standing = base.standing
        ids: dict[str, list[str]] = {}
        if base.saved is not None:  # the updates stand for the tasks of the superstep, whose results the history shows
            for task in standing.planned():
                ids.setdefault(task.name, []).append(task.id)
        nodes = self._nodes_of(standing, updates)
        frame = Frame(self.program, base.config, frozenset(), ns=standing.frame.ns, digest=self.digest)
        tasks: list[Task] = []
        for number, (update, name) in enumerate(zip(updates, nodes, strict=True)):
            planned = ids.get(name)
            task_id = update.task_id or (planned.pop(0) if planned else _own_id(standing.checkpoint_id, number))
            task = Task(
                id=task_id,
                name=name,
                path=(INTERRUPT, number),
                triggers=(INTERRUPT,),
                step=standing.step - 1,
                stop=standing.step + 1,
                ns=f"{name}:{task_id}",
                input=update.values,
                frame=frame,
                checkpoint_id=standing.checkpoint_id,
                snapshot=branch_snapshot(self.program.nodes[name], standing.state.channels),
            )
            yield from self._run(task)
            tasks.append(task)
        standing.state.apply([Written(task.writes, task.name, task.path, task.triggers) for task in tasks])
        if base.saved is not None and (goes_on or not (yield from _superseded(config, base.saved))):
            for task in tasks:
                if writes := [write for write in task.writes if write[0] not in self.program.untracked]:
                    yield SaveWrites(base.config, task.id, path_text(task.path), writes)
        return (yield from self._save(base, "update", standing.step))

    def _nodes_of(self, standing: Standing, updates: list[StateUpdate]) -> list[str]:
        """In whose name each update is written."""
        found: list[str] = []
        for update in updates:
            name = update.as_node
            if name is None:
                if len(updates) > 1:
                    raise InvalidUpdateError("as_node is required when applying multiple updates")
                name = last_node(standing.state)
            if name is None:
                raise InvalidUpdateError("Ambiguous update, specify as_node")
            if name not in self.program.nodes:
                raise InvalidUpdateError(f"Node {name} does not exist")
            found.append(name)
        return found

    def _run(self, task: Task) -> Generator[Ask, Any, None]:
        """Find out what follows from what the task's node is said to have returned."""
        running = TaskContext(task, self.program.nodes[task.name], _Unheard(), self.host)
        entered = task_context.enter(running)
        try:
            with messages.streaming(running):
                steps = follow(running, task.input)
                answer: Any = None
                while True:
                    try:
                        request = steps.send(answer)
                    except StopIteration:
                        break
                    answer = yield CallCode(request, running)
        finally:
            task_context.leave(entered)

    def _save(self, base: _Base, source: str, step: int) -> Asking:
        state, saved = base.standing.state, base.saved
        before: Mapping[str, Any] = saved.checkpoint["channel_versions"] if saved is not None else {}
        found: Config = yield SaveCheckpoint(
            config=base.config,
            checkpoint={
                "v": 4,
                "id": self.id_behind(saved.checkpoint["id"]) if saved and base.at_its_end else self.new_id(),
                "ts": self.now(),
                "channel_values": state.checkpoint(),
                "channel_versions": dict(state.versions),
                "versions_seen": dict(state.seen),
                "updated_channels": None,
            },
            metadata={"source": source, "step": step, "parents": base.parents},
            versions={key: version for key, version in state.versions.items() if before.get(key) != version},
        )
        return payloads.mapped(found, None if saved is None else saved.metadata)


def _only(updates: list[StateUpdate], otherwise: str) -> None:
    if len(updates) > 1:
        raise InvalidUpdateError(otherwise)


def _superseded(config: Config, saved: CheckpointTuple) -> Generator[Ask, Any, bool]:
    """Whether the thread has gone on since the checkpoint that was asked for by its id."""
    if not config["configurable"].get("checkpoint_id"):
        return False
    latest: CheckpointTuple | None = yield Find(with_configurable(config, {"checkpoint_id": None}))
    return latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]


def _own_id(checkpoint_id: str, number: int) -> str:
    """The id of an update that stands for no task."""
    return str(uuid5(NAMESPACE_OID, f"update {number} of {checkpoint_id}"))


def last_node(state: State) -> str | None:
    """The node that ran last; START before any has run, None when several ran at once."""
    program = state.program
    if len(program.nodes) == 1:
        return next(iter(program.nodes))
    if not any(state.seen.values()):
        return program.input_channel if program.input_channel in program.nodes else None
    ran = {name: max(seen.values()) for name, seen in state.seen.items() if seen and name in program.nodes}
    last = [name for name, version in ran.items() if version == max(ran.values())]
    return last[0] if len(last) == 1 else None


class _Unheard:
    """The emitter of code that runs outside of a run: nobody listens."""

    modes: frozenset[str] = frozenset()

    def custom(self, payload: Any) -> None: ...

    def message(
        self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None: ...

    def saw_messages(self, ids: list[str]) -> None: ...

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None: ...
