"""What only the cache in memory has: a clock, and no more than it needs."""

from __future__ import annotations

from typing import Any

from fleetgraph.cache.memory import SMALLEST_SWEEP, InMemoryCache

NODE = ("node",)


def test_a_value_expires_by_the_clock() -> None:
    now = [100.0]
    cache = InMemoryCache[Any](clock=lambda: now[0])
    cache.set({(NODE, "1"): ("a", 10), (NODE, "2"): ("b", None)})
    now[0] += 9.9
    assert len(cache.get([(NODE, "1"), (NODE, "2")])) == 2
    now[0] += 0.1
    assert cache.get([(NODE, "1"), (NODE, "2")]) == {(NODE, "2"): "b"}


def test_values_that_expired_do_not_pile_up() -> None:
    now = [0.0]
    cache = InMemoryCache[Any](clock=lambda: now[0])
    for number in range(20 * SMALLEST_SWEEP):
        now[0] += 1
        cache.set({(NODE, str(number)): (number, 10)})
    assert len(cache._values) <= SMALLEST_SWEEP
    assert cache.get([(NODE, str(20 * SMALLEST_SWEEP - 1))]) != {}


def test_values_that_did_not_expire_all_stay() -> None:
    cache = InMemoryCache[Any]()
    keys = [(NODE, str(number)) for number in range(5 * SMALLEST_SWEEP)]
    for key in keys:
        cache.set({key: (key[1], None)})
    assert len(cache.get(keys)) == len(keys)
