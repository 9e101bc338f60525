"""Fixtures of the command line's tests: the coordinator and workers of the client's tests, and the command itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.redis_server import RedisServer
from tests.client.conftest import client, processes, server, service, store
from tests.fleet.processes import environment

__all__ = ["client", "processes", "server", "service", "store"]


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit status."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    @property
    def objects(self) -> list[Any]:
        """What it printed with `--json`."""
        return [json.loads(line) for line in self.lines]


def run_command(*arguments: str, cwd: Path | None = None) -> Done:
    """Run `fleetgraph` with these arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "fleetgraph.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        timeout=40,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


Fleetgraph = Callable[..., Done]


@pytest.fixture
def fleetgraph(server: RedisServer, service: None) -> Fleetgraph:
    """Runs a command against the Redis of the coordinator."""
    return lambda *arguments: run_command(*arguments, "--redis", server.url)
