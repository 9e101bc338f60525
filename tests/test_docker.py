"""Dockerfile and docker-compose.yml name commands, graphs and files that there are. No engine needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetgraph.cli import _parser
from fleetgraph.lookup import load

REPOSITORY = Path(__file__).parent.parent
SERVICES: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")
IGNORED = (REPOSITORY / ".dockerignore").read_text().split()


def words(service: dict[str, Any]) -> list[str]:
    return [*service.get("entrypoint", ["fleetgraph"]), *service["command"]]


@pytest.mark.parametrize("name", OURS)
def test_commands_are_ones_that_we_have(name: str) -> None:
    program, *arguments = words(SERVICES[name])
    if program == "fleetgraph":
        options = _parser().parse_args(arguments)
        assert options.redis == "redis://redis:6379/0"
    else:
        assert program == "python"
        assert (REPOSITORY / arguments[0]).is_file()


@pytest.mark.parametrize("name", ["worker", "coordinator"])
def test_their_graphs_can_be_loaded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))
    graphs = _parser().parse_args(SERVICES[name]["command"]).graphs
    assert graphs
    for reference in graphs:
        assert load(reference)


def test_callers_run_graphs_that_the_worker_has() -> None:
    """Else their runs would wait for a worker that never comes."""
    served = " ".join(SERVICES["worker"]["command"])
    assert "fleetgraph.cli.demo_graph:graph" in served
    assert SERVICES["fan-out"]["entrypoint"][1] + ":graph" in served
    assert SERVICES["coordinator"]["command"][1:3] == SERVICES["worker"]["command"][1:3]
    assert _parser().parse_args(SERVICES["client"]["command"]).graph == "fan_out:graph"


def test_workers_wait_for_redis_and_are_given_time_to_finish() -> None:
    worker = SERVICES["worker"]
    assert worker["depends_on"]["redis"] == {"condition": "service_healthy"}
    assert SERVICES["redis"]["healthcheck"]["test"][1].endswith("-cli")
    assert worker["init"] is True
    assert "container_name" not in worker, "would forbid --scale worker=N"
    assert "ports" not in worker, "would forbid --scale worker=N"
    assert worker["stop_grace_period"] == "60s"


def test_redis_keeps_what_it_is_told() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = [
        source for sources in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for source in sources.split()[:-1]
    ]
    assert {"pyproject.toml", "shared", "coordinator", "worker", "examples"} <= set(copied)
    assert IGNORED[0] == "*"
    for source in copied:
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in IGNORED, source


def test_the_image_does_not_run_as_root() -> None:
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)


def test_the_command_that_lists_dependencies_lists_them() -> None:
    match = re.search(r'python -c "(.+?)" >', DOCKERFILE)
    assert match is not None
    listed = subprocess.run(
        [sys.executable, "-c", match[1]], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    names = [re.split(r"[\[<>=]", line)[0] for line in listed.stdout.splitlines()]
    assert {"redis", "rq", "msgpack", "langchain-core"} <= set(names)
