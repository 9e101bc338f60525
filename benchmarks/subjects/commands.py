"""What Redis has to do for a task of ours: commands, scripts, round trips and bytes.

The totals are Redis's own counters. Who sent what, and which script it was, they don't say: that comes from a second
run, every command of which is watched.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any, Final

import psutil

from benchmarks.model import Samples
from benchmarks.subjects.floor import connect
from benchmarks.subjects.graphs import OnFleet
from fleetgraph.wire import calling

END: Final = "benchmark:end"
"""Said to Redis when there is no more to watch."""

OURS: Final = frozenset({"INFO", "ECHO", "MONITOR"})
"""Commands of whoever looks on."""

COUNTERS: Final = {
    "round trips": "total_reads_processed",
    "bytes in": "total_net_input_bytes",
    "bytes out": "total_net_output_bytes",
}
"""A read by Redis is what a client has sent in one go, save for very long ones."""


class Commands(OnFleet):
    """A workload on a fleet, and what Redis does for each of its tasks. The name of a measure is a total; or who sent a
    command, and which; or a script, and which command it calls. What the caller sends counts as the coordinator's, as
    they are one process.
    """

    def round(self, size: int) -> Samples:
        with connect(self.fleet.url) as client:
            counted = self._counted(client, size)
            watched = self._watched(client, size)
        return {what: [number / size] for what, number in {**counted, **watched}.items()}

    def _counted(self, client: Any, size: int) -> dict[str, float]:
        before = client.info("stats")
        super().round(size)
        after = client.info("stats")
        return {what: after[counter] - before[counter] for what, counter in COUNTERS.items()}

    def _watched(self, client: Any, size: int) -> dict[str, float]:
        seen = watch(client, lambda: super(Commands, self).round(size))
        workers = _ports_of_workers()
        counts: Counter[str] = Counter()
        scripts = _scripts()
        script = ""
        for command in seen:
            words = command["command"].split(" ", 2)
            name = words[0].upper()
            if name == "EVALSHA":
                script = scripts.get(words[1], words[1])
            if command["client_type"] == "lua":
                counts["commands in scripts"] += 1
                counts[f"{script}: {name}"] += 1
            elif name not in OURS:
                sender = "worker" if int(command["client_port"]) in workers else "coordinator"
                counts["commands"] += 1
                counts[f"{sender} {script if name == 'EVALSHA' else name}"] += 1
        return dict(counts)


def watch(client: Any, do: Callable[[], object]) -> list[dict[str, Any]]:
    """All commands that Redis gets while something is done, and those that scripts call: as redis-py has them."""
    with client.monitor() as monitor, ThreadPoolExecutor(1) as pool:
        commands = pool.submit(_until_the_end, monitor)
        try:
            do()
        finally:
            client.echo(END)
        return commands.result()


def _until_the_end(monitor: Any) -> list[dict[str, Any]]:
    commands: list[dict[str, Any]] = []
    for command in monitor.listen():
        if command["command"] == f"ECHO {END}":
            return commands
        commands.append(command)
    raise ConnectionError("Redis has ended MONITOR")


def _ports_of_workers() -> set[int]:
    """From which they talk to Redis, for as long as they live."""
    workers = psutil.Process().children(recursive=True)
    return {connection.laddr.port for worker in workers for connection in worker.net_connections("tcp")}


def _scripts() -> dict[str, str]:
    """The names of Fleetgraph's scripts, by their hashes."""
    known = {sha: f"{name}.lua" for sha, name in calling.script_names().items()}
    for file in (files("fleetgraph.checkpoint") / "scripts").iterdir():
        text = file.read_bytes()
        known[hashlib.sha1(text, usedforsecurity=False).hexdigest()] = f"saver's {file.name}"
    return known
