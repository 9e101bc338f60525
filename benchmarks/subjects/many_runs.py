"""Many runs at once, through one coordinator service and two workers."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final, Self
from uuid import uuid4

import msgpack  # pyright: ignore[reportMissingTypeStubs]
import psutil

from benchmarks.model import Samples
from benchmarks.subjects.floor import connect
from benchmarks.workloads.environment import announce
from benchmarks.workloads.threads import new_thread
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.calls import Method, encode_call
from fleetgraph.wire.channel import Channels
from fleetgraph.wire.codec import Codec

GRAPH: Final = "benchmarks.workloads.on_fleet:graph"
QUEUE: Final = "benchmark"
STEPS: Final = 10

FEWEST_RUNS: Final = 500
"""A turn has several waves of runs, where one wave has fewer: else it would be too short to measure."""

SILENCE_SECONDS: Final = 30.0
"""After which the runs count as stuck."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at how much memory the coordinator has."""


@dataclass
class _Wave:
    """What was seen of runs that were submitted together."""

    waiting: set[str]
    """The runs that have not ended."""
    submitted: float
    """When they were, in Unix time."""
    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """When each run's supersteps ended, by the coordinator's clock."""
    memory: int = 0
    """The most that the coordinator had, in bytes."""

    @property
    def seconds(self) -> float:
        """From the submission to the end of the last run."""
        return max(times[-1] for times in self.times.values()) - self.submitted

    @property
    def in_flight(self) -> int:
        """How many runs were between their first superstep and their last at the same time, at most."""
        changes = sorted(
            (at, change) for times in self.times.values() for at, change in ((times[0], 1), (times[-1], -1))
        )
        return max(accumulate(change for _, change in changes))

    def see(self, channel: bytes, data: bytes) -> None:
        """Take in a message of a run's channel."""
        run = channel.split(b":")[2].decode()
        if run not in self.waiting:
            return
        for mode, _, _, _, at, payload in _events(data):
            if mode == "updates":
                self.times.setdefault(run, []).append(at)
            elif mode == "run":
                if payload["status"] != "success":
                    raise AssertionError(f"run {run} ended with {payload}")
                self.waiting.remove(run)


def _events(data: bytes) -> list[list[Any]]:
    untyped: Any = msgpack
    return untyped.unpackb(data, strict_map_key=False)[1]


class ManyRuns:
    """Runs of ten supersteps, submitted to one coordinator process at once.

    Args:
        runs: How many.
        saver: Whether checkpoints are saved, in the same Redis.
    """

    def __init__(self, runs: int, saver: bool = False) -> None:
        self._runs = runs
        self._saver = saver
        self._codec = Codec()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Whoever watches all runs reads as fast as it can, and must not be cut off for being slower than that.
            server = stack.enter_context(RedisServer(config={"client-output-buffer-limit": "pubsub 0 0 0"}))
            announce("loop", server.url if self._saver else None, {})
            stack.enter_context(LocalWorkers(GRAPH, server.url, QUEUE, 2, 8))
            self._client = stack.enter_context(connect(server.url))
            self._channels = Channels(self._client, keys.events("*"), SILENCE_SECONDS)
            self._channels.open()
            stack.callback(self._channels.close)
            service = stack.enter_context(_coordinator(server.url))
            stack.callback(service.terminate)
            assert service.stdout is not None
            ready = service.stdout.readline()
            if (named := re.search(r"coordinator (\S+): ready", ready)) is None:
                raise AssertionError(f"the coordinator did not start: {ready!r}")
            self._calls = keys.calls(named[1])
            self._process = psutil.Process(service.pid)
            self._wave(1)
            self._memory = self._process.memory_info().rss
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def round(self, size: int) -> Samples:
        """`size` is the most runs that are submitted at once."""
        runs = min(size, self._runs)
        waves = [self._wave(runs) for _ in range(max(1, min(size, FEWEST_RUNS) // runs))]
        return {
            "task": [wave.seconds / (runs * STEPS) for wave in waves],
            "superstep": [
                after - before for wave in waves for times in wave.times.values() for before, after in pairwise(times)
            ],
            "first": [times[0] - wave.submitted for wave in waves for times in wave.times.values()],
            "in flight": [wave.in_flight for wave in waves],
            "memory": [max(0, wave.memory - self._memory) / wave.in_flight for wave in waves],
        }

    def _wave(self, runs: int) -> _Wave:
        """Have so many runs."""
        calls = [self._call() for _ in range(runs)]
        wave = _Wave({run for run, _ in calls}, time.time())
        looked = 0.0
        with self._client.pipeline(transaction=False) as pipe:
            for _, data in calls:
                pipe.rpush(self._calls, data)
            pipe.execute()
        while wave.waiting:
            if (message := self._channels.read()) is None:
                raise AssertionError(f"{len(wave.waiting)} runs are stuck")
            wave.see(*message)
            if time.perf_counter() - looked > LOOK_SECONDS:
                looked = time.perf_counter()
                wave.memory = max(wave.memory, self._process.memory_info().rss)
        if any(len(times) != STEPS for times in wave.times.values()):
            raise AssertionError("runs without all their supersteps")
        return wave

    def _call(self) -> tuple[str, bytes]:
        run = uuid4().hex
        payload = {
            "run": run,
            "graph": GRAPH,
            "input": {"done": 0, "steps": STEPS},
            "config": new_thread(),
            "context": None,
            "modes": ["updates"],
            "output_keys": None,
            "whole": False,
            "interrupt_before": None,
            "interrupt_after": None,
            "durability": None,
            "subgraphs": False,
            "multitask_strategy": "enqueue",
            "on_disconnect": "continue",
            "asynchronous": False,
        }
        return run, encode_call(self._codec, run, Method.SUBMIT, payload)


def _coordinator(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fleetgraph.cli", "coordinator", GRAPH, "--redis", url, "--queue", QUEUE]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
