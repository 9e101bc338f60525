"""Rights that processes need only when something goes wrong."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fleetgraph.client import Client
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire import keys
from fleetgraph.wire.roles import Role
from tests.client.processes import CoordinatorProcess
from tests.fleet import gates
from tests.fleet.observing import new_key
from tests.fleet.processes import Worker, started
from tests.security import graphs
from tests.security.conftest import QUEUE, Guarded, guard
from tests.waiting import wait_until


class Staff:
    """Two coordinators and two workers."""

    def __init__(self, guarded: Guarded) -> None:
        self.guarded = guarded
        url = guarded.url
        self.coordinators = [
            CoordinatorProcess(*graphs.NAMES, url=url(Role.COORDINATOR), queue=QUEUE) for _ in range(2)
        ]
        self.workers = [Worker(*graphs.NAMES, url=url(Role.WORKER), queue=QUEUE) for _ in range(2)]

    @property
    def all(self) -> list[CoordinatorProcess | Worker]:
        return [*self.coordinators, *self.workers]


@pytest.fixture
def staff(redis_server: RedisServer) -> Iterator[Staff]:
    """Gates are in another Redis. In the end those that live are told to stop, and nobody was refused anything."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        gates.close()
        patch.setenv(gates.VARIABLE, redis_server.url)
        stack.callback(gates.close)
        guarded = guard(server, redis6=False)
        stack.callback(guarded.admin.close)
        patch.setenv(graphs.DATA, guarded.url(Role.COORDINATOR))
        staff = Staff(guarded)
        stack.enter_context(started(*staff.all))
        for process in staff.all:
            process.await_ready()
        yield staff
        living = [process for process in staff.all if process.popen.poll() is None]
        assert len(living) >= 2
        for process in living:
            process.signal(signal.SIGTERM)
        assert [process.wait() for process in living] == [0] * len(living), "".join(one.errors for one in living)
        assert guarded.refused() == set()


def held(client: Client) -> tuple[Any, str]:
    key = new_key()
    run = client.submit("holding", {"key": key})
    wait_until(lambda: gates.arrived(key))
    return run, key


def test_a_worker_that_is_killed(staff: Staff) -> None:
    with Client(staff.guarded.url(Role.CLIENT)) as client:
        run, key = held(client)
        victim = next(worker for worker in staff.workers if str(worker.pid) in gates.arrived(key))
        victim.signal(signal.SIGKILL)
        wait_until(lambda: len(gates.arrived(key)) == 2, 10, "another worker")
        gates.open(key)
        assert run.result() == {"key": key}


def test_a_coordinator_that_is_killed(staff: Staff) -> None:
    with Client(staff.guarded.url(Role.CLIENT)) as client:
        run, key = held(client)
        owner = client.get_run(run.id).coordinator
        next(one for one in staff.coordinators if one.id == owner).signal(signal.SIGKILL)
        wait_until(lambda: client.get_run(run.id).coordinator != owner, 10, "another coordinator")
        gates.open(key)
        assert run.result() == {"key": key}
        client.submit("plain", {"log": []}).result()


def test_suspended_workers(staff: Staff) -> None:
    admin = staff.guarded.admin
    admin.set(keys.rq_suspended(), 1)
    names = [keys.rq_worker(worker.name) for worker in staff.workers]
    wait_until(lambda: [admin.hget(name, "state") for name in names] == [b"suspended"] * 2)
    with Client(staff.guarded.url(Role.CLIENT)) as client:
        run = client.submit("plain", {"log": []})
        admin.delete(keys.rq_suspended())
        assert run.result() == {"log": ["alone"]}
