"""The state of a graph: its channels, their versions, and which of those each node has seen."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.pregel.program import NodeProgram, Program
from fleetgraph.pregel.reserved import CONTROL_CHANNELS, INTERRUPT
from fleetgraph.pregel.task import Write

logger = logging.getLogger(__name__)

INPUT: Final = "__input__"
"""The name under which what comes from the caller is written."""


class Applied(Protocol):
    """The part of a task that counts when its writes are applied."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> tuple[Any, ...]: ...
    @property
    def triggers(self) -> tuple[str, ...]: ...
    @property
    def writes(self) -> Sequence[Write]: ...


@dataclass(frozen=True, slots=True)
class Written:
    """Writes that no task made: the caller's, which come before those of any task."""

    writes: Sequence[Write]
    name: str = INPUT
    path: tuple[Any, ...] = ()
    triggers: tuple[str, ...] = ()


class Line:
    """The life of a channel's value for as long as it stays what it is, or items are only added behind those of a list.

    Two looks at a channel that find the same line, and the same number of items, have seen the same value.
    """

    __slots__ = ("__weakref__",)


class State:
    """The living channels of one graph.

    Args:
        program: The graph.
        values: What a checkpoint holds of its channels.
        versions: The version of each channel that was ever written.
        seen: By node, the versions of its triggers that it last ran on.
        next_version: The version after the highest one; None before the first.
    """

    def __init__(
        self,
        program: Program,
        values: Mapping[str, Any],
        versions: Mapping[str, Any],
        seen: Mapping[str, Mapping[str, Any]],
        next_version: Callable[[Any], Any],
    ) -> None:
        self.program = program
        self.channels: dict[str, BaseChannel] = {
            key: channel.from_checkpoint(values.get(key, MISSING)) for key, channel in program.channels.items()
        }
        self.versions = dict(versions)
        self.seen = {name: dict(versions) for name, versions in seen.items()}
        """What it holds is replaced, never changed: checkpoints share it."""
        self.top_version: Any = max(self.versions.values()) if self.versions else None
        self._next_version = next_version
        self._lines: dict[str, Line] = {}
        self._saved: dict[str, Any] = {}
        """What was to be saved, when that was asked last."""
        self._unsaved = dict.fromkeys(key for key in self.channels if key in self.versions)
        """The channels that have changed since."""

    def line(self, channel: str) -> Line:
        """The line of what a channel holds now.

        It does not rest on the value's identity: a reducer may have changed the value in its place.
        """
        line = self._lines.get(channel)
        if line is None:
            line = self._lines[channel] = Line()
        return line

    def is_triggered(self, node: NodeProgram) -> bool:
        """Whether a trigger of the node has changed since the node last ran."""
        seen = self.seen.get(node.name)
        for trigger in node.triggers:
            version = self.versions.get(trigger)
            if version is None or not self.channels[trigger].is_available():
                continue
            if seen is None or (last := seen.get(trigger)) is None or version > last:
                return True
        return False

    def changed_since_interrupt(self) -> bool:
        """Whether any channel has changed since the run last stopped at a breakpoint or an interrupt."""
        seen = self.seen.get(INTERRUPT, {})
        return any((last := seen.get(key)) is None or version > last for key, version in self.versions.items())

    def pass_interrupt(self) -> None:
        """Note that the caller has seen the state as it is."""
        self._saw(INTERRUPT, self.channels)

    def _saw(self, name: str, channels: Iterable[str]) -> None:
        """Note that a node, or the caller, has seen channels as they are."""
        seen = {**self.seen.get(name, {})}
        for key in channels:
            if key in self.versions:
                seen[key] = self.versions[key]
        self.seen[name] = seen

    def checkpoint(self) -> dict[str, Any]:
        """What to save of the channels that were ever written."""
        for key in self._unsaved:
            if (value := self.channels[key].checkpoint()) is not MISSING:
                self._saved[key] = value
            else:
                self._saved.pop(key, None)
        self._unsaved.clear()
        return dict(self._saved)

    def write(self, writes: Sequence[Write]) -> set[str]:
        """Apply what the caller writes, without ending a superstep; returns the channels that hold a new value."""
        return self.apply([Written(writes)])

    def apply(self, tasks: Iterable[Applied]) -> set[str]:
        """End a superstep: apply its tasks' writes, in path order.

        Returns:
            The channels that changed and hold a value.

        Raises:
            InvalidUpdateError: A channel can't take its writes.
            Exception: What a reducer raised.
        """
        channels = self.channels
        ordered = list(tasks)
        if len(ordered) > 1:
            ordered.sort(key=path_order)
        ran = dict.fromkeys([(task.name, task.triggers) for task in ordered if task.triggers])
        for name, triggers in ran:
            self._saw(name, triggers)
        self.top_version = self._next_version(self.top_version)
        if consumable := self.program.consumable:
            for trigger in consumable.intersection([trigger for _, triggers in ran for trigger in triggers]):
                if channels[trigger].consume():
                    self._renewed(trigger, channels[trigger])
        writes: defaultdict[str, list[Any]] = defaultdict(list)
        for task in ordered:
            for channel, value in task.writes:
                if channel in channels:
                    writes[channel].append(value)
                elif channel not in CONTROL_CHANNELS:
                    logger.warning(
                        "Task %s with path %s wrote to unknown channel %s, ignoring it.", task.name, task.path, channel
                    )
        updated: set[str] = set()
        for key, values in writes.items():
            channel = channels[key]
            if not channel.update(values):
                self._lines.pop(key, None)
            elif self._renewed(key, channel):
                updated.add(key)
        if ran:
            for key in self.program.fading:
                channel = channels[key]
                if key not in updated and channel.is_available() and channel.update(()) and self._renewed(key, channel):
                    updated.add(key)
            if updated.isdisjoint(self.program.triggered):
                for key in self.program.finishing:
                    channel = channels[key]
                    if channel.finish() and self._renewed(key, channel):
                        updated.add(key)
        return updated

    def _renewed(self, key: str, channel: BaseChannel) -> bool:
        """Note that a channel has changed. Returns whether it holds a value."""
        self.versions[key] = self.top_version
        self._unsaved[key] = None
        if not channel.appended:
            self._lines.pop(key, None)
        return channel.is_available()


def path_order(task: Applied) -> str:
    """Sorts tasks the way their writes are applied: nodes by name, then Sends by index."""
    return path_text(task.path)


def path_text(path: object) -> str:
    """A path as text that sorts like it."""
    if isinstance(path, tuple):
        parts = cast("tuple[object, ...]", path)
        return "~" + ", ".join([part if isinstance(part, str) else path_text(part) for part in parts])
    return f"{path:010d}" if isinstance(path, int) else str(path)
