"""Passwords of URLs are nowhere to be seen, and what graphs work on is not logged."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

import psutil
import pytest
import redis

from fleetgraph.cache.redis import RedisCache
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.client import AsyncClient, Client
from fleetgraph.errors import FleetgraphError
from fleetgraph.fleet import Fleet
from fleetgraph.graph import START, StateGraph
from fleetgraph.local_workers import LocalWorkers
from fleetgraph.lookup import GraphRegistry
from fleetgraph.redis_server import RedisServer, check_server, mask_password
from fleetgraph.store.redis import RedisStore
from fleetgraph.wire.connection import URL_VARIABLE, connect, connect_async
from fleetgraph.worker import FleetWorker
from tests.fleet.graphs import guide
from tests.waiting import wait_until

PASSWORD = "s3kret/p@ss:wörd"
PIECES = ("s3kret", "p@ss", "p%40ss", "%40ss", "w%C3%B6rd", "wörd")
PAYLOAD = "payload-4711"
NOBODY = f"redis://user:{quote(PASSWORD, safe='')}@127.0.0.1:1/0"
GRAPH = "tests.fleet.graphs.guide:graph"


def hidden(text: str) -> bool:
    """Whether no piece of the password is in it."""
    found = [piece for piece in PIECES if piece in text]
    assert not found, f"{found} in {text}"
    return True


@pytest.fixture(scope="module")
def guarded(redis_server: RedisServer) -> Iterator[str]:
    """The URL of a Redis that wants a password. (`redis_server` tells whether there can be one.)"""
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("requirepass", PASSWORD)  # pyright: ignore
        yield f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/0"


class State(TypedDict, total=False):
    text: str


def shout(state: State) -> State:
    return {"text": f"{state['text']}!"}


def fail(state: State) -> State:
    raise ValueError(f"could not shout {state['text']}")


def graph_of(node: Callable[[State], State], **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(**options)


# --- masking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:s3kret@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://user:s3kret@host/0", "rediss://user:***@host/0"),
        ("redis://user:s3kret/p@ss:wörd@host/0", "redis://user:***@host/0"),
        ("redis://user:s3kret\n@host/0", "redis://user:***@host/0"),
        ("unix://user:s3kret@/run/redis.sock?db=1", "unix://user:***@/run/redis.sock?db=1"),
        ("redis://host?password=s3kret&db=1", "redis://host?password=***&db=1"),
        ("rediss://host?ssl_password=s3kret", "rediss://host?ssl_password=***"),
        ("user:s3kret@host:6379", "user:***@host:6379"),
        (":s3kret@host", ":***@host"),
        ("host:6379", "host:6379"),
    ],
)
def test_a_password_is_masked(url: str, shown: str) -> None:
    assert mask_password(url) == shown


# --- repr --------------------------------------------------------------------------------------------------------


def test_repr(guarded: str) -> None:
    registry = GraphRegistry()
    with (
        Fleet(guarded) as fleet,
        Fleet.inline(url=guarded) as inline,
        Client(guarded) as client,
        RedisStore(guarded) as store,
        RedisCache[Any](guarded) as cache,
        connect(guarded) as connection,
    ):
        graph_of(shout).on(inline).invoke({"text": "x"})
        check_server(connection)
        coordinator = inline._connected()[1]  # pyright: ignore[reportPrivateUsage]
        shown = [
            *(fleet, inline, client, store, cache, coordinator, RedisSaver(guarded), AsyncClient(guarded)),
            *(FleetWorker("other", connection, registry), registry, LocalWorkers(GRAPH, guarded, "queue", 1, 1)),
            *(guide.graph.on(fleet), graph_of(shout, store=store, cache=cache)),
        ]
        for one in shown:
            assert hidden(repr(one) + str(one))


# --- errors ------------------------------------------------------------------------------------------------------

USES: dict[str, Callable[[str], Any]] = {
    "fleet": lambda url: guide.graph.on(Fleet(url)).invoke({"topic": "x"}),
    "inline fleet": lambda url: graph_of(shout).on(Fleet.inline(url=url)).invoke({"text": "x"}),
    "local workers": lambda url: LocalWorkers(GRAPH, url, "queue", 1, 1).__enter__(),
    "saver": lambda url: RedisSaver(url).get_tuple({"configurable": {"thread_id": "x"}}),
    "saver's setup": lambda url: RedisSaver(url).setup(),
    "store": lambda url: RedisStore(url).get(("a",), "b"),
    "store's setup": lambda url: RedisStore(url).setup(),
    "cache": lambda url: RedisCache[Any](url).clear(),
    "client": lambda url: Client(url).list_runs(),
    "connect": lambda url: check_server(connect(url)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("wrong", ["nobody there", "wrong password", "unquoted", "no scheme", "bad port"])
def test_errors(
    use: Callable[[str], Any],
    wrong: str,
    guarded: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    port = guarded.rpartition(":")[2]
    url = {
        "nobody there": NOBODY,
        "wrong password": f"redis://:s3kret@127.0.0.1:{port}",
        "unquoted": f"redis://user:{PASSWORD}@127.0.0.1:{port}",
        "no scheme": f"user:s3kret@127.0.0.1:{port}",
        "bad port": "redis://user:s3kret@127.0.0.1:s3kret/0",
    }[wrong]
    if wrong == "bad port":
        url = f"redis://user:{quote(PASSWORD, safe='')}@127.0.0.1:none/0"
    with pytest.raises((FleetgraphError, redis.RedisError)) as caught:
        use(url)
    error = caught.value
    assert hidden("".join(traceback.format_exception(error)) + repr(error) + str(error))
    assert hidden(caplog.text)
    assert hidden("".join(capfd.readouterr()))


def test_an_async_client_of_a_url_that_is_none() -> None:
    with pytest.raises(FleetgraphError) as caught:
        connect_async(f"redis://user:{PASSWORD}@host:6379/0")
    assert hidden("".join(traceback.format_exception(caught.value)))


# --- logs --------------------------------------------------------------------------------------------------------


def test_a_run_logs_no_password_at_any_level_and_no_payload_by_default(
    guarded: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with Fleet.inline(url=guarded) as fleet, RedisStore(guarded) as store, RedisCache[Any](guarded) as cache:
        good = graph_of(shout, store=store, cache=cache, checkpointer=RedisSaver(guarded)).on(fleet)
        config: Any = {"configurable": {"thread_id": "t"}}
        assert good.invoke({"text": PAYLOAD}, config)["text"] == f"{PAYLOAD}!"
        with pytest.raises(ValueError, match=PAYLOAD):
            graph_of(fail).on(fleet).invoke({"text": PAYLOAD})
    assert any(record.name.startswith("fleetgraph") for record in caplog.records)
    assert hidden(caplog.text)
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [record for record in loud if PAYLOAD in record.getMessage()]
    assert PAYLOAD not in "".join(capfd.readouterr())


# --- processes ---------------------------------------------------------------------------------------------------


def shown_of(process: psutil.Process) -> str:
    """What all users of the host can see of a process."""
    return " ".join([*process.cmdline(), process.name()])


def environment(url: str) -> dict[str, str]:
    return {**os.environ, URL_VARIABLE: url, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


@pytest.mark.long
def test_workers_of_a_program_do_not_show_the_password(guarded: str, capfd: pytest.CaptureFixture[str]) -> None:
    with LocalWorkers(GRAPH, guarded, "secrets", 2, 1):
        children = psutil.Process().children(recursive=True)
        workers = [child for child in children if "secrets" in child.cmdline()]  # others are of other tests
        assert len(workers) == 2
        assert all(hidden(shown_of(child)) for child in children)
    assert hidden("".join(capfd.readouterr()))


@contextmanager
def command(*arguments: str, url: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "fleetgraph.cli", *arguments], env=environment(url), stdout=file, stderr=file
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("kind", ["worker", "coordinator"])
def test_a_process_takes_the_url_from_its_environment_and_does_not_show_it(
    kind: str, guarded: str, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with command(kind, GRAPH, "--queue", "secrets", url=guarded, output=output) as process:
        wait_until(lambda: "ready" in output.read_text(), 20)
        assert hidden(shown_of(psutil.Process(process.pid)))
    assert hidden(output.read_text())


COMMANDS = ["worker", "coordinator", "run", "join", "runs", "cancel", "state", "demo", "dev"]


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda names: " ".join(names) or "none")
def test_help_does_not_show_the_url(arguments: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetgraph.cli import main

    monkeypatch.setenv(URL_VARIABLE, NOBODY)
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert hidden(shown)
    if "--redis" in shown and arguments[0] not in ("demo", "dev"):
        assert URL_VARIABLE in shown


@pytest.mark.parametrize(
    "arguments",
    [["worker", GRAPH], ["coordinator", GRAPH], ["runs"], ["demo", "--redis", NOBODY], ["run", "graph"]],
    ids=lambda names: names[0],
)
@pytest.mark.long
def test_commands_that_find_no_redis(arguments: list[str], tmp_path: Path) -> None:
    output = tmp_path / "output"
    with command(*arguments, url=NOBODY, output=output) as process:
        assert process.wait(30) != 0
    shown = output.read_text()
    assert hidden(shown)
    assert "redis://user:***@127.0.0.1:1/0" in shown
