"""The state of a graph: its channels, their versions, and which of those each node has seen."""

from __future__ import annotations

import logging
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
        self.top_version: Any = max(self.versions.values()) if self.versions else None
        self._next_version = next_version
        self._lines: dict[str, Line] = {}

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
        self.seen.setdefault(INTERRUPT, {}).update(
            {key: self.versions[key] for key in self.channels if key in self.versions}
        )

    def checkpoint(self) -> dict[str, Any]:
        """What to save of the channels that were ever written."""
        versions = self.versions
        return {
            key: value
            for key, channel in self.channels.items()
            if key in versions and (value := channel.checkpoint()) is not MISSING
        }

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
        channels, versions = self.channels, self.versions
        ordered = list(tasks)
        if len(ordered) > 1:
            ordered.sort(key=path_order)
        advances = any(task.triggers for task in ordered)
        for task in ordered:
            if task.triggers:
                self.seen.setdefault(task.name, {}).update(
                    {trigger: versions[trigger] for trigger in task.triggers if trigger in versions}
                )
        self.top_version = version = self._next_version(self.top_version)
        for trigger in {trigger for task in ordered for trigger in task.triggers}:
            if trigger in channels and channels[trigger].consume():
                versions[trigger] = version
                self._lines.pop(trigger, None)
        writes: dict[str, list[Any]] = {}
        for task in ordered:
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
            if not channel.appended:
                self._lines.pop(key, None)
            if channel.is_available():
                updated.add(key)

        for key, values in writes.items():
            if (channel := channels[key]).update(values):
                changed(key, channel)
            else:
                self._lines.pop(key, None)
        if advances:
            for key, channel in channels.items():
                if key not in updated and channel.is_available() and channel.update(()):
                    changed(key, channel)
            if updated.isdisjoint(self.program.triggered):
                for key, channel in channels.items():
                    if channel.finish():
                        changed(key, channel)
        return updated


def path_order(task: Applied) -> str:
    """Sorts tasks the way their writes are applied: nodes by name, then Sends by index."""
    return path_text(task.path)


def path_text(path: object) -> str:
    """A path as text that sorts like it."""
    if isinstance(path, tuple):
        return "~" + ", ".join(path_text(part) for part in cast("tuple[object, ...]", path))
    return f"{path:010d}" if isinstance(path, int) else str(path)
