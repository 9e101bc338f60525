"""Where a running task puts its events: encodes them, and leaves the sending to the publisher."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fleetgraph.pregel.task import Task
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import encode_event
from fleetgraph.wire.transitions import Events, Mark
from fleetgraph.worker.publisher import Publisher, Sender


class TaskEmitter:
    """The `Emitter` of one attempt of a task.

    Payloads are encoded by the caller's thread: what can't travel raises where it was emitted, and what the caller
    does to the object afterwards no longer matters.
    """

    def __init__(self, publisher: Publisher, sender: Sender, task: Task, attempt: int, codec: Codec) -> None:
        self.modes = task.frame.modes
        self._publisher = publisher
        self._sender = sender
        self._codec = codec
        self._task = task
        self._ns = task.frame.path
        self._attempt = attempt

    def custom(self, payload: Any) -> None:
        """Emit one `custom` chunk of the task.

        Raises:
            EncodeError: The payload can't travel.
            FleetError: Redis did not take the events emitted so far; too many wait for it.
        """
        self._emit("custom", payload)

    def message(
        self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None:
        """Emit one `messages` chunk, `(message, metadata)`; raises like `custom`.

        `unless_seen` drops it when the run already emitted, or a node of it received, a message of the same id.
        """
        payload = (message, dict(metadata))
        ns = self._task.graph_path if ns is None else ns
        if message.id is None:
            self._emit("messages", payload, ns)
        else:
            self._emit("messages", payload, ns, Mark.SKIP if unless_seen else Mark.ADD, message.id)

    def saw_messages(self, ids: list[str]) -> None:
        """Mark message ids as known to the run, without emitting anything."""
        for message_id in ids:
            self._publisher.events(self._sender, Events(0, b"", Mark.ADD, message_id))

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None:
        """Pass on a chunk of a graph that the task runs; raises like `custom`."""
        self._emit(mode, payload, ns)

    def _emit(
        self,
        mode: str,
        payload: Any,
        ns: tuple[str, ...] | None = None,
        mark: Mark = Mark.NONE,
        message_id: str = "",
    ) -> None:
        where = f"node {self._task.name!r}, {mode} event"
        blob = encode_event(
            self._codec, mode, self._ns if ns is None else ns, self._task.id, self._attempt, time.time(), payload, where
        )
        self._publisher.events(self._sender, Events(1, blob, mark, message_id))
