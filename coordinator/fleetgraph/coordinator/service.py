"""The coordinator as a process: what `fleetgraph coordinator` runs."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import redis

from fleetgraph.coordinator.coordinator import Coordinator
from fleetgraph.coordinator.desk import Desk
from fleetgraph.coordinator.run import Limits
from fleetgraph.errors import FleetError, FleetgraphError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import check_server, mask_password
from fleetgraph.signals import stop_on_signal
from fleetgraph.wire import keys
from fleetgraph.wire.connection import connect
from fleetgraph.wire.outages import will_pass
from fleetgraph.wire.roles import Role, missing_rights

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 1.0
"""How often a service looks whether its threads still live."""

READY_SECONDS: Final = 30.0
"""How long a coordinator may take to be on record: far longer than it does."""

_LOOK_SECONDS: Final = 0.01
"""Between two looks whether it is on record."""


class Service:
    """A coordinator that clients can call. A context manager: entering it returns when clients find it, leaving it
    hands over its runs.

    Args:
        client: The Redis.
        registry: The graphs it has.
        queue: Where the tasks of its runs go.
        limits: What its runs may take up in Redis.
    """

    def __init__(self, client: redis.Redis, registry: GraphRegistry, queue: str, limits: Limits) -> None:
        self._client = client
        self.coordinator = Coordinator(client, registry, limits, service=queue)
        self._desk = Desk(client, self.coordinator, queue)

    def __enter__(self) -> Self:
        self.coordinator.start()
        self._desk.start()
        deadline = time.monotonic() + READY_SECONDS
        try:
            while not self._is_on_record():
                self.check()
                if time.monotonic() > deadline:
                    raise FleetError(f"Coordinator {self.coordinator.id} could not put itself on record.")
                time.sleep(_LOOK_SECONDS)  # Redis tells nobody of this
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_on_record(self) -> bool:
        untyped: Any = self._client
        try:
            return untyped.zscore(keys.coordinators(), self.coordinator.id) is not None
        except redis.RedisError as error:
            if not will_pass(error):
                raise
            return False

    def __exit__(self, *_: object) -> None:
        self._desk.stop()
        self.coordinator.close()

    def check(self) -> None:
        """Raise what stopped it, if something did.

        Raises:
            FleetError: A thread of it has died.
        """
        self.coordinator.check()
        if self._desk.failure is not None:
            raise FleetError(f"The coordinator's desk stopped: {self._desk.failure!r}") from self._desk.failure


def load_graphs(refs: Sequence[str]) -> GraphRegistry:
    """The graphs that references name.

    Raises:
        FleetgraphError: One of them names nothing, or its module can't be imported.
    """
    registry = GraphRegistry()
    for ref in refs:
        try:
            registry.add(ref)
        except FleetgraphError:
            raise
        except Exception as error:
            logger.debug("loading %s failed", ref, exc_info=True)
            raise FleetError(f"{ref}: {type(error).__name__}: {error}") from error
    return registry


def run_coordinator(refs: Sequence[str], redis_url: str, *, queue: str, limits: Limits) -> int:
    """Coordinate runs until SIGTERM or SIGINT; then leave them to other coordinators. A second signal ends the process
    at once, and the others notice a lease later.

    Prints one line when it takes calls. To be called from the main thread.

    Args:
        refs: The graphs: `module:attribute`, `file.py:attribute`, `langgraph.json` or `langgraph.json:name`.
        redis_url: The Redis of the fleet.
        queue: The queue that its workers listen on.
        limits: What its runs may take up in Redis.

    Returns:
        The process's exit code.

    Raises:
        FleetgraphError: It could not start, or broke down.
    """
    registry = load_graphs(refs)
    client = connect(redis_url)
    check_server(client)
    stopping = threading.Event()
    with (
        stop_on_signal(stopping.set),
        _telling_rights(redis_url),
        Service(client, registry, queue, limits) as service,
    ):
        names = ", ".join(registry.names) or "none"
        print(
            f"fleetgraph coordinator {service.coordinator.id}: ready, graphs: {names}, queue: {queue}",
            flush=True,
        )
        while not stopping.wait(CHECK_SECONDS):
            service.check()
        left = service.coordinator.running
        if left:
            print(f"fleetgraph coordinator: leaving {left} run(s) to other coordinators", file=sys.stderr, flush=True)
    client.close()
    return 0


@contextmanager
def _telling_rights(url: str) -> Generator[None]:
    """Says what a user of Redis lacks, and where it is to be had."""
    try:
        yield
    except (redis.RedisError, FleetError) as error:
        refused = error.__cause__ if isinstance(error, FleetError) else error
        if refused is None or not (advice := missing_rights(refused, Role.COORDINATOR)):
            raise
        raise FleetError(
            f"Redis at {mask_password(url)} refuses what a coordinator needs: {refused}. {advice}"
        ) from error
