"""`fleetgraph watch`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import TextIOWrapper
from types import FrameType
from typing import Final

from fleetgraph.dashboard import Picture, look, watch
from fleetgraph.errors import FleetError
from fleetgraph.redis_server import mask_password
from fleetgraph.wire.connection import connect

_WIDE: Final = 140
"""Cells in a line where there is no terminal that has a width."""


def run(url: str, *, queues: Sequence[str], once: bool, as_json: bool, interval: float) -> int:
    """Show what a fleet does, until it is interrupted.

    Args:
        url: Of the Redis.
        queues: Only what belongs to these queues; all of them if empty.
        once: Whether to show it once, and end.
        as_json: Whether to print JSON, one object for each look at Redis, on a line.
        interval: Seconds between two looks at Redis.

    Returns:
        The exit status.

    Raises:
        RedisUnavailable: Redis can't be reached, or doesn't let this user read.
        FleetError: The package is missing that the terminal view needs.
    """
    if not as_json and find_spec("rich") is None:
        raise FleetError(
            "the terminal view needs the package rich. Install it: pip install 'fleetgraph[watch]'; or use --json."
        )
    output: object = sys.stdout
    if isinstance(output, TextIOWrapper):
        output.reconfigure(errors="replace")  # a terminal that can't show a name shows the rest
    where = mask_password(url)
    draws = not (once or as_json) and _has_screen()
    with connect(url) as client, _ended_in_order():
        pictures = iter([look(client, queues)]) if once else watch(client, queues, interval=interval, eager=draws)
        if as_json:
            _print_json(pictures, where)
        elif draws:
            _draw(pictures, where)
        else:
            _print_lines(pictures, where)
    return 0


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


@contextmanager
def _ended_in_order() -> Generator[None]:
    """Let SIGTERM end the program as Ctrl-C does: a terminal gets back what it showed before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _print_json(pictures: Iterator[Picture], where: str) -> None:
    for picture in pictures:
        print(json.dumps({"redis": where, **picture.to_json()}), flush=True)


def _draw(pictures: Iterator[Picture], where: str) -> None:
    from rich.console import Console
    from rich.live import Live

    from fleetgraph.dashboard.terminal import screen

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for picture in pictures:
            width, height = console.size
            live.update(screen(picture, width, height, where), refresh=True)


def _print_lines(pictures: Iterator[Picture], where: str) -> None:
    """The first picture as a whole, and of the others what has changed."""
    from rich.console import Console

    from fleetgraph.dashboard.changes import changes
    from fleetgraph.dashboard.terminal import clean, clock, screen

    console = Console(highlight=False, soft_wrap=True)
    first = next(pictures)
    width = console.width if console.is_terminal else _WIDE
    console.print(screen(first, width, None, where))
    sys.stdout.flush()
    before = first
    for picture in pictures:
        for line in changes(before, picture):
            print(f"{clock(picture.time)}  {clean(line)}", flush=True)
        before = picture
