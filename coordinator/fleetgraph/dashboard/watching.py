"""Watching: listens to all runs' channels, reads a snapshot now and then, and makes pictures of both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import redis

from fleetgraph.dashboard.board import Board
from fleetgraph.dashboard.heads import read_heads
from fleetgraph.dashboard.picture import Picture
from fleetgraph.dashboard.reading import read_snapshot
from fleetgraph.errors import RedisUnavailable
from fleetgraph.wire import keys
from fleetgraph.wire.channel import Channels
from fleetgraph.wire.outages import will_pass
from fleetgraph.wire.roles import Role, missing_rights

_REDRAW_SECONDS: Final = 0.25
"""The shortest time between two pictures that only events tell apart."""

_WAIT_SECONDS: Final = 5.0
"""How long to wait for a message at once, at most."""

_PREFIX, _SUFFIX = keys.events("*").encode().split(b"*")
"""Of the channels' names; between them is the run's id."""

_WANTED: Final = 50
"""Runs read at most because an event told of them."""


def look(client: redis.Redis, queues: Sequence[str] = ()) -> Picture:
    """What Redis shows of a fleet now.

    Args:
        client: The Redis.
        queues: Only what belongs to these queues; all of them if empty.

    Raises:
        RedisUnavailable: Redis does not answer, or does not let this user read.
    """
    board = Board()
    board.begin()
    try:
        board.read(read_snapshot(client, queues), at=0.0)
    except redis.RedisError as error:
        raise _unavailable(error) from error
    return board.picture(at=0.0)


def watch(
    client: redis.Redis, queues: Sequence[str] = (), *, interval: float = 1.0, eager: bool = False
) -> Iterator[Picture]:
    """Pictures of a fleet, one each `interval`, for as long as they are asked for; also while Redis is away.

    It only reads, and takes three round trips a picture.

    Args:
        client: The Redis; the caller closes it.
        queues: Only what belongs to these queues; all of them if empty.
        interval: Seconds between two looks at Redis.
        eager: Whether to make further pictures in between, as events come.

    Raises:
        RedisUnavailable: Redis did not answer at the beginning; or does not let this user read.
    """
    board = Board(listening=True)
    channels = Channels(client, keys.events("*"), _WAIT_SECONDS)
    try:
        reached = False
        while True:
            due = time.monotonic() + interval
            try:
                if not channels.is_open:
                    channels.open()
                board.begin()
                board.read(read_snapshot(client, queues, board.told[:_WANTED]), at=time.monotonic())
                reached = True
            except redis.RedisError as error:
                if not (reached and will_pass(error)):
                    raise _unavailable(error) from error
                channels.close()  # it may be half open, which only silence would tell
                board.fail(_said(error))
            yield board.picture(at=time.monotonic())
            yield from _listen(board, channels, due, eager)
    finally:
        channels.close()


def _listen(board: Board, channels: Channels, due: float, eager: bool) -> Iterator[Picture]:
    """Tell the board of events until it is time to look at Redis again."""
    drawn, news = time.monotonic(), False
    while (left := due - time.monotonic()) > 0:
        if eager and news:
            left = min(left, max(0.0, drawn + _REDRAW_SECONDS - time.monotonic()))
        if (message := _heard(channels, left)) is not None:
            run, data = message
            board.tell(run, read_heads(data), at=time.monotonic())
            news = True
        if eager and news and time.monotonic() >= drawn + _REDRAW_SECONDS:
            drawn, news = time.monotonic(), False
            yield board.picture(at=drawn)


def _heard(channels: Channels, seconds: float) -> tuple[str, bytes] | None:
    """The next message, and which run's; None if none comes in that time.

    Raises:
        RedisUnavailable: This user may not listen.
    """
    if not channels.is_open:
        time.sleep(seconds)  # until Redis is tried again
        return None
    try:
        message = channels.read(seconds)
    except redis.RedisError as error:
        if not will_pass(error):
            raise _unavailable(error) from error
        return None  # what it did not bring, the next look at Redis does
    if message is None:
        return None
    name, data = message
    return name.removeprefix(_PREFIX).removesuffix(_SUFFIX).decode(errors="replace"), data


def _unavailable(error: redis.RedisError) -> RedisUnavailable:
    advice = missing_rights(error, Role.DASHBOARD)
    return RedisUnavailable(f"the fleet can't be watched: {_said(error)}.{' ' if advice else ''}{advice}")


def _said(error: redis.RedisError) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
