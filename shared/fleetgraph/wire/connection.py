"""Connecting to Redis the way a fleet needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import hiredis
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.retry import Retry

from fleetgraph.errors import RedisUnavailable
from fleetgraph.redis_server import mask_password

SOCKET_TIMEOUT_SECONDS: Final = 5.0
"""Longer than any blocking command of ours; an answer that takes longer means a half-open connection."""

URL_VARIABLE: Final = "FLEETGRAPH_REDIS_URL"
"""Names the environment variable with the URL of the Redis: arguments of a process are for all the host to see."""

DEFAULT_URL: Final = "redis://localhost:6379/0"


def url_of_environment() -> str:
    """The URL to use where none is given."""
    return os.environ.get(URL_VARIABLE) or DEFAULT_URL


_packed = cast("Callable[[tuple[Any, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class _Packer:
    """Packs commands as hiredis does; redis-py goes through the words of each several times before that."""

    def __init__(self) -> None:
        self._careful: Any = HiredisRespSerializer()

    def pack(self, *words: Any) -> Sequence[bytes]:
        """A command as it is sent, in pieces."""
        name = words[0]
        if type(name) is str and " " not in name:
            try:
                return (_packed(words),)
            except TypeError:  # redis-py says what is wrong with it, or knows better
                pass
        return self._careful.pack(*words)


PACKING: Final[dict[str, Any]] = {"command_packer": _Packer()}
"""Options of connections that are no coroutines'."""

OPTIONS: Final[dict[str, Any]] = {
    # redis-py's own retries would take from a list again what an answer that got lost had taken already.
    "retry": Retry(NoBackoff(), 0),
    "socket_timeout": SOCKET_TIMEOUT_SECONDS,
    "socket_connect_timeout": 5.0,
    "socket_keepalive": True,
}


def _options(url: str) -> dict[str, Any]:
    """What a connection to `url` takes: a Unix socket knows no keep-alive."""
    unix = url.startswith("unix:")
    return {name: value for name, value in OPTIONS.items() if not (unix and name == "socket_keepalive")}


def connect_async(url: str) -> redis.asyncio.Redis:
    """The async twin of `connect`; the client belongs to the event loop that is running."""
    # With the third version of the protocol redis-py writes each message of a channel out for its log.
    options: dict[str, Any] = {**_options(url), "retry": AsyncRetry(NoBackoff(), 0), "protocol": 2}
    try:
        return redis.asyncio.Redis.from_url(url, **options)  # pyright: ignore[reportUnknownMemberType]
    except ValueError:
        pass
    raise _no_url(url)


def connect(url: str) -> redis.Redis:
    """A client for the Redis at `url`; connects at its first command.

    Raises:
        RedisUnavailable: The URL is none.
    """
    try:
        return redis.Redis.from_url(url, **_options(url), **PACKING)  # pyright: ignore[reportUnknownMemberType]
    except ValueError:
        pass
    raise _no_url(url)  # without that error as its context: it may quote a piece of the password


def _no_url(url: str) -> RedisUnavailable:
    return RedisUnavailable(
        f"{mask_password(url)!r} is no Redis URL. Write redis://host:6379/0, rediss:// for TLS, or unix:///path; in "
        "redis://user:password@host:6379/0 special characters of user and password are written %XX (quote of "
        "urllib.parse)."
    )


def configure(client: redis.Redis) -> redis.Redis:
    """Make a client, and all that share its connection pool, into one as a fleet needs it.

    No call hangs for ever; and none is repeated behind the caller's back, who would never hear of what the
    first try did.
    """
    options = client.connection_pool.connection_kwargs
    for name, value in (OPTIONS | PACKING).items():
        if options.get(name) is None:
            options[name] = value
    client.set_retry(Retry(NoBackoff(), 0))
    return client
