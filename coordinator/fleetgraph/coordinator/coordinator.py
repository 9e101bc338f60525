"""The coordinator: one thread that drives any number of runs, on one blocking pop of its inbox.

It holds a lease, and with it its runs. When it dies, another finds the lease expired and takes them over: what a run
was told is in its journal, and told again to a machine there.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final
from uuid import uuid4

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from fleetgraph.coordinator.coalescing import coalesced
from fleetgraph.coordinator.inbox import Inbox
from fleetgraph.coordinator.journal import decode_order
from fleetgraph.coordinator.link import Link
from fleetgraph.coordinator.readers import WHY, ReaderWatch
from fleetgraph.coordinator.run import Limits, Run, closing
from fleetgraph.coordinator.saves import SKIPPED, Save, Saves
from fleetgraph.coordinator.workers import WorkerWatch
from fleetgraph.errors import DecodeError, FleetError, RedisFull, RunCancelled, ThreadBusy
from fleetgraph.graph.compiled import Asked, CompiledGraph
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.run import RunRequest
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command, execute, execute_all, try_all
from fleetgraph.wire.messages import GraphRef, Order
from fleetgraph.wire.outages import is_out_of_memory, will_pass
from fleetgraph.wire.ownership import Opened, Opening, Recalled, Told, advance, hold, recall, retire, take
from fleetgraph.wire.requests import CALL, DRAIN, RESUME, decode_request, is_request
from fleetgraph.wire.tasks import decode_outcome
from fleetgraph.wire.transitions import LEASE, Refusal, RunStatus, cancel, lost, renew

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1
"""How long a pop of the inbox blocks: the longest the coordinator is late for anything that is no message."""

RECALLED_AT_ONCE: Final = 50
"""Runs that are gone on with in one go, after a takeover: in between it shows that it lives, and does other things."""

_WAKE: Final = b""
"""A message that only says: look at what this process wants done."""

_CONTROL: Final = b"!"
"""What a message begins with that a script sent: `!begin <run>` or `!cancel <run>`."""

_NOTED: Final = frozenset({CALL, RESUME, DRAIN})
"""What tasks ask that changes what the run does next."""

_Sent = tuple[Run | None, Call[Any]]
"""A call, and the run that wants it."""


class Multitask(StrEnum):
    """What becomes of a run while another one of its thread goes on: LangGraph Server's `multitask_strategy`."""

    REJECT = "reject"
    """It is refused."""
    ENQUEUE = "enqueue"
    """It waits."""
    INTERRUPT = "interrupt"
    """The others are cancelled, then it begins."""


@dataclass(frozen=True, slots=True)
class Commission:
    """A run that a client orders, and how."""

    order: Order
    multitask: Multitask = Multitask.ENQUEUE
    needs_reader: bool = False
    """Whether it is cancelled when nobody has read it for a while. Somebody has to read it already."""


class Coordinator:
    """Drives runs: starts them, takes in what workers report, schedules what follows.

    Everything that touches a run happens in the coordinator's own thread; other threads leave requests and wake it.

    Args:
        client: The Redis.
        registry: The graphs whose runs it can drive.
        limits: What its runs may take up in Redis.
        service: The queue of its runs' tasks, if it serves clients in a process of its own: then it goes on with
            runs that others leave behind. None for one that lives in the process of its only caller.
    """

    def __init__(self, client: Redis, registry: GraphRegistry, limits: Limits, *, service: str | None = None) -> None:
        self.id = uuid4().hex
        self.registry = registry
        self._client = client
        self._limits = limits
        self._service = service
        self._inbox = Inbox(client, keys.inbox(self.id))
        self._runs: dict[str, Run] = {}
        self._sleepers: dict[str, Run] = {}
        """Those of them that want to be woken at some time."""
        self._wanted: deque[tuple[str, Run]] = deque()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._link = Link(client, self.id, lambda: self._stopping)
        self._saves = Saves[Run](client)
        self._leftover: list[_Sent] = []
        self._term = b""
        """Which of its lives this is: another one once its inbox was taken over."""
        self._read_in = b""
        """In which of them it last read its inbox."""
        self._noted: list[Told] = []
        """What it last sent for journals."""
        self._told: list[Told] = []
        """What was told since the last round trip."""
        self._batch = 0
        self._beaten = 0.0
        """When it last showed that it lives, by a monotonic clock."""
        self._to_recall: dict[str, None] = {}
        """Runs that it holds, but does not know yet."""
        self._opening: set[str] = set()
        """Runs that other threads of this process put on record, and that have not begun yet."""
        self._in_line: dict[str, bool] = {}
        """Runs that wait for others of their threads, and whether they need readers; looked at now and then, since the
        others may just expire."""
        self._readers = ReaderWatch()

    # --- from other threads --------------------------------------------------------------------------------------

    def new_run(
        self,
        graph: CompiledGraph,
        ref: GraphRef,
        queue: str,
        request: RunRequest,
        *,
        asynchronous: bool,
        survives: bool = False,
    ) -> Run:
        """A run that has an id, and starts once it is submitted.

        Args:
            survives: Whether a service is to go on with it if this process dies; else it is cancelled then.
        """
        return self._made(graph, ref, request, queue, asynchronous=asynchronous, survives=survives)

    def _made(self, graph: CompiledGraph, ref: GraphRef, request: RunRequest, queue: str, **more: Any) -> Run:
        codec = self.registry.codec
        run_by = (self.id, self._limits, self._bear, self._saves, self._holds)
        return Run(graph, ref, request, codec, queue, *run_by, **more)

    def submit(self, run: Run) -> None:
        """Start a run. From then on it is on record: a reader that finds no record knows that Redis lost it.

        Raises:
            FleetError: The coordinator is closed.
            EncodeError: The run is to survive this process, and its input, config or context can't travel.
            redis.RedisError: Redis could not be reached.
        """
        (opened,) = self._open([(run, run.open())])
        if isinstance(opened, Exception):
            raise opened
        self._wanted.append(("begin", run))
        self._wake()

    def order(self, commissions: Sequence[Commission]) -> list[BaseException | None]:
        """Begin the runs that clients order, or put them in the lines of their threads. Doing it again is harmless.

        Returns:
            For each what keeps it from being done, if something does: there is no such graph, or the graph refuses its
            input, config or options; another run of the thread goes on (`ThreadBusy`); Redis is full, or refuses.

        Raises:
            FleetError: The coordinator is closed.
            redis.RedisError: Redis could not be reached.
        """
        made = [self._prepared(one) for one in commissions]
        opened = iter(self._open([one for one in made if not isinstance(one, BaseException)]))
        results = [
            one if isinstance(one, BaseException) else self._settle_opening(one[0], commission.multitask, next(opened))
            for one, commission in zip(made, commissions, strict=True)
        ]
        if self._wanted:
            self._wake()
        return results

    def _prepared(self, commission: Commission) -> tuple[Run, Call[Opened]] | BaseException:
        try:
            run = self._ordered(commission.order, needs_reader=commission.needs_reader)
            return run, run.open(refuse=commission.multitask is Multitask.REJECT)
        except BaseException as error:  # schemas are user code
            return error

    def _settle_opening(self, run: Run, multitask: Multitask, opened: Opened | Exception) -> Exception | None:
        if isinstance(opened, Exception):
            return opened
        match opened.how:
            case Opening.REFUSED:
                self._opening.discard(run.id)
                return ThreadBusy(str(run.request.config["configurable"]["thread_id"]), opened.others[0])
            case Opening.OPENED:
                self._wanted.append(("begin", run))
            case Opening.KNOWN:  # ordered again, since the answer was lost: nobody else may know that it is to begin
                message = _CONTROL + f"begin {run.id}".encode()
                execute_all(self._client, [command("RPUSH", self._inbox.key, message), self._inbox_lives_on()])
                self._opening.discard(run.id)
            case Opening.WAITING:
                self._in_line[run.id] = run.needs_reader
                self._opening.discard(run.id)
        if multitask is Multitask.INTERRUPT:
            for other in opened.others:
                self.cancel_run(other)
        return None

    def _ordered(self, order: Order, *, needs_reader: bool) -> Run:
        graph = self.registry.find(order.graph)
        request = graph._request(order.input, order.config, Asked(**order.options))  # pyright: ignore[reportPrivateUsage, reportArgumentType]
        thread = request.config.get("configurable", {}).get("thread_id")
        return self._made(
            graph,
            order.graph,
            request,
            order.queue,
            asynchronous=order.asynchronous,
            id=order.run,
            survives=True,
            needs_reader=needs_reader,
            begun=order.begun,
            thread_line="" if thread is None else keys.thread(order.graph.name, str(thread)),
        )

    def _open(self, opening: Sequence[tuple[Run, Call[Opened]]]) -> list[Opened | Exception]:
        """Put runs on record. Gives for each what came of it, or what Redis said against it."""
        if not opening:
            return []
        calls: list[Call[Any]] = [*self._stay_known(), *(call for _, call in opening)]
        ids = [run.id for run, _ in opening]
        self._opening.update(ids)
        try:
            with self._lock:  # while it is held the coordinator does not retire
                self.check()
                if self._thread is None:
                    self.start()
                    calls = [self._hold(), *calls]  # who dies the next moment has to be missed
                results = try_all(self._client, calls)[-len(opening) :]
            for one in results:
                if isinstance(one, RedisError) and will_pass(one) and not is_out_of_memory(one):
                    raise one
        except BaseException:
            self._opening.difference_update(ids)
            raise
        self._opening.difference_update(id for id, one in zip(ids, results, strict=True) if isinstance(one, Exception))
        return [_full(one) if isinstance(one, RedisError) and is_out_of_memory(one) else one for one in results]

    def start(self) -> None:
        """Start the thread; a run that is submitted does so too."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="fleetgraph-coordinator", daemon=True)
            self._thread.start()

    def cancel(self, run: Run) -> None:
        """Cancel a run of this coordinator, if it has not ended: what is queued is removed, what is running no longer
        counts.
        """
        if run.ended or self._stopping or self._failure is not None:
            return
        self._wanted.append(("cancel", run))
        with suppress(RedisError):  # then it is noticed at the next look, a second later
            self._wake()

    def cancel_run(self, run_id: str) -> bool:
        """Cancel a run, whichever coordinator has it. Returns whether it was going on.

        Raises:
            redis.RedisError: Redis could not be reached.
        """
        return execute(self._client, cancel("", run_id)) is not None

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

    @property
    def running(self) -> int:
        """How many runs it drives."""
        return len(self._runs)

    def close(self) -> None:
        """Stop. Runs that survive are left to another coordinator, the others are cancelled."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        if thread is not None:
            with suppress(RedisError):  # then it ends a second later
                self._wake()
            thread.join()

    def _wake(self) -> None:
        wake = command("RPUSH", self._inbox.key, _WAKE)
        execute_all(self._client, [*self._stay_known(), wake, self._inbox_lives_on()])

    def _stay_known(self) -> list[Call[Any]]:
        """See to it that others take over what another thread leaves in its name before it shows that it lives: it may
        have slept for so long that they have taken over all it had, and forgotten it.
        """
        if time.monotonic() - self._beaten < LEASE.total_seconds() / 2:
            return []
        lasting = int(keys.INBOX_TTL.total_seconds())
        known = command("ZADD", keys.coordinators(), "NX", 0, self.id)  # as one whose lease has expired
        return [known, command("EXPIRE", keys.coordinators(), lasting)]

    def _inbox_lives_on(self) -> Call[Any]:
        return command("EXPIRE", self._inbox.key, int(keys.INBOX_TTL.total_seconds()))

    # --- its own thread ------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            told = isinstance(error, NoPermissionError)  # which says it all
            logger.error("coordinator %s stopped: %s", self.id, error, exc_info=not told)
            self._failure = error

    def _loop(self) -> None:
        # Messages stay in the inbox until they are told to have been dealt with, in the round trip that sends what
        # follows from them: whoever takes over finds them there or in the journals.
        messages: list[bytes] = []
        watch: WorkerWatch[Run] = WorkerWatch(self._client, self._limits.patience)
        checked = time.monotonic()
        self._beat()  # clients find a service by it
        while not self._stopping:
            if not messages and not self._to_recall and not self._leftover:
                messages = self._wait()
            self._beat_if_due()  # before anything is done for a run that it may have lost, having slept
            calls = self._recall()  # first: what has come for a run that is not known yet would only be noted
            for message in messages:
                if self._read_in != self._term:
                    break  # another has them
                calls += self._handle(message)
                self._beat_if_due()
            calls += self._handle_wanted()
            calls += self._wake_runs()
            calls += self._leftover
            self._leftover = []
            if time.monotonic() - checked >= POLL_SECONDS:
                checked = time.monotonic()
                calls += self._find_lost()
                calls += self._renew(checked)
                calls += self._find_abandoned()
                self._to_recall.update(dict.fromkeys(list(self._in_line)))
                for run, why in watch.look([run for run in self._runs.values() if run.waiting]):
                    calls += self._settled(run, run.fail(why))
                for run in self._runs.values():
                    if run.listen():
                        self._settled(run, [])
                    calls += [(None, call) for call in run.tell_why(watch.why_waits(run) if run.waiting else "")]
            messages = self._send(calls) if calls or self._told or self._saves else []
        self._leave()
        self._inbox.close()

    def _leave(self) -> None:
        ending = [run for run in list(self._runs.values()) if not run.survives]
        self._send([call for run in ending for call in self._settled(run, run.cancel())])
        self._send([(None, retire(self.id))])

    def _wait(self) -> list[bytes]:
        """Wait for a message, if Redis has been asked to wait for one; else ask it, and look what there is."""
        if not self._inbox.awaits:
            return self._send([])
        messages = self._link.once(self._inbox.wait)
        # Looking is allowed where a move is refused: in a Redis that is full.
        return self._send([]) if messages is None else messages

    def _handle(self, message: bytes) -> list[_Sent]:
        if message == _WAKE:
            self._told.append(Told())
            return []
        if message.startswith(_CONTROL):
            return self._handle_control(message)
        if is_request(message):
            return self._handle_request(message)
        try:
            outcome = decode_outcome(self.registry.codec, message)
        except DecodeError as error:
            self._told.append(Told())
            logger.error("coordinator %s: threw away an unreadable message (%s)", self.id, type(error).__name__)
            return []
        run = self._runs.get(outcome.run)
        if run is None:
            self._told.append(Told(outcome.run))
            return []
        return self._settled(run, run.deliver(outcome), Told(run.id, run.epoch))

    def _handle_control(self, message: bytes) -> list[_Sent]:
        self._told.append(Told())
        what, _, run_id = message[len(_CONTROL) :].decode(errors="replace").partition(" ")
        run = self._runs.get(run_id)
        if run is None:
            self._to_recall[run_id] = None
        elif what == "cancel":
            return self._settled(run, run.cancel())
        return []

    def _handle_request(self, message: bytes) -> list[_Sent]:
        try:
            request = decode_request(self.registry.codec, message)
        except DecodeError as error:
            self._told.append(Told())
            logger.error("coordinator %s: threw away an unreadable request (%s)", self.id, type(error).__name__)
            return []
        run = self._runs.get(request.run)
        if run is None or not run.heeds(request):
            self._told.append(Told())  # it is asked again
            return []
        return self._settled(run, run.asked(request), Told(run.id, run.epoch) if request.kind in _NOTED else Told())

    def _wake_runs(self) -> list[_Sent]:
        if not self._sleepers:
            return []
        now = time.monotonic()
        due = [run for run in self._sleepers.values() if (when := run.next_wake) is not None and when <= now]
        return [call for run in due for call in self._settled(run, run.wake(now))]

    def _seconds_to_wait(self) -> float:
        wakes = [when for run in self._sleepers.values() if (when := run.next_wake) is not None]
        return min([POLL_SECONDS, *(max(0.001, when - time.monotonic()) for when in wakes)])

    def _handle_wanted(self) -> list[_Sent]:
        calls: list[_Sent] = []
        new: list[Run] = []
        while self._wanted:
            what, run = self._wanted.popleft()
            if what == "begin":
                new.append(run)
            else:
                calls += self._begin(new)
                new = []
                calls += self._settled(run, run.cancel())
        return [*calls, *self._begin(new)]

    def _begin(self, runs: Sequence[Run]) -> list[_Sent]:
        new: list[Run] = []
        for run in runs:
            if run.id not in self._runs:
                self._runs[run.id] = run
                new.append(run)
                run.load()
                self._beat_if_due()
            self._opening.discard(run.id)
        surviving = [run for run in new if run.survives]
        if surviving:
            # Before they write to their threads: whoever begins one anew must not take that for what was there.
            for run in surviving:
                self._settled(run, [])
            self._note()
        return [call for run in new for call in self._settled(run, run.begin())]

    def _settled(self, run: Run, calls: list[Call[Any]], told: Told | None = None) -> list[_Sent]:
        """What a run says, after it was told something; notes what it was told."""
        before, about = run.journal.take()
        self._told += [Told(run.id, run.epoch, note) for note in before]
        if told is not None:
            self._told.append(told if run.survives else Told())
        self._told += [Told(run.id, run.epoch, note) for note in about]
        if run.ended:
            self._runs.pop(run.id, None)
        if run.next_wake is None or run.ended:
            self._sleepers.pop(run.id, None)
        else:
            self._sleepers[run.id] = run
        return [(run, call) for call in calls]

    def _queues(self) -> set[str]:
        # A service looks after its queue also when no run of its own waits there: runs expire, coordinators go.
        queues = {run.queue for run in self._runs.values() if run.waiting}
        return queues if self._service is None else queues | {self._service}

    def _find_lost(self) -> list[_Sent]:
        if not self._link.calm:
            return []  # nobody could show signs of life
        sent: list[_Sent] = []
        for routes in self._link.make([lost(queue, lease=LEASE) for queue in self._queues()]) or ():
            if isinstance(routes, Exception):
                logger.warning("coordinator %s: could not look for lost tasks: %s", self.id, routes)
                continue
            for route in routes:
                if run := self._runs.get(route.run):
                    sent += self._settled(run, run.lose(route.task, route.attempt))
        return sent

    def _find_abandoned(self) -> list[_Sent]:
        """Cancel runs that need readers, and have had none for a while."""
        wanted = [run.id for run in self._runs.values() if run.needs_reader]
        wanted += [run_id for run_id, needs_reader in list(self._in_line.items()) if needs_reader]
        answers = self._link.make(self._readers.ask(wanted))
        if answers is None or not self._link.calm:
            self._readers.forget()
            return []
        self._readers.judge(answers)
        calls: list[_Sent] = []
        for run_id in filter(self._readers.is_abandoned, wanted):
            if (run := self._runs.get(run_id)) is None:
                self._to_recall[run_id] = None
            else:
                calls += self._settled(run, run.cancel(WHY))
        return calls

    def _renew(self, now: float) -> list[_Sent]:
        """Keep runs in Redis that have been silent for long, though they go on."""
        return [(run, renew(run.id)) for run in self._runs.values() if run.is_to_be_renewed(now)]

    # --- whose runs they are -------------------------------------------------------------------------------------

    def _hold(self) -> Call[Any]:
        about = {
            "kind": "embedded" if self._service is None else "service",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "runs": len(self._runs),
            "queue": self._service or "",
            "graphs": json.dumps(self.registry.fingerprints),
        }
        return hold(self.id, about)

    def _beat_if_due(self) -> None:
        if time.monotonic() - self._beaten >= POLL_SECONDS:
            self._beat()

    def _beat(self) -> None:
        """Show that it lives; take over what others have left behind; drop what others have taken."""
        results = self._link.make([self._hold()])
        if results is None:
            return
        first, self._beaten = self._beaten == 0, time.monotonic()
        held = results[0]
        if isinstance(held, Exception):
            logger.warning("coordinator %s could not show that it lives: %s", self.id, held)
            return
        self._term = held.term
        if not held.unbroken and not first:
            self._drop_what_others_have()
        if self._link.calm:  # else nobody could have shown that it lives
            for dead in held.expired:
                self._take_over(dead)

    def _take_over(self, dead: str) -> None:
        graphs = self.registry.fingerprints if self._service is not None else {}
        taken = self._link.make([take(dead, self.id, graphs, clients=self._service is not None)])
        if taken is None:
            return
        if isinstance(taken[0], Exception):
            logger.warning("coordinator %s could not take over from %s: %s", self.id, dead, taken[0])
            return
        # In this order: a run goes from one to the next, in another thread.
        unknown = [
            run_id
            for run_id in taken[0]
            if run_id not in self._opening and run_id not in self._in_line and run_id not in self._runs
        ]
        if unknown:
            logger.warning(
                "coordinator %s takes over from %s, which shows no sign of life: %d runs", self.id, dead, len(unknown)
            )
        self._to_recall.update(dict.fromkeys(unknown))

    def _drop_what_others_have(self) -> None:
        runs = list(self._runs.values())
        answers = self._link.make([command("HMGET", keys.run(run.id), "coordinator", "epoch") for run in runs])
        for run, answer in zip(runs, answers or (), strict=False):
            if not isinstance(answer, Exception) and answer[0] is not None and answer[0].decode() != self.id:
                self._superseded(run)

    def _superseded(self, run: Run) -> None:
        logger.warning("coordinator %s: another has taken over run %s", self.id, run.id)
        run.supersede()
        self._runs.pop(run.id, None)
        self._sleepers.pop(run.id, None)

    def _recall(self) -> list[_Sent]:
        """Go on with runs that this coordinator holds, but does not know yet."""
        unknown = [run_id for run_id in self._to_recall if run_id not in self._runs]
        wanted, later = unknown[:RECALLED_AT_ONCE], unknown[RECALLED_AT_ONCE:]
        self._to_recall = dict.fromkeys(later)
        if not wanted:
            return []
        asked: list[Call[Any]] = [recall(run_id, self.id) for run_id in wanted]
        # Behind them, so that what comes in between is seen twice and not missed.
        answers = self._link.make([*asked, command("LRANGE", self._inbox.key, 0, -1)])
        if answers is None:
            return []
        *found, inbox = answers
        if isinstance(inbox, Exception):
            raise inbox
        reported = self._reported(inbox)
        calls: list[_Sent] = []
        for run_id, recalled in zip(wanted, found, strict=True):
            self._in_line.pop(run_id, None)
            if isinstance(recalled, Exception):
                logger.error("coordinator %s: run %s can't be gone on with: %s", self.id, run_id, recalled)
                continue
            if recalled is None:
                continue
            self._beat_if_due()
            if recalled.status == RunStatus.CANCELLED:
                why = RunCancelled(f"run {recalled.run} was cancelled")
                calls.append((None, closing(recalled, self.id, self.registry.codec, RunStatus.CANCELLED, why)))
            elif self._readers.is_abandoned(run_id):
                why = RunCancelled(f"run {recalled.run} was cancelled: {WHY}")
                calls.append((None, closing(recalled, self.id, self.registry.codec, RunStatus.CANCELLED, why)))
            elif recalled.waits:
                self._in_line[run_id] = recalled.needs_reader
            else:
                calls += self._recover(recalled, reported)
        return calls

    def _reported(self, inbox: Sequence[bytes]) -> dict[str, set[str]]:
        """The tasks, by run, whose outcomes are in the inbox."""
        reported: dict[str, set[str]] = {}
        for message in inbox:
            if message != _WAKE and not message.startswith(_CONTROL) and not is_request(message):
                with suppress(DecodeError):  # it is reported when its turn comes
                    outcome = decode_outcome(self.registry.codec, message)
                    reported.setdefault(outcome.run, set()).add(outcome.task)
        return reported

    def _recover(self, recalled: Recalled, reported: dict[str, set[str]]) -> list[_Sent]:
        codec = self.registry.codec
        if not recalled.survives or not recalled.journal:
            why = RunCancelled(f"run {recalled.run} was cancelled: the process that coordinated it has died")
            return [(None, closing(recalled, self.id, codec, RunStatus.CANCELLED, why))]
        try:
            order = decode_order(codec, recalled.journal[0])
            run = self._ordered(order, needs_reader=recalled.needs_reader)
        except BaseException as error:  # its schema and its reducers are user code
            return [(None, closing(recalled, self.id, codec, RunStatus.ERROR, error))]
        run.epoch = recalled.epoch
        if len(recalled.journal) == 1:
            return self._begin([run])
        self._runs[run.id] = run
        return self._settled(run, run.recover(recalled, reported.get(run.id, set())))

    # --- talking to Redis ----------------------------------------------------------------------------------------

    def _send(self, sent: list[_Sent]) -> list[bytes]:
        """Send what the runs want, tell what was dealt with, and look at what has come: one round trip."""
        saving = self._saves.take()
        advancing = self._advance(saving=bool(saving))
        calls: list[_Sent] = [*saving, *advancing, *coalesced(sent)]
        self._read_in = self._term
        seconds = self._seconds_to_wait()
        results = self._link.make(
            [call for _, call in calls],
            lambda calls: self._inbox.exchange(calls, seconds),
            partial(self._without_others, calls),
        )
        if results is None:
            return []
        arrived = results.pop()
        lapsed = bool(advancing) and self._has_lapsed(results[len(saving)])
        self._look_at(calls, results)
        if isinstance(arrived, Exception):
            raise arrived
        return [] if lapsed else arrived or []

    def _note(self) -> None:
        """Have in the journals what was told, before anything follows from it."""
        lapsed = True
        while lapsed:
            saving = self._saves.take()
            calls: list[_Sent] = [*saving, *self._advance(saving=bool(saving))]
            results = self._link.make([call for _, call in calls], again=partial(self._without_others, calls))
            if results is None:
                return
            lapsed = len(results) > len(saving) and self._has_lapsed(results[-1])
            self._look_at(calls, results)

    def _look_at(self, calls: list[_Sent], results: list[Any]) -> None:
        """See to what was refused, but for what is noted in the journals."""
        refused, self._saves.refused = self._saves.refused, []
        for run, error in refused:
            self._refused(run, error)
        for (run, _), result in zip(calls, results, strict=True):
            if isinstance(result, Exception):
                self._refused(run, result)
            elif run is not None and isinstance(result, Refusal):
                self._overruled(run, result)

    def _has_lapsed(self, advanced: Any) -> bool:
        """Whether another has taken over the inbox: then nothing was noted."""
        if advanced is not Refusal.SUPERSEDED:
            return False
        self._told = [*self._noted, *self._told]
        self._beat()
        return True

    def _advance(self, *, saving: bool) -> list[_Sent]:
        """Tells what was dealt with since this was last asked; `saving` if something is saved ahead of it."""
        told, self._told = self._told, []
        self._noted = [one for one in told if one.note]
        if self._read_in != self._term:
            told = self._noted  # the messages are another's by now
        if not told:
            return []
        self._batch += 1
        return [(None, advance(self.id, self._term, self._batch, told, saving=saving))]

    def _overruled(self, run: Run, refusal: Refusal) -> None:
        if refusal is Refusal.SUPERSEDED and not run.superseded:
            self._superseded(run)
        elif refusal is Refusal.CANCELLED:
            self._leftover += self._settled(run, run.cancel_anew())
        elif refusal is Refusal.INCOMPLETE:
            lost = FleetError(f"Redis has lost a part of run {run.id} that it had taken.")
            self._refused(run, lost)

    def _refused(self, run: Run | None, error: Exception) -> None:
        """Redis answered a call with an error: that ends the run that wanted it, and no other."""
        if run is None or run.unreachable is not None:
            logger.warning("coordinator %s: Redis refused a call: %s", self.id, error)
        else:
            self._leftover += self._settled(run, run.give_up(error))

    def _holds(self, run: Run) -> bool:
        """Whether a run is still its own, as far as can be known: to be asked before anything is written where no
        epoch is checked.
        """
        if time.monotonic() - self._beaten >= LEASE.total_seconds() / 2:
            self._beat()
        return not run.superseded

    def _bear(self, error: Exception) -> bool:
        """Wait a moment while a saver or a store is out of reach; tells whether to try again."""
        if not self._link.bear(error):
            return False
        self._beat_if_due()
        return True

    def _without_others(self, sent: list[_Sent]) -> list[Call[Any]]:
        """The calls, without what savers would keep of runs that another has taken over: no epoch guards it."""
        self._beat_if_due()
        return [
            SKIPPED if run is not None and run.superseded and isinstance(call, Save) else call for run, call in sent
        ]


def _full(error: RedisError) -> RedisFull:
    full = RedisFull()
    full.__cause__ = error
    return full
