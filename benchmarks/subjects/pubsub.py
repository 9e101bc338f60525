"""The floor of events: what a bare publisher and a bare listener in two processes make of Redis's pub/sub."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

from benchmarks.model import Samples
from benchmarks.subjects.floor import STOP, connect
from benchmarks.workloads.beats import PAUSE_SECONDS

ORDERS: Final = "benchmark:orders"
CHANNEL: Final = "benchmark:channel"

SILENCE_SECONDS: Final = 10.0
"""After which the publisher counts as dead."""


class PublishListen:
    """One process publishes the time, this one listens.

    Args:
        url: Of the Redis.
        flood: Whether it publishes as fast as it can, one after the other, and not now and then.
    """

    def __init__(self, url: str, flood: bool = False) -> None:
        self._url = url
        self._flood = flood

    def __enter__(self) -> Self:
        self._client = connect(self._url)
        self._listener: Any = self._client.pubsub(ignore_subscribe_messages=True)
        self._listener.subscribe(CHANNEL)
        self._listener.get_message(timeout=SILENCE_SECONDS)  # the acknowledgement
        pause = 0.0 if self._flood else PAUSE_SECONDS
        self._process: BaseProcess = multiprocessing.get_context("spawn").Process(
            target=_publish, args=(self._url, pause), daemon=True
        )
        self._process.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.rpush(ORDERS, STOP)
        self._process.join()
        self._listener.close()
        self._client.close()

    def round(self, size: int) -> Samples:
        self._client.rpush(ORDERS, size)
        sent: list[float] = []
        taken: list[float] = []
        while len(taken) < size:
            message = self._listener.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                raise TimeoutError("the publisher has fallen silent")
            sent.append(float(message["data"]))
            taken.append(time.time() - sent[-1])
        return {"event": [(time.time() - sent[0]) / size]} if self._flood else {"latency": taken}


def _publish(url: str, pause: float) -> None:
    with connect(url) as client:
        while (order := client.blpop([ORDERS], 0)[1]) != STOP:
            for _ in range(int(order)):
                if pause:
                    time.sleep(pause)
                client.publish(CHANNEL, repr(time.time()))
