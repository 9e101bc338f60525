"""What we are compared with: stock RQ as the transport, LangGraph as the graph engine."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.context import SpawnProcess
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.command import send_shutdown_command
from rq.results import Result

from benchmarks.loop import build
from benchmarks.supersteps import InProcess

QUEUE = "benchmark"
WORKER = "benchmark-worker"
PATIENCE_SECONDS = 10
"""How long a job's result is waited for."""


def noop() -> None:
    """The job."""


class StockRQ:
    """A no-op job through RQ as it comes: enqueue, and block until the worker's result is there."""

    name = "rq"
    what = "RQ SimpleWorker, no-op job, enqueue to result"

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        self._client: Any = redis.Redis.from_url(self._url)
        self._queue = Queue(QUEUE, connection=self._client)
        self._process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._url,), daemon=True
        )
        self._process.start()

    def __exit__(self, *exc: object) -> None:
        send_shutdown_command(self._client, WORKER)
        self._process.join()
        self._client.close()

    def round(self, trips: int) -> list[float]:
        taken: list[float] = []
        for _ in range(trips):
            started = time.perf_counter()
            job = self._queue.enqueue(noop)
            result = job.latest_result(timeout=PATIENCE_SECONDS)
            taken.append(time.perf_counter() - started)
            if result is None or result.type is not Result.Type.SUCCESSFUL:
                raise AssertionError(f"the job did not succeed: {result}")
        return taken


def _work(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        SimpleWorker([QUEUE], name=WORKER, connection=client).work(burst=False, logging_level="WARNING")


def langgraph_in_process() -> InProcess:
    """LangGraph's own superstep, without a checkpointer."""
    import langgraph.graph  # not at the top: RQ's worker imports this module, and need not pay for it

    return InProcess("langgraph", "LangGraph in this process, one superstep", build(langgraph.graph))
