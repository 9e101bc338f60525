"""Workers are told to stop while runs go on, as a deploy does."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.failures.conftest import until
from tests.failures.graphs import calling, parts
from tests.fleet import gates
from tests.fleet.observing import Running, new_key

PARTS, CALLING = "tests.failures.graphs:parts", "tests.failures.graphs:calling"


@pytest.mark.timeout(120)
def test_workers_that_are_replaced_lose_no_task_and_run_none_twice(
    start_worker: Callable[..., Any], server: RedisServer, queue: str, client: Any, figure: Callable[..., None]
) -> None:
    workers = [start_worker(PARTS, CALLING) for _ in range(2)]
    fanning, waiting = [new_key() for _ in range(4)], [new_key() for _ in range(4)]
    drained: list[float] = []
    with Fleet(server.url, queue=queue) as fleet:
        runs = [Running(parts.on(fleet), {"key": key, "count": 60}) for key in fanning]
        callers = [Running(calling.on(fleet), key, modes=["values", "updates"]) for key in waiting]  # type: ignore[arg-type]
        until(lambda: all(gates.arrived(f"{key}:1") for key in [*fanning, *waiting]), "runs in full swing")
        for leaving in workers:
            start_worker(PARTS, CALLING)
            leaving.signal(signal.SIGTERM)
            told = time.monotonic()
            assert leaving.wait(40) == 0, leaving.errors
            drained.append(time.monotonic() - told)
        for run in runs:
            assert run.result()["log"] == [str(number) for number in range(60)]
        for caller in callers:
            caller.join(30)
            assert caller.error is None
            assert ("values", list(range(10))) in caller.chunks
    figure("seconds that a busy worker took to leave", max(drained))
    for key in fanning:
        assert [len(gates.arrived(f"{key}:{number}")) for number in range(60)] == [1] * 60
    for key in waiting:
        assert [len(gates.arrived(f"{key}:{number}")) for number in range(10)] == [1] * 10
        assert len(gates.arrived(f"{key}:caller")) == 1
