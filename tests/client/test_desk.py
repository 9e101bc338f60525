"""What a coordinator replies to calls that no client of ours makes; and that it does what it is asked once."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest
import redis

from fleetgraph.client import Client
from fleetgraph.errors import DecodeError, FleetError, GraphNotFound, NotSupported
from fleetgraph.wire import keys
from fleetgraph.wire.calls import (
    CALL_TTL,
    ClientCall,
    Method,
    Reply,
    decode_call,
    decode_reply,
    encode_call,
    encode_reply,
)
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import WIRE_VERSION
from fleetgraph.wire.shapes import message_to_array
from tests.client.conftest import QUEUE
from tests.client.processes import CoordinatorProcess
from tests.fleet import gates
from tests.fleet.observing import new_key, new_thread
from tests.fleet.processes import Worker
from tests.waiting import wait_until

CODEC = Codec()


class Caller:
    """Sends calls as bytes."""

    def __init__(self, store: redis.Redis, coordinator: str) -> None:
        self._store = store
        self._key = keys.calls(coordinator)

    def send(self, data: bytes) -> None:
        self._store.rpush(self._key, data)
        self._store.expire(self._key, 60)

    def reply_to(self, id: str) -> Reply:
        # Each look is shorter than the connection's own patience.
        popped: Any = wait_until(lambda: self._store.blpop([keys.reply(id)], 2), 20, "a reply")
        return decode_reply(CODEC, popped[1])

    def ask(self, method: str, payload: bytes) -> Reply:
        id = uuid4().hex
        self.send(CODEC.encode(message_to_array(ClientCall(id, method, payload))))
        return self.reply_to(id)


@pytest.fixture
def caller(store: redis.Redis, service: None, processes: list[CoordinatorProcess | Worker]) -> Caller:
    coordinator = processes[0]
    assert isinstance(coordinator, CoordinatorProcess)
    return Caller(store, coordinator.id)


def submission(**changes: Any) -> dict[str, Any]:
    return {
        "run": uuid4().hex,
        "graph": "tests.client.graphs:family",
        "input": {"log": []},
        "config": None,
        "context": None,
        "modes": ["values"],
        "output_keys": None,
        "whole": True,
        "interrupt_before": None,
        "interrupt_after": None,
        "durability": None,
        "subgraphs": False,
        "multitask_strategy": "enqueue",
        "asynchronous": False,
        **changes,
    }


REFUSED: list[tuple[str, Any, type[BaseException], str]] = [
    ("explode", {}, NotSupported, "the call 'explode'"),
    ("submit", [], FleetError, "a map, not a list"),
    ("submit", {}, FleetError, "lacks 'run'"),
    ("submit", submission(run="x:log"), FleetError, "'x:log' is no run id"),
    ("submit", submission(run=1), FleetError, "'run' of the call 'submit' is a str, not a int"),
    ("submit", submission(graph="os:system"), GraphNotFound, "has no graph 'os:system'"),
    ("submit", submission(config=[1]), FleetError, "'config' of the call 'submit' is a dict or NoneType, not a list"),
    ("submit", submission(modes=["nope"]), ValueError, "Unknown stream mode"),
    ("submit", submission(output_keys="nope"), ValueError, "Key nope not in channels"),
    ("submit", submission(multitask_strategy="rollback"), ValueError, "rollback"),
    (
        "submit",
        submission(interrupt_before=5),
        FleetError,
        "'interrupt_before' of the call 'submit' is a str or list or",
    ),
    ("submit", submission(config={"configurable": 5}), TypeError, "'int' object is not iterable"),
    ("cancel", {"run": "a b"}, FleetError, "no run id"),
    ("get_state", {"graph": "nope", "config": {}, "subgraphs": False}, GraphNotFound, "has no graph 'nope'"),
    ("get_state_history", {"graph": "tests.client.graphs:asking"}, FleetError, "lacks 'config'"),
]


@pytest.mark.parametrize(("method", "payload", "kind", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_a_call_that_makes_no_sense_gets_an_error(
    caller: Caller, method: str, payload: Any, kind: Any, text: str
) -> None:
    error = caller.ask(method, CODEC.encode(payload)).error
    assert isinstance(error, kind)
    assert text in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"recursion_limit": "many"}},
        {"config": {"max_concurrency": "many"}},
        {"config": {"tags": 5, "metadata": 6}},
        {"config": {"run_name": [], "run_id": {}}},
        {"config": {"callbacks": ["x"]}},
        {"interrupt_before": [5, {}]},
        {"durability": "never"},
        {"input": 5},
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense_fails_alone(caller: Caller, client: Client, changes: dict[str, Any]) -> None:
    payload = submission(**changes)
    if caller.ask("submit", CODEC.encode(payload)).error is None:
        wait_until(lambda: client.get_run(payload["run"]).ended)
    assert client.invoke("family", {"log": []})["log"][0] == "top"


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x81", CODEC.encode({"graph": 1})[:-1]], ids=repr)
def test_a_payload_that_can_not_be_read_gets_an_error(caller: Caller, payload: bytes) -> None:
    assert isinstance(caller.ask("submit", payload).error, DecodeError)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"rubbish", CODEC.encode([WIRE_VERSION, "id", "submit"]), CODEC.encode([0, "id", "submit", b""])],
    ids=repr,
)
def test_rubbish_is_thrown_away_and_calls_go_on(caller: Caller, client: Client, data: bytes) -> None:
    caller.send(data)
    assert caller.ask("cancel", CODEC.encode({"run": "0" * 32})).value is False


def test_a_call_that_comes_twice_is_done_once(caller: Caller, client: Client, store: redis.Redis) -> None:
    thread = new_thread()
    client.invoke("asking", {"topic": "tea", "log": []}, thread)
    before = len(list(client.get_state_history("asking", thread)))
    payload = {
        "graph": "tests.client.graphs:asking",
        "config": thread,
        "values": {"log": ["once"]},
        "as_node": "review",
    }
    id = uuid4().hex
    data = encode_call(CODEC, id, Method.UPDATE_STATE, payload)
    caller.send(data)
    caller.send(data)
    first = caller.reply_to(id)
    caller.send(data)
    assert caller.reply_to(id) == first
    assert first.error is None
    assert len(list(client.get_state_history("asking", thread))) == before + 1
    assert client.get_state("asking", thread).values["log"] == ["thought of tea", "once"]


def test_a_run_that_is_submitted_twice_runs_once(caller: Caller, client: Client) -> None:
    key = new_key()
    payload = submission(graph="tests.client.graphs:holding", input={"key": key, "log": []}, config=new_thread())
    for _ in range(2):  # under two ids, as from two processes
        assert caller.ask("submit", CODEC.encode(payload)).error is None
    gates.open(key)
    assert client.handle(payload["run"]).result()["log"] == [key, "after 1"]
    assert len(gates.arrived(key)) == 1
    assert client.get_run(payload["run"]).queue == QUEUE


def test_nothing_stays_in_redis_for_long(caller: Caller, store: redis.Redis) -> None:
    id = uuid4().hex
    caller.send(encode_call(CODEC, id, Method.CANCEL, {"run": "0" * 32}))
    wait_until(lambda: store.exists(keys.reply(id)))
    assert 0 < cast("int", store.ttl(keys.reply(id))) <= CALL_TTL.total_seconds()


# --- the messages ----------------------------------------------------------------------------------------------------


def test_a_call_on_the_wire() -> None:
    data = encode_call(CODEC, "i", Method.CANCEL, {"run": "r"})
    assert data == bytes([0x94, WIRE_VERSION]) + b"\xa1i\xa6cancel\xc4\x07\x81\xa3run\xa1r"
    assert decode_call(data) == ClientCall("i", "cancel", b"\x81\xa3run\xa1r")


def test_a_reply_on_the_wire() -> None:
    data = encode_reply(CODEC, Reply("i", True, None), "")
    assert data == bytes([0x94, WIRE_VERSION]) + b"\xa1i\xc3\xc0"
    assert decode_reply(CODEC, data) == Reply("i", True, None)


def test_a_reply_whose_value_can_not_travel_says_so() -> None:
    reply = decode_reply(CODEC, encode_reply(CODEC, Reply("i", {"lock": object()}, None), "reply to get_state"))
    assert reply.value is None
    assert "reply to get_state: can't send the value at" in str(reply.error)
