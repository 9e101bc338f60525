"""The values that a worker keeps: fetched once, decoded for each task, given up when there are too many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest

from fleetgraph import growing
from fleetgraph.errors import DecodeError, FleetError, ValueLost
from fleetgraph.wire import keys
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.encryption import Cipher
from fleetgraph.wire.values import Reference, about, digest
from fleetgraph.worker import values as module
from fleetgraph.worker.values import ValueCache

RUN = "run1"


class Shop:
    """Values in a Redis, and a cache that counts what it asks for."""

    def __init__(self, cipher: Cipher | None = None, limit: int = 10_000) -> None:
        self.server = fakeredis.FakeServer()
        self.client = fakeredis.FakeRedis(server=self.server)
        self.codec = Codec(cipher=cipher)
        self.gave_up = False
        self.cache = ValueCache(self.client, self.codec, self._wait, limit)
        self.asked: list[list[str]] = []
        read = self.cache._read

        def counting(run: str, fields: list[str]) -> list[bytes | None]:
            self.asked.append(fields)
            return read(run, fields)

        self.cache._read = counting  # type: ignore[method-assign]

    def _wait(self, seconds: float) -> bool:
        self.gave_up = True
        return True

    def put(self, field: str, value: Any) -> None:
        self.client.hset(keys.values(RUN), field, self.codec.encode(value, about=about(RUN, field)))

    def get(self, name: str, growths: int = 0) -> Any:
        return self.cache.value(RUN, "log", Reference(name, growths))


@pytest.fixture(params=[None, Cipher([b"k" * 32])], ids=["plain", "encrypted"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(request.param)
    yield shop
    shop.client.close()


def test_a_value_is_fetched_once_and_made_afresh_each_time(shop: Shop) -> None:
    shop.put("1-1", {"a": [1]})
    first = shop.get("1-1")
    first["a"].append("spoilt")
    assert shop.get("1-1") == {"a": [1]}
    assert shop.asked == [["1-1"]]


def test_of_a_value_that_has_grown_only_that_is_fetched(shop: Shop) -> None:
    shop.put("1-1", ["a"])
    assert shop.get("1-1") == ["a"]
    for number in range(1, 5):
        shop.put(f"1-1.{number}", [number])
    assert shop.get("1-1", 2) == ["a", 1, 2]
    assert shop.get("1-1", 4) == ["a", 1, 2, 3, 4]
    assert shop.asked == [["1-1"], ["1-1.1", "1-1.2"], ["1-1.3", "1-1.4"]]


@pytest.mark.parametrize("added", [[2, "two"], [3]])
def test_what_the_worker_has_written_itself_is_not_fetched(added: list[Any]) -> None:
    shop = Shop()
    shop.put("1-1", ["a"])
    assert shop.get("1-1") == ["a"]
    written = [2, "two"]
    shop.cache.wrote(RUN, [("log", written), ("other", [1])], {"log": Reference("1-1", 0)})
    written.append("after that")
    data = shop.codec.encode(added)
    shop.put("1-1.1", added)

    seen = shop.cache.value(RUN, "log", Reference("1-1", 1, digest(data)))
    assert seen == ["a", *added]
    assert shop.asked == [["1-1"]] + ([] if added == [2, "two"] else [["1-1.1"]])
    assert shop.get("1-1", 1) == seen  # once more, for another task
    shop.client.close()


def test_what_it_has_written_before_something_else_was_added_is_forgotten() -> None:
    shop = Shop()
    shop.put("1-1", [0])
    shop.get("1-1")
    shop.cache.wrote(RUN, [("log", [2])], {"log": Reference("1-1", 0)})
    for number in (1, 2):
        shop.put(f"1-1.{number}", [number])

    data = shop.codec.encode([2])
    assert shop.cache.value(RUN, "log", Reference("1-1", 2, digest(data))) == [0, 1, 2]
    assert shop.asked == [["1-1"], ["1-1.1", "1-1.2"]]
    shop.client.close()


def test_who_has_missed_too_much_fetches_it_as_it_is_now(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "FAN", 4)
    shop.put("1-1", ["a"])
    shop.get("1-1")
    shop.put("1-1.4", [1, 2, 3, 4])
    shop.put("1-1.5", [5])
    assert shop.get("1-1", 5) == ["a", 1, 2, 3, 4, 5]
    assert shop.asked[-1] == ["1-1", "1-1.4", "1-1.5"]

    monkeypatch.setattr(module, "_MOST_BITS", 0)
    shop.put("1-1.6", [6])
    assert shop.get("1-1", 6) == ["a", 1, 2, 3, 4, 5, 6]
    assert shop.asked[-1] == ["1-1", "1-1.4", "1-1.5", "1-1.6"]


def test_a_task_of_an_earlier_superstep_gets_the_value_of_then(shop: Shop) -> None:
    shop.put("1-1", ["a"])
    shop.put("1-1.1", ["b"])
    assert shop.get("1-1", 1) == ["a", "b"]
    assert shop.get("1-1") == ["a"]
    assert shop.get("1-1", 1) == ["a", "b"]


def test_what_is_not_there_is_an_error_that_says_so(shop: Shop) -> None:
    with pytest.raises(ValueLost, match=r"run run1: its value of log is gone from Redis"):
        shop.get("1-1")
    shop.put("1-1", ["a"])
    with pytest.raises(ValueLost):
        shop.get("1-1", 1)
    shop.put("1-1.1", ["b"])
    assert shop.get("1-1", 1) == ["a", "b"]


def test_what_was_not_needed_for_longest_is_given_up() -> None:
    shop = Shop(limit=2500)
    for name in ("1-1", "1-2"):
        shop.put(name, "x" * 1000)
        shop.get(name)
    shop.get("1-1")
    shop.put("1-3", "x" * 1000)
    shop.get("1-3")
    assert shop.cache.size < 2500
    shop.asked.clear()
    shop.get("1-1")
    shop.get("1-2")
    assert shop.asked == [["1-2"]]

    shop.put("1-4", "x" * 5000)
    assert shop.get("1-4") == "x" * 5000
    assert shop.cache.size == 0


def test_tasks_that_need_a_value_at_the_same_time_fetch_it_once(shop: Shop) -> None:
    shop.put("1-1", list(range(1000)))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(shop.get("1-1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(1000))] * 8
    assert len(shop.asked) == 1


def test_a_redis_that_is_away_is_waited_for_until_the_worker_gives_up(shop: Shop) -> None:
    shop.server.connected = False
    with pytest.raises(FleetError, match="did not answer"):
        shop.get("1-1")
    assert shop.gave_up


def test_encrypted_values_are_bound_to_their_run_and_place() -> None:
    shop = Shop(Cipher([b"k" * 32]))
    shop.put("1-1", "secret")
    data = shop.client.hget(keys.values(RUN), "1-1")
    assert isinstance(data, bytes)
    assert b"secret" not in data
    shop.client.hset(keys.values(RUN), "1-2", data)
    with pytest.raises(DecodeError, match="belongs somewhere else"):
        shop.get("1-2")
