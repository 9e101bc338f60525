"""The helpers of the other tests fail when they should."""

from __future__ import annotations

import pytest
import redis

from benchmarks.workloads.loop import build
from fleetgraph.fleet import Fleet
from tests.leaks import leaked_keys
from tests.waiting import wait_until


def test_waiting_ends_at_the_first_true_value() -> None:
    values = iter([0, "", "here", "later"])
    assert wait_until(lambda: next(values)) == "here"
    assert next(values) == "later"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the moon \(last value: 0\)"):
        wait_until(lambda: 0, timeout=0.01, what="the moon")


def test_a_key_that_never_expires_is_a_leak(redis_client: redis.Redis) -> None:
    redis_client.set("kept", "1")
    redis_client.set("brief", "1", ex=60)
    redis_client.sadd("rq:queues", "a")
    assert leaked_keys(redis_client) == ["kept"]


def test_a_run_leaves_nothing_behind(redis_url: str, no_leaked_keys: None) -> None:
    with Fleet.inline(url=redis_url) as fleet:
        loop = build("fleetgraph", None)
        assert loop.on(fleet).invoke({"done": 0, "steps": 3}) == {"done": 3, "steps": 3}
