"""The floors: what processes pay that do no more than talk through Redis lists, with nothing of ours in it."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

import redis

from benchmarks.model import Samples

THERE: Final = "benchmark:there"
BACK: Final = "benchmark:back"
KEPT: Final = "benchmark:kept"
STOP: Final = b"stop"
PAYLOAD: Final = b"x" * 200
"""About what a small task message weighs."""

PATIENCE_SECONDS: Final = 10
"""How long either side waits for the other before it gives up."""

COMPLETE: Final = """
redis.call('HSET', KEYS[2], 'result', ARGV[1])
redis.call('RPUSH', KEYS[1], ARGV[1])
"""
"""A task that ends, where its end is kept and told in one."""

PASS_ON: Final = """
local item = redis.call('LPOP', KEYS[1])
if item and item ~= ARGV[1] then redis.call('RPUSH', KEYS[2], item) end
return item
"""
"""A task that ends, and the next one that begins."""


def connect(url: str) -> Any:
    """A client whose blocking pops may block for as long as they like."""
    return redis.Redis.from_url(url, socket_timeout=None)  # pyright: ignore[reportUnknownMemberType]


class _WithAnotherProcess:
    """Two processes and a pair of lists; each subject has its own.

    Args:
        url: Of the Redis.
        script: Whether the other process answers by a script.
    """

    def __init__(self, url: str, script: bool = False) -> None:
        self._url = url
        self._script = script
        suffix = f":{type(self).__name__}:{script}"
        self._there, self._back = THERE + suffix, BACK + suffix

    def __enter__(self) -> Self:
        self._client: Any = connect(self._url)
        self._client.delete(self._there, self._back)
        self._process: BaseProcess = multiprocessing.get_context("spawn").Process(
            target=self.answer, args=(self._url, self._there, self._back, self._script), daemon=True
        )
        self._process.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.rpush(self._there, STOP)
        self._process.join()
        self._client.close()

    @staticmethod
    def answer(url: str, there: str, back: str, script: bool) -> None:
        """What the other process does."""
        raise NotImplementedError


class PingPong(_WithAnotherProcess):
    """RPUSH here, BLPOP there; RPUSH or a script there, BLPOP here: a task that is sent out, and its answer."""

    def round(self, size: int) -> Samples:
        taken: list[float] = []
        for _ in range(size):
            started = time.perf_counter()
            self._client.rpush(self._there, PAYLOAD)
            if self._client.blpop([self._back], PATIENCE_SECONDS) is None:
                raise TimeoutError("the other process of the ping-pong does not answer")
            taken.append(time.perf_counter() - started)
        return {"superstep": taken}

    @staticmethod
    def answer(url: str, there: str, back: str, script: bool) -> None:
        with connect(url) as client:
            complete = client.register_script(COMPLETE)
            while (item := client.blpop([there], 0)[1]) != STOP:
                if script:
                    complete([back, KEPT], [item])
                else:
                    client.rpush(back, item)


class BareWorker(_WithAnotherProcess):
    """Many items at once, and one worker that pops and pushes them one by one; the answers are fetched in bulk."""

    def round(self, size: int) -> Samples:
        started = time.perf_counter()
        with self._client.pipeline(transaction=False) as pipe:
            for _ in range(size):
                pipe.rpush(self._there, PAYLOAD)
            pipe.execute()
        missing = size
        while missing:
            if self._client.blpop([self._back], PATIENCE_SECONDS) is None:
                raise TimeoutError("the worker does not answer")
            missing -= 1 + len(self._client.lpop(self._back, size) or ())
        return {"task": [(time.perf_counter() - started) / size]}

    @staticmethod
    def answer(url: str, there: str, back: str, script: bool) -> None:
        with connect(url) as client:
            pass_on = client.register_script(PASS_ON)
            while True:
                item = pass_on([there, back], [STOP]) if script else None
                if item is None:
                    item = client.blpop([there], 0)[1]
                    if item != STOP:
                        client.rpush(back, item)
                if item == STOP:
                    return
