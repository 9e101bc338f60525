"""With a key, nothing that a graph works on can be found in Redis, nor on the way there; without one it can."""

from __future__ import annotations

import base64
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from fleetgraph.client import Client
from fleetgraph.coordinator import Limits
from fleetgraph.coordinator.service import Service
from fleetgraph.errors import DecodeError, FleetgraphError
from fleetgraph.fleet import Fleet
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import Command
from fleetgraph.wire import Codec
from fleetgraph.wire.connection import URL_VARIABLE, connect
from fleetgraph.wire.encryption import KEY_VARIABLE, Cipher
from fleetgraph.wire.transitions import LOG_EVENTS, RETENTION
from tests.wire import at_rest
from tests.wire.at_rest import MARKER, Note

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()
KIND = re.compile(rb"\w+:\w+")
"""The first words of a key."""

MODES: Any = ["values", "updates", "custom", "checkpoints", "tasks", "debug"]


@pytest.fixture
def overheard(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Callable[[], str]]:
    """Gives all commands that Redis was sent, scripts' own ones too."""
    heard: list[str] = []
    ready, over = threading.Event(), "the end of what was overheard"

    def listen() -> None:
        with redis_server.client(socket_timeout=None) as listener, listener.monitor() as monitor:  # pyright: ignore
            ready.set()
            for command in monitor.listen():  # pyright: ignore
                heard.append(str(command["command"]))
                if over in heard[-1]:
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert ready.wait(10)

    def everything() -> str:
        redis_client.echo(over)  # pyright: ignore
        thread.join(10)
        return "\n".join(heard)

    yield everything
    if thread.is_alive():
        everything()


def holders(client: redis.Redis) -> list[bytes]:
    """The keys with the marker in them, in their names or anywhere in their values."""
    return [key for key in client.scan_iter() if MARKER.encode() in b"\n".join([key, *parts(client, key)])]  # pyright: ignore


def parts(client: redis.Redis, key: bytes) -> list[bytes]:
    """All there is in the value of a key; a compressed traceback of RQ as what it says."""
    match client.type(key):  # pyright: ignore
        case b"string":
            return [client.get(key)]  # pyright: ignore
        case b"list":
            return client.lrange(key, 0, -1)  # pyright: ignore
        case b"set":
            return list(client.smembers(key))  # pyright: ignore
        case b"zset":
            return client.zrange(key, 0, -1)  # pyright: ignore
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]  # pyright: ignore
        case b"stream":
            entries: Any = [fields for _, fields in client.xrange(key)]  # pyright: ignore
            packed = [fields.pop(b"exc_string") for fields in entries if b"exc_string" in fields]
            texts = [zlib.decompress(base64.b64decode(text)) for text in packed]
            return [*texts, *(part for fields in entries for part in fields.values())]
        case kind:
            raise AssertionError(f"{key} is a {kind}")


def run_all(graph: Any) -> list[Any]:
    """A run that is interrupted, resumed, and fails; and what a reader was given."""
    config: Any = {"configurable": {"thread_id": "t", "given": MARKER}, "metadata": {"about": MARKER}, "tags": [MARKER]}
    chunks = list(graph.stream({"text": MARKER}, config, stream_mode=MODES))
    with pytest.raises(ValueError, match=f"failed on {MARKER}"):
        list(graph.stream(Command(resume=f"{MARKER} fail"), config, stream_mode=MODES))
    return chunks


@pytest.fixture
def key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> bool:
    """Whether there is one."""
    if request.param:
        monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv(URL_VARIABLE, redis_url)
    monkeypatch.setenv("FLEETGRAPH_TEST_AT_REST", "1")
    monkeypatch.setattr(at_rest, "graph", at_rest._graph())  # pyright: ignore[reportPrivateUsage]
    return request.param


with_and_without_a_key = pytest.mark.parametrize("key", [False, True], ids=["plain", "encrypted"], indirect=True)


class OfAService:
    """The graph as a client has it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def stream(self, given: Any, config: Any, stream_mode: Any) -> Iterator[Any]:
        return self._client.stream("tests.wire.at_rest:graph", given, config, stream_mode=stream_mode)


@contextmanager
def served(url: str) -> Iterator[OfAService]:
    registry = GraphRegistry()
    registry.add_graph(at_rest.graph, "tests.wire.at_rest:graph")
    with (
        connect(url) as connection,
        Service(connection, registry, "at-rest", Limits(RETENTION, LOG_EVENTS)),
        Client(url, allow=[Note]) as client,
    ):
        yield OfAService(client)


@with_and_without_a_key
@pytest.mark.parametrize("kind", ["inline", "processes", "service"])
def test_what_a_run_leaves_in_redis(
    key: bool,
    kind: str,
    redis_url: str,
    redis_client: redis.Redis,
    overheard: Callable[[], str],
    record_property: Callable[[str, object], None],
) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        if kind == "inline":
            graph = at_rest.graph.on(stack.enter_context(Fleet.inline(2, url=redis_url)))
        else:
            stack.enter_context(LocalWorkers("tests.wire.at_rest:graph", redis_url, "at-rest", 1, 8))
        if kind == "processes":
            graph = at_rest.graph.on(stack.enter_context(Fleet(redis_url, queue="at-rest")))
        if kind == "service":
            graph = stack.enter_context(served(redis_url))
        chunks = run_all(graph)
    record_property("seconds", time.monotonic() - began)
    assert MARKER in repr(chunks)
    assert {mode for mode, _ in chunks} == set(MODES)
    assert "Note" in repr(chunks)
    found = {kind.group() for holder in holders(redis_client) if (kind := KIND.match(holder))}
    heard = overheard()
    assert "fleetgraph:values" in heard
    if key:
        assert found == set()
        assert MARKER not in heard
    else:
        assert found >= {
            b"fleetgraph:run",
            b"fleetgraph:checkpoint",
            b"fleetgraph:store",
            b"fleetgraph:cache",
            b"rq:results",
        }
        assert MARKER in heard


@pytest.mark.parametrize("key", [True], ids=["encrypted"], indirect=True)
@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("theirs", [None, OTHER], ids=["no key", "another key"])
def test_a_worker_without_the_key_fails_the_run_and_says_why(
    theirs: str | None, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Fleet(redis_url, queue="at-rest") as fleet, ExitStack() as stack:
        graph = at_rest.graph.on(fleet)
        with monkeypatch.context() as patch:
            if theirs is None:
                patch.delenv(KEY_VARIABLE)
            else:
                patch.setenv(KEY_VARIABLE, theirs)
            stack.enter_context(LocalWorkers("tests.wire.at_rest:graph", redis_url, "at-rest", 1, 8))
        with pytest.raises(DecodeError, match=KEY_VARIABLE):
            graph.invoke({"text": MARKER}, {"configurable": {"thread_id": "t"}})


@pytest.mark.parametrize("key", [True], ids=["encrypted"], indirect=True)
@pytest.mark.usefixtures("key")
def test_a_thread_can_t_be_read_without_the_key(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    at_rest.graph.invoke({"text": MARKER}, config)
    assert at_rest.graph.get_state(config).values["text"].startswith(MARKER)
    monkeypatch.delenv(KEY_VARIABLE)
    keyless = at_rest._graph()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(FleetgraphError, match=KEY_VARIABLE):
        keyless.get_state(config)
    with pytest.raises(FleetgraphError, match=KEY_VARIABLE):
        keyless.store.get(("notes",), "one")


def test_the_marker_would_be_found(redis_client: redis.Redis) -> None:
    """Looks into every type of key."""
    error = base64.b64encode(zlib.compress(MARKER.encode()))
    for add in (
        lambda: redis_client.set("a", MARKER),
        lambda: redis_client.rpush("a", MARKER),
        lambda: redis_client.sadd("a", MARKER),
        lambda: redis_client.zadd("a", {MARKER: 1}),
        lambda: redis_client.hset("a", MARKER, "x"),
        lambda: redis_client.hset("a", "x", MARKER),
        lambda: redis_client.xadd("a", {"m": MARKER}),
        lambda: redis_client.xadd("a", {"exc_string": error}),
        lambda: redis_client.set(MARKER, "x"),
        lambda: redis_client.set("a", Codec(cipher=None).encode({"a": (MARKER,)})),
    ):
        add()
        assert len(holders(redis_client)) == 1
        redis_client.flushall()  # pyright: ignore
    redis_client.set("a", Codec(cipher=Cipher([b"k" * 32])).encode({"a": (MARKER,)}))
    assert redis_client.exists("a")
    assert holders(redis_client) == []
