"""Where a running task puts its events: encodes them, and leaves the sending to the publisher."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from fleetgraph.pregel.task import Task
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import EventEncoder
from fleetgraph.wire.transitions import Events, Mark
from fleetgraph.worker.publisher import Publisher, Sender

_IDS_KEPT: Final = 10_000
"""How many ids of messages are remembered, that Redis need not be told again."""


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
        self._attempt = attempt
        self._encoders: dict[tuple[str, tuple[str, ...]], EventEncoder] = {}
        self._marked: set[str] = set()
        """Ids of messages that the run knows from this task."""

    def custom(self, payload: Any) -> None:
        """Emit one `custom` chunk of the task.

        Raises:
            EncodeError: The payload can't travel.
            FleetError: Redis did not take the events emitted so far; too many wait for it.
        """
        self._publisher.emit(self._sender, self._custom.encode(payload))

    def message(
        self, message: Any, metadata: Mapping[str, Any], *, unless_seen: bool, ns: tuple[str, ...] | None = None
    ) -> None:
        """Emit one `messages` chunk, `(message, metadata)`; raises like `custom`.

        Args:
            message: The message, or a part of it.
            metadata: What is known about it. An object that comes again has to be what it was the first time.
            unless_seen: Drop it when the run already emitted, or a node of it received, a message of the same id.
            ns: The namespace of the graph that it comes from, if that is not the task's own.
        """
        message_id: str | None = message.id
        known = message_id in self._marked
        if known and unless_seen:
            return
        encoder = self._messages if ns is None else self._encoder("messages", ns)
        event = encoder.encode_message(message, metadata)
        if message_id is None or known:
            self._publisher.emit(self._sender, event)
        else:
            self._mark(Events(1, event, Mark.SKIP if unless_seen else Mark.ADD, message_id))

    def saw_messages(self, ids: list[str]) -> None:
        """Mark message ids as known to the run, without emitting anything."""
        for message_id in ids:
            self._mark(Events(0, b"", Mark.ADD, message_id))

    def chunk(self, mode: str, payload: Any, ns: tuple[str, ...]) -> None:
        """Pass on a chunk of a graph that the task runs; raises like `custom`."""
        self._publisher.emit(self._sender, self._encoder(mode, ns).encode(payload))

    @cached_property
    def _custom(self) -> EventEncoder:
        return self._encoder("custom", self._task.frame.path)

    @cached_property
    def _messages(self) -> EventEncoder:
        return self._encoder("messages", self._task.graph_path)

    def _encoder(self, mode: str, ns: tuple[str, ...]) -> EventEncoder:
        encoder = self._encoders.get((mode, ns))
        if encoder is None:
            where = f"node {self._task.name!r}, {mode} event"
            encoder = EventEncoder(self._codec, mode, ns, self._task.id, self._attempt, where)
            self._encoders[mode, ns] = encoder
        return encoder

    def _mark(self, events: Events) -> None:
        self._publisher.emit(self._sender, events)
        if len(self._marked) >= _IDS_KEPT:
            self._marked.clear()
        self._marked.add(events.message_id)
