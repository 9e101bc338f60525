"""What the tests look at: chunks in a form that can be compared, and what is in Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any, cast
from uuid import uuid4

import redis

from fleetgraph.types import STREAM_MODES
from fleetgraph.wire import keys
from tests.differential.normalise import Ids, canonical_run, layout_of, open_envelope

ALL_MODES: list[Any] = list(STREAM_MODES)


def new_key() -> str:
    """A name that no other run uses."""
    return uuid4().hex


def new_thread() -> Any:
    """A config with a thread that no other run uses."""
    return {"configurable": {"thread_id": new_key()}}


def comparable(chunks: Iterable[Any], stream_mode: Any = ALL_MODES, error: BaseException | None = None) -> list[Any]:
    """The chunks of a run as plain data, equal to that of another run that shows the same.

    What tasks of one superstep do side by side has no order, and is compared only if `tasks` is among the modes.
    """
    opened = [open_envelope(chunk, stream_mode, "v1") for chunk in chunks]
    return canonical_run(opened, error, layout_of(opened), Ids())


class Watched:
    """One run in Redis: the newest one there."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        records = [
            (float(created), key.decode())
            for key in client.scan_iter(keys.run("*"), count=1000, _type="hash")
            if (created := cast("bytes | None", client.hget(key, "created"))) is not None
        ]
        assert records, "there is no run"
        self.id = max(records)[1].removeprefix(keys.run(""))

    @property
    def status(self) -> str:
        return self._field("status")

    @property
    def last_seq(self) -> int:
        """How many events it has so far."""
        return int(self._field("seq") or 0)

    @property
    def outstanding(self) -> int:
        """How many tasks the coordinator waits for."""
        return cast(int, self._client.hlen(keys.tasks(self.id)))

    @property
    def listeners(self) -> int:
        """How many clients are subscribed to its events."""
        answer: Any = self._client.pubsub_numsub(keys.events(self.id))
        return answer[0][1]

    def _field(self, name: str) -> str:
        return (cast("bytes | None", self._client.hget(keys.run(self.id), name)) or b"").decode()


class Running(threading.Thread):
    """A run in a thread of its own, with what came of it."""

    def __init__(self, graph: Any, given: dict[str, Any], *, is_async: bool = False, modes: Any = ALL_MODES) -> None:
        super().__init__(daemon=True)
        self._graph = graph
        self._given = given
        self._is_async = is_async
        self._modes = modes
        self.chunks: list[Any] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            if self._is_async:
                asyncio.run(self._arun())
            else:
                for chunk in self._graph.stream(self._given, stream_mode=self._modes):
                    self.chunks.append(chunk)
        except BaseException as error:
            self.error = error

    async def _arun(self) -> None:
        async for chunk in self._graph.astream(self._given, stream_mode=self._modes):
            self.chunks.append(chunk)

    def result(self) -> dict[str, Any]:
        self.join(20)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return next(chunk for mode, chunk in reversed(self.chunks) if mode == "values")

    def shown(self, mode: str) -> list[Any]:
        return [chunk for name, chunk in self.chunks if name == mode]


def cut_subscribers(client: redis.Redis) -> int:
    """Kill the connections that subscribe to anything, those of workers too; returns how many followed a run."""
    untyped: Any = client
    channels = untyped.pubsub_channels(keys.events("*"))
    followed = sum(number for _, number in untyped.pubsub_numsub(*channels)) if channels else 0
    untyped.client_kill_filter(_type="pubsub")
    return followed


PERMANENT = (keys.rq_queues(), keys.rq_workers())
"""How the keys begin that RQ keeps for as long as there are queues and workers."""


def without_expiry(client: redis.Redis) -> list[str]:
    """The keys that would stay in Redis for ever, but for RQ's registers of queues and workers."""
    found = [key.decode() for key in client.scan_iter(count=1000) if client.ttl(key) == -1]
    return sorted(key for key in found if not key.startswith(PERMANENT))
