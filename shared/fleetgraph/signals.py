"""Stopping a process by SIGTERM or SIGINT: at its leisure the first time, at once the second."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SAME_SIGNAL_SECONDS: Final = 1.0
"""Signals within it are one request to stop: Ctrl-C reaches a whole process group, and its leader may pass it on."""


@contextmanager
def stop_on_signal(stop: Callable[[], object]) -> Generator[None]:
    """Within the block the first SIGTERM or SIGINT calls `stop`, and a later one ends the process: what hangs can't be
    stopped in any other way, and others go on with what it held.

    To be used in the main thread; `stop` is called there, between two instructions.
    """
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not first:
            first.append(now)
            stop()
        elif now - first[0] >= SAME_SIGNAL_SECONDS:
            os._exit(128 + number)

    former = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
