"""A Redis whose users have roles, and processes that are logged in as them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from fleetgraph.redis_server import RedisServer
from fleetgraph.wire.acl import rules
from fleetgraph.wire.roles import CACHE_PREFIX, SAVER_PREFIX, STORE_PREFIX, Role
from tests.client.conftest import gates_in
from tests.client.processes import CoordinatorProcess
from tests.fleet.processes import Worker, started
from tests.security import graphs

QUEUE = "guarded"

PASSWORD = "s3cret"

DATA: dict[Role, dict[str, list[str]]] = {
    Role.COORDINATOR: {"savers": [SAVER_PREFIX], "stores": [STORE_PREFIX], "caches": [CACHE_PREFIX]},
    Role.WORKER: {"stores": [STORE_PREFIX]},
}
"""Which roles use savers, stores and caches in Redis."""

HARMLESS = ("client|setinfo", "client|maint_notifications", "client|unblock", "client")
"""What redis-py tries when it connects, and a worker when it stops; both can do without. Redis 6 only says `client`."""


@dataclass
class Guarded:
    """A Redis with a user for each role, who has the role's name."""

    server: RedisServer
    admin: Any
    coordinator: str = ""
    """The id of the coordinator."""

    def url(self, role: Role) -> str:
        return f"redis://{role}:{PASSWORD}@127.0.0.1:{self.server.port}/0"

    @contextmanager
    def login(self, role: Role) -> Iterator[Any]:
        """A connection of a user's."""
        with redis.Redis.from_url(self.url(role)) as client:
            yield client

    def refused(self) -> set[tuple[str, str]]:
        """What was refused to whom since the log was last emptied: user, and command, key or channel."""
        entries = [{name: str_of(value) for name, value in entry.items()} for entry in self.admin.acl_log()]
        found = {(entry["username"], entry["object"]) for entry in entries}
        return {(user, what) for user, what in found if what not in HARMLESS}

    def heartbeats(self) -> list[bytes]:
        """When each worker last showed that it lives."""
        return [self.admin.hget(key, "last_heartbeat") for key in sorted(self.admin.smembers("rq:workers"))]


def str_of(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def guard(server: RedisServer, *, redis6: bool) -> Guarded:
    """Make the users."""
    admin: Any = server.client()
    if not redis6 and int(admin.info("server")["redis_version"].split(".")[0]) < 7:
        admin.close()
        pytest.skip("Redis 6 has no pairs of commands and keys")
    for role in Role:
        words = rules(role, **DATA.get(role, {}), redis6=redis6)
        admin.execute_command("ACL", "SETUSER", role.value, *words, f">{PASSWORD}")
    return Guarded(server, admin)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A Redis of the test module's own."""
    with RedisServer() as server:
        made = guard(server, redis6=False)
        yield made
        made.admin.close()


@pytest.fixture
def fleet(lasting_fleet: Guarded, redis_server: RedisServer) -> Iterator[Guarded]:
    """The same with a coordinator and a worker, once with the rules for Redis 7 and once with those for Redis 6.

    The gates that nodes wait at are in another Redis.
    """
    with gates_in(redis_server):
        yield lasting_fleet


@pytest.fixture(params=["pairs", "flat"], scope="session")
def lasting_fleet(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Guarded]:
    """What `fleet` is made of, for all tests."""
    with RedisServer() as server:
        made = guard(server, redis6=request.param == "flat")
        with gates_in(redis_server), pytest.MonkeyPatch.context() as patch:
            patch.setenv(graphs.DATA, made.url(Role.COORDINATOR))
            coordinator = CoordinatorProcess(*graphs.NAMES, url=made.url(Role.COORDINATOR), queue=QUEUE)
            patch.setenv(graphs.DATA, made.url(Role.WORKER))
            worker = Worker(*graphs.NAMES, url=made.url(Role.WORKER), queue=QUEUE)
        with started(coordinator, worker):
            made.coordinator = coordinator.await_ready().id
            worker.await_ready()
            yield made
            assert [coordinator.popen.poll(), worker.popen.poll()] == [None, None], coordinator.errors + worker.errors
        made.admin.close()


@pytest.fixture
def nothing_refused(fleet: Guarded) -> Iterator[None]:
    """Fails the test if somebody in the fleet was refused anything."""
    fleet.admin.acl_log_reset()
    yield
    assert fleet.refused() == set()
