"""`fleetgraph acl`: what it prints is what Redis takes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import redis

from fleetgraph.cli import main
from fleetgraph.redis_server import RedisServer
from fleetgraph.wire.acl import rules
from fleetgraph.wire.roles import Role


@pytest.fixture(scope="module")
def own_server() -> Any:
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("redis6", [False, True])
@pytest.mark.parametrize("role", [*Role])
def test_the_line_makes_a_user_who_needs_a_password(
    own_server: RedisServer, capsys: pytest.CaptureFixture[str], role: Role, redis6: bool
) -> None:
    arguments = ["--saver", "--store", "mine*", "--cache"]
    assert main(["acl", role.value, "--user", "u", *arguments, *(["--redis6"] if redis6 else [])]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "mine\\*" in line, "a prefix is no pattern"
    with own_server.client() as admin:
        untyped: Any = admin
        # redis-cli splits a line at blanks, and takes a backslash outside of quotes as it is
        untyped.execute_command(*shlex.split(line.replace("\\", "\\\\")))
        untyped.execute_command("ACL", "SETUSER", "u", ">secret")
        user = redis.Redis.from_url(f"redis://u:secret@127.0.0.1:{own_server.port}/0")
        assert user.ping()
        assert user.execute_command("INFO", "server")["redis_version"]
        with pytest.raises(redis.ResponseError, match="permissions"):
            user.execute_command("GET", "x")
        user.close()
        untyped.execute_command(*shlex.split(line.replace("\\", "\\\\")))
        with own_server.client(username="u", password="secret") as again:
            assert again.ping(), "sending it again leaves the password"
        untyped.execute_command("ACL", "DELUSER", "u")


def test_a_user_is_called_by_its_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["acl", "worker"]) == 0
    assert capsys.readouterr().out == f"ACL SETUSER fleetgraph-worker {' '.join(rules(Role.WORKER))}\n"


def test_an_unknown_role(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["acl", "king"])
    assert "worker" in capsys.readouterr().err


def test_every_rule_names_its_commands_one_by_one() -> None:
    for role in Role:
        words = " ".join(rules(role, savers=["s"], stores=["t"], caches=["c"])).replace("(", " ").replace(")", " ")
        assert [word for word in words.split() if word.startswith(("+@", "allcommands", "allkeys"))] == []
        assert [word for word in words.split() if word in ("~*", "%R~*", "%W~*", "&*")] == []
