"""RQ as it comes."""

from __future__ import annotations

import multiprocessing
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

import redis
from rq import Queue, SimpleWorker, Worker
from rq.command import send_shutdown_command
from rq.results import Result

from benchmarks.peers.task_queue import PATIENCE_SECONDS, TaskQueue


def noop() -> None:
    """The job."""


class StockRQ(TaskQueue):
    """A no-op job to its result, or many that are enqueued at once.

    Args:
        url: Of the Redis.
        workers: How many.
        width: See `TaskQueue`.
        forking: Whether they fork for each job, as RQ's default worker does.
    """

    def __init__(self, url: str, workers: int, width: int = 0, forking: bool = False) -> None:
        super().__init__(width)
        self._url = url
        self._forking = forking
        self._names = [uuid4().hex for _ in range(workers)]

    def start(self) -> None:
        self._client: Any = redis.Redis.from_url(self._url)  # pyright: ignore[reportUnknownMemberType]
        queue = self._names[0]
        self._queue: Any = Queue(queue, connection=self._client)
        context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = [
            context.Process(target=_work, args=(self._url, queue, name, self._forking), daemon=True)
            for name in self._names
        ]
        for process in self._processes:
            process.start()

    def stop(self) -> None:
        for name in self._names:
            send_shutdown_command(self._client, name)
        for process in self._processes:
            process.join()
        self._client.close()

    def one(self) -> None:
        _await(self._queue.enqueue(noop))

    def many(self, width: int) -> None:
        for job in self._queue.enqueue_many([self._queue.prepare_data(noop) for _ in range(width)]):
            _await(job)


def _await(job: Any) -> None:
    result = job.latest_result(timeout=PATIENCE_SECONDS)
    if result is None or result.type is not Result.Type.SUCCESSFUL:
        raise AssertionError(f"the job did not succeed: {result}")


def _work(url: str, queue: str, name: str, forking: bool) -> None:
    kind = Worker if forking else SimpleWorker
    with redis.Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType]
        kind([queue], name=name, connection=client).work(burst=False, logging_level="WARNING")
