"""`fleetgraph dev`: all it takes to run graphs on a fleet, on this machine."""

from __future__ import annotations

import json
import shlex
import threading
import typing
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from fleetgraph.client import Client
from fleetgraph.coordinator.run import Limits
from fleetgraph.coordinator.service import CHECK_SECONDS, Service, load_graphs
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer, check_server, mask_password
from fleetgraph.signals import stop_on_signal
from fleetgraph.wire.connection import connect
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.transitions import RunStatus

_SAMPLES: Final[Mapping[Any, Any]] = {str: "text", int: 1, float: 1.0, bool: True, list: [], dict: {}}
"""What an input's fields may look like, by their type."""


def run(refs: Sequence[str], url: str | None, *, workers: int, concurrency: int, queue: str, limits: Limits) -> int:
    """Start a Redis, unless there is one, a coordinator, in this process, and worker processes. At SIGINT or SIGTERM
    end them all.

    Args:
        refs: The graphs.
        url: Of a Redis to use; None to start one.
        workers: How many worker processes.
        concurrency: Tasks that each of them runs at once.
        queue: The queue they listen on.
        limits: What runs may take up in Redis.

    Returns:
        The exit status.

    Raises:
        FleetgraphError: Something could not start, or broke down.
    """
    registry = load_graphs(refs)
    stopping = threading.Event()
    with stop_on_signal(stopping.set), ExitStack() as stack:
        own = None if url is not None else stack.enter_context(RedisServer())
        where = own.url if own is not None else url or ""
        client = connect(where)
        stack.callback(client.close)
        check_server(client)
        service = stack.enter_context(Service(client, registry, queue, limits))
        group = stack.enter_context(LocalWorkers(refs, where, queue, workers, concurrency))
        print(_greeting(registry, where, queue, workers), flush=True)
        while not stopping.wait(CHECK_SECONDS):
            service.check()
            group.check()
        if own is not None:  # it takes all runs with it, so that their readers had better be told
            _cancel_all(where, service)
    return 0


def _cancel_all(url: str, service: Service) -> None:
    with Client(url) as client:
        for info in client.list_runs(status=(RunStatus.PENDING, RunStatus.RUNNING), limit=10_000):
            service.coordinator.cancel_run(info.id)


def _greeting(registry: GraphRegistry, url: str, queue: str, workers: int) -> str:
    names = registry.names
    graph = registry.find(GraphRef(names[-1], registry.fingerprints[names[-1]]))
    sample = shlex.quote(json.dumps(sample_input(graph), ensure_ascii=False))
    shown = mask_password(url)
    thread = " --thread 1" if graph.checkpointer else ""
    return (
        f"fleetgraph dev: ready\n"
        f"  Redis        {shown}\n"
        f"  queue        {queue}\n"
        f"  workers      {workers}\n"
        f"  graphs       {', '.join(names)}\n"
        f"Run one from another terminal, and end all this with Ctrl-C:\n"
        f"  fleetgraph run {shlex.quote(names[-1])} --redis {shlex.quote(shown)}{thread} --input {sample}"
    )


def sample_input(graph: CompiledGraph) -> Any:
    """An input that has the form of a graph's, as far as type hints tell."""
    schema = getattr(graph.builder, "input_schema", None)
    if schema is None:
        return "text"
    try:
        hints = typing.get_type_hints(schema)
    except NameError:  # imported for type checkers only
        return {}
    return {name: _SAMPLES.get(typing.get_origin(hint) or hint) for name, hint in hints.items()}
