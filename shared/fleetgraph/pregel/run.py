"""What one run was asked for, whichever driver runs it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from fleetgraph.pregel.task import Frame
from fleetgraph.stream.chunks import ChunkFormat
from fleetgraph.types import Durability

if TYPE_CHECKING:
    from fleetgraph.checkpoint.base import BaseCheckpointSaver
    from fleetgraph.pregel.context import TaskContext
    from fleetgraph.runtime import RunControl


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One call of `stream`, `invoke` or their async twins, checked and complete."""

    input: Any
    frame: Frame
    """The outermost graph's."""
    format: ChunkFormat
    output_keys: Sequence[str] | str
    checkpointer: BaseCheckpointSaver | None
    """The saver in effect."""
    store: Any = None
    interrupt_before: Sequence[str] = ()
    interrupt_after: Sequence[str] = ()
    durability: Durability = "async"
    control: RunControl | None = None
    step_timeout: float | None = None
    """Seconds that a superstep may take."""
    outer: TaskContext | None = None
    """The task that runs it, if it is run by a node's code."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.frame.config

    @property
    def live(self) -> bool:
        """Whether tasks emit chunks of their own while they run, or those they call do."""
        frame = self.frame
        return frame.program.remembers or not frame.modes.isdisjoint(("custom", "messages")) or frame.subgraphs

    @property
    def forwarded(self) -> frozenset[str]:
        """The modes whose chunks are also wanted by the reader of the run around it."""
        outer = self.outer
        if outer is None or not outer.task.frame.subgraphs:
            return frozenset()
        return outer.emit.modes - (self.format.all_modes & {"custom"})  # whoever calls it for these has them alone


def now() -> str:
    """The time, as checkpoints and debug chunks write it."""
    return f"{(_UNIX_EPOCH + timedelta(microseconds=time.time_ns() // 1000)).isoformat()}+00:00"


_UNIX_EPOCH: Final = datetime(1970, 1, 1)
"""In UTC, but it does not say so: to write a time that does takes three times as long."""


_last_id_time = 0
_last_id_lock = threading.Lock()

_UUID_EPOCH: Final = 0x01B21DD213814000
"""1582-10-15, from which UUIDs count, in 100 ns before 1970."""


_ROOM: Final = 1000
"""Ids that fit between two of a run: less than the time that a superstep takes, in 100 ns."""


def new_checkpoint_id(after: str = "") -> str:
    """A UUID of version 6: sorts by the time it was made, and is never made twice by one process.

    Args:
        after: A checkpoint id that it has to sort behind, though the clock may say otherwise.
    """
    global _last_id_time
    ticks = time.time_ns() // 100 + _UUID_EPOCH
    if after:
        ticks = max(ticks, _ticks(after) + 1)
    with _last_id_lock:
        ticks = _last_id_time = max(ticks, _last_id_time + 1)
    return _uuid6(ticks, int.from_bytes(os.urandom(8)))


def checkpoint_id_behind(checkpoint_id: str) -> str:
    """A checkpoint id that sorts just behind another: before all that a run that goes on there will make."""
    ticks = _ticks(checkpoint_id)
    return _uuid6(ticks + 1, int.from_bytes(os.urandom(8))) if ticks else new_checkpoint_id()


class CheckpointIds:
    """Checkpoint ids of one run, each sorting behind the one before: the same again for the same run.

    Between two there is room for those of updates made meanwhile.

    Args:
        begun: When the run was ordered: Unix time, in seconds.
        source: What their random part is drawn from.
    """

    def __init__(self, begun: float, source: Random) -> None:
        self._ticks = int(begun * 10_000_000) + _UUID_EPOCH
        self._source = source

    @property
    def bound(self) -> str:
        """What those that were made until now sort before, and those that will be made behind."""
        return _uuid6(self._ticks + 1, 0)

    def __call__(self, after: str = "") -> str:
        self._ticks = max(self._ticks, _ticks(after)) + _ROOM
        return _uuid6(self._ticks, self._source.getrandbits(64))


def _ticks(checkpoint_id: str) -> int:
    """The time in a UUID of version 6; 0 for what is none."""
    digits = checkpoint_id.replace("-", "")
    if len(digits) != 32 or digits[12] != "6":
        return 0
    return int(digits[:12], 16) << 12 | int(digits[13:16], 16)


def _uuid6(ticks: int, random: int) -> str:
    value = (ticks >> 12) << 80 | 0x6 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
