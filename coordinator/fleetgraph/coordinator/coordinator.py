"""The coordinator: one thread that drives any number of runs, on one blocking pop of its inbox."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from fleetgraph.coordinator.run import Limits, Run
from fleetgraph.coordinator.workers import WorkerWatch
from fleetgraph.errors import DecodeError, FleetError
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.run import RunRequest
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command, execute_all, try_all
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.outages import Backoff, will_pass
from fleetgraph.wire.requests import decode_request, is_request
from fleetgraph.wire.tasks import unreadable_outcome
from fleetgraph.wire.transitions import LEASE, lost, renew

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1
"""How long a pop of the inbox blocks: the longest the coordinator is late for anything that is no message."""

BATCH: Final = 1000
"""Outcomes taken from the inbox at once."""

_WAKE: Final = b""
"""A message that only says: look at what this process wants done."""

_Sent = tuple[Run | None, Call[Any]]
"""A call, and the run that wants it."""


class Coordinator:
    """Drives runs: starts them, takes in what workers report, schedules what follows.

    Everything that touches a run happens in the coordinator's own thread; other threads leave requests and wake it.
    """

    def __init__(self, client: Redis, registry: GraphRegistry, limits: Limits) -> None:
        self.id = uuid4().hex
        self._client = client
        self._registry = registry
        self._limits = limits
        self._inbox = keys.inbox(self.id)
        self._runs: dict[str, Run] = {}
        self._wanted: deque[tuple[str, Run]] = deque()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._backoff = Backoff(f"coordinator {self.id}")
        self._leftover: list[_Sent] = []

    # --- from other threads --------------------------------------------------------------------------------------

    def new_run(
        self, graph: CompiledGraph, ref: GraphRef, queue: str, request: RunRequest, *, asynchronous: bool
    ) -> Run:
        """A run that has an id, and starts once it is submitted."""
        return Run(graph, ref, request, self._registry.codec, queue, self.id, self._limits, asynchronous)

    def submit(self, run: Run) -> None:
        """Start a run. From then on it is on record: a reader that finds no record knows that Redis lost it.

        Raises:
            FleetError: The coordinator is closed.
            redis.RedisError: Redis could not be reached.
        """
        with self._lock:
            self.check()
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="fleetgraph-coordinator", daemon=True)
                self._thread.start()
        self._wanted.append(("begin", run))
        self._wake(run.record())

    def cancel(self, run: Run) -> None:
        """Cancel a run, if it has not ended: what is queued is removed, what is running no longer counts."""
        if run.ended or self._stopping or self._failure is not None:
            return
        self._wanted.append(("cancel", run))
        with suppress(RedisError):  # then it is noticed at the next look, a second later
            self._wake()

    def check(self) -> None:
        """Raise what stopped the coordinator, if something did.

        Raises:
            FleetError: It is not running.
        """
        if self._failure is not None:
            raise FleetError(f"The coordinator stopped: {self._failure!r}") from self._failure
        if self._stopping:
            raise FleetError("The fleet is closed.")
        if self._pid != os.getpid():
            raise FleetError("This fleet was used before this process was forked off: make one in each process.")

    def close(self) -> None:
        """Cancel the runs that go on, and stop."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        if thread is not None:
            with suppress(RedisError):  # then it ends a second later
                self._wake()
            thread.join()

    def _wake(self, before: Sequence[Call[Any]] = ()) -> None:
        execute_all(self._client, [*before, command("RPUSH", self._inbox, _WAKE), self._inbox_lives_on()])

    def _inbox_lives_on(self) -> Call[Any]:
        return command("EXPIRE", self._inbox, int(keys.INBOX_TTL.total_seconds()))

    # --- its own thread ------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            logger.exception("coordinator %s stopped", self.id)
            self._failure = error

    def _loop(self) -> None:
        # Messages stay in the inbox until what follows from them is in Redis too: an answer that gets lost on its way
        # here loses no outcome. Handling one twice is harmless, since a machine takes a task's end only once.
        messages: list[bytes] = []
        watch = WorkerWatch(self._client)
        checked = time.monotonic()
        while not self._stopping:
            if not messages:
                messages = self._wait()
            calls = [call for message in messages for call in self._handle(message)]
            calls += self._handle_wanted()
            calls += self._wake_runs()
            calls += self._leftover
            self._leftover = []
            if time.monotonic() - checked >= POLL_SECONDS:
                checked = time.monotonic()
                calls += self._find_lost()
                calls += self._renew(checked)
                watch.look(self._queues())
            messages = self._send(calls, handled=len(messages)) if calls or messages else []
        self._send([call for run in list(self._runs.values()) for call in self._settled(run, run.cancel())])
        self._send([(None, command("DEL", self._inbox))])

    def _wait(self) -> list[bytes]:
        """Wait for a message, for a second at most, and leave it where it is: a move from the head to the head."""
        try:
            head: Any = self._client.execute_command(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                "BLMOVE", self._inbox, self._inbox, "LEFT", "LEFT", self._seconds_to_wait()
            )
        except RedisError as error:
            if not will_pass(error):
                raise
            time.sleep(self._backoff.failed(error))
            return self._send([])  # looking is allowed where a move is refused: in a Redis that is full
        self._backoff.worked()
        return [] if head is None else [head]

    def _handle(self, message: bytes) -> list[_Sent]:
        if message == _WAKE:
            return []
        if is_request(message):
            return self._handle_request(message)
        try:
            outcome = self._registry.codec.decode_outcome(message)
        except DecodeError as error:
            outcome = unreadable_outcome(message, error)
            if outcome is None:
                logger.error("coordinator %s: threw away an unreadable message: %s", self.id, error)
                return []
        run = self._runs.get(outcome.run)
        return [] if run is None else self._settled(run, run.deliver(outcome))

    def _handle_request(self, message: bytes) -> list[_Sent]:
        try:
            request = decode_request(self._registry.codec, message)
        except DecodeError as error:
            logger.error("coordinator %s: threw away an unreadable request: %s", self.id, error)
            return []
        run = self._runs.get(request.run)
        return [] if run is None else self._settled(run, run.asked(request))

    def _wake_runs(self) -> list[_Sent]:
        now = time.monotonic()
        due = [run for run in self._runs.values() if (when := run.next_wake) is not None and when <= now]
        return [call for run in due for call in self._settled(run, run.wake(now))]

    def _seconds_to_wait(self) -> float:
        wakes = [when for run in self._runs.values() if (when := run.next_wake) is not None]
        return min([POLL_SECONDS, *(max(0.001, when - time.monotonic()) for when in wakes)])

    def _handle_wanted(self) -> list[_Sent]:
        calls: list[_Sent] = []
        while self._wanted:
            what, run = self._wanted.popleft()
            if what == "begin":
                self._runs[run.id] = run
                calls += self._settled(run, run.begin())
            else:
                calls += self._settled(run, run.cancel())
        return calls

    def _settled(self, run: Run, calls: list[Call[Any]]) -> list[_Sent]:
        if run.ended:
            self._runs.pop(run.id, None)
        return [(run, call) for call in calls]

    def _queues(self) -> set[str]:
        return {run.queue for run in self._runs.values() if run.waiting}

    def _find_lost(self) -> list[_Sent]:
        sent: list[_Sent] = []
        asked: list[_Sent] = [(None, lost(queue, lease=LEASE)) for queue in self._queues()]
        for routes in (self._retrying(asked) if asked else None) or ():
            if isinstance(routes, Exception):
                logger.warning("coordinator %s: could not look for lost tasks: %s", self.id, routes)
                continue
            for route in routes:
                if run := self._runs.get(route.run):
                    sent += self._settled(run, run.lose(route.task, route.attempt))
        return sent

    def _renew(self, now: float) -> list[_Sent]:
        """Keep runs in Redis that have been silent for long, though they go on."""
        return [(run, renew(run.id)) for run in self._runs.values() if run.is_to_be_renewed(now)]

    def _send(self, sent: list[_Sent], handled: int = 0) -> list[bytes]:
        """Send what the runs want, drop the messages that were handled, and look at what has come: one round trip."""
        look: _Sent = (None, command("LRANGE", self._inbox, 0, BATCH - 1))
        trim: list[_Sent] = []
        if handled:
            trim = [(None, command("LTRIM", self._inbox, handled, -1)), (None, self._inbox_lives_on())]
        # The trim must not happen twice: where it may have happened, the messages that are left are handled again.
        results = self._retrying([*sent, *trim, look], again=[*sent, look])
        if results is None:
            return []
        for (run, _), result in zip(sent, results, strict=False):
            if isinstance(result, Exception):
                self._refused(run, result)
        arrived = results[-1]
        if isinstance(arrived, Exception):
            raise arrived
        return arrived or []

    def _refused(self, run: Run | None, error: Exception) -> None:
        """Redis answered a call with an error: that ends the run that wanted it, and no other."""
        if run is None or run.unreachable is not None:
            logger.warning("coordinator %s: Redis refused a call: %s", self.id, error)
        else:
            self._leftover += self._settled(run, run.give_up(error))

    def _retrying(self, sent: list[_Sent], again: list[_Sent] | None = None) -> list[Any] | None:
        """Send calls; while Redis is away `again` and again, each of which may be sent twice without harm.

        None if the coordinator is to stop before Redis is back.
        """
        while True:
            try:
                results = try_all(self._client, [call for _, call in sent])
            except RedisError as error:
                if not will_pass(error):
                    raise
                if self._stopping:
                    return None
                sent = sent if again is None else again
                time.sleep(self._backoff.failed(error))  # nothing to wait for but Redis itself
            else:
                self._backoff.worked()
                return results
