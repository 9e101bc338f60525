"""The one thread that sends what running tasks produce: their events while they run, then their outcomes.

What arrives while a batch is on its way leaves with the next one; when nothing is on its way, at once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import redis

from fleetgraph.errors import FleetError
from fleetgraph.wire.calling import Call, try_all
from fleetgraph.wire.exchange import Line
from fleetgraph.wire.outages import Backoff, is_refusal, persistently
from fleetgraph.wire.transitions import Claim, Events, Finished, Refusal, Route, ask, publish_from_task
from fleetgraph.worker.outbox import PAGE_BYTES, Emitted, Outbox

logger = logging.getLogger(__name__)

BATCH_ITEMS = 1000
"""In one round trip: more would only hold up Redis, and with it everybody else."""

BATCH_BYTES = PAGE_BYTES
"""In one round trip, about; for the same reason."""

BACKLOG_BYTES = 64_000_000
"""Of events that wait for Redis. A task that emits more fails, before the process runs out of memory."""

REFUSAL_SECONDS = 10.0
"""How long a Redis that has lost events is asked, since they may be on their way, before their task fails."""


@dataclass(slots=True)
class Sender:
    """One attempt of a task, as a source of events."""

    route: Route
    items: int = 0
    """How many it sent."""
    refused: bool = False
    """Whether Redis said that the attempt is no longer the current one."""
    error: Exception | None = None
    """Why events of it could not be sent. Then it fails with this error, whatever it did."""
    outbox: Outbox = field(default_factory=Outbox)
    """What it has emitted since."""
    announced: bool = False
    """Whether the publisher has been told that something is in there."""

    @property
    def muted(self) -> bool:
        """Whether it is of no use to send anything more."""
        return self.refused or self.error is not None


class Finish(Protocol):
    """The end of an attempt, to be sent after its events."""

    @property
    def sender(self) -> Sender | None:
        """Where its events came from; None if there can't be any."""
        ...

    def call(self) -> Call[Finished | Refusal]:
        """The call, made anew whenever it is about to be sent."""
        ...

    def done(self, finished: Finished | None) -> None:
        """Take the answer; None if the outcome could not be sent."""
        ...


class Taker(Protocol):
    """Who takes tasks."""

    def call(self) -> Call[list[Claim]]:
        """The call that claims them."""
        ...

    def took(self, claims: list[Claim]) -> None:
        """Take the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What an attempt asks of its run, to be sent after the events it has emitted."""

    route: Route
    request: bytes


class _QuestionStep:
    """One request, as part of a batch."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def call(self) -> Call[Any]:
        route = self._question.route
        return ask(route.run, route.inbox, self._question.request)

    def settle(self, result: Any) -> bool:
        """Take the answer; tells whether the step is over. What gets lost is asked again by whoever waits."""
        return not (isinstance(result, Exception) and is_refusal(result))


class _EventsStep:
    """The events of one sender, as part of a batch."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self._items: list[Events] = []
        self._start = sender.items
        self._incomplete_since: float | None = None

    def add(self, items: list[Events]) -> None:
        self._items += items
        self.sender.items += len(items)

    def call(self) -> Call[int | Refusal]:
        return publish_from_task(self.sender.route.run, self.sender.route, self._items, start=self._start)

    def settle(self, result: Any) -> bool:
        """Take the answer; tells whether the step is over."""
        if result is Refusal.INCOMPLETE:  # those before it were refused, and come first now
            now = time.monotonic()
            self._incomplete_since = self._incomplete_since or now
            if now - self._incomplete_since < REFUSAL_SECONDS:
                return False
            _fail(self.sender, "were taken by Redis, and lost", None)
        elif isinstance(result, Refusal):
            self.sender.refused = True
        elif isinstance(result, Exception):
            if is_refusal(result):
                return False  # it is full, say: the task waits until there is memory
            _fail(self.sender, f"were not taken by Redis: {result}", result)
        return True


class _FinishStep:
    """One outcome, as part of a batch."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish
        self._incomplete_since: float | None = None

    def call(self) -> Call[Finished | Refusal]:
        return self.finish.call()

    def settle(self, result: Any) -> bool:
        """Take the answer; tells whether the step is over."""
        if isinstance(result, Refusal):
            self._incomplete()
            return False
        if isinstance(result, Exception) and is_refusal(result):
            return False
        if isinstance(result, Exception):
            logger.error(
                "an outcome was not taken by Redis: %s; its task will be run again",
                result,
                extra={"action": "outcome-lost"},
            )
            result = None
        self.finish.done(result)
        return True

    def _incomplete(self) -> None:
        """Redis does not know of all the events that were sent: others went before, or it has forgotten."""
        if self._incomplete_since is None:
            self._incomplete_since = time.monotonic()
        sender = self.finish.sender
        overdue = time.monotonic() - self._incomplete_since >= REFUSAL_SECONDS
        if overdue and sender is not None and sender.error is None:
            _fail(sender, "did not arrive: Redis has no record of all that it took (was it evicted or deleted?)")


class _TakeStep:
    """Looking for tasks, as part of a batch."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def call(self) -> Call[list[Claim]]:
        return self._taker.call()

    def settle(self, result: Any) -> bool:
        """Take the answer; it is over however it went: whoever takes tasks looks again soon."""
        if not isinstance(result, Exception):
            self._taker.took(result)
        return True


def _fail(sender: Sender, what: str, cause: Exception | None = None) -> None:
    """Let an attempt fail for want of its events."""
    route = sender.route
    error = FleetError(f"events of task {route.task} {what}")
    error.__cause__ = cause
    sender.error = error
    logger.error(
        "%s; the task fails",
        error,
        extra={"action": "events-lost", "run": route.run, "task": route.task, "attempt": route.attempt},
    )


@dataclass(frozen=True, slots=True)
class _Take:
    taker: Taker


class _Nothing:
    """Only wakes the thread."""


_Item = Sender | Finish | Question | _Take | _Nothing


_Step = _EventsStep | _FinishStep | _QuestionStep | _TakeStep


class Publisher:
    """Sends events and outcomes, for each task in their order; and waits for Redis for as long as it takes.

    Args:
        client: What to send with.
        crashed: Told when the thread dies of an error, which must not happen.
        wait: Waits so many seconds for Redis to come back; tells whether to give up instead.
        finishing: Entered while outcomes are on their way, and while their answers are taken.
        unanswered: Told when the answer to outcomes got lost; called inside `finishing`.
        away: Entered while Redis is waited for.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        crashed: Callable[[BaseException], None],
        wait: Callable[[float], bool],
        finishing: Callable[[], AbstractContextManager[None]] = nullcontext,
        unanswered: Callable[[], None] | None = None,
        away: AbstractContextManager[None] | None = None,
    ) -> None:
        self._line = Line(client)
        self._crashed = crashed
        self._wait = wait
        self._finishing = finishing
        self._unanswered = unanswered
        self._away = away or nullcontext()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._backoff = Backoff("sending events and outcomes")
        self._late: list[_Step] = []
        """Outcomes that Redis did not take; they are sent again, without holding up anything else."""
        self._late_pauses = Backoff("outcomes")
        self._sending = threading.Lock()
        """Held by whoever sends."""
        self._lock = threading.Lock()
        """Held by whoever changes what follows, or what senders have emitted."""
        self._backlog = 0
        """Bytes of events that are still to be sent, or being sent."""
        self._unsent = 0
        """Items in the queue, or being sent; a sender is one, however much it has emitted."""
        self._cut: Sender | None = None
        """Who has emitted more than was fit for the last batch: the rest goes before anything else."""
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="fleetgraph-publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is there, end the thread, and return when it has ended."""
        with self._lock:
            self._stopped = True
        self._queue.put(None)
        self._thread.join()
        with self._sending:  # what nobody waits for any longer may be handed in just now
            self._line.close()

    def emit(self, sender: Sender, emitted: Emitted) -> None:
        """Send an event of a task. Returns at once.

        Raises:
            FleetError: Too many events wait for Redis; or it did not take former ones.
        """
        if sender.error is not None:
            raise sender.error
        if sender.refused:
            return
        size = len(emitted.blob if isinstance(emitted, Events) else emitted)
        with self._lock:
            if self._backlog + size > BACKLOG_BYTES:
                raise FleetError(
                    f"{self._backlog:,} bytes of events wait for a Redis that does not take them; more would "
                    "fill this worker's memory"
                )
            self._backlog += size
            sender.outbox.put(emitted, size)
            if not sender.announced:
                sender.announced = True
                self._unsent += 1
                self._queue.put(sender)

    def ask(self, question: Question) -> None:
        """Send a request of a task. Returns at once."""
        self._put(question)

    def take(self, taker: Taker) -> None:
        """Look for tasks, after what was sent before. Returns at once."""
        self._put(_Take(taker))

    def finish(self, finish: Finish) -> None:
        """Send an outcome. Returns at once, if something else is being sent; else when the outcome has been sent."""
        with self._lock:
            alone = self._unsent == 0 and not self._stopped
            self._unsent += 1
        if not alone:
            self._queue.put(finish)
            return
        with self._sending:
            self._send([_FinishStep(finish)])
        with self._lock:
            self._unsent -= 1
        if self._late:
            self._put(_Nothing())

    def _put(self, item: _Item) -> None:
        with self._lock:
            self._unsent += 1
        self._queue.put(item)

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                going_on = self._send_with(item)
                if not going_on:
                    break
            while self._late:
                self._send_late(self._late_pauses.pause())
        except BaseException as error:
            self._crashed(error)

    def _next(self) -> _Item | None:
        """Wait for the next item to be sent; None if that was all."""
        if self._cut is not None:
            return self._cut
        while self._late:
            try:
                return self._queue.get(timeout=self._late_pauses.pause())
            except queue.Empty:
                self._send_late(0)
        return self._queue.get()

    def _send_late(self, seconds: float) -> None:
        """Wait, then send again what is late; or give it up."""
        if self._wait(seconds):
            late, self._late = self._late, []
            self._give_up(late)
        else:
            with self._sending:
                self._send([])

    def _send_with(self, item: _Item) -> bool:
        """Send an item, with all that came meanwhile; tells whether there is more to come."""
        emitted: dict[int, _EventsStep] = {}
        others: list[_FinishStep | _QuestionStep | _TakeStep] = []
        size = count = 0
        self._cut = None
        following: _Item | None = item
        while following is not None:
            if isinstance(following, Sender):
                size += self._take_emitted(following, emitted)
            elif isinstance(following, Question):
                others.append(_QuestionStep(following))
            elif isinstance(following, _Take):
                others.append(_TakeStep(following.taker))
            elif not isinstance(following, _Nothing):
                others.append(_FinishStep(following))
            count += 1
            if self._cut is not None or count >= BATCH_ITEMS or size >= BATCH_BYTES:
                break
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
        with self._sending:
            self._send([*emitted.values(), *others])
        with self._lock:
            self._backlog -= size
            self._unsent -= count - (self._cut is not None)
        return following is not None

    def _take_emitted(self, sender: Sender, steps: dict[int, _EventsStep]) -> int:
        """Add the first page of what a sender has emitted to its step; gives the number of bytes."""
        with self._lock:
            items = sender.outbox.take()
            sender.announced = bool(sender.outbox)
        if sender.announced:
            self._cut = sender
        if not sender.muted:
            if id(sender) not in steps:
                steps[id(sender)] = _EventsStep(sender)
            steps[id(sender)].add(items)
        return sum(len(item.blob) for item in items)

    def _send(self, steps: list[_Step]) -> None:
        """Send steps, and what is late, in one round trip if all goes well, until each is over or late."""
        steps, self._late = [*self._late, *steps], []
        refusal = Backoff("events")
        while steps:
            left = persistently(partial(self._round_trip, steps), self._backoff, self._wait)
            if left is None:
                self._give_up(steps)
                return
            if not any(isinstance(step, _EventsStep) for step in left):
                self._late = left
                break
            # Later events of the same senders must not overtake these.
            steps = left
            if self._wait(refusal.pause()):
                self._give_up(steps)
                return
        if not self._late:
            self._late_pauses.worked()

    def _round_trip(self, steps: list[_Step]) -> list[_Step]:
        """Send steps; gives those that are to be sent again."""
        finishing = any(isinstance(step, _FinishStep | _TakeStep) for step in steps)
        with self._finishing() if finishing else nullcontext():
            try:
                calls = [step.call() for step in steps]
                with self._away:
                    results = try_all(self._line, calls)
            except redis.RedisError:
                if finishing and self._unanswered is not None:
                    self._unanswered()
                raise
            return [step for step, result in zip(steps, results, strict=True) if not step.settle(result)]

    def _give_up(self, steps: list[_Step]) -> None:
        with self._finishing():
            for step in steps:
                if isinstance(step, _FinishStep):
                    step.finish.done(None)
