"""What each role is refused. Every attempt here is one that does harm where it is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from fleetgraph.coordinator.readers import count_readers
from fleetgraph.wire import calling, keys
from fleetgraph.wire.calling import Call, execute
from fleetgraph.wire.ownership import advance, close_run, hold, open_run, recall, retire, start_run, take
from fleetgraph.wire.roles import CACHE_PREFIX, SAVER_PREFIX, STORE_PREFIX, Role
from fleetgraph.wire.transitions import (
    Claim,
    Counts,
    Dispatch,
    Events,
    Route,
    RunStatus,
    adopt,
    ask,
    cancel,
    claim,
    dispatch,
    finish,
    heartbeat,
    lost,
    publish_from_coordinator,
    publish_from_task,
    renew,
)
from fleetgraph.wire.values import store
from tests.security.conftest import Guarded, guard

RUN = "0123456789abcdef0123456789abcdef"
QUEUE = "q"
ROUTE = Route(RUN, "t1", 1, "c1")
JOB = keys.job_id(RUN, "t1", 1)
CLAIM = Claim(JOB, ROUTE, b"")
EVENTS = [Events(1, b"\x96\xa6custom\x90\xa0\x01\xcb\0\0\0\0\0\0\0\0\xc0")]

WORKERS_CALLS: dict[str, Call[Any]] = {
    "publish": publish_from_task(RUN, ROUTE, EVENTS, start=0),
    "claim": claim(QUEUE, "w1", 1, announce=True),
    "adopt": adopt("w1"),
    "finish": finish(QUEUE, "w1", CLAIM, b"outcome", failure=None),
    "ask": ask(RUN, "c1", b"?request"),
    "heartbeat": heartbeat(QUEUE, "w1", [CLAIM], Counts(1, 1, 1.0)),
}

COORDINATORS_CALLS: dict[str, Call[Any]] = {
    "publish": publish_from_coordinator(RUN, 1, EVENTS),
    "dispatch": dispatch(RUN, 1, QUEUE, "c1", [Dispatch("t2", 1, "g", "n", 1, b"message")], batch=1),
    "lost": lost(QUEUE),
    "cancel": cancel(QUEUE, RUN),
    "renew": renew(RUN),
    "open": open_run("f" * 32, "c1", {}, thread=keys.thread("g", "th1")),
    "start": start_run(RUN, 1),
    "close": close_run(RUN, 1, "c1", QUEUE, RunStatus.SUCCESS, EVENTS),
    "advance": advance("c1", b"", 1, []),
    "hold": hold("c1", {"kind": "service"}),
    "take": take("c0", "c1", {}, clients=True),
    "recall": recall(RUN, "c1"),
    "store": store(RUN, 1, {"1-1": b"value"}, ["1-2"], batch=1, sweep=True),
    "retire": retire("c1"),
}

CALLS = {**{f"worker's {name}": call for name, call in WORKERS_CALLS.items()}, **COORDINATORS_CALLS}

Words = tuple[Any, ...]

FORGERIES: dict[str, Words] = {
    "push an outcome": ("RPUSH", keys.inbox("c1"), b"outcome"),
    "take an outcome": ("LPOP", keys.inbox("c1")),
    "read an inbox": ("LRANGE", keys.inbox("c1"), 0, -1),
    "publish an event": ("PUBLISH", keys.events(RUN), b"event"),
    "log an event": ("XADD", keys.log(RUN), "*", "m", b"event"),
    "trim a log": ("XTRIM", keys.log(RUN), "MAXLEN", 0),
    "change a run": ("HSET", keys.run(RUN), "status", "success"),
    "delete a run": ("DEL", keys.run(RUN)),
    "expire a run": ("EXPIRE", keys.run(RUN), 0),
    "list a run": ("ZADD", keys.runs(), 1, RUN),
    "change a journal": ("RPUSH", keys.journal(RUN), b"told"),
    "read a journal": ("LRANGE", keys.journal(RUN), 0, -1),
    "change the state": ("HSET", keys.values(RUN), "1-1", b"value"),
    "read the state": ("HMGET", keys.values(RUN), "1-1"),
    "read all of the state": ("HGETALL", keys.values(RUN)),
    "delete the state": ("DEL", keys.values(RUN)),
    "begin a task": ("HSET", keys.tasks(RUN), "t1", 7),
    "end a task": ("HDEL", keys.tasks(RUN), "t1"),
    "enter a thread's line": ("RPUSH", keys.thread("g", "th1"), RUN),
    "answer a task": ("RPUSH", keys.answers("w1"), b"answer"),
    "take a task's answer": ("LPOP", keys.answers("w1")),
    "pose as a coordinator": ("ZADD", keys.coordinators(), 10**12, "c2"),
    "change a coordinator": ("HSET", keys.coordinator("c1"), "graphs", "{}"),
    "take a coordinator's runs": ("SREM", keys.owned("c1"), RUN),
    "take another's call": ("LPOP", keys.calls("c1")),
    "read others' calls": ("LRANGE", keys.calls("c1"), 0, -1),
    "reply to a call": ("RPUSH", keys.reply("x"), b"reply"),
    "lengthen a lease": ("ZADD", keys.leases(QUEUE), 10**12, JOB),
    "queue a job": ("LPUSH", keys.rq_queue(QUEUE), "job"),
    "hand a worker a task": ("PUBLISH", keys.handed("w1"), b"job\nrun t 1 c\ndata"),
    "pose as a worker that waits": ("ZADD", keys.waiting(QUEUE), 1, "w2"),
    "take a job": ("LPOP", keys.rq_queue(QUEUE)),
    "write a job": ("HSET", keys.rq_job("job"), "data", b"os.system"),
    "fail a job": ("ZADD", keys.rq_failed(QUEUE), 1, "job"),
    "suspend all workers": ("SET", keys.rq_suspended(), 1),
    "pose as a worker": ("SADD", keys.rq_workers(), keys.rq_worker("w2")),
    "change a worker": ("HSET", keys.rq_worker("w1"), "fleetgraph", "{}"),
    "change a checkpoint": ("HSET", f"{SAVER_PREFIX}:{{th1}}:values", "x", b"y"),
    "read a checkpoint": ("HGETALL", f"{SAVER_PREFIX}:{{th1}}:values"),
    "change a stored item": ("HSET", f"{STORE_PREFIX}:item:notes..last", "v", b"y"),
    "read a stored item": ("HGETALL", f"{STORE_PREFIX}:item:notes..last"),
    "poison a cache": ("SET", f"{CACHE_PREFIX}x", b"y"),
    "write a key of somebody else's": ("SET", "theirs", 1),
    "read a key of somebody else's": ("GET", "theirs"),
    "list all keys": ("SCAN", 0),
    "list keys": ("KEYS", "*"),
    "load a script": ("SCRIPT", "LOAD", "return 1"),
    "run a script": ("EVAL", "return redis.call('GET', 'theirs')", 0),
    "flush": ("FLUSHALL",),
    "delete all scripts": ("SCRIPT", "FLUSH"),
    "configure": ("CONFIG", "SET", "save", ""),
    "read the configuration": ("CONFIG", "GET", "*"),
    "add a user": ("ACL", "SETUSER", "mallory", "on", "nopass", "+@all", "~*"),
    "watch all commands": ("MONITOR",),
    "list connections": ("CLIENT", "LIST"),
    "cut connections": ("CLIENT", "KILL", "TYPE", "normal"),
    "pause everybody": ("CLIENT", "PAUSE", 100000),
    "replicate": ("REPLICAOF", "127.0.0.1", 1),
    "shut down": ("SHUTDOWN", "NOSAVE"),
    "hear what is no event": ("SUBSCRIBE", "theirs"),
    "hear everything": ("PSUBSCRIBE", "*"),
    "publish to others": ("PUBLISH", "theirs", "x"),
}

ALLOWED: dict[Role, set[str]] = {
    Role.CLIENT: set(),
    Role.DASHBOARD: set(),
    Role.WORKER: {
        "push an outcome",
        "publish an event",
        "log an event",
        "expire a run",
        "read the state",
        "end a task",
        "lengthen a lease",
        "queue a job",
        "take a job",
        "write a job",
        "fail a job",
        "hand a worker a task",
        "pose as a worker that waits",
        "pose as a worker",
        "change a worker",
        "load a script",
        "change a stored item",
    },
    Role.COORDINATOR: {
        "push an outcome",
        "hand a worker a task",
        "change a worker",
        "take an outcome",
        "read an inbox",
        "publish an event",
        "log an event",
        "change a run",
        "delete a run",
        "expire a run",
        "list a run",
        "change a journal",
        "read a journal",
        "change the state",
        "delete the state",
        "begin a task",
        "end a task",
        "enter a thread's line",
        "answer a task",
        "pose as a coordinator",
        "change a coordinator",
        "take a coordinator's runs",
        "take another's call",
        "read others' calls",
        "reply to a call",
        "lengthen a lease",
        "write a job",
        "load a script",
        "change a checkpoint",
        "read a checkpoint",
        "change a stored item",
        "poison a cache",
    },
}
"""What a role needs, and so what somebody who has taken over one of its processes can do: see docs/security.md."""


@pytest.fixture(scope="module")
def prepared(guarded: Guarded) -> Guarded:
    """With a run of one task, and all scripts loaded, so that nothing is refused for want of them."""
    calling.load(guarded.admin)
    return guarded


@pytest.fixture
def six(prepared: Guarded) -> Iterator[Guarded]:
    """The same, with the rules for Redis 6."""
    guard(prepared.server, redis6=True).admin.close()
    yield prepared
    guard(prepared.server, redis6=False).admin.close()


@pytest.fixture
def run(prepared: Guarded) -> Iterator[dict[bytes, bytes]]:
    """What is in Redis is as it was, after the test."""
    prepared.admin.flushdb()
    execute(prepared.admin, hold("c1", {"kind": "service"}))
    execute(prepared.admin, open_run(RUN, "c1", {"queue": QUEUE, "graph": "g"}, order=b"order"))
    execute(prepared.admin, dispatch(RUN, 1, QUEUE, "c1", [Dispatch("t1", 1, "g", "n", 1, b"message")]))
    before = contents(prepared.admin)
    yield before
    assert contents(prepared.admin) == before


def contents(admin: Any) -> dict[bytes, bytes]:
    return {key: admin.dump(key) for key in admin.scan_iter()}


def refused(client: redis.Redis, words: Words) -> bool:
    untyped: Any = client
    try:
        untyped.execute_command(*words)
    except NoPermissionError:
        return True
    except redis.ResponseError as error:
        if "The user executing the script can't" in str(error) or "ACL failure in script" in str(error):
            return True  # Redis's words, and Valkey's
        raise
    return False


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("role", [Role.CLIENT, Role.DASHBOARD])
def test_clients_and_dashboards_can_change_nothing(prepared: Guarded, role: Role) -> None:
    with prepared.login(role) as client:
        assert [what for what, words in FORGERIES.items() if not refused(client, words)] == []


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("role", [Role.CLIENT, Role.DASHBOARD])
def test_clients_and_dashboards_hear_no_tasks(prepared: Guarded, role: Role) -> None:
    with prepared.login(role) as client:
        assert refused(client, ("SUBSCRIBE", keys.handed("w1")))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("role", [Role.CLIENT, Role.DASHBOARD])
def test_clients_and_dashboards_can_call_no_script(prepared: Guarded, role: Role) -> None:
    with prepared.login(role) as client:
        assert [name for name, call in CALLS.items() if not refused(client, call.words)] == []


@pytest.mark.parametrize("name", [*WORKERS_CALLS])
def test_workers_can_call_their_scripts(prepared: Guarded, run: dict[bytes, bytes], name: str) -> None:
    with prepared.login(Role.WORKER) as client:
        execute(client, WORKERS_CALLS[name])
    restore(prepared.admin, run)


@pytest.mark.parametrize("name", [*COORDINATORS_CALLS])
def test_coordinators_can_call_their_scripts(prepared: Guarded, run: dict[bytes, bytes], name: str) -> None:
    with prepared.login(Role.COORDINATOR) as client:
        execute(client, COORDINATORS_CALLS[name])
    restore(prepared.admin, run)


def restore(admin: Any, contents: dict[bytes, bytes]) -> None:
    admin.flushdb()
    for key, data in contents.items():
        admin.restore(key, 0, data)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", sorted(set(COORDINATORS_CALLS) - {"publish", "renew", "recall", "lost"}))
def test_workers_can_not_do_what_coordinators_do(prepared: Guarded, name: str) -> None:
    """Of the four that are missing two are the workers' own, and two only read, or put off an expiry."""
    with prepared.login(Role.WORKER) as client:
        assert refused(client, COORDINATORS_CALLS[name].words)


@pytest.mark.parametrize("role", [Role.WORKER, Role.COORDINATOR])
def test_what_a_process_that_was_taken_over_can_do(prepared: Guarded, run: dict[bytes, bytes], role: Role) -> None:
    assert what_is_allowed(prepared, role, run) == ALLOWED[role]


def what_is_allowed(guarded: Guarded, role: Role, contents: dict[bytes, bytes]) -> set[str]:
    found: set[str] = set()
    with guarded.login(role) as client:
        for what, words in FORGERIES.items():
            if not refused(client, words):
                found.add(what)
                restore(guarded.admin, contents)
    return found


ALLOWED_BY_REDIS_6: dict[Role, set[str]] = {
    Role.CLIENT: {"expire a run", "change a journal", "reply to a call"},
    Role.DASHBOARD: {"read an inbox", "read a journal", "read others' calls"},
}
"""Where each command goes with each key: a client that has to write calls can then write lists of runs as well."""


@pytest.mark.parametrize("role", [Role.CLIENT, Role.DASHBOARD])
def test_what_the_rules_for_redis_6_allow(six: Guarded, run: dict[bytes, bytes], role: Role) -> None:
    assert what_is_allowed(six, role, run) == ALLOWED_BY_REDIS_6[role]


def test_nobody_logs_in_without_a_password(prepared: Guarded) -> None:
    for role in Role:
        with prepared.server.client(username=role.value, password="") as client, pytest.raises(redis.RedisError):
            client.ping()


@pytest.mark.parametrize("rights", ["prepared", "six"])
def test_only_coordinators_are_told_how_many_readers_a_run_has(request: pytest.FixtureRequest, rights: str) -> None:
    guarded: Guarded = request.getfixturevalue(rights)
    call = count_readers([RUN])
    for role in set(Role) - {Role.COORDINATOR}:
        with guarded.login(role) as client:
            assert refused(client, call.words), role
    with guarded.login(Role.COORDINATOR) as client:
        assert execute(client, call) == {RUN: 0}


# --- what the two that may write nothing may do --------------------------------------------------------------------


def test_a_client_can_ask_and_read(prepared: Guarded, run: dict[bytes, bytes]) -> None:
    with prepared.login(Role.CLIENT) as client:
        assert client.hgetall(keys.run(RUN))[b"status"] == b"pending"
        assert client.zrevrange(keys.runs(), 0, -1) == [RUN.encode()]
        assert client.rpush(keys.calls("c1"), b"call") == 1
        assert client.expire(keys.calls("c1"), 60)
    prepared.admin.delete(keys.calls("c1"))


def test_a_dashboard_can_look(prepared: Guarded, run: dict[bytes, bytes]) -> None:
    with prepared.login(Role.DASHBOARD) as client:
        assert client.hgetall(keys.run(RUN))[b"status"] == b"pending"
        assert client.hgetall(keys.tasks(RUN)) == {b"t1": b"1"}
        assert client.zrange(keys.coordinators(), 0, -1) == [b"c1"]
        assert client.hget(keys.coordinator("c1"), "kind") == b"service"
        assert client.smembers(keys.rq_queues()) == {keys.rq_queue(QUEUE).encode()}
        assert client.lrange(keys.rq_queue(QUEUE), 0, -1) == [JOB.encode()]
        assert client.hget(keys.rq_job(JOB), "fleetgraph") == f"{RUN} t1 1 c1".encode()
        pubsub = client.pubsub()
        pubsub.psubscribe(keys.events("*"))
        wait_for_acknowledgement = pubsub.get_message(timeout=5)
        assert wait_for_acknowledgement is not None
        prepared.admin.publish(keys.events(RUN), b"event")
        heard = pubsub.get_message(timeout=5)
        assert heard is not None
        assert heard["data"] == b"event"
        pubsub.close()
