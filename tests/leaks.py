"""What a finished run must not leave in Redis: keys that nothing will ever delete."""

from __future__ import annotations

from typing import Any

import redis

RQ_REGISTERS = (b"rq:queues", b"rq:workers")
"""RQ's sets of all queues and workers: they are small, and RQ keeps them as long as the database lives."""


def leaked_keys(client: redis.Redis) -> list[str]:
    """The keys of the database that never expire, without those that RQ keeps for good."""
    untyped: Any = client
    return sorted(
        key.decode()
        for key in untyped.scan_iter(count=1000)
        if untyped.ttl(key) == -1 and not key.startswith(RQ_REGISTERS)
    )
