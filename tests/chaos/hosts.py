"""Hosts: where coordinators and workers run, each with a network of its own that can be cut off from Redis.

As root on Linux a host is a network namespace, behind a bridge; elsewhere a proxy before Redis that freezes. Either way
nobody is told: connections stay open, and nothing comes through.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from tests.worker.proxy import LosingProxy

IP = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")


class Host(Protocol):
    """A place for processes."""

    name: str
    url: str
    """Of Redis, as seen from there."""
    prefix: list[str]
    """What a command begins with that is to run there."""

    def cut_off(self) -> None:
        """Let nothing through any more."""
        ...

    def let_through(self) -> None:
        """End that."""
        ...


class Network(Protocol):
    """Some hosts, and the server's address."""

    kind: str
    bind: str
    """The addresses that Redis listens on."""

    def hosts(self, number: int, port: int) -> list[Host]:
        """So many hosts that see Redis, which listens on this port."""
        ...


@contextmanager
def network(namespaces: bool | None = None) -> Generator[Network]:
    """Network namespaces, or proxies; whatever the machine allows, if neither is asked for."""
    with ExitStack() as stack:
        if namespaces is None:
            namespaces = _can_make_namespaces()
        yield _Namespaces(stack) if namespaces else _Proxies(stack)


class _ProxiedHost:
    def __init__(self, name: str, proxy: LosingProxy) -> None:
        self.name = name
        self.url = proxy.url
        self.prefix: list[str] = []
        self._proxy = proxy

    def cut_off(self) -> None:
        self._proxy.freeze()

    def let_through(self) -> None:
        self._proxy.thaw()


class _Proxies:
    kind = "proxies"
    bind = "127.0.0.1"

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def hosts(self, number: int, port: int) -> list[Host]:
        return [_ProxiedHost(f"host{n}", self._stack.enter_context(LosingProxy(port))) for n in range(number)]


class _Namespace:
    def __init__(self, name: str, url: str, cable: str, bridge: str) -> None:
        self.name = name
        self.url = url
        self.prefix = [str(IP), "netns", "exec", name]
        self._cable = cable
        self._bridge = bridge

    def cut_off(self) -> None:
        _ip("link", "set", self._cable, "nomaster")  # pulls the cable out of the bridge; packets vanish

    def let_through(self) -> None:
        _ip("link", "set", self._cable, "master", self._bridge)


class _Namespaces:
    kind = "network namespaces"

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._id = os.getpid() % 100000  # names of interfaces have 15 characters at most
        self._net = f"10.{100 + self._id % 100}.{self._id // 100 % 250}"
        self._bridge = f"fgb{self._id}"
        self.bind = f"127.0.0.1 {self._net}.254"
        _ip("link", "add", self._bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", self._bridge)
        _ip("addr", "add", f"{self._net}.254/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def hosts(self, number: int, port: int) -> list[Host]:
        return [self._host(n, port) for n in range(number)]

    def _host(self, number: int, port: int) -> Host:
        name = f"fg{self._id}-{number}"
        outside, inside = f"fgo{self._id}-{number}", f"fgi{self._id}-{number}"
        _ip("netns", "add", name)
        self._stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        self._stack.callback(_ip, "link", "del", outside)
        _ip("link", "set", outside, "master", self._bridge, "up")
        _ip("-n", name, "addr", "add", f"{self._net}.{number + 1}/24", "dev", inside)
        _ip("-n", name, "link", "set", inside, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return _Namespace(name, f"redis://{self._net}.254:{port}/0", outside, self._bridge)


def _can_make_namespaces() -> bool:
    if IP is None or os.name != "posix" or os.getuid() != 0 or not Path("/proc/self/ns/net").exists():
        return False
    name = f"fgt{os.getpid()}"
    try:
        _ip("link", "add", name, "type", "bridge")
        try:
            _ip("netns", "add", name)
            _ip("netns", "del", name)
        finally:
            _ip("link", "del", name)
    except subprocess.CalledProcessError:  # a container that has no such rights
        return False
    return True


def _ip(*arguments: str) -> None:
    subprocess.run([str(IP), *arguments], check=True, capture_output=True)
