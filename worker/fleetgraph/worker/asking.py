"""What running tasks ask of their runs: sends requests to coordinators, and hands out the answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import redis

from fleetgraph.errors import FleetError
from fleetgraph.lookup import GraphRegistry
from fleetgraph.wire import keys
from fleetgraph.wire.messages import Request
from fleetgraph.wire.outages import Backoff, will_pass
from fleetgraph.wire.requests import decode_answer, encode_request
from fleetgraph.wire.transitions import Route
from fleetgraph.worker.publisher import Publisher, Question

logger = logging.getLogger(__name__)

BLOCK_SECONDS: Final = 1.0
"""How long one wait for answers takes at most."""

AGAIN_SECONDS: Final = 10.0
"""After which a request is sent again: the answer may take as long as a task, or have been lost."""


@dataclass(slots=True)
class _Asked:
    question: Question
    future: Future[Any]
    owner: object
    sent: float


class Asking:
    """Everything that the tasks of one worker ask.

    Its thread waits for answers only while some are due.

    Args:
        client: What to wait for answers with.
        worker: The worker's name.
        registry: The graphs, whose types answers may hold.
        publisher: Sends the requests, after the events of their tasks.
        crashed: Told when the thread dies of an error, which must not happen.
    """

    def __init__(
        self,
        client: redis.Redis,
        worker: str,
        registry: GraphRegistry,
        publisher: Publisher,
        crashed: Callable[[BaseException], None],
    ) -> None:
        self._client = client
        self._worker = worker
        self._registry = registry
        self._publisher = publisher
        self._crashed = crashed
        self._due: dict[int, _Asked] = {}
        self._number = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def ask(self, route: Route, owner: object, kind: str, payload: Any, where: str) -> Future[Any]:
        """Ask something of the run of an attempt.

        Args:
            route: The attempt.
            owner: What `forget` is told once nobody waits for its answers.
            where: Whose values `payload` holds, for errors.

        Raises:
            EncodeError: What is asked can't travel.
        """
        future = Future[Any]()
        with self._changed:
            self._number += 1
            number = self._number
        request = Request(route.run, route.task, route.attempt, self._worker, number, kind, payload)
        question = Question(route, encode_request(self._registry.codec, request, where))
        with self._changed:
            self._due[number] = _Asked(question, future, owner, time.monotonic())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fleetgraph-answers", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        self._publisher.ask(question)
        return future

    def forget(self, owner: object) -> None:
        """Whatever this owner has asked is not to be answered any more: whoever waits for it gets an error."""
        with self._changed:
            gone = [number for number, asked in self._due.items() if asked.owner is owner]
            futures = [self._due.pop(number).future for number in gone]
        for future in futures:
            future.set_exception(FleetError("nobody waits any longer for the task that asked this"))

    def stop(self) -> None:
        """End the thread, and return when it has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        backoff = Backoff(f"answers for worker {self._worker}")
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._due or self._stopping)
                    if self._stopping:
                        return
                try:
                    self._take()
                    backoff.worked()
                except redis.RedisError as error:
                    if not will_pass(error):
                        raise
                    time.sleep(backoff.failed(error))  # nothing to wait for but Redis itself
                self._ask_again()
        except BaseException as error:
            self._crashed(error)

    def _take(self) -> None:
        found: Any = self._client.blpop([keys.answers(self._worker)], BLOCK_SECONDS)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
        if found is None:
            return
        answer = decode_answer(self._registry.codec, found[1])
        with self._changed:
            asked = self._due.pop(answer.number, None)
        if asked is None:
            return  # answered twice
        if answer.error is not None:
            asked.future.set_exception(answer.error)
        else:
            asked.future.set_result(answer.value)

    def _ask_again(self) -> None:
        now = time.monotonic()
        with self._changed:
            late = [asked for asked in self._due.values() if now - asked.sent >= AGAIN_SECONDS]
            for asked in late:
                asked.sent = now
        for asked in late:
            self._publisher.ask(asked.question)
