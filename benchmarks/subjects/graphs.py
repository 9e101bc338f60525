"""Graphs as subjects: a workload in this process, by either library; or on a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Self

from benchmarks.model import Samples
from benchmarks.workloads.environment import announce, workload


class InProcess:
    """A workload that runs in the process of its caller.

    Args:
        library: `langgraph` or `fleetgraph`.
        workload: A module of `benchmarks.workloads`.
        saver: Whether to save checkpoints, with the library's in-memory saver.
        build: Options of the workload's `build`.
        round: Options of its `round`.
    """

    def __init__(
        self,
        library: str,
        workload: str,
        saver: bool = False,
        build: Mapping[str, Any] | None = None,
        round: Mapping[str, Any] | None = None,
    ) -> None:
        self._library = library
        self._name = workload
        self._saver = saver
        self._build = dict(build or {})
        self._round = dict(round or {})

    def __enter__(self) -> Self:
        self._workload = workload(self._name)
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def round(self, size: int) -> Samples:
        # A new saver for each turn: what is kept in memory makes later turns slower, by their garbage collections.
        saver = import_module(f"{self._library}.checkpoint.memory").InMemorySaver() if self._saver else None
        runnable = self._workload.build(self._library, saver, **self._build)
        return self._workload.round(runnable, size, **self._round)


class OnFleet:
    """A workload on a `Fleet.local`, which starts a Redis of its own, as users do; coordinated by this process.

    Args:
        workload: A module of `benchmarks.workloads`.
        workers: Worker processes.
        concurrency: Tasks that each of them runs at once.
        saver: Whether to save checkpoints, in the same Redis.
        build: Options of the workload's `build`.
        round: Options of its `round`.
    """

    def __init__(
        self,
        workload: str,
        workers: int = 1,
        concurrency: int = 8,
        saver: bool = False,
        build: Mapping[str, Any] | None = None,
        round: Mapping[str, Any] | None = None,
    ) -> None:
        from fleetgraph.fleet import Fleet

        self._name = workload
        self._saver = saver
        self._build = dict(build or {})
        self._round = dict(round or {})
        self.fleet = Fleet.local(workers=workers, concurrency=concurrency)

    def __enter__(self) -> Self:
        self._workload = workload(self._name)
        announce(self._name, self.fleet.url if self._saver else None, self._build)
        self.runnable = import_module("benchmarks.workloads.on_fleet").graph.on(self.fleet)
        return self

    def __exit__(self, *exc: object) -> None:
        self.fleet.close()

    def round(self, size: int) -> Samples:
        return self._workload.round(self.runnable, size, **self._round)
