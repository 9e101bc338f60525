"""What coordinator and worker say to each other: one dataclass a message, one array each on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIRE_VERSION = 2
"""Raised whenever a message changes shape; a process refuses messages of another version."""


@dataclass(frozen=True, slots=True)
class GraphRef:
    """Names a graph to a process that has its code; never the code itself."""

    name: str
    """`module:attribute`, the same in every process that loads the graph."""
    fingerprint: str
    """Hash of the graph's shape; a worker whose graph has another one refuses the task."""


@dataclass(slots=True)  # every task makes some of these, and frozen ones take several times as long to make
class TaskMessage:
    """Coordinator → worker: run this task. Travels as the only argument of the RQ job."""

    run: str
    inbox: str
    """Id of the coordinator whose inbox takes the outcome."""
    graph: GraphRef
    attempt: int
    modes: tuple[str, ...]
    """The modes whose events the worker emits: a subset of `custom` and `messages`."""
    id: str
    name: str
    path: tuple[Any, ...]
    triggers: tuple[str, ...]
    step: int
    stop: int
    ns: str
    input: Any
    """Channel values by name, or a Send's argument."""
    send: bool
    """Whether `input` is a Send's argument, to be passed as it is."""
    snapshot: Mapping[str, Any] | None
    config: Mapping[str, Any]
    """tags, metadata, configurable, recursion_limit, run_name, run_id: the run's config, without callbacks."""
    context: Any
    more: Mapping[str, Any]
    """What most tasks do without: see `wire.tasks`."""


@dataclass(slots=True)
class Outcome:
    """Worker → coordinator: what became of one attempt of a task. Travels through the coordinator's inbox."""

    run: str
    task: str
    attempt: int
    worker: str
    writes: list[tuple[str, Any]] | None
    """The task's writes, in order; those before a path function failed, if `error` tells of one."""
    error: BaseException | None
    """Why it failed, or that it asks something; None when it ended well."""


@dataclass(frozen=True, slots=True)
class Request:
    """Worker → coordinator: a running attempt asks something of its run. Travels through the coordinator's inbox.

    It may be sent several times, until it is answered.
    """

    run: str
    task: str
    attempt: int
    worker: str
    number: int
    """Counts what the worker asks."""
    kind: str
    """`resume`, `call`, `saver`, `store` or `drain`: see `wire.requests`."""
    payload: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Coordinator → worker: the answer to a request. Travels through the worker's answers."""

    number: int
    value: Any
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Order:
    """Client → coordinator: begin a run. Kept with the run, so that whoever takes it over can begin it anew."""

    run: str
    graph: GraphRef
    queue: str
    """Where its tasks go."""
    input: Any
    config: Mapping[str, Any]
    options: Mapping[str, Any]
    """Further arguments of `graph.stream`, by name: see `fleetgraph.graph.compiled.Asked`."""
    asynchronous: bool
    """Whether its caller is a coroutine."""
    begun: float
    """When it was ordered: Unix time, in seconds, by the clock of the process that did."""
