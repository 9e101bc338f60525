"""Faults, in an order that a seed decides. They may overlap; each is undone after a while."""

from __future__ import annotations

import heapq
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from fleetgraph.wire.transitions import LEASE
from tests.chaos.cluster import Cluster, Member, Role, State
from tests.chaos.findings import Findings

LEASE_SECONDS = LEASE.total_seconds()

SHORTEST_PAUSE = 0.1
"""Between two faults, as a part of the longest."""

TICK_SECONDS = 0.1
"""Between two looks at what is due."""


class Faults:
    """Does them. Belongs to one thread.

    Args:
        pause: How many seconds there are between two of them at most.
        longest: How many seconds one of them lasts at most.
        only: The faults to choose from; all of them if there are none.
    """

    def __init__(
        self, cluster: Cluster, seed: int, findings: Findings, pause: float, longest: float, only: Sequence[str] = ()
    ) -> None:
        self._cluster = cluster
        self._rng = random.Random(f"{seed} faults")
        self._findings = findings
        self._pause = pause
        self._longest = longest
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._cut_off: set[str] = set()
        self._redis_down = False
        self._kinds: dict[str, tuple[Callable[[], str | None], int]] = {
            "worker-kill": (lambda: self._kill(Role.WORKER), 4),
            "worker-stop": (lambda: self._stop(Role.WORKER), 3),
            "worker-term": (lambda: self._term(Role.WORKER), 3),
            "coordinator-kill": (lambda: self._kill(Role.COORDINATOR), 4),
            "coordinator-stop": (lambda: self._stop(Role.COORDINATOR), 3),
            "coordinator-term": (lambda: self._term(Role.COORDINATOR), 3),
            "redis-kill": (lambda: self._end_redis(kill=True), 2),
            "redis-term": (lambda: self._end_redis(kill=False), 1),
            "redis-stop": (self._stop_redis, 1),
            "cut-connections": (lambda: self._cut("normal"), 3),
            "cut-subscribers": (lambda: self._cut("pubsub"), 3),
            "partition": (self._partition, 3),
        }
        if unknown := set(only) - set(self._kinds):
            raise ValueError(f"unknown faults {sorted(unknown)}; there are: {', '.join(self._kinds)}")
        self._chosen = [name for name in self._kinds if not only or name in only]

    @property
    def kinds(self) -> list[str]:
        """The faults that it does."""
        return self._chosen

    def go_on_until(self, end: float) -> None:
        """Do faults until then, by a monotonic clock; then undo them all."""
        weights = [self._kinds[name][1] for name in self._chosen]
        next_fault = time.monotonic()
        while time.monotonic() < end:
            self._cluster.supervise()
            self._do_what_is_due()
            if time.monotonic() >= next_fault:
                name = self._rng.choices(self._chosen, weights)[0]
                next_fault = time.monotonic() + self._rng.uniform(SHORTEST_PAUSE * self._pause, self._pause)
                done = self._kinds[name][0]()
                if done is not None:
                    self._findings.count(f"fault {name}")
                    self._findings.tell(f"{name}: {done}")
            time.sleep(TICK_SECONDS)
        self._undo_all()

    def _undo_all(self) -> None:
        while self._due:
            heapq.heappop(self._due)[2]()
        self._findings.tell("no more faults")

    def _do_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), do))

    def _last(self, ranges: Sequence[tuple[float, float]]) -> float:
        """How many seconds a fault is to last: within one of these ranges."""
        return min(self._rng.uniform(*self._rng.choice(ranges)), self._longest)

    # --- processes ---------------------------------------------------------------------------------------------------

    def _one(self, role: Role) -> Member | None:
        members = self._cluster.of(role)
        return self._rng.choice(members) if members else None

    def _kill(self, role: Role) -> str | None:
        if (member := self._one(role)) is None:
            return None
        member.signal(signal.SIGKILL)
        return member.name

    def _stop(self, role: Role) -> str | None:
        if (member := self._one(role)) is None:
            return None
        seconds = self._last([(0, LEASE_SECONDS), (LEASE_SECONDS + 0.5, LEASE_SECONDS + 4)])
        process = member.popen
        member.signal(signal.SIGSTOP)
        member.state = State.STOPPED

        def go_on() -> None:
            process.send_signal(signal.SIGCONT)
            member.state = State.UP

        self._after(seconds, go_on)
        return f"{member.name} for {seconds:.1f} s"

    def _term(self, role: Role) -> str | None:
        if (member := self._one(role)) is None or not member.ready:
            return None
        member.signal(signal.SIGTERM)
        member.state, member.term_at = State.ENDING, time.monotonic()
        return member.name

    # --- Redis and the network ---------------------------------------------------------------------------------------

    def _end_redis(self, *, kill: bool) -> str | None:
        if self._redis_down:
            return None
        seconds = self._last([(0, 0), (0, 2), (2, 6)])
        server = self._cluster.server
        if not seconds:
            server.restart(kill=kill)
            return "back at once"
        os.kill(server.pid, signal.SIGKILL if kill else signal.SIGTERM)
        self._redis_down = True

        def back() -> None:
            server.restart()
            self._redis_down = False

        self._after(seconds, back)
        return f"for {seconds:.1f} s"

    def _stop_redis(self) -> str | None:
        if self._redis_down:
            return None
        seconds = self._last([(0.5, 6)])
        pid = self._cluster.server.pid
        os.kill(pid, signal.SIGSTOP)
        self._redis_down = True

        def back() -> None:
            os.kill(pid, signal.SIGCONT)
            self._redis_down = False

        self._after(seconds, back)
        return f"for {seconds:.1f} s"

    def _cut(self, kind: str) -> str | None:
        if self._redis_down:
            return None
        client: Any = self._cluster.client
        try:
            ids = sorted(int(one["id"]) for one in client.client_list(_type=kind))
            chosen = self._rng.sample(ids, self._rng.randint(min(1, len(ids)), len(ids)))
            killed = sum(client.client_kill_filter(_id=str(id)) for id in chosen)
        except redis.ConnectionError:  # its own connection was cut by the fault before
            return None
        return f"{killed} of {len(ids)}" if killed else None

    def _partition(self) -> str | None:
        hosts = [host for host in self._cluster.hosts if host.name not in self._cut_off]
        if not hosts:
            return None
        host = self._rng.choice(hosts)
        seconds = self._last([(0.5, 3), (3, 8), (10, 15)])
        host.cut_off()
        self._cut_off.add(host.name)

        def back() -> None:
            host.let_through()
            self._cut_off.discard(host.name)

        self._after(seconds, back)
        return f"{host.name} for {seconds:.1f} s"
