"""Users: programs that submit runs, and read them through connections they drop now and then."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fleetgraph.client.submission import OnDisconnect
from fleetgraph.errors import NoCoordinator, TaskLost
from fleetgraph.types import Command
from tests.chaos import graphs
from tests.chaos.audit import Audit
from tests.chaos.findings import Findings
from tests.chaos.fronts import AsyncFront, Front, Reading, SyncFront
from tests.chaos.ledger import MARK

PATIENCE_SECONDS = 30.0
"""How long a user goes on trying while no coordinator is there."""

LOOK_SECONDS = 0.3
"""Between two tries."""

ASYNC_ONLY = ("nested", "chatting")
"""Graphs with nodes that only an async caller can run."""

WEIGHTS = {"fan": 3, "nested": 3, "retrying": 2, "asking": 3, "looping": 2, "talk": 3, "chatting": 2, "workflow": 3}


@dataclass
class Followed:
    """What a user has read of a run, through one connection after the other."""

    run: str
    chunks: list[Any] = field(default_factory=list[Any])
    status: str | None = None
    error: BaseException | None = None

    def last(self, *, but: str) -> Any:
        """The last state of the run's own graph that lacks this item."""
        shown = [payload for ns, mode, payload in self.chunks if mode == "values" and ns == ()]
        return next((payload for payload in reversed(shown) if but not in payload), None)

    @property
    def questions(self) -> list[Any]:
        """What the run asks."""
        asked = [p for ns, mode, p in self.chunks if mode == "updates" and "__interrupt__" in p and ns == ()]
        return [one.value for payload in asked for one in payload["__interrupt__"]]


class User(threading.Thread):
    """Runs one graph after the other until it is told to stop, and judges what comes of it.

    Args:
        number: Which one of the users; with the seed it determines what it wants.
    """

    def __init__(
        self, number: int, seed: int, url: str, findings: Findings, audit: Audit, stopping: threading.Event
    ) -> None:
        super().__init__(name=f"user-{number}", daemon=True)
        self._rng = random.Random(f"{seed} user {number}")
        self._url = url
        self._findings = findings
        self._audit = audit
        self._stopping = stopping
        self._front: Front
        self.doing = ""
        """What it waits for."""
        self.run_id = ""

    def run(self) -> None:
        self._front = AsyncFront(self._url) if self._rng.random() < 0.5 else SyncFront(self._url)
        try:
            while not self._stopping.is_set():
                try:
                    self._one()
                except BaseException as error:
                    self._findings.violation("a user's program failed", self.run_id, f"{self.doing}: {error!r}")
        finally:
            self.doing = ""
            self._front.close()

    def _one(self) -> None:
        names = [name for name in graphs.NAMES if name not in ASYNC_ONLY or isinstance(self._front, AsyncFront)]
        name = self._rng.choices(names, [WEIGHTS[name] for name in names])[0]
        seed = self._rng.randrange(50)
        thread = UUID(int=self._rng.getrandbits(128)).hex
        given: Any = {"seed": seed} if name == "workflow" else {"seed": seed, "log": [], "total": 0}
        turns = [given]
        if name == "talk":
            turns += [{"seed": self._rng.randrange(50)} for _ in range(self._rng.randrange(3))]
        if name == "asking":
            turns += [Command(resume=f"answer {turn}") for turn in range(2)]
        if name not in ("talk", "asking") and self._rng.random() < 0.1:
            turns = []
        try:
            over = self._turns(name, turns, thread) if turns else self._cancelled(name, given, thread)
        except NoCoordinator:
            self._findings.count("submissions refused, since no coordinator was there")
            over = False
        except BaseException:
            self._audit.unfinished.append(thread)
            raise
        if over:
            self._audit.delete_thread(thread)
        else:
            self._audit.unfinished.append(thread)

    def _turns(self, name: str, turns: list[Any], thread: str) -> bool:
        """Run a graph with one input after the other. Tells whether it came to the end of them."""
        marks = [f"{thread}-{turn}" for turn in range(len(turns))]
        waiting: list[str] = []
        if name == "talk" and self._rng.random() < 0.5:
            waiting = [self._submitted(name, given, thread, mark) for given, mark in zip(turns, marks, strict=True)]
            self._findings.count("runs that waited for others of their thread", len(waiting) - 1)
        for given, mark, expected in zip(turns, marks, _expected(name, turns), strict=True):
            followed = Followed(waiting.pop(0)) if waiting else self._begun(name, given, thread, mark)
            self._follow(name, followed, mark)
            if isinstance(followed.error, TaskLost):
                self._findings.count("runs given up since workers died of one task again and again")
                self._audit.given_up.append((mark, followed.error))
                return False
            if not self._judge(name, followed, expected):
                return False
        if getattr(graphs, name).checkpointer is not None and self._rng.random() < 0.3:
            self._look_at_thread(name, thread, _expected(name, turns)[-1])
        return True

    def _look_at_thread(self, name: str, thread: str, expected: _Expected) -> None:
        self.doing = f"looking at the thread {thread} of {name}"
        config = {"configurable": {"thread_id": thread}}
        state = self._insist(lambda: self._front.get_state(f"tests.chaos.graphs:{name}", config))
        self._findings.count("threads looked at")
        if state.values != expected.last or state.next != expected.next:
            self._findings.violation(
                "a thread with another state", self.run_id, f"{name}: {state} instead of {expected}"
            )

    # --- running -----------------------------------------------------------------------------------------------------

    def _cancelled(self, name: str, given: Any, thread: str) -> bool:
        mark = f"{thread}-0"
        if self._rng.random() < 0.5:
            followed = Followed(self._submitted(name, given, thread, mark))
            self.doing = f"cancelling a run of {name}"
            threading.Event().wait(self._rng.uniform(0, 1))  # it is the user who takes that time
            self._insist(lambda: self._front.cancel(followed.run))
            self._findings.count("runs cancelled")
        else:
            self.doing = f"streaming a run of {name} that ends with its reader"
            followed = self._streamed(name, given, thread, mark, "cancel")
            self._findings.count("runs that were to end with their reader")
        self._read(followed)
        if followed.status not in ("cancelled", "success") and not isinstance(followed.error, TaskLost):
            self._findings.violation(
                "a cancelled run ended otherwise", followed.run, f"{followed.status} {followed.error!r}"
            )
        self._audit.add(followed.run, mark, followed.chunks, followed.status)
        return True

    def _begun(self, name: str, given: Any, thread: str, mark: str) -> Followed:
        if self._rng.random() < 0.5:
            return Followed(self._submitted(name, given, thread, mark))
        self.doing = f"streaming a run of {name}"
        return self._streamed(name, given, thread, mark)

    def _follow(self, name: str, followed: Followed, mark: str) -> None:
        self._read(followed)
        if self._rng.random() < 0.3:
            self.doing = f"reading the ended run of {name} again"
            late = Followed(followed.run)
            self._read(late)
            self._findings.count("ended runs that were read again")
            if late.chunks != followed.chunks:
                self._findings.violation(
                    "two readers saw different chunks", followed.run, f"{followed.chunks} and {late.chunks}"
                )
        self._findings.count("runs")
        self._findings.count(f"runs of {name}")
        self._audit.add(followed.run, mark, followed.chunks, followed.status)

    def _submitted(self, name: str, given: Any, thread: str, mark: str) -> str:
        self.doing = f"submitting a run of {name}"
        self.run_id = ""
        self.run_id = self._front.submit(f"tests.chaos.graphs:{name}", given, _config(thread, mark))
        return self.run_id

    def _streamed(
        self, name: str, given: Any, thread: str, mark: str, on_disconnect: OnDisconnect = "continue"
    ) -> Followed:
        """A run that was submitted by the reading of its chunks; with some of them."""
        reading = self._front.stream(f"tests.chaos.graphs:{name}", given, _config(thread, mark), on_disconnect)
        followed = Followed(reading.run_id)
        self.run_id = reading.run_id
        self._read_once(followed, reading)
        return followed

    def _insist(self, do: Callable[[], Any]) -> Any:
        """Do something that may be done twice; again while no coordinator is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return do()
            except NoCoordinator:
                if time.monotonic() > deadline:
                    raise
                threading.Event().wait(LOOK_SECONDS)  # what a user's program would do

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, followed: Followed) -> None:
        self.run_id = followed.run
        while followed.status is None:
            self.doing = f"reading {followed.run} after {len(followed.chunks)}"
            self._read_once(followed, self._front.join(followed.run, len(followed.chunks)))

    def _read_once(self, followed: Followed, reading: Reading) -> None:
        """Read until the end, or leave early."""
        leave = self._rng.randrange(1, 30) if self._rng.random() < 0.6 else None
        try:
            for number, chunk in enumerate(reading):
                if reading.seq != len(followed.chunks) + 1:
                    self._findings.violation(
                        "a gap or a double", followed.run, f"seq {reading.seq} after {len(followed.chunks)}"
                    )
                followed.chunks.append(chunk)
                if number == leave:
                    self._findings.count("readers that dropped their connection")
                    return
            followed.status = reading.status
        except BaseException as error:  # a run can end with any
            followed.status, followed.error = reading.status, error
            if followed.status is None:
                raise
        finally:
            reading.leave()

    # --- judging -----------------------------------------------------------------------------------------------------

    def _judge(self, name: str, followed: Followed, expected: _Expected) -> bool:
        if followed.status != expected.status:
            self._findings.violation(
                "a run ended otherwise",
                followed.run,
                f"{name}: {followed.status} instead of {expected.status}: {followed.error!r}",
            )
            return False
        last = followed.last(but="__interrupt__")
        if last != expected.last:
            self._findings.violation("another state", followed.run, f"{name}: {last} instead of {expected.last}")
            return False
        if followed.questions != expected.questions:
            self._findings.violation(
                "other questions", followed.run, f"{name}: {followed.questions} instead of {expected.questions}"
            )
            return False
        return True


def _config(thread: str, mark: str) -> Any:
    return {"configurable": {"thread_id": thread, MARK: mark}}


# --- what should come of it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Expected:
    """What comes of a run in one process."""

    status: str
    last: Any
    questions: list[Any]
    next: tuple[str, ...]
    """Of the thread, if there is one."""


_known: dict[str, list[_Expected]] = {}
_lock = threading.Lock()


def _expected(name: str, turns: list[Any]) -> list[_Expected]:
    key = f"{name} {turns}"
    with _lock:  # each of them once: it takes time that the fleet needs
        if key not in _known:
            _known[key] = asyncio.run(_run_turns(name, turns))
        return _known[key]


async def _run_turns(name: str, turns: list[Any]) -> list[_Expected]:
    graph = getattr(graphs, name)
    config = _config(f"{name} {turns}", "")
    found: list[_Expected] = []
    for given in turns:
        followed = Followed("")
        async for chunk in graph.astream(given, config, stream_mode=["values", "updates"], subgraphs=True):
            followed.chunks.append(chunk)
        status = "interrupted" if followed.questions else "success"
        then = graph.get_state(config).next if graph.checkpointer is not None else ()
        found.append(_Expected(status, followed.last(but="__interrupt__"), followed.questions, then))
    return found
