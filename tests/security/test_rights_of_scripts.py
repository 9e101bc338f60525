"""What scripts do, their callers may: a command that a script gains has to be added to the rights as well."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from fleetgraph.wire.acl import rules
from fleetgraph.wire.roles import Role
from tests.security.test_refusals import COORDINATORS_CALLS, WORKERS_CALLS

SCRIPTS = files("fleetgraph.wire") / "scripts"

CALLERS = [(Role.WORKER, name) for name in WORKERS_CALLS] + [(Role.COORDINATOR, name) for name in COORDINATORS_CALLS]


def commands(name: str, folder: str = "") -> set[str]:
    """The commands of a script and of the parts it uses."""
    place = SCRIPTS / folder if folder else SCRIPTS
    text = (place / f"{name}.lua").read_text("utf-8")
    found = {command.lower() for command in re.findall(r"redis\.p?call\(\s*'(\w+)'", text)}
    assert text.count("redis.call") == len(re.findall(r"redis\.call\(\s*'(\w+)'", text)), "a command has no name"
    return found.union(*(commands(part, "parts") for part in re.findall(r"^--@use (\w+)$", text, re.MULTILINE)))


@pytest.mark.parametrize(("role", "name"), CALLERS)
def test_a_role_has_the_commands_of_its_scripts(role: Role, name: str) -> None:
    allowed = set(re.findall(r"\+(\w+)", " ".join(rules(role))))
    assert commands(name) <= allowed


def test_every_script_has_a_caller() -> None:
    names = {path.name.removesuffix(".lua") for path in SCRIPTS.iterdir() if path.name.endswith(".lua")}
    assert names == {name for _, name in CALLERS}
