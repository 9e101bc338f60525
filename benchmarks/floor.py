"""The floor: what any two processes pay that talk through Redis lists, with nothing of ours in it."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.context import SpawnProcess
from typing import Any

import redis

THERE = "benchmark:there"
BACK = "benchmark:back"
STOP = b"stop"
PAYLOAD = b"x" * 200
"""About what a small task message weighs."""

PATIENCE_SECONDS = 10
"""How long either side waits for the other before it gives up."""


class PingPong:
    """RPUSH here, BLPOP there; RPUSH there, BLPOP here: a task that is sent out, and its answer."""

    name = "floor"
    what = "redis-py list ping-pong between two processes"

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        self._client: Any = redis.Redis.from_url(self._url)
        self._process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=_answer, args=(self._url,), daemon=True
        )
        self._process.start()

    def __exit__(self, *exc: object) -> None:
        self._client.rpush(THERE, STOP)
        self._process.join()
        self._client.close()

    def round(self, trips: int) -> list[float]:
        taken: list[float] = []
        for _ in range(trips):
            started = time.perf_counter()
            self._client.rpush(THERE, PAYLOAD)
            if self._client.blpop([BACK], PATIENCE_SECONDS) is None:
                raise TimeoutError("the other process of the ping-pong does not answer")
            taken.append(time.perf_counter() - started)
        return taken


def _answer(url: str) -> None:
    with redis.Redis.from_url(url) as untyped:
        client: Any = untyped
        while True:
            popped = client.blpop([THERE], 0)
            if popped[1] == STOP:
                return
            client.rpush(BACK, popped[1])
