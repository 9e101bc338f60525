"""What clients and Redis say to each other, without the saying of it: shared by `Client` and `AsyncClient`.

Each function is a generator. It yields commands to be sent together, and is sent their answers; what it returns is the
result. Who drives it decides whether that blocks a thread or awaits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Final, TypeVar
from uuid import uuid4

import redis

from fleetgraph.client.records import RunInfo
from fleetgraph.client.services import START_ONE, Service, choose, resolve
from fleetgraph.errors import FleetError, NoCoordinator, ResultTimeout, RunNotFound
from fleetgraph.wire import keys
from fleetgraph.wire.calling import seconds
from fleetgraph.wire.calls import CALL_TTL, Method, decode_reply, encode_call
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.names import is_called
from fleetgraph.wire.outages import will_pass
from fleetgraph.wire.transitions import RunStatus

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1
"""How long a client waits for a reply before it looks whether its coordinator is still alive."""

REPEAT_SECONDS: Final = 5.0
"""After how much silence a call is sent again to a coordinator that lives: one may get lost with a connection."""

PATIENCE_SECONDS: Final = 60.0
"""How long a coordinator that lives may take to reply."""

RETURN_SECONDS: Final = 10.0
"""How long to wait for a coordinator while none lives, but some did lately: they come back after a restart, or after
Redis was away."""

ALONE_SECONDS: Final = 10.0
"""How long a run may be without a coordinator before its readers are told; and then again and again."""

_STATUSES: Final = tuple(status.value for status in RunStatus)

BATCH: Final = 200
"""Records read at once."""

T = TypeVar("T")
Command = tuple[Any, ...]
Asking = Generator[Sequence[Command], list[Any], T]


def drive(asking: Asking[T], send: Callable[[Sequence[Command]], list[Any]]) -> T:
    """Let a thread do what `asking` wants, and return its result."""
    step: Callable[[], Sequence[Command]] = partial(next, asking)
    while True:
        try:
            commands = step()
        except StopIteration as end:
            return end.value
        try:
            step = partial(asking.send, send(commands))
        except redis.RedisError as error:
            step = partial(asking.throw, error)


async def adrive(asking: Asking[T], send: Callable[[Sequence[Command]], Awaitable[list[Any]]]) -> T:
    """The async twin of `drive`."""
    step: Callable[[], Sequence[Command]] = partial(next, asking)
    while True:
        try:
            commands = step()
        except StopIteration as end:
            return end.value
        try:
            step = partial(asking.send, await send(commands))
        except redis.RedisError as error:
            step = partial(asking.throw, error)


# --- coordinators ----------------------------------------------------------------------------------------------------


def services() -> Asking[list[Service]]:
    """The coordinators that answer calls, and live."""
    names = yield from _living()
    if not names:
        return []
    records = yield [("HGETALL", keys.coordinator(name)) for name in names]
    found = (Service.of_record(name, record) for name, record in zip(names, records, strict=True))
    return [service for service in found if service is not None]


def _living() -> Asking[list[str]]:
    """The ids of the coordinators whose lease has not expired."""
    ((now, micro),) = yield [("TIME",)]
    (ids,) = yield [("ZRANGEBYSCORE", keys.coordinators(), f"({now}.{micro:06}", "+inf")]
    return [id.decode() for id in ids]


def ask(codec: Codec, method: Method, payload: dict[str, Any], graph: str | None) -> Asking[Any]:
    """Ask a coordinator for something, and return its reply.

    If it dies before it replied another one is asked, unless what is asked would do harm if it was done twice.

    Args:
        codec: Encodes what is asked, and decodes the reply.
        method: What is asked.
        payload: What it needs.
        graph: The graph that it is about, as the caller calls it.

    Raises:
        NoCoordinator: There is none.
        GraphNotFound: None of them has the graph, or it is not clear which one is meant.
        FleetError: It took too long, or died at a bad moment.
        EncodeError: The payload can't travel.
        Exception: What the coordinator replied.
    """
    id = uuid4().hex
    began = monotonic()
    living = yield from services()
    while not living and monotonic() - began < RETURN_SECONDS and (yield from _some_lived()):
        yield [("BLPOP", keys.reply(id), LOOK_SECONDS)]
        living = yield from services()
    if graph is not None:
        graph = resolve(living, graph)
        payload = {**payload, "graph": graph}
    data = encode_call(codec, id, method, payload)
    service = choose(living, graph)
    while True:
        reply = yield from _ask_one(service.id, id, data)
        if reply is not None:
            answer = decode_reply(codec, reply)
            if answer.error is not None:
                raise answer.error
            return answer.value
        if method is Method.UPDATE_STATE:
            raise FleetError(
                f"Coordinator {service.id} died before it replied to {method.value}: it may have done it, or not. Look "
                "at the state (get_state) before trying again."
            )
        logger.warning("Coordinator %s died before it replied; asking another.", service.id)
        service = yield from _another(graph, id)


def _another(graph: str | None, id: str) -> Asking[Service]:
    """Another coordinator to send a call to. What was sent is in Redis, and whoever comes next takes it over, so that
    there is no saying that nobody does it.
    """
    began = monotonic()
    while True:
        try:
            return choose((yield from services()), graph)
        except NoCoordinator:
            if monotonic() - began >= PATIENCE_SECONDS:
                raise
        yield [("BLPOP", keys.reply(f"{id}:none"), LOOK_SECONDS)]


def _some_lived() -> Asking[bool]:
    """Whether there are coordinators whose lease has expired, perhaps only because Redis was away."""
    (ids,) = yield [("ZRANGEBYSCORE", keys.coordinators(), "-inf", "+inf")]
    return bool(ids)


def _ask_one(coordinator: str, id: str, data: bytes) -> Asking[bytes | None]:
    """The reply of one coordinator; None if it died."""
    calls = keys.calls(coordinator)
    began = sent = monotonic()
    send: list[Command] = [("RPUSH", calls, data), ("EXPIRE", calls, seconds(CALL_TTL))]
    yield send
    while True:
        (popped,) = yield [("BLPOP", keys.reply(id), LOOK_SECONDS)]
        if popped is not None:
            return popped[1]
        if coordinator not in (yield from _living()):
            # What it had not begun to do, another one has taken over with its runs, and may just be doing.
            (popped,) = yield [("BLPOP", keys.reply(id), LOOK_SECONDS)]
            return None if popped is None else popped[1]
        now = monotonic()
        if now - began >= PATIENCE_SECONDS:
            raise FleetError(f"Coordinator {coordinator} lives, but has not replied for {PATIENCE_SECONDS:g} s.")
        if now - sent >= REPEAT_SECONDS:
            sent = now
            yield send


# --- runs ------------------------------------------------------------------------------------------------------------


def get_run(run: str) -> Asking[RunInfo]:
    """What Redis has of a run.

    Raises:
        RunNotFound: Nothing.
    """
    (record,) = yield [("HGETALL", keys.run(run))]
    info = RunInfo.of_record(run, record)
    if info is None:
        raise RunNotFound(run)
    return info


def list_runs(status: Sequence[str] | None, graph: str | None, limit: int) -> Asking[list[RunInfo]]:
    """Runs, the newest first.

    Raises:
        ValueError: There is no such status.
    """
    if unknown := [one for one in status or () if one not in _STATUSES]:
        raise ValueError(f"Unknown status {unknown[0]!r}: choose among {', '.join(_STATUSES)}.")
    found: dict[str, RunInfo] = {}  # by id: what is new meanwhile moves the others to later places
    start = 0
    while len(found) < limit:
        (ids,) = yield [("ZREVRANGE", keys.runs(), start, start + BATCH - 1)]
        if not ids:
            break
        start += len(ids)
        names = [id.decode() for id in ids]
        records = yield [("HGETALL", keys.run(name)) for name in names]
        for name, record in zip(names, records, strict=True):
            info = RunInfo.of_record(name, record)  # None: it has expired
            if info is not None and _fits(info, status, graph):
                found[name] = info
    return list(found.values())[:limit]


def _fits(info: RunInfo, status: Sequence[str] | None, graph: str | None) -> bool:
    return (status is None or info.status in status) and (graph is None or is_called(info.graph, graph))


@dataclass(slots=True)
class Watch:
    """Looks after a run that is silent: warns when nobody is there to go on with it."""

    run: str
    timeout: float | None = None
    """After how many seconds there is no more waiting for the run; None to wait for as long as it takes."""
    alone_since: float | None = None
    waits: str | None = None
    """What keeps it from going on, as was told last."""
    began: float = field(default_factory=monotonic)

    def left(self) -> float:
        """How many seconds there are left to wait."""
        return inf if self.timeout is None else max(0.0, self.timeout - (monotonic() - self.began))

    def check(self) -> None:
        """To be called when there is more to wait for.

        Raises:
            ResultTimeout: It has been waited for long enough.
        """
        if self.timeout is not None and not self.left():
            raise ResultTimeout(self.run, self.timeout, self.waits or "")

    def look(self) -> Asking[None]:
        """To be called while the run is silent.

        Raises:
            ResultTimeout: It has been waited for long enough.
        """
        yield from self._look()
        self.check()

    def _look(self) -> Asking[None]:
        try:
            info = RunInfo.of_record(self.run, (yield [("HGETALL", keys.run(self.run))])[0])
            alone = info is not None and info.ended is None and info.coordinator not in (yield from _living())
        except redis.RedisError as error:
            if not will_pass(error):
                raise
            return  # reading goes on when Redis is back
        now = monotonic()
        waits = None if info is None else info.waits
        if waits is not None and waits != self.waits:
            logger.warning("Run %s waits: %s", self.run, waits)
        self.waits = waits
        if not alone:
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = now
        elif now - self.alone_since >= ALONE_SECONDS:
            self.alone_since = now
            graph = "MODULE:GRAPH" if info is None else info.graph
            logger.warning(
                "Run %s waits: its coordinator is gone, and no other has taken it over. %s",
                self.run,
                START_ONE.replace("MODULE:GRAPH", graph),
            )
