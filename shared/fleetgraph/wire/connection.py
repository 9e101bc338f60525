"""Connecting to Redis the way a fleet needs it."""

from __future__ import annotations

from typing import Any, Final

import redis

from fleetgraph.errors import RedisUnavailable

SOCKET_TIMEOUT_SECONDS: Final = 10.0
"""Longer than any blocking command of ours; an answer that takes longer means a half-open connection."""

OPTIONS: Final[dict[str, Any]] = {
    "socket_timeout": SOCKET_TIMEOUT_SECONDS,
    "socket_connect_timeout": 5.0,
    "socket_keepalive": True,
    "health_check_interval": 0,
}


def connect(url: str) -> redis.Redis:
    """A client for the Redis at `url`; connects at its first command.

    Raises:
        RedisUnavailable: The URL is none.
    """
    try:
        return redis.Redis.from_url(url, **OPTIONS)  # pyright: ignore[reportUnknownMemberType]
    except ValueError as error:
        raise RedisUnavailable(f"{url!r} is no Redis URL: {error}. Write redis://host:6379/0.") from error
