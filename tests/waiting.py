"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.005
"""Between two looks: short beside what is waited for, long beside what a look costs."""


def wait_until(predicate: Callable[[], T], timeout: float = 20.0, what: str = "") -> T:
    """The first true value that `predicate` returns, asked again and again for `timeout` seconds.

    Raises:
        AssertionError: it returned none in that time; the message names `what` and the last value.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            name = what or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"not within {timeout:g} s: {name} (last value: {value!r})")
        time.sleep(PAUSE_SECONDS)
