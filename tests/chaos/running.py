"""One chaos run, from the first process to the last key."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.audit import SAVED, Audit
from tests.chaos.cluster import Cluster, open_runs
from tests.chaos.faults import Faults
from tests.chaos.findings import Findings
from tests.chaos.hosts import network
from tests.chaos.users import User

END_SECONDS = 90.0
"""How long the last runs may take to end once the faults are over."""

LATE_SECONDS = 15.0
"""How much later keys may go: most of them are renewed when something happens to their run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a chaos run is like."""

    seconds: float
    """How long the faults go on."""
    seed: int
    hosts: int = 3
    workers: int = 1
    """On each host."""
    users: int = 8
    retention: int = 60
    """How long ended runs stay in Redis, in seconds."""
    pause: float = 3.0
    """The longest between two faults, in seconds."""
    longest: float = 15.0
    """The longest fault, in seconds."""
    faults: Sequence[str] = ()
    """Which to do; all of them if empty."""
    namespaces: bool | None = None
    """Whether hosts are network namespaces; if it is possible, for None."""
    verbose: bool = True
    folder: Path | None = None
    """Where logs stay; nowhere if there is none."""


def run(plan: Plan) -> Findings:
    """Do a chaos run, and tell what was found."""
    findings = Findings(plan.verbose)
    with ExitStack() as stack:
        net = stack.enter_context(network(plan.namespaces))
        folder = plan.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetgraph-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        cluster = Cluster(net, folder, findings, hosts=plan.hosts, workers=plan.workers, retention=plan.retention)
        stack.enter_context(cluster)
        findings.tell(f"all processes are ready; hosts are {net.kind}")
        audit_client = stack.enter_context(cluster.server.client(socket_timeout=10))
        audit = Audit(audit_client, findings)
        stopping = threading.Event()
        users = [User(number, plan.seed, cluster.server.url, findings, audit, stopping) for number in range(plan.users)]
        for user in users:
            user.start()
        Faults(cluster, plan.seed, findings, plan.pause, plan.longest, plan.faults).go_on_until(
            time.monotonic() + plan.seconds
        )
        stopping.set()
        _await_end(cluster, users, findings)
        audit.compare(cluster.ledger)
        _await_expiry(cluster, audit, plan, findings)
        cluster.stop()
        findings.count("takeovers", cluster.takeovers())
        for trouble in cluster.troubles():
            findings.tell(f"printed by {trouble}")
            findings.count("tracebacks printed by processes")
        (folder / "story").write_text("\n".join(findings.story))
    return findings


def _await_end(cluster: Cluster, users: list[User], findings: Findings) -> None:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline and any(user.is_alive() for user in users):
        cluster.supervise()
        time.sleep(0.1)
    try:
        cluster.await_ready()
    except AssertionError as error:
        findings.violation("a process does not come back", "", str(error))
    for user in users:
        if user.is_alive():
            findings.violation("a user still waits", user.run_id, f"{user.name}: {user.doing}")
    for open_run in open_runs(cluster.client):
        findings.violation("a run does not end", "", open_run)
    findings.tell("all users have stopped")


def _await_expiry(cluster: Cluster, audit: Audit, plan: Plan, findings: Findings) -> None:
    deadline = time.monotonic() + plan.retention + LATE_SECONDS
    while time.monotonic() < deadline and any(not key.startswith(SAVED) for key in cluster.leftovers()):
        time.sleep(1)  # looking is work for Redis
    audit.delete_threads()
    if left := cluster.leftovers():
        findings.violation("keys are left behind", "", f"{len(left)}: {', '.join(left[:40])}")


def report(plan: Plan, findings: Findings) -> str:
    """What came of it, for people."""
    lines = [f"seed {plan.seed}, {plan.seconds:g} s of faults, {plan.hosts} hosts, {plan.users} users", ""]
    lines += [f"{number:8} {what}" for what, number in sorted(findings.counts.items())]
    lines += ["", f"{len(findings.violations)} violations", *map(str, findings.violations)]
    return "\n".join(lines)
