"""What lets a test and the nodes it runs, in whatever process, wait for each other: lists in a Redis.

The Redis is the one that `FLEETGRAPH_TEST_REDIS` names, in the test's process and in those of its workers. A gate, once
open, stays open.
"""

from __future__ import annotations

import os
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


def _client() -> redis.Redis:
    url = os.environ[VARIABLE]
    if url not in _clients:
        _clients[url] = redis.Redis.from_url(url, **OPTIONS)
    return _clients[url]


def close() -> None:
    """Free the connections of this process."""
    while _clients:
        _clients.popitem()[1].close()


def arrive(name: str, who: str = "") -> int:
    """Tell that somebody has come as far as this; returns how many have."""
    key = f"{PREFIX}arrived:{name}"
    count = _client().rpush(key, who or str(os.getpid()))
    _client().expire(key, KEEP_SECONDS)
    return int(count)


def arrived(name: str) -> list[str]:
    """Who has come as far as this, in order: the ids of their processes, unless they said something else."""
    return [who.decode() for who in _client().lrange(f"{PREFIX}arrived:{name}", 0, -1)]


def open(name: str) -> None:
    """Let everybody pass, from now on."""
    key = f"{PREFIX}gate:{name}"
    _client().rpush(key, 1)
    _client().expire(key, KEEP_SECONDS)


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
