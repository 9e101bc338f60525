"""The tasks a worker holds, from the claim until Redis has their outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fleetgraph.wire.calling import Call
from fleetgraph.wire.transitions import Claim, Counts, Finished, Refusal
from fleetgraph.worker.interrupting import GRACE_SECONDS, Interruptible
from fleetgraph.worker.publisher import Sender
from fleetgraph.worker.running import Result
from fleetgraph.worker.slots import Running


class HeldTask:
    """One of them. The publisher takes it as the `Finish` of its attempt.

    Args:
        claim: What the worker got.
        settle: Makes the call that hands in the result.
        settled: Told the answer.
    """

    def __init__(
        self,
        claim: Claim,
        settle: Callable[[HeldTask, Result], Call[Finished | Refusal]],
        settled: Callable[[HeldTask, Finished | None], None],
    ) -> None:
        self.claim = claim
        self.sender = None if claim.route is None else Sender(claim.route)
        self.result: Result | None = None
        """Set when its code has ended."""
        self.lost = False
        """Whether somebody else runs the task by now, or nobody is to."""
        self._settle = settle
        self._settled = settled
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._on_lose: Callable[[], None] | None = None
        self._lost_at = 0.0
        self.call_in_thread = Interruptible()
        """What runs its code, if that is no coroutine."""
        self.waiting = 0
        """How many tasks it has called that have not ended; while there are any it needs no slot."""
        self.stuck = False
        """Whether it has ended for the worker because its code did not end in time, though that still runs."""
        self._ended = False

    @property
    def seconds(self) -> float:
        """How long it has been held."""
        return time.monotonic() - self._began

    @property
    def is_coroutine(self) -> bool:
        """Whether its code runs on the event loop, and not in a thread of its own."""
        return self._running is not None

    def begins(self, on_lose: Callable[[], None]) -> None:
        """Note what is to be told, once, when nobody waits for it any longer."""
        with self._lock:
            self._on_lose = on_lose
            lost = self.lost
        if lost:
            on_lose()

    def runs_as(self, running: Running) -> None:
        """Note the coroutine that is its code."""
        with self._lock:
            self._running = running
            lost = self.lost
        if lost:
            running.cancel()

    def lose(self) -> None:
        """Stop it, as far as that is possible, since nobody waits for it. Its events stop."""
        with self._lock:
            self.lost = True
            self._lost_at = time.monotonic()
            running, on_lose = self._running, self._on_lose
        if self.sender is not None:
            self.sender.refused = True
        self.call_in_thread.stop()
        if running is not None:
            running.cancel()
        if on_lose is not None:
            on_lose()

    @property
    def is_overdue(self) -> bool:
        """Whether it was to stop, and has not in time."""
        return self.lost and not self._ended and time.monotonic() - self._lost_at >= GRACE_SECONDS

    def ends(self, *, stuck: bool = False) -> bool:
        """Note that its code has ended, or won't in time: only whoever is first, and told so, hands in a result."""
        with self._lock:
            first = not self._ended
            self._ended = True
            self.stuck = self.stuck or (first and stuck)
            self._on_lose = None  # it knows the task, which knows it: all of its input would stay for long
            return first

    def call(self) -> Call[Finished | Refusal]:
        """The call that hands in the result."""
        assert self.result is not None
        return self._settle(self, self.result)

    def done(self, finished: Finished | None) -> None:
        """Take the answer to it; None if it could not be sent."""
        self._settled(self, finished)


class HeldTasks:
    """All of them, by job id.

    Args:
        room: How many the worker takes at most.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._tasks: dict[str, HeldTask] = {}
        self._changed = threading.Condition()
        self._counts = Counts()

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, job: str) -> bool:
        return job in self._tasks

    @property
    def free(self) -> int:
        """How many more there is room for; negative while the worker holds too many."""
        return self._room - sum(not task.waiting for task in list(self._tasks.values()))

    @property
    def capacity(self) -> int:
        """How many tasks that somebody waits for the worker can hold at once, with those that wait for others."""
        return self._room + sum((task.waiting > 0) - task.lost for task in list(self._tasks.values()))

    def wait_for_called(self, task: HeldTask, change: int) -> tuple[bool, bool]:
        """A task waits for one more, or one less, that it has called. Gives whether it waited before, and does now."""
        with self._changed:
            waited = task.waiting > 0
            task.waiting += change
            self._changed.notify_all()
            return waited, task.waiting > 0

    @property
    def all_ended(self) -> bool:
        """Whether no code runs."""
        with self._changed:
            return all(task.result is not None for task in self._tasks.values())

    @property
    def none_awaited(self) -> bool:
        """Whether there is no task that somebody waits for."""
        with self._changed:
            return all(task.lost for task in self._tasks.values())

    def add(self, task: HeldTask) -> None:
        """Hold a task."""
        with self._changed:
            self._tasks[task.claim.job] = task

    def remove(self, task: HeldTask) -> None:
        """Hold a task no longer, and count it."""
        failed = task.result is not None and task.result.failure is not None
        with self._changed:
            del self._tasks[task.claim.job]
            self._count(Counts(int(not failed), int(failed), task.seconds))
            self._changed.notify_all()

    def find(self, job: str) -> HeldTask | None:
        """The task of a job, if it is held."""
        return self._tasks.get(job)

    def overdue(self) -> list[HeldTask]:
        """Those that were to stop, and have not in time."""
        with self._changed:
            return [task for task in self._tasks.values() if task.is_overdue]

    def claims(self) -> list[Claim]:
        """What the worker got, of all of them that it has not lost."""
        with self._changed:
            return [task.claim for task in self._tasks.values() if not task.lost]

    def take_counts(self) -> Counts:
        """What was done since this was last asked."""
        with self._changed:
            counts, self._counts = self._counts, Counts()
            return counts

    def put_back_counts(self, counts: Counts) -> None:
        """Undo `take_counts`."""
        with self._changed:
            self._count(counts)

    def _count(self, more: Counts) -> None:
        succeeded, failed, seconds = self._counts
        self._counts = Counts(succeeded + more.succeeded, failed + more.failed, seconds + more.seconds)

    def wait_for_room(self, unless: Callable[[], bool]) -> None:
        """Return when there is room for one more, or `unless` holds."""
        with self._changed:
            self._changed.wait_for(lambda: self.free > 0 or unless())

    def wait_until_done(self, unless: Callable[[], bool]) -> None:
        """Return when no task is held that somebody waits for, or `unless` holds."""
        with self._changed:
            self._changed.wait_for(lambda: self.none_awaited or unless())

    def look_again(self) -> None:
        """Make those that wait look at their condition again."""
        with self._changed:
            self._changed.notify_all()
