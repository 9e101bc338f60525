"""What lets a test and the nodes it runs, in whatever process, wait for each other: lists in a Redis.

The Redis is the one that `FLEETGRAPH_TEST_REDIS` names, in the test's process and in those of its workers. A gate, once
open, stays open.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import redis
import redis.asyncio

VARIABLE = "FLEETGRAPH_TEST_REDIS"
PREFIX = "test:"
TIMEOUT_SECONDS = 20.0
"""Below the time limit of a test, so that a node whose gate never opens fails its run."""

CLIENT_NAME = "test-gates"
"""What Redis calls the connections of this module."""

OPTIONS: dict[str, Any] = {"client_name": CLIENT_NAME, "socket_timeout": TIMEOUT_SECONDS + 5}

KEEP_SECONDS = 120
"""How long the lists stay: longer than a test."""


_clients: dict[str, redis.Redis] = {}
_making = threading.Lock()


def _client() -> redis.Redis:
    url = os.environ[VARIABLE]
    with _making:  # of two that nodes make at once, one would be closed while it is used
        if url not in _clients:
            _clients[url] = redis.Redis.from_url(url, **OPTIONS)
        return _clients[url]


def close() -> None:
    """Free the connections of this process."""
    while _clients:
        _clients.popitem()[1].close()


def _push(key: str, value: str) -> int:
    """Both at once: whoever comes here may be killed in between."""
    with _client().pipeline(transaction=True) as pipe:
        count, _ = pipe.rpush(key, value).expire(key, KEEP_SECONDS).execute()
    return int(count)


def arrive(name: str, who: str = "") -> int:
    """Tell that somebody has come as far as this; returns how many have."""
    return _push(f"{PREFIX}arrived:{name}", who or str(os.getpid()))


def arrived(name: str) -> list[str]:
    """Who has come as far as this, in order: the ids of their processes, unless they said something else."""
    return [who.decode() for who in _client().lrange(f"{PREFIX}arrived:{name}", 0, -1)]


def open(name: str) -> None:
    """Let everybody pass, from now on."""
    _push(f"{PREFIX}gate:{name}", "open")


def wait(name: str) -> None:
    """Return when the gate is open.

    Raises:
        TimeoutError: Nobody opened it.
    """
    key = f"{PREFIX}gate:{name}"
    if _client().blmove(key, key, TIMEOUT_SECONDS) is None:
        raise TimeoutError(f"nobody opened {name!r}")


def meet(name: str, count: int, who: str = "") -> None:
    """Return when `count` have come here, which they can only do if all of them are here at the same time.

    Raises:
        TimeoutError: The others did not come.
    """
    if arrive(name, who) == count:
        open(f"meet:{name}")
    wait(f"meet:{name}")


async def meet_async(name: str, count: int) -> None:
    """`meet`, for code on an event loop."""
    if arrive(name) == count:
        open(f"meet:{name}")
    key = f"{PREFIX}gate:meet:{name}"
    async with redis.asyncio.Redis.from_url(os.environ[VARIABLE], **OPTIONS) as client:
        if await client.blmove(key, key, TIMEOUT_SECONDS) is None:
            raise TimeoutError(f"nobody opened {name!r}")
