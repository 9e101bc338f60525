"""What one run was asked for, whichever driver runs it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fleetgraph.stream.chunks import ChunkFormat


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One call of `stream`, `invoke` or their async twins, checked and complete."""

    input: Any
    config: Mapping[str, Any]
    context: Any
    format: ChunkFormat
    output_keys: Sequence[str] | str
    checkpointer: Any
    """The saver in effect, or None."""

    @property
    def live(self) -> bool:
        """Whether tasks emit chunks of their own while they run."""
        return not self.format.modes.isdisjoint(("custom", "messages"))


def now() -> str:
    """The time, as checkpoints and debug chunks write it."""
    return datetime.now(UTC).isoformat()


_last_id_time = 0
_last_id_lock = threading.Lock()


def new_checkpoint_id() -> str:
    """A UUID of version 6: sorts by the time it was made, and is never made twice by one process."""
    global _last_id_time
    ticks = time.time_ns() // 100 + 0x01B21DD213814000  # since 1582-10-15, in 100 ns, as UUIDs count
    with _last_id_lock:
        ticks = _last_id_time = max(ticks, _last_id_time + 1)
    random = int.from_bytes(os.urandom(8))
    value = (ticks >> 12) << 80 | 0x6 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=value))
