"""The time that an attempt of a node may take, on an event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import cast

from fleetgraph.errors import NodeTimeoutError
from fleetgraph.pregel.context import TaskContext
from fleetgraph.types import TimeoutPolicy


def sync_timeout(name: str, kind: str = "Node") -> ValueError:
    """Why a node or `Task` of this name can have no timeout in this process."""
    return ValueError(
        "Node timeouts are only supported for async nodes because sync Python execution cannot be safely cancelled "
        f"in-process. {kind} {name!r} is sync."
    )


def time_limit(running: TaskContext) -> AbstractAsyncContextManager[None]:
    """Ends what runs inside it with a `NodeTimeoutError` once the task's timeout has passed."""
    return nullcontext() if running.task.timeout is None else _Limit(running, running.task.timeout)


class Deadline:
    """When an attempt has taken too long.

    Times are those of `time.monotonic`.
    """

    def __init__(self, running: TaskContext, policy: TimeoutPolicy) -> None:
        self._running = running
        self._policy = policy
        self._began = time.monotonic()
        self._run = cast("float | None", policy.run_timeout)
        self._idle = cast("float | None", policy.idle_timeout)

    def _last_sign(self) -> float:
        running = self._running
        sign = running.last_heartbeat if self._policy.refresh_on == "heartbeat" else running.last_progress
        return max(self._began, sign or 0.0)

    @property
    def next(self) -> float:
        """When to look again."""
        ends: list[float] = []
        if self._run is not None:
            ends.append(self._began + self._run)
        if self._idle is not None:
            ends.append(self._last_sign() + self._idle)
        return min(ends)

    def error(self) -> NodeTimeoutError | None:
        """Why the attempt is to end; None while it may go on."""
        now = time.monotonic()
        name, elapsed = self._running.task.name, now - self._began
        if self._run is not None and elapsed >= self._run:
            return NodeTimeoutError(name, elapsed, kind="run", run_timeout=self._run, idle_timeout=self._idle)
        if self._idle is not None and now - self._last_sign() >= self._idle:
            return NodeTimeoutError(name, elapsed, kind="idle", run_timeout=self._run, idle_timeout=self._idle)
        return None


class _Limit:
    def __init__(self, running: TaskContext, policy: TimeoutPolicy) -> None:
        self._deadline = Deadline(running, policy)
        self._timeout = asyncio.timeout(None)
        self._error: NodeTimeoutError | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._look()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._error = self._deadline.error()
        if self._error is not None:
            self._timeout.reschedule(loop.time())
        else:
            self._timer = loop.call_later(max(0.0, self._deadline.next - time.monotonic()), self._look)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as expired:
            if self._error is None:
                raise
            raise self._error from expired
