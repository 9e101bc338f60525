"""Everything over `rediss://`, with a certificate of a private authority."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.client import AsyncClient, Client
from fleetgraph.errors import RedisUnavailable
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.store.redis import RedisStore
from fleetgraph.types import Command
from tests.client.processes import CoordinatorProcess
from tests.fleet.observing import new_thread
from tests.fleet.processes import Worker, started
from tests.security import graphs
from tests.security.tls import Authority, TlsProxy

LOG: dict[str, Any] = {"log": []}
PASSWORD = "s3cret"
QUEUE = "secure"


class Secure:
    """A Redis that wants a password, and can be reached by TLS."""

    def __init__(self, port: int, plain_port: int, authority: Authority) -> None:
        self._port = port
        self._plain_port = plain_port
        self._authority = authority

    def url(self, *, ca: Path | None = None, **options: str) -> str:
        """Its URL, for somebody who trusts its authority, or another one."""
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"rediss://:{PASSWORD}@127.0.0.1:{self._port}/0?ssl_ca_certs={ca or self._authority.ca}{more}"

    @property
    def url_without_authority(self) -> str:
        return self.url().partition("?")[0]

    @property
    def url_without_tls(self) -> str:
        """What somebody writes who has forgotten the second s."""
        return self.url_without_authority.replace("rediss:", "redis:")

    @property
    def url_of_plain_port(self) -> str:
        """What speaks no TLS is spoken to in TLS."""
        return self.url().replace(f":{self._port}/", f":{self._plain_port}/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def through_a_proxy(stack: ExitStack, authority: Authority) -> Secure:
    server = stack.enter_context(RedisServer())
    _set_password(server)
    proxy = stack.enter_context(TlsProxy(authority, server.port))
    return Secure(proxy.port, server.port, authority)


def by_itself(stack: ExitStack, authority: Authority) -> Secure:
    with RedisServer() as server:  # to find a port that is free
        port = server.port
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(authority.certificate),
        "tls-key-file": str(authority.key),
        "tls-ca-cert-file": str(authority.ca),
        "tls-auth-clients": "no",
    }
    server = stack.enter_context(RedisServer(config=options))
    _set_password(server)
    return Secure(port, server.port, authority)


def _set_password(server: RedisServer) -> None:
    with server.client() as admin:
        admin.config_set("requirepass", PASSWORD)


def speaks_tls(tmp_path: Path) -> bool:
    """Whether the server that is found was built with TLS."""
    from fleetgraph.redis_server import find_server_binary

    # It then asks for a certificate; without TLS it does not know the option, or can't do it.
    found = subprocess.run([find_server_binary(), "--port", "0", "--tls-port", "1"], capture_output=True, timeout=20)
    return b"tls-cert-file" in found.stdout + found.stderr


@pytest.fixture(scope="module", params=[through_a_proxy, by_itself])
def secure(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secure]:
    """Through a proxy everywhere; by itself where the server can do it."""
    make: Callable[[ExitStack, Authority], Secure] = request.param
    if make is by_itself and not speaks_tls(tmp_path_factory.mktemp("probe")):
        pytest.skip("this server was built without TLS; the proxy's tests have run")
    with ExitStack() as stack:
        yield make(stack, authority)


@pytest.fixture(scope="module")
def proxied(authority: Authority) -> Iterator[Secure]:
    with ExitStack() as stack:
        yield through_a_proxy(stack, authority)


def test_a_whole_fleet(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    url = secure.url()
    monkeypatch.setenv(graphs.DATA, url)
    thread = new_thread()
    with (
        started(
            coordinator := CoordinatorProcess(*graphs.NAMES, url=url, queue=QUEUE),
            worker := Worker(*graphs.NAMES, url=url, queue=QUEUE),
        ),
        Client(url) as client,
        Fleet(url, queue=QUEUE) as fleet,
    ):
        coordinator.await_ready()
        worker.await_ready()
        chunks = list(client.stream("asking", LOG, thread, stream_mode="custom", subgraphs=True))
        assert [chunk for _, chunk in chunks] == ["top speaks", "deep speaks"]
        assert client.invoke("asking", Command(resume="go"), thread)["log"][-1] == "answer: go"
        assert client.invoke("keeping", LOG)["log"][-1] == "computed"
        assert graphs.plain.on(fleet).invoke(LOG) == {"log": ["alone"]}


async def test_what_is_async(secure: Secure) -> None:
    async with AsyncClient(secure.url()) as client:
        assert await client.list_runs(limit=1) is not None


def attempts(url: str) -> dict[str, Callable[[], object]]:
    """Everything that connects; each is to say that it can't."""
    return {
        "fleet": lambda: graphs.plain.on(Fleet(url)).invoke(LOG),
        "client": lambda: Client(url).list_runs(),
        "saver": lambda: RedisSaver(url).setup(),
        "store": lambda: RedisStore(url).get(("a",), "b"),
    }


@pytest.mark.parametrize("who", [*attempts("")])
def test_a_server_that_somebody_else_vouches_for_is_refused(proxied: Secure, tmp_path: Path, who: str) -> None:
    url = proxied.url(ca=Authority(tmp_path / "other").ca)
    with pytest.raises(RedisUnavailable, match=r"certificate verify failed.*ssl_ca_certs") as caught:
        attempts(url)[who]()
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("who", ["fleet", "client"])
def test_without_options_the_authorities_of_the_system_count(proxied: Secure, who: str) -> None:
    with pytest.raises(RedisUnavailable, match=r"certificate verify failed.*ssl_ca_certs"):
        attempts(proxied.url_without_authority)[who]()


def test_a_server_of_another_name_is_refused(tmp_path: Path) -> None:
    elsewhere = Authority(tmp_path / "elsewhere", host="192.0.2.1")
    with ExitStack() as stack:
        proxied = through_a_proxy(stack, elsewhere)
        with pytest.raises(RedisUnavailable, match=r"(?i)IP address mismatch"):
            RedisSaver(proxied.url()).setup()
        with RedisSaver(proxied.url(ssl_check_hostname="false")) as saver:
            saver.setup()


@pytest.mark.parametrize("who", ["fleet", "client", "saver"])
def test_somebody_who_has_forgotten_the_second_s(proxied: Secure, who: str) -> None:
    with pytest.raises(RedisUnavailable) as caught:
        attempts(proxied.url_without_tls)[who]()
    assert PASSWORD not in str(caught.value)


def test_a_server_that_speaks_no_tls(proxied: Secure) -> None:
    with pytest.raises(RedisUnavailable, match="rediss://:") as caught:
        attempts(proxied.url_of_plain_port)["client"]()
    assert PASSWORD not in str(caught.value)


def test_processes_say_it_too(proxied: Secure, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    url = proxied.url(ca=other.ca)
    for process in (
        CoordinatorProcess(*graphs.NAMES, url=url, queue=QUEUE),
        Worker(*graphs.NAMES, url=url, queue=QUEUE),
    ):
        with started(process):
            assert process.wait() == 1
            assert "certificate verify failed" in process.errors
            assert PASSWORD not in process.errors
