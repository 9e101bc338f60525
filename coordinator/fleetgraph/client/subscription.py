"""Following a run's events: live from its channel, and from its log what the channel did not deliver.

Pub/sub forgets what it could not deliver: before the subscription, across a reconnect, or to a reader too slow for
Redis's buffers. The log remembers. So a gap in the numbers, a reconnect, or silence sends the reader to the log.
A reader that does not read costs nobody anything: at worst Redis cuts its connection, and it catches up later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, Self, cast

import redis
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fleetgraph.client.sequence import Sequence
from fleetgraph.wire import keys
from fleetgraph.wire.channel import Channel
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import RUN, Event, read_batch
from fleetgraph.wire.outages import will_pass

SILENCE_SECONDS: Final = 1.0
"""How long the channel may be silent before the log is looked at: what a lost last message can cost at most."""

_RECONNECT_SECONDS: Final = 0.05
"""Pause before trying a lost connection again."""

_SUBSCRIBING_SECONDS: Final = 10.0
"""How long to try to subscribe while Redis is away."""

_FIRST_FROM_LOG: Final = 20
"""Messages read from the log at once, at first."""

_MOST_FROM_LOG: Final = 200
"""And at most, while they are small."""

_LOG_BYTES: Final = 4_000_000
"""How much to read from the log at once, about. A message of a flood may have a megabyte."""


class Subscription:
    """The events of one run, each once and in order, up to the one that ends it. A context manager.

    Entering it subscribes and waits for Redis to acknowledge that; only then should the run be started, and only when
    it is on record should the events be read.

    Args:
        client: The Redis to read from.
        run: The run's id.
        codec: Decodes its events.
        idle: Called whenever the run is silent; may raise to give up.
        after: Seq of the last event already known.
        late: Whether there may be events already, to be read from the log at once.
        patience: How many seconds the next silence may last, where less than `SILENCE_SECONDS` is wanted.
    """

    def __init__(
        self,
        client: redis.Redis,
        run: str,
        codec: Codec,
        idle: Callable[[], None],
        after: int = 0,
        *,
        late: bool = False,
        patience: Callable[[], float] = lambda: SILENCE_SECONDS,
    ) -> None:
        self._client = client
        self._run = run
        self._codec = codec
        self._idle = idle
        self._late = late
        self._patience = patience
        self._sequence = Sequence(run, after)
        self._channel = Channel(client, keys.events(run), SILENCE_SECONDS)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _SUBSCRIBING_SECONDS
        while True:
            try:
                self._channel.open()
            except (RedisConnectionError, RedisTimeoutError) as error:
                if not will_pass(error) or time.monotonic() > deadline:
                    raise
                self._idle()
                time.sleep(_RECONNECT_SECONDS)  # nothing to wait for but Redis itself
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def __iter__(self) -> Iterator[Event]:
        batch = self._from_log() if self._late else self._next()
        while True:
            for event in batch:
                yield event
                if event.mode == RUN:
                    return
            batch = self._next()

    def _next(self) -> Iterator[Event]:
        try:
            if not self._channel.is_open:
                self._channel.open()
                return self._from_log()
            message = self._channel.read(min(SILENCE_SECONDS, self._patience()))
        except (RedisConnectionError, RedisTimeoutError):
            self._idle()
            time.sleep(_RECONNECT_SECONDS)  # nothing to wait for but Redis itself
            return self._from_log()
        if message is None:
            self._idle()
            return self._from_log()
        fresh = self._sequence.from_channel(read_batch(self._codec, message))
        return self._from_log() if fresh is None else fresh

    def _from_log(self) -> Iterator[Event]:
        count = _FIRST_FROM_LOG
        while True:
            before = self._sequence.last
            try:
                pipe: Any = self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]
                recorded, entries = _answers(_ask(pipe, self._run, before, count).execute())
            except (RedisConnectionError, RedisTimeoutError):
                return  # Redis is away; the next silence looks again
            yield from self._sequence.from_log(read_batch(self._codec, fields[b"m"]) for _, fields in entries)
            if len(entries) < count:
                self._sequence.check(recorded, before)
                return
            count = next_count(count, sum(len(fields[b"m"]) for _, fields in entries))


class AsyncSubscription:
    """The async twin of `Subscription`. `idle` may be a coroutine function."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        run: str,
        codec: Codec,
        idle: Callable[[], Awaitable[None] | None],
        after: int = 0,
        *,
        late: bool = False,
        patience: Callable[[], float] = lambda: SILENCE_SECONDS,
    ) -> None:
        self._client = client
        self._run = run
        self._codec = codec
        self._idle = idle
        self._late = late
        self._patience = patience
        self._sequence = Sequence(run, after)
        self._pubsub: Any = client.pubsub()  # pyright: ignore[reportUnknownMemberType]

    async def __aenter__(self) -> Self:
        deadline = time.monotonic() + _SUBSCRIBING_SECONDS
        while True:
            try:
                await self._pubsub.subscribe(keys.events(self._run))
                while (message := await self._pubsub.get_message(timeout=SILENCE_SECONDS)) is None:
                    await self._be_idle()
            except (RedisConnectionError, RedisTimeoutError) as error:
                if not will_pass(error) or time.monotonic() > deadline:
                    raise
                await self._be_idle()
                await asyncio.sleep(_RECONNECT_SECONDS)  # nothing to wait for but Redis itself
                await self._pubsub.aclose()
                self._pubsub = self._client.pubsub()  # pyright: ignore[reportUnknownMemberType]
            else:
                assert message["type"] == "subscribe", message
                return self

    async def __aexit__(self, *_: object) -> None:
        await self._pubsub.aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        batch = self._from_log() if self._late else self._next()
        while True:
            async for event in batch:
                yield event
                if event.mode == RUN:
                    return
            batch = self._next()

    async def _be_idle(self) -> None:
        if (looking := self._idle()) is not None:
            await looking

    async def _next(self) -> AsyncIterator[Event]:
        fresh: Iterator[Event] | None = None
        try:
            message = await self._pubsub.get_message(timeout=min(SILENCE_SECONDS, self._patience()))
        except (RedisConnectionError, RedisTimeoutError):
            message = None
            await asyncio.sleep(_RECONNECT_SECONDS)  # nothing to wait for but Redis itself
        if message is None:
            await self._be_idle()
        elif message["type"] == "message":
            fresh = self._sequence.from_channel(read_batch(self._codec, message["data"]))
        if fresh is not None:
            for event in fresh:
                yield event
            return
        async for event in self._from_log():
            yield event

    async def _from_log(self) -> AsyncIterator[Event]:
        count = _FIRST_FROM_LOG
        while True:
            before = self._sequence.last
            try:
                answers = await _ask(self._client.pipeline(transaction=False), self._run, before, count).execute()
            except (RedisConnectionError, RedisTimeoutError):
                return  # Redis is away; the next silence looks again
            recorded, entries = _answers(answers)
            for event in self._sequence.from_log(read_batch(self._codec, fields[b"m"]) for _, fields in entries):
                yield event
            if len(entries) < count:
                self._sequence.check(recorded, before)
                return
            count = next_count(count, sum(len(fields[b"m"]) for _, fields in entries))


_Entries = list[tuple[bytes, dict[bytes, bytes]]]


def _ask(pipe: Any, run: str, after: int, count: int) -> Any:
    """Ask for a run's last seq and then, so that it can't be ahead of them, for a batch of its messages."""
    return pipe.hmget(keys.run(run), "status", "seq").xrange(keys.log(run), f"{after + 1}-0", "+", count=count)


def _answers(answers: list[Any]) -> tuple[int | None, _Entries]:
    (status, seq), entries = answers
    # An event published after Redis lost its data makes a record too, but one without a status.
    return None if status is None else int(seq or 0), cast(_Entries, entries)


def next_count(count: int, size: int) -> int:
    """How many messages to read from the log next, when the last `count` had `size` bytes."""
    return max(1, min(_MOST_FROM_LOG, count * 2, count * _LOG_BYTES // max(1, size)))
