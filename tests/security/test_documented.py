"""What docs/security.md says about rights is what they are."""

from __future__ import annotations

from fleetgraph.cli import main
from fleetgraph.wire.acl import rules
from fleetgraph.wire.roles import Role
from tests.test_layout import REPOSITORY

PAGE = (REPOSITORY / "docs/security.md").read_text()


def test_the_rules_that_the_page_shows() -> None:
    shown = PAGE.split("```\nACL SETUSER fleetgraph-client ", 1)[1].split("```", 1)[0]
    assert shown.split() == " ".join(rules(Role.CLIENT)).split()


def test_the_page_knows_all_roles_and_options() -> None:
    for role in Role:
        assert f"| `{role}` |" in PAGE
    for option in ("--user", "--saver", "--store", "--cache", "--redis6"):
        assert option in PAGE
        arguments = [] if option == "--redis6" else ["x"]
        assert main(["acl", "worker", option, *arguments]) == 0
