"""What a task costs Redis. RQ's own worker takes some 57 commands a job, in about 30 round trips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import redis

from fleetgraph.config import get_stream_writer
from fleetgraph.worker import FleetWorker
from tests.waiting import wait_until
from tests.worker.conftest import Desk

TASKS = 200

MOST_COMMANDS = 22
"""A task, from its dispatch to its outcome in the inbox: inside scripts and outside."""

MOST_CALLS = 1.2
"""A task, in round trips of a worker with more to do: one, which ends a task and gets the next."""


def commands(client: redis.Redis) -> dict[str, int]:
    stats = cast("dict[str, dict[str, int]]", client.info("commandstats"))
    return {name.removeprefix("cmdstat_"): values["calls"] for name, values in stats.items()}


def spent(client: redis.Redis, before: dict[str, int]) -> dict[str, int]:
    ours = ("llen", "lrange", "info", "xrange", "script")
    after = commands(client)
    return {
        name: count - before.get(name, 0)
        for name, count in after.items()
        if count > before.get(name, 0) and not name.startswith(ours)
    }


def test_a_task_costs_few_commands_and_one_round_trip(
    desk_for: Callable[..., Desk], start_worker: Callable[..., FleetWorker], redis_client: redis.Redis
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    desk = desk_for(quick=quick)
    start_worker(desk, concurrency=4, lease_seconds=30)
    desk.give("quick", "warm")
    desk.outcome("warm")
    before = commands(redis_client)

    desk.give("quick", *[f"t{number}" for number in range(TASKS)])
    desk.outcomes(TASKS + 1)

    counted = spent(redis_client, before)
    calls = counted.pop("evalsha")
    assert sum(counted.values()) / TASKS <= MOST_COMMANDS, counted
    assert calls / TASKS <= MOST_CALLS, counted


def test_events_share_calls_under_load(
    desk_for: Callable[..., Desk], start_worker: Callable[..., FleetWorker], redis_client: redis.Redis
) -> None:
    def talking(state: Any) -> Any:
        writer = get_stream_writer()
        for number in range(2000):
            writer(number)
        return {"items": []}

    desk = desk_for(talking=talking)
    start_worker(desk)
    before = commands(redis_client)

    desk.give("talking", "t")
    desk.outcome("t")

    assert len(desk.events()) == 2000
    assert spent(redis_client, before)["xadd"] < 1000


def test_an_idle_worker_hardly_asks(
    desk_for: Callable[..., Desk], start_worker: Callable[..., FleetWorker], redis_client: redis.Redis
) -> None:
    async def quick(state: Any) -> Any:
        return {"items": []}

    redis_client.config_resetstat()
    start_worker(desk_for(quick=quick))
    wait_until(lambda: commands(redis_client).get("subscribe", 0) >= 1)
    before = commands(redis_client)

    wait_until(lambda: commands(redis_client).get("evalsha", 0) >= before.get("evalsha", 0) + 4)

    counted = spent(redis_client, before)
    assert sum(counted.values()) <= 40, counted  # those in scripts count as well
