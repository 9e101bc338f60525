"""A task: one node execution in one superstep, and the seam through which it streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Write = tuple[str, Any]
"""A (channel, value) pair that a task produced."""


@dataclass(slots=True)
class Task:
    """One node execution in one superstep.

    Ids are derived from the checkpoint, so that the same checkpoint always plans the same tasks.
    """

    id: str
    name: str
    """The node's name."""
    path: tuple[Any, ...]
    """Sorts the task among its siblings: writes are applied in this order, never in arrival order."""
    triggers: tuple[str, ...]
    step: int
    stop: int
    """The first step that the run's recursion limit forbids."""
    ns: str
    """The task's own checkpoint namespace, `node:<task id>`, behind its graph's (`parent|node:<task id>`)."""
    input: Any
    """What the node is called with: a mapping of channel values, an instance of the schema, or a Send's argument."""
    values: Mapping[str, Any] | None = None
    """The channel values `input` was built from; None for a Send, whose argument is passed as it is."""
    snapshot: Mapping[str, Any] | None = None
    """Checkpoints of the channels that the node's branch functions read; None when it has no branches."""
    writes: list[Write] = field(default_factory=list[Write])


class Emitter(Protocol):
    """Takes the events that a running task produces itself. Calls never wait for I/O, and may come from any thread."""

    modes: frozenset[str]
    """The stream modes somebody asked for; an emitter is not called for others."""

    def custom(self, payload: Any) -> None:
        """Emit one `custom` chunk of the task."""
        ...

    def message(self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool) -> None:
        """Emit one `messages` chunk, `(message, metadata)`.

        `unless_seen` drops it when the run already emitted, or a node of it received, a message of the same id.
        """
        ...

    def saw_messages(self, ids: list[str]) -> None:
        """Mark message ids as known to the run, without emitting anything."""
        ...
