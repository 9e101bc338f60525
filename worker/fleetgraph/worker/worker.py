"""The worker: takes tasks from one queue, runs several at a time, and hands in what becomes of them."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, cast

import redis
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import now as utc_now
from rq.worker import BaseWorker, Worker, WorkerStatus
from rq.worker_registration import clean_worker_registry, register

from fleetgraph.errors import DecodeError, FleetError, NodeTimeoutError, RunCancelled
from fleetgraph.lookup import GraphRegistry
from fleetgraph.pregel.context import TaskContext
from fleetgraph.pregel.task import Task
from fleetgraph.types import TimeoutPolicy
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, command, execute
from fleetgraph.wire.connection import SOCKET_TIMEOUT_SECONDS, configure
from fleetgraph.wire.outages import Backoff, is_refusal, will_pass
from fleetgraph.wire.rq_serializer import MsgpackSerializer, message_of
from fleetgraph.wire.transitions import (
    LEASE,
    WORKER_TTL,
    Claim,
    Finished,
    Refusal,
    Route,
    adopt,
    claim,
    finish,
    handed,
    heartbeat,
    wait_no_more,
)
from fleetgraph.worker.asking import Asking
from fleetgraph.worker.channel import WAIT_SECONDS, TaskChannel
from fleetgraph.worker.held import HeldTask, HeldTasks
from fleetgraph.worker.publisher import Publisher
from fleetgraph.worker.running import HEARTBEATS_PER_LEASE, Attempt, Result, Runner, failure_text, log_fields
from fleetgraph.worker.slots import CodeThreads, LoopThread
from fleetgraph.worker.values import ValueCache
from fleetgraph.worker.watchdog import Limit, Watchdog

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
"""How often a suspended worker looks whether it still is."""

SIGNAL_SECONDS = 0.5
"""How late a signal may be noticed, in the rare case that the system does not wake the main thread for it."""

OUTAGE_SECONDS = 10.0
"""How long a worker that is to stop waits for a Redis that does not answer, before it gives up what it holds."""


class _JobRecord(Job):
    """A job as RQ's housekeeping is to see it, which calls a job's failure callback and its webhooks.

    What a job in Redis says beside what every task's job does is not read: no function that it names is imported.
    """

    _READ = frozenset(
        b"created_at enqueued_at started_at ended_at last_heartbeat worker_name status origin description timeout data "
        b"result_ttl failure_ttl".split()
    )

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        read = {name: value for name, value in raw_data.items() if name in self._READ}
        super().restore(read)  # pyright: ignore[reportUnknownMemberType]


class FleetWorker(BaseWorker):
    """An RQ worker that runs tasks of graphs: no process a task, several tasks at a time, few commands for each.

    To RQ it is a worker like any other: `rq info`, rq-dashboard and RQ's registries show it and what it does.
    `rq suspend` keeps it from taking tasks. RQ's commands to single workers (`send_stop_job_command`, …) don't reach
    it: runs are cancelled, not jobs.

    Args:
        queue_name: The one queue it takes tasks from. Only tasks belong there.
        connection: Its connections. The worker sets the timeouts of the connection pool, and ends its retries.
        registry: The graphs it has. Tasks of others are left to other workers.
        concurrency: How many tasks it runs at a time. Synchronous nodes run in threads, asynchronous ones on one
            event loop.
        name: Its name, unique in the fleet; one is made of host and process if it is None.
        lease_seconds: How long it may show no sign of life until its tasks are given to others. It shows some three
            times as often.

    Raises:
        redis.RedisError: Redis can't be reached.
    """

    def __init__(
        self,
        queue_name: str,
        connection: redis.Redis,
        registry: GraphRegistry,
        concurrency: int = 8,
        name: str | None = None,
        lease_seconds: float = LEASE.total_seconds(),
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            [queue_name],
            name=name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection,
            worker_ttl=int(WORKER_TTL.total_seconds()),
            serializer=MsgpackSerializer,
        )
        self.queue_name = queue_name
        self.error: BaseException | None = None
        """What made it stop, if nobody asked it to."""
        self._redis: redis.Redis = connection
        self._lease = timedelta(seconds=lease_seconds)
        self._held = HeldTasks(concurrency)
        self._stop = threading.Event()
        """Set once: to take no more tasks."""
        self._ready = threading.Event()
        """Set when it takes tasks, or won't ever."""
        self._over = threading.Event()
        """Set when nothing is held any more: to give no more signs of life."""
        self._wake_heart = threading.Event()
        self._suspended = False
        self._outage_since: float | None = None
        self._channel = TaskChannel(connection, self.name, self._lease)
        self._listening = False
        """Whether it is given tasks that it does not come for."""
        self._came = 0.0
        """When it last looked into the queue, and said that it waits, by a monotonic clock."""
        self._claiming = threading.RLock()
        """Held while tasks are claimed, by one way or the other, until they are known to be held."""
        self._adopted: set[str] = set()
        """Jobs that it has learned of in another way than by the message that may still tell of them."""
        self._unsure = False
        """Whether the answer to a claim got lost, so that Redis may think that more is held."""
        self._worked = False
        self._thread: threading.Thread | None = None
        self._code = CodeThreads(concurrency, partial(self._crashed, "node"))
        self._publisher = Publisher(
            connection,
            crashed=partial(self._crashed, "publisher"),
            wait=self._wait_for_redis,
            finishing=self._settling,
            unanswered=self._become_unsure,
            away=self._code.away,
        )
        self._loop = LoopThread(partial(self._crashed, "event loop"))
        self._heart = threading.Thread(target=self._beat_until_over, name="fleetgraph-heart", daemon=True)
        self._registry = registry
        self._concurrency = concurrency
        self._told = ""
        """What its record in Redis says about it."""
        values = ValueCache(connection, registry.codec, self._wait_for_redis, away=self._code.away)
        self._runner = Runner(registry, self.name, self._publisher, values)
        self._watchdog = Watchdog(partial(self._crashed, "watchdog"))
        self._asking = Asking(connection, self.name, registry, self._publisher, partial(self._crashed, "answers"))

    @property
    def dequeue_timeout(self) -> int:
        """RQ's name for how long one call waits for a job, in seconds."""
        return int(WAIT_SECONDS)

    @property
    def connection_timeout(self) -> int:
        """RQ's name for how long an answer may take, in seconds."""
        return int(SOCKET_TIMEOUT_SECONDS)

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        return configure(connection)

    @classmethod
    def find_by_key(cls, *args: Any, **options: Any) -> BaseWorker | None:
        """What RQ knows of the worker with a key: an `rq.Worker`, since this class is for the worker itself."""
        return Worker.find_by_key(*args, **options)

    def serialize(self) -> dict[str, Any]:
        """What RQ has in the worker's record; and `fleetgraph`, what it can do."""
        self._told = self._about
        record = cast("dict[str, Any]", super().serialize())  # pyright: ignore[reportUnknownMemberType]
        return {**record, "fleetgraph": self._told}

    @property
    def _about(self) -> str:
        about = {
            "graphs": self._registry.fingerprints,
            "concurrency": self._concurrency,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        return json.dumps(about)

    def clean_registries(self) -> None:
        """RQ's housekeeping, by Redis's clock: by that of a host that is ahead, what runs would be taken for dead."""
        queue = self.queues[0]
        if queue.acquire_maintenance_lock():
            seconds: int = self._redis.time()[0]  # pyright: ignore[reportUnknownMemberType]
            StartedJobRegistry(queue=queue, job_class=_JobRecord).cleanup(seconds)  # pyright: ignore[reportUnknownMemberType]
            queue.failed_job_registry.cleanup(seconds)  # pyright: ignore[reportUnknownMemberType]
            clean_worker_registry(queue)
            queue.release_maintenance_lock()
        self.last_cleaned_at = utc_now()

    def clean_group_registries(self) -> None:
        """RQ's housekeeping of groups, which tasks are in none of: left to RQ's own workers."""

    # --- life -------------------------------------------------------------------------------------------------

    def work(self, burst: bool = False) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take tasks and run them, until `stop` is called; then finish those it has, and return.

        Args:
            burst: Return also when no task waits and none runs.

        Returns:
            Whether it ran any.

        Raises:
            ValueError: Another worker has the same name.
            redis.RedisError: Redis failed in a way that waiting won't heal; or when the worker was about to begin.
            FleetError: The worker broke down.
        """
        try:
            self.register_birth()
            self._code.start()
            self._loop.start()
            self._publisher.start()
            self._heart.start()
            self.set_state(WorkerStatus.IDLE)
        except BaseException as error:
            self.error = error
            self._ready.set()
            raise
        logger.info("worker %s takes tasks", self.name, extra={"action": "worker-ready", "worker": self.name})
        self._ready.set()
        try:
            self._serve(burst)
        except BaseException as error:
            self._crashed("serving", error)
        finally:
            self._end()
        if self.error is not None:
            raise FleetError(f"worker {self.name} broke down: {self.error!r}") from self.error
        return self._worked

    def start_in_thread(self) -> Callable[[], None]:
        """Do `work` in a thread of this process, and return when the worker takes tasks.

        Returns:
            What to call to stop the worker; it returns when that is done. Why the worker stopped before is in `error`.

        Raises:
            ValueError: Another worker has the same name.
            redis.RedisError: Redis failed.
        """
        thread = threading.Thread(target=self._work_in_thread, name=f"fleetgraph-worker-{self.name}", daemon=True)
        thread.start()
        self._ready.wait()
        if self.error is not None:
            raise self.error
        self._thread = thread
        return self._stop_thread

    def join(self) -> None:
        """Wait for the end of the worker that was started in a thread."""
        while self._thread is not None and self._thread.is_alive():
            # If the system hands a signal to another thread, the main thread, which has to handle it, sleeps on.
            self._thread.join(SIGNAL_SECONDS)

    def _stop_thread(self) -> None:
        self.stop()
        self.join()

    def stop(self) -> None:
        """Take no more tasks; `work` returns when those it has are done. From any thread.

        From a signal handler too, if the main thread, where Python runs those, is not the one in `work`.
        """
        if not self._stop.is_set():
            logger.info("worker %s stops", self.name, extra={"action": "worker-stops", "worker": self.name})
        self._stop.set()
        self._wake_heart.set()
        self._held.look_again()

    def _work_in_thread(self) -> None:
        try:
            self.work()
        except Exception:
            # Whoever started the thread finds the reason in `error`; it was logged when it came up.
            logger.debug("worker %s ended with an error", self.name, exc_info=True)

    def _end(self) -> None:
        self.stop()
        self._held.wait_until_done(unless=self._broken)
        self._asking.stop()
        self._publisher.stop()
        self._code.stop()
        self._loop.stop()
        self._over.set()
        self._wake_heart.set()
        self._heart.join()
        try:
            self._beat()
            self.register_death()
        except redis.RedisError as error:
            logger.warning("worker %s could not sign off: %s", self.name, error, extra={"action": "death-unregistered"})
        logger.info("worker %s is gone", self.name, extra={"action": "worker-gone", "worker": self.name})

    def _broken(self) -> bool:
        return self.error is not None

    def _crashed(self, thread: str, error: BaseException) -> None:
        """Stop working, loudly: a thread without which it makes no sense has died."""
        self.error = self.error or error
        logger.critical(
            "worker %s: its %s thread died; it stops",
            self.name,
            thread,
            exc_info=error,
            extra={"action": "thread-died", "worker": self.name},
        )
        self.stop()

    def _wait_for_redis(self, seconds: float) -> bool:
        """Wait before the next try; tells whether to give up."""
        if self._stop.is_set():
            now = time.monotonic()
            self._outage_since = self._outage_since or now
            if now - self._outage_since > OUTAGE_SECONDS:
                return True
        with self._code.away:
            self._over.wait(seconds)
        return self._broken()

    # --- taking tasks -----------------------------------------------------------------------------------------

    def _serve(self, burst: bool) -> None:
        backoff = Backoff(f"worker {self.name}")
        self._registry.changed.append(self._look)
        maintained = float("-inf")
        try:
            while not self._stop.is_set():
                try:
                    if time.monotonic() - maintained >= WAIT_SECONDS:
                        self._maintain()
                        maintained = time.monotonic()
                    if burst:
                        if not self._work_off():
                            return
                    elif self._suspended:
                        self._pause()
                    else:
                        self._listen()
                except redis.RedisError as error:
                    if not will_pass(error):
                        raise
                    self._listening = False
                    self._become_unsure()
                    self._stop.wait(backoff.failed(error))
                else:
                    backoff.worked()
        finally:
            self._registry.changed.remove(self._look)
            self._wait_no_more(backoff)

    def _work_off(self) -> bool:
        """Take what waits, and wait for room; tells whether there was anything."""
        self._held.wait_for_room(unless=self._stop.is_set)
        if self._come():
            return True
        self._held.wait_until_done(unless=self._stop.is_set)
        return self._redis.llen(keys.rq_queue(self.queue_name)) > 0  # pyright: ignore[reportOperatorIssue]

    def _listen(self) -> None:
        """Take a task that it is given; look into the queue when it is given none for a while."""
        if not self._listening:
            self._channel.open()
            self._become_unsure()  # what it was given before may not have been heard
            self._listening = True
            self._fill()
            return  # it may have been told to stop before it could hear that
        adopted = self._adopted.copy()
        message = self._channel.wait()
        if self._channel.stalled:
            self._listening = False  # what is still on its way is too old
            return
        if message is None:
            with self._claiming:
                self._adopted -= adopted  # what was on its way for them has come by now
        elif message:
            try:
                one = handed(message)
            except DecodeError as error:
                logger.error("worker %s: threw away an unreadable message: %s", self.name, error)
                return
            with self._claiming:
                if one.job not in self._held and one.job not in self._adopted:
                    self._hold(one)
        if not message or time.monotonic() - self._came >= WAIT_SECONDS:
            self._fill()

    def _fill(self) -> None:
        """Take what waits, as long as there is room: each time it gets only its share."""
        while self._come() and self._held.free > 0:
            pass

    def _come(self) -> bool:
        """Take tasks that wait in the queue; tells whether there were any."""
        self._came = time.monotonic()
        with self._settling():
            claims = execute(self._redis, self._claim())
            for one in claims:
                self._hold(one)
            return bool(claims)

    def _claim(self) -> Call[list[Claim]]:
        return claim(
            self.queue_name,
            self.name,
            max(0, self._held.free) if self._takes else 0,
            lease=self._lease,
            announce=len(self._held) == 0,
            graphs=self._registry.fingerprints,
            capacity=self._capacity,
        )

    @property
    def _capacity(self) -> int | None:
        """How many tasks it can be given; None if none."""
        return self._held.capacity if self._listening and self._takes else None

    @property
    def _takes(self) -> bool:
        """Whether it is to take tasks."""
        return not (self._stop.is_set() or self._suspended)

    def _look(self) -> None:
        """See to it that it looks into the queue, since it may now take what it could not before. From any thread."""
        if self._listening:
            self._publisher.take(self)

    def call(self) -> Call[list[Claim]]:
        """The call that the publisher makes then."""
        return self._claim()

    def took(self, claims: list[Claim]) -> None:
        """Take the answer to it."""
        for one in claims:
            self._hold(one)

    def _wait_no_more(self, backoff: Backoff) -> None:
        """Be given no more tasks, and hold those that were on their way."""
        self._listening = False
        while True:
            self._become_unsure()
            seconds = 0.0
            try:
                with self._settling():
                    execute(self._redis, wait_no_more(self.queue_name, self.name))
            except redis.RedisError as error:
                if not will_pass(error):
                    raise
                seconds = backoff.failed(error)
            if not self._unsure or self._wait_for_redis(seconds):
                break
        self._channel.close()

    @contextmanager
    def _settling(self) -> Generator[None]:
        """While a call that claims is under way: one at a time, so that it is always clear what is held."""
        with self._claiming:
            yield
            if self._unsure:
                self._adopt()

    def _adopt(self) -> None:
        """Hold what was claimed while the answer got lost."""
        try:
            claims = execute(self._redis, adopt(self.name))
        except redis.RedisError as error:
            if not will_pass(error):
                raise
            return  # still unsure, so it is tried again
        self._unsure = False
        for one in claims:
            self._adopted.add(one.job)
            if one.job not in self._held:
                logger.info(
                    "job %s was claimed while the answer got lost", one.job, extra=log_fields("task-adopted", one.route)
                )
                self._hold(one)

    def _become_unsure(self) -> None:
        self._unsure = True

    def _maintain(self) -> None:
        """RQ's own housekeeping, as often as RQ does it."""
        if not self.should_run_maintenance_tasks:
            return
        try:
            self.run_maintenance_tasks()
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except Exception:
            logger.exception("RQ's maintenance failed", extra={"action": "maintenance-failed"})
            self.last_cleaned_at = utc_now()

    def _pause(self) -> None:
        logger.info("worker %s is suspended", self.name, extra={"action": "suspended"})
        self._show(WorkerStatus.SUSPENDED)
        self._become_unsure()
        with self._settling():  # what it has been given already is its own to run
            execute(self._redis, wait_no_more(self.queue_name, self.name))
        while self._suspended and not self._stop.wait(PAUSE_SECONDS):
            pass
        self._show(WorkerStatus.BUSY if len(self._held) else WorkerStatus.IDLE)
        self._listening = False  # so that it says that it waits for tasks

    def _show(self, state: WorkerStatus) -> None:
        try:
            self.set_state(state)
        except redis.ResponseError as error:
            if not is_refusal(error):
                raise
            logger.debug("state %s of worker %s is not shown: %s", state.value, self.name, error)

    # --- running them -----------------------------------------------------------------------------------------

    def _hold(self, one: Claim) -> None:
        self._worked = True
        task = HeldTask(one, self._settle, self._settled)
        self._held.add(task)
        self._code.submit(partial(self._begin, task))

    def _begin(self, task: HeldTask) -> None:
        """Start a task; in a code thread."""
        attempt: Attempt | None = None
        try:
            if task.sender is None:
                raise FleetError(f"job {task.claim.job} is none of Fleetgraph's; this queue is for tasks only")
            attempt = self._runner.prepare(
                message_of(task.claim.data),
                task.sender,
                partial(self._asking.ask, task.sender.route, task),
                partial(self._limit, task),
                partial(self._wait_for_called, task),
            )
            task.begins(partial(self._abandon, task, attempt))
            if attempt.is_async:
                task.runs_as(self._loop.submit(attempt.arun(), partial(self._ended_on_loop, task, attempt)))
                return
            with self._code.away:
                task.call_in_thread.run(attempt.run)
        except BaseException as error:
            self._ended(task, attempt, error)
        else:
            self._ended(task, attempt, None)

    def _limit(self, task: HeldTask, running: TaskContext, policy: TimeoutPolicy) -> Limit:
        late = partial(self._too_late, task, running.task)
        return Limit(self._watchdog, task.call_in_thread, running, policy, late)

    def _too_late(self, held: HeldTask, task: Task, error: NodeTimeoutError) -> None:
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        self._give_up_on(held, error)

    def _give_up_on(self, held: HeldTask, error: Exception) -> None:
        """The code of a task does not end, though it should: hand in why, and do without its thread."""
        if not held.ends(stuck=True):
            return
        if not held.is_coroutine:
            self._code.lend()
        self._code.submit(partial(self._ended_stuck, held, error))

    def _ended_stuck(self, held: HeldTask, error: Exception) -> None:
        logger.warning(
            "%s, and can't be stopped; the worker goes on without it",
            error,
            extra=log_fields("task-stuck", held.claim.route),
        )
        held.result = self._failed(held.claim.route, error, None)
        self._publisher.finish(held)

    def _wait_for_called(self, task: HeldTask, change: int) -> None:
        """A task waits for one that it has called, or does no more: others may use its slot meanwhile."""
        waited, waits = self._held.wait_for_called(task, change)
        if waits and not waited:
            self._code.lend()
            self._look()
        elif waited and not waits:
            self._code.take_back()

    def _abandon(self, task: HeldTask, attempt: Attempt) -> None:
        """Nobody waits for a task any longer: neither is it to wait for anything."""
        attempt.host.abandoned.set()
        self._asking.forget(task)

    def _ended_on_loop(self, task: HeldTask, attempt: Attempt, error: BaseException | None) -> None:
        # Encoding what it wrote may take a while; the loop has other things to do.
        self._code.submit(partial(self._ended, task, attempt, error))

    def _ended(self, task: HeldTask, attempt: Attempt | None, error: BaseException | None) -> None:
        """Hand in the result of a task; in a code thread."""
        if not task.ends():
            if not task.is_coroutine:
                self._code.take_back()
            return
        route = task.claim.route
        if route is None or attempt is None or error is not None:
            error = error or FleetError("no task")
            task.result = self._failed(route, error, attempt and attempt.task)
        else:
            task.result = self._runner.succeeded(route, attempt)
        if task.result.failure is not None and not task.lost:
            node = "" if attempt is None else attempt.task.name
            logger.info("job %s failed: %r", task.claim.job, error, extra=log_fields("task-failed", route, node=node))
        self._publisher.finish(task)

    def _failed(self, route: Route | None, error: BaseException, task: Task | None) -> Result:
        if route is None:
            return Result(b"", failure_text(error))
        return self._runner.failed(route, error, task)

    def _settle(self, task: HeldTask, result: Result) -> Call[Finished | Refusal]:
        sender = task.sender
        if sender is not None and sender.error is not None:
            result = task.result = self._runner.failed(sender.route, sender.error)
        return finish(
            self.queue_name,
            self.name,
            task.claim,
            result.outcome,
            failure=result.failure,
            items=0 if sender is None else None if sender.error is not None else sender.items,
            last=self._held.all_ended,
            count=1 if self._takes and self._held.free >= 0 else 0,
            lease=self._lease,
            graphs=self._registry.fingerprints,
            capacity=self._capacity,
        )

    def _settled(self, task: HeldTask, finished: Finished | None) -> None:
        self._held.remove(task)
        if finished is None:
            return
        if not finished.accepted and task.sender is not None:
            logger.info(
                "job %s: nobody waited for its outcome",
                task.claim.job,
                extra=log_fields("outcome-refused", task.claim.route),
            )
        for one in finished.claims:
            self._hold(one)

    # --- signs of life ----------------------------------------------------------------------------------------

    def _beat_until_over(self) -> None:
        backoff = Backoff(f"heartbeat of worker {self.name}")
        try:
            while True:
                woken = self._wake_heart.wait(self._lease.total_seconds() / HEARTBEATS_PER_LEASE)
                self._wake_heart.clear()
                if self._over.is_set():
                    return
                try:
                    if woken:
                        self._unblock()
                    self._beat()
                    backoff.worked()
                except redis.RedisError as error:
                    if not will_pass(error):
                        raise
                    backoff.failed(error)
        except BaseException as error:
            self._crashed("heartbeat", error)

    def _beat(self) -> None:
        counts = self._held.take_counts()
        try:
            answer = execute(
                self._redis,
                heartbeat(self.queue_name, self.name, self._held.claims(), counts, lease=self._lease),
            )
        except redis.RedisError:
            self._held.put_back_counts(counts)
            raise
        self._suspended = answer.suspended
        if not answer.known:
            self._held.put_back_counts(counts)
            self._register_again()
        elif self._told != (about := self._about):  # it was given another graph
            self._redis.hset(self.key, "fleetgraph", about)  # pyright: ignore[reportUnknownMemberType]
            self._told = about
        for job in answer.lost:
            task = self._held.find(job)
            if task is not None and task.result is None and not task.lost:
                logger.info("nobody waits for job %s any longer", job, extra=log_fields("task-lost", task.claim.route))
                task.lose()
                self._held.look_again()
        for task in self._held.overdue():
            self._give_up_on(task, RunCancelled(f"nobody waits any longer for job {task.claim.job}"))

    def _register_again(self) -> None:
        """Redis lost its data, or this process slept for long."""
        logger.warning(
            "Redis does not know worker %s any more; registering again", self.name, extra={"action": "reborn"}
        )
        with self._redis.pipeline() as pipe:  # pyright: ignore[reportUnknownMemberType]
            pipe.hset(self.key, mapping=cast(Any, self.serialize()))  # pyright: ignore[reportUnknownMemberType]
            pipe.hset(self.key, "state", WorkerStatus.BUSY if len(self._held) else WorkerStatus.IDLE)
            pipe.expire(self.key, WORKER_TTL)
            register(self, pipe)
            pipe.execute()

    def _unblock(self) -> None:
        """Let the thread that listens look about at once."""
        execute(self._redis, command("PUBLISH", keys.handed(self.name), b""))
