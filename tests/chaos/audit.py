"""The audit: what the runs' logs say, compared with what the readers saw and with what the nodes did."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from fleetgraph.checkpoint.keys import of_thread
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.client.readable import ReadableCodec
from fleetgraph.errors import TaskLost
from fleetgraph.wire import keys
from fleetgraph.wire.events import RUN, Event, decode_message
from fleetgraph.wire.outages import Backoff, persistently
from tests.chaos.findings import Findings
from tests.chaos.ledger import Execution, begun

SAVED = "fleetgraph:checkpoint"
"""What the keys of a `RedisSaver` begin with."""


class Audit:
    """Reads the log of each run that has ended, before it expires. Threads may share it."""

    def __init__(self, client: redis.Redis, findings: Findings) -> None:
        self._client = client
        self._findings = findings
        self._codec = ReadableCodec()
        self._saver = RedisSaver(client)
        self._deleted: list[str] = []
        self._lock = threading.Lock()
        self._finished: dict[tuple[str, str], int] = {}
        """Mark of the submission and id of the task → the attempt whose outcome counted."""

        self.given_up: list[tuple[str, TaskLost]] = []
        """Mark and error of the submissions that failed since workers died."""
        self.unfinished: list[str] = []
        """Threads whose users gave up before their last run had ended."""

    def add(self, run: str, mark: str, chunks: list[Any], status: str | None) -> None:
        """Take a run in that has ended, with what a reader saw of it."""
        events = self._events(run)
        self._findings.note(f"run {run} of {mark} ended: {status}, {len(events)} events")
        if [event.seq for event in events] != list(range(1, len(events) + 1)):
            self._findings.violation("the log has a gap", run, str([event.seq for event in events]))
        ends = [event for event in events if event.mode == RUN]
        if len(ends) != 1 or ends != events[-1:]:
            self._findings.violation("the log does not end once", run, str([(end.seq, end.payload) for end in ends]))
        elif ends[0].payload["status"] != status:
            self._findings.violation("the log ends otherwise", run, f"{ends[0].payload}, but was read as {status}")
        logged = [(event.ns, event.mode, event.payload) for event in events if event.mode != RUN]
        if logged != chunks:
            self._findings.violation("a reader saw something else than the log has", run, f"{chunks}, {logged}")
        finished = Counter[str]()
        for event in events:
            if event.mode == "tasks" and "result" in event.payload:
                finished[event.task] += 1
                with self._lock:
                    self._finished[mark, event.task] = event.attempt
                if event.attempt > 1:
                    self._findings.count("tasks that ended at a later attempt")
        for task, times in finished.items():
            if times > 1:
                self._findings.violation("a task ended more than once", run, f"{task}: {times} times")

    def delete_thread(self, thread: str) -> None:
        """Delete a thread that its user has finished with."""
        self._findings.note(f"thread {thread} is deleted")
        self._persistently(lambda: self._saver.delete_thread(thread))
        self._deleted.append(thread)

    def delete_threads(self) -> None:
        """Delete what is left of threads, once all runs have ended.

        Savers know no leases: a coordinator that was cut off while it saved a checkpoint does so when it is back. It is
        the same checkpoint that its heir has saved, but the thread may have been deleted meanwhile.
        """
        for thread in [*self._deleted, *self.unfinished]:
            names = of_thread(SAVED, thread)
            gone: Any = self._persistently(lambda names=names: self._client.unlink(*names))
            if gone and thread not in self.unfinished:
                self._findings.count("deleted threads that a coordinator which had been cut off wrote to")
                self._findings.note(f"thread {thread} came back")

    def _events(self, run: str) -> list[Event]:
        entries: Any = self._persistently(lambda: self._client.xrange(keys.log(run)))
        return [event for _, fields in entries for event in decode_message(self._codec, fields[b"m"])]

    @staticmethod
    def _persistently(do: Callable[[], Any]) -> Any:
        return persistently(do, Backoff("audit"), threading.Event().wait)

    def compare(self, ledger: Path) -> None:
        """Judge how often nodes ran: once for each attempt of their task, up to the one whose outcome counted."""
        tries: defaultdict[tuple[str, str], list[tuple[Execution, int]]] = defaultdict(list)
        for execution, times in begun(ledger).items():
            tries[execution.mark, execution.task].append((execution, times))
        for mark, lost in self.given_up:
            times = sum(times for execution, times in tries[mark, lost.task] if execution.attempt == 1)
            self._findings.note(f"given up: {mark} {lost!r}, begun {times} times")
            if times < lost.attempts:
                self._findings.count("tasks given up that had not begun that often")
        for task, found in tries.items():
            self._findings.count("tasks")
            allowed = self._finished.get(task)
            if allowed is None:
                self._findings.count("tasks whose end no event tells")
                continue
            for execution, times in found:
                self._findings.count("executions", times)
                if times > allowed:
                    self._findings.violation(
                        "a task ran more often than it was lost", "", f"{execution}: {times} times, attempt {allowed}"
                    )
