"""What clients say to Redis, without one: whom they ask, and what they do when nobody replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import redis

from fleetgraph.client.asking import ask, drive, list_runs
from fleetgraph.client.link import Link
from fleetgraph.client.services import Service, choose, known_graphs, resolve
from fleetgraph.errors import (
    FleetError,
    GraphNotFound,
    NoCoordinator,
    RedisFull,
    RedisUnavailable,
    RemoteTraceback,
)
from fleetgraph.wire import keys
from fleetgraph.wire.calls import Method, Reply, decode_call, encode_reply
from fleetgraph.wire.codec import Codec

CODEC = Codec()
GRAPH = "app:graph"


class FakeRedis:
    """Coordinators, and what becomes of the calls that are pushed for them."""

    def __init__(self, **coordinators: dict[str, Any]) -> None:
        self.coordinators = coordinators
        self.expired: list[bytes] = []
        """Those whose lease has ended."""
        self.calls: list[tuple[str, str]] = []
        """(coordinator, call id), in order."""
        self.payloads: list[dict[str, Any]] = []
        self.replies: dict[str, bytes] = {}
        self.looks = 0

    def send(self, commands: Sequence[Any]) -> list[Any]:
        return [getattr(self, command[0].lower())(*command[1:]) for command in commands]

    def time(self) -> Any:
        return 1000, 5

    def zrangebyscore(self, key: str, start: str, end: str) -> list[bytes]:
        assert (key, end) == (keys.coordinators(), "+inf")
        assert start in ("(1000.000005", "-inf")
        return [name.encode() for name in self.coordinators] + (self.expired if start == "-inf" else [])

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        record = self.coordinators[key.removeprefix(keys.coordinator(""))]
        graphs = json.dumps(dict.fromkeys(record.get("graphs", [GRAPH]), "fingerprint")).encode()
        return {
            b"kind": record.get("kind", "service").encode(),
            b"graphs": graphs,
            b"runs": b"%d" % record.get("runs", 0),
        }

    def rpush(self, key: str, data: bytes) -> int:
        name = key.removeprefix(keys.calls(""))
        call = decode_call(data)
        self.calls.append((name, call.id))
        self.payloads.append(CODEC.decode(call.payload))
        self.called(name, call.id)
        return 1

    def called(self, name: str, id: str) -> None:
        self.reply(id, f"{name} did it")

    def reply(self, id: str, value: Any, error: BaseException | None = None) -> None:
        self.replies[keys.reply(id)] = encode_reply(CODEC, Reply(id, value, error), "")

    def expire(self, key: str, ttl: int) -> int:
        assert ttl == 60
        return 1

    def blpop(self, key: str, seconds: int) -> Any:
        self.looks += 1
        data = self.replies.pop(key, None)
        return None if data is None else (key.encode(), data)


def asked(fake: FakeRedis, method: Method = Method.GET_STATE, graph: str | None = "graph") -> Any:
    return drive(ask(CODEC, method, {"config": {}}, graph), fake.send)


def test_a_call_names_the_graph_in_full() -> None:
    fake = FakeRedis(one={})
    assert asked(fake) == "one did it"
    assert fake.payloads == [{"config": {}, "graph": GRAPH}]


def test_the_one_with_the_fewest_runs_is_asked() -> None:
    assert (
        asked(FakeRedis(busy={"runs": 3}, idle={"runs": 1}, other={"runs": 0, "graphs": ["b:other"]})) == "idle did it"
    )


def test_embedded_coordinators_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetgraph.client.asking.RETURN_SECONDS", 0.0)
    with pytest.raises(NoCoordinator, match="fleetgraph coordinator"):
        asked(FakeRedis(mine={"kind": "embedded"}))


def test_what_the_coordinator_replied_is_raised() -> None:
    class Refusing(FakeRedis):
        def called(self, name: str, id: str) -> None:
            self.reply(id, None, ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        asked(Refusing(one={}))


class Dying(FakeRedis):
    """The coordinator `first` dies when it is called."""

    def called(self, name: str, id: str) -> None:
        if name == "first":
            self.coordinators = {"second": {}}
        else:
            super().called(name, id)


def test_when_a_coordinator_dies_another_is_asked_the_same(caplog: pytest.LogCaptureFixture) -> None:
    fake = Dying(first={})
    assert asked(fake) == "second did it"
    (first, id), (second, same) = fake.calls
    assert (first, second, id) == ("first", "second", same)
    assert "Coordinator first died" in caplog.text


def test_what_must_not_be_done_twice_is_not_asked_twice() -> None:
    fake = Dying(first={})
    with pytest.raises(FleetError, match="it may have done it, or not"):
        asked(fake, Method.UPDATE_STATE)
    assert len(fake.calls) == 1


def test_coordinators_that_were_away_for_a_moment_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Returning(FakeRedis):
        def blpop(self, key: str, seconds: int) -> Any:
            self.coordinators = {"one": {}}
            return super().blpop(key, seconds)

    fake = Returning()
    fake.expired = [b"one"]
    assert asked(fake) == "one did it"
    monkeypatch.setattr("fleetgraph.client.asking.RETURN_SECONDS", 0.0)
    fake.coordinators = {}
    with pytest.raises(NoCoordinator):
        asked(fake)


def test_when_the_last_coordinator_dies_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetgraph.client.asking.PATIENCE_SECONDS", 0.0)

    class Last(FakeRedis):
        def called(self, name: str, id: str) -> None:
            self.coordinators = {}

    with pytest.raises(NoCoordinator, match="has graph 'app:graph' any more"):
        asked(Last(one={}))


def test_a_reply_that_another_gave_to_what_it_took_over_counts() -> None:
    class TakenOver(FakeRedis):
        def called(self, name: str, id: str) -> None:
            self.coordinators = {"second": {}}
            self.id = id

        def blpop(self, key: str, seconds: int) -> Any:
            if self.looks == 1:
                self.reply(self.id, "done after all")
            return super().blpop(key, seconds)

    fake = TakenOver(first={})
    assert asked(fake, Method.UPDATE_STATE) == "done after all"
    assert len(fake.calls) == 1


def test_a_call_that_got_lost_is_sent_again_under_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetgraph.client.asking.REPEAT_SECONDS", 0.0)

    class Losing(FakeRedis):
        def called(self, name: str, id: str) -> None:
            if len(self.calls) == 3:
                super().called(name, id)

    fake = Losing(one={})
    assert asked(fake) == "one did it"
    assert len(set(fake.calls)) == 1


def test_a_coordinator_that_lives_and_never_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetgraph.client.asking.PATIENCE_SECONDS", 0.0)

    class Mute(FakeRedis):
        def called(self, name: str, id: str) -> None:
            pass

    with pytest.raises(FleetError, match="Coordinator one lives, but has not replied"):
        asked(Mute(one={}))


# --- choosing --------------------------------------------------------------------------------------------------------


def service(id: str, *graphs: str, runs: int = 0) -> Service:
    return Service(id, dict.fromkeys(graphs, "f"), runs)


def test_names() -> None:
    services = [service("one", "app:graph", "joke"), service("two", "app:graph", "pkg.b:other", "c:twin", "d:twin")]
    assert known_graphs(services) == ["app:graph", "c:twin", "d:twin", "joke", "pkg.b:other"]
    assert resolve(services, "app:graph") == resolve(services, "graph") == "app:graph"
    assert resolve(services, "joke") == "joke"
    assert resolve(services, "other") == "pkg.b:other"
    with pytest.raises(GraphNotFound, match=r"may be one of several graphs; say which: c:twin, d:twin\."):
        resolve(services, "twin")
    with pytest.raises(GraphNotFound, match="No live coordinator has a graph 'b:other'; there is: app:graph"):
        resolve(services, "b:other")
    with pytest.raises(NoCoordinator):
        resolve([], "graph")


def test_load_is_spread() -> None:
    services = [service(id, "g", runs=2) for id in "abc"]
    assert {choose(services, "g").id for _ in range(200)} == {"a", "b", "c"}
    with pytest.raises(NoCoordinator):
        choose(services, "other")


# --- a Redis that fails ----------------------------------------------------------------------------------------------


def test_drive_gives_errors_to_who_asks() -> None:
    def failing(commands: Sequence[Any]) -> list[Any]:
        raise redis.ConnectionError("away")

    with pytest.raises(redis.ConnectionError, match="away"):
        drive(list_runs(None, None, 1), failing)


def test_a_password_is_not_told() -> None:
    link = Link("redis://me:secret@nowhere:1/0")
    with (
        pytest.raises(RedisUnavailable, match=r"no Redis answers at redis://me:\*\*\*@nowhere:1/0: away\."),
        link.telling(),
    ):
        raise redis.ConnectionError("away.")


def test_only_a_redis_that_was_there_is_waited_for() -> None:
    link, error = Link("redis://nowhere"), redis.ConnectionError("away")
    with pytest.raises(redis.ConnectionError):
        link.attempt().pause_after(error)
    link.works = True
    attempt = link.attempt()
    assert 0 < attempt.pause_after(error) < attempt.pause_after(error)
    with pytest.raises(redis.ResponseError):
        attempt.pause_after(redis.ResponseError("OOM command not allowed"))


def test_an_error_of_another_redis_stays_what_it_is() -> None:
    """A node uses one, say."""
    raised = redis.ConnectionError("the node's Redis is away")
    raised.__cause__ = RemoteTraceback("Traceback …")
    with pytest.raises(redis.ConnectionError, match="the node's Redis is away"), Link("redis://x").telling():
        raise raised


def test_what_redis_refuses_is_one_clear_error() -> None:
    with (
        pytest.raises(FleetError, match=r"refuses what a client needs: NOPERM .*role client: `fleetgraph acl client`"),
        Link("redis://x").telling(),
    ):
        raise redis.exceptions.NoPermissionError("NOPERM this user has no permissions")
    with pytest.raises(RedisFull), Link("redis://x").telling():
        raise redis.exceptions.OutOfMemoryError("OOM command not allowed when used memory > 'maxmemory'.")
