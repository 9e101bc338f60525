"""The cluster: a Redis, and coordinators and workers as processes on several hosts, looked after by a supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import redis

from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from tests.chaos import graphs, ledger
from tests.chaos.findings import Findings
from tests.chaos.hosts import Host, Network
from tests.fleet.processes import MARK, REPOSITORY, environment, marked
from tests.waiting import wait_until

QUEUE = "chaos"

READY_SECONDS = 60.0
"""For all processes to start, on a machine that has other work."""

STOP_SECONDS = 40.0
"""How long a process may take to end after SIGTERM: longer than any node works, and than its Redis is away."""

BRIEF_SECONDS = 60
"""How long what a process tells about itself, or answers to another, may stay after its end, whatever the retention."""


class Role(Enum):
    COORDINATOR = "coordinator"
    WORKER = "worker"


class State(Enum):
    """What was done to a process."""

    UP = "up"
    STOPPED = "stopped"
    """By SIGSTOP."""
    ENDING = "ending"
    """By SIGTERM."""


class Member:
    """One coordinator or worker, which is started again whenever it ends."""

    def __init__(self, name: str, role: Role, host: Host, command: list[str], env: dict[str, str], logs: Path) -> None:
        self.name = name
        self.role = role
        self.host = host
        self.state = State.UP
        self.term_at = 0.0
        self.logs: list[Path] = []
        self._command = command
        self._env = env
        self._folder = logs
        self._log: IO[bytes] | None = None
        self.popen: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it; it is ready some time later."""
        path = self._folder / f"{self.name}-{len(self.logs)}.log"
        self.logs.append(path)
        with path.open("wb") as log:
            self.popen = subprocess.Popen(
                [*self.host.prefix, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self.state = State.UP

    @property
    def log(self) -> str:
        """What its current process has printed."""
        return self.logs[-1].read_text(errors="replace")

    @property
    def ready(self) -> bool:
        return "ready, graphs" in self.log

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)


class Cluster:
    """A context manager. All that is done to it is done in one thread.

    Args:
        network: Where the hosts are.
        folder: For logs, and for the ledger.
        hosts: How many there are, each with a coordinator and workers.
        workers: How many of them on each.
        retention: How long runs stay in Redis, in seconds.
    """

    def __init__(
        self, network: Network, folder: Path, findings: Findings, *, hosts: int, workers: int, retention: int
    ) -> None:
        self._folder = folder
        self._findings = findings
        self.ledger = folder / "ledger"
        self.mark = uuid4().hex
        self.server = RedisServer(
            appendonly=True, config={"appendfsync": "always", "bind": network.bind, "protected-mode": "no"}
        ).start()
        self.hosts = network.hosts(hosts, self.server.port)
        self.members = [
            self._member(role, number, host, retention)
            for host in self.hosts
            for role, number in [(Role.COORDINATOR, 0), *((Role.WORKER, number) for number in range(workers))]
        ]
        self.client: Any = self.server.client(socket_timeout=10)

    def _member(self, role: Role, number: int, host: Host, retention: int) -> Member:
        command = [sys.executable, "-m", "fleetgraph.cli", role.value, *graphs.REFS]
        command += ["--redis", host.url, "--queue", QUEUE]
        command += ["--concurrency", "4"] if role is Role.WORKER else ["--retention", str(retention)]
        more = {
            graphs.REDIS: host.url,
            ledger.VARIABLE: str(self.ledger),
            MARK: self.mark,
            "PYTHONUNBUFFERED": "1",
        }
        name = f"{host.name}-{role.value}-{number}"
        return Member(name, role, host, command, environment(**more), self._folder)

    def __enter__(self) -> Cluster:
        try:
            for member in self.members:
                member.start()
            self.await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            if hasattr(member, "popen") and member.popen.poll() is None:
                member.popen.kill()
                member.popen.wait()
        self.client.close()
        self.server.stop()

    def await_ready(self) -> None:
        """Return when all take calls and tasks."""

        def are_ready() -> bool:
            self.supervise()
            return all(member.ready for member in self.members)

        wait_until(are_ready, READY_SECONDS, "coordinators and workers to be ready")

    def of(self, role: Role) -> Sequence[Member]:
        """Those of this role to which nothing is being done."""
        return [member for member in self.members if member.role is role and member.state is State.UP]

    def supervise(self) -> None:
        """Start what has ended again; note what ended though nobody wanted it to."""
        for member in self.members:
            status = member.popen.poll()
            if status is None:
                if member.state is State.ENDING and time.monotonic() - member.term_at > STOP_SECONDS:
                    self._findings.violation(
                        "a process does not end after SIGTERM", "", f"{member.name}: {member.logs[-1]}"
                    )
                    member.popen.kill()
                    member.popen.wait()
                continue
            if member.state is State.ENDING and status != 0:
                if member.ready:
                    self._findings.violation(
                        "a process ended badly after SIGTERM", "", f"{member.name}: {status}: {member.log[-2000:]}"
                    )
            elif member.state is not State.ENDING and status != -signal.SIGKILL:
                if member.ready:
                    self._findings.violation(
                        "a process ended by itself", "", f"{member.name}: {status}: {member.log[-2000:]}"
                    )
                else:
                    self._findings.count("processes that found no Redis when they started")
                    self._findings.tell(f"{member.name} could not start: {member.log[-300:]}")
            member.start()

    def stop(self) -> None:
        """SIGTERM to everything; note what does not end, or not well."""
        for member in self.members:
            member.signal(signal.SIGTERM)
        for member in self.members:
            try:
                status = member.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._findings.violation(
                    "a process does not end after SIGTERM", "", f"{member.name}: {member.logs[-1]}"
                )
                continue
            if status:
                self._findings.violation(
                    "a process ended badly after SIGTERM", "", f"{member.name}: {status}: {member.log[-2000:]}"
                )
        left = [process for process in marked(self.mark) if process.pid != os.getpid()]
        if left:
            self._findings.violation("a process was left", "", str(left))

    def takeovers(self) -> int:
        """How many times a coordinator said that it takes over."""
        return sum(
            path.read_text(errors="replace").count("takes over from") for member in self.members for path in member.logs
        )

    def troubles(self) -> list[str]:
        """Tracebacks that processes have printed: the last line of each, with where it is."""
        found: list[str] = []
        for path in (path for member in self.members for path in member.logs):
            inside = False
            for line in path.read_text(errors="replace").splitlines():
                if line.startswith("Traceback"):
                    inside = True
                elif inside and line and not line.startswith((" ", "\t")):
                    found.append(f"{path.name}: {line}")
                    inside = False
        return found

    # --- keys --------------------------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """The keys that no process needs, of those that have nothing to do."""
        registers = (keys.rq_queues(), keys.rq_workers(), keys.coordinators())
        registers += tuple(keys.coordinator(id.decode()) for id in self.client.zrange(keys.coordinators(), 0, -1))
        brief = (keys.rq_worker(""), keys.coordinator(""), keys.reply(""), keys.answers(""), keys.waiting(""))
        left: list[str] = []
        for key in self.client.scan_iter(count=1000):
            name = key.decode()
            ttl = self.client.ttl(key)
            if name.startswith(registers) or ttl == -2:
                continue
            if name.startswith(brief) and 0 <= ttl <= BRIEF_SECONDS:
                continue
            left.append(f"{name} ({ttl} s)")
        return sorted(left)


def open_runs(client: redis.Redis) -> list[str]:
    """What Redis has of the runs that have not ended."""
    untyped: Any = client
    found: list[str] = []
    for run in untyped.zrange(keys.runs(), 0, -1):
        record = untyped.hgetall(keys.run(run.decode()))
        if record and b"ended" not in record:
            tasks = untyped.hgetall(keys.tasks(run.decode()))
            jobs = {
                task: untyped.hmget(
                    keys.rq_job(keys.job_id(run.decode(), task.decode(), int(attempt))), "status", "worker_name"
                )
                for task, attempt in tasks.items()
            }
            owner = record.get(b"coordinator", b"").decode()
            lease = untyped.zscore(keys.coordinators(), owner)
            found.append(f"{run.decode()}: {record}, tasks {tasks}, jobs {jobs}, its coordinator's lease: {lease}")
    return found
