"""The Redis client behind a store or cache: made for a URL or given, called from threads when code is async."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from fleetgraph.errors import RedisUnavailable
from fleetgraph.redis_server import certificate_advice, check_server
from fleetgraph.wire.connection import connect
from fleetgraph.wire.outages import will_pass

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0

THREADS: Final = 16
"""For the calls of async code that run at the same time; more of them wait. All they do is to wait for Redis."""

T = TypeVar("T")


class RedisClient:
    """A client that threads and forked processes may share.

    Whatever is sent through it may be sent twice: one that was made for a URL tries again when the connection fails.

    Args:
        url_or_client: Where Redis is; or a client, which stays as it is, and open.
        what: Whose it is, for errors.
        retries: How often a command that finds no Redis is tried again, where the client was made for a URL.

    Raises:
        RedisUnavailable: The URL is none.
        ValueError: It is neither; or is a client with `decode_responses`, or an async one.
    """

    def __init__(self, url_or_client: str | redis.Redis, what: str, *, retries: int) -> None:
        self._what = what
        self._owned = isinstance(url_or_client, str)
        if isinstance(url_or_client, str):
            self.redis = connect(url_or_client)
            pauses = ExponentialBackoff(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
            self.redis.set_retry(Retry(pauses, retries))
        else:
            self.redis = _checked(url_or_client, what)
        self._threads: dict[int, ThreadPoolExecutor] = {}
        """By process: a fork has none of its parent's threads."""

    def run(self, do: Callable[[redis.Redis], T]) -> T:
        """What `do` gives.

        Raises:
            RedisUnavailable: Redis can't be reached, or can't work for now, however often it was tried.
        """
        try:
            return do(self.redis)
        except redis.RedisError as error:
            if not will_pass(error):
                raise
            where = self._where()
            told = f"{error}{certificate_advice(error)}"
            raise RedisUnavailable(f"{self._what} can't use its Redis{where} for now: {told}") from error

    async def in_thread(self, do: Callable[[], T]) -> T:
        """What `do` gives, run in a thread of its own kind: those of the event loop may all be busy with nodes."""
        threads = self._threads.get(os.getpid())
        if threads is None:
            fresh = ThreadPoolExecutor(THREADS, thread_name_prefix="fleetgraph-redis")
            threads = self._threads.setdefault(os.getpid(), fresh)
        return await asyncio.get_running_loop().run_in_executor(threads, do)

    def check(self) -> None:
        """Look whether Redis answers, and is not too old.

        Raises:
            RedisUnavailable: It doesn't, or is.
        """
        check_server(self.redis)

    def close(self) -> None:
        """Close the connections, if they are its own, and end the threads. It may be used again all the same."""
        threads = self._threads.pop(os.getpid(), None)
        if threads is not None:
            threads.shutdown()
        if self._owned:
            self.redis.close()

    def _where(self) -> str:
        options = self.redis.connection_pool.connection_kwargs
        if "path" in options:
            return f" at {options['path']}"
        return f" at {options['host']}:{options.get('port', 6379)}" if "host" in options else ""


def _checked(client: redis.Redis, what: str) -> redis.Redis:
    given: object = client
    if isinstance(given, redis.asyncio.Redis):
        raise ValueError(f"{what} needs a URL or a redis.Redis, for async code too; not a client of redis.asyncio")
    if not hasattr(given, "get_encoder"):
        raise ValueError(f"{what} needs a URL or a redis.Redis, not {type(given).__name__}")
    if client.get_encoder().decode_responses:
        raise ValueError(f"{what} needs a client without decode_responses, which spoils bytes")
    return client
