"""What somebody can do who has a client's rights: start runs of graphs that the coordinator has, and nothing else."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from fleetgraph.client import Client
from fleetgraph.errors import DecodeError, FleetError, FleetgraphError, GraphNotFound
from fleetgraph.wire import keys
from fleetgraph.wire.calls import Method, Reply, decode_reply, encode_call
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.roles import Role
from tests.security.conftest import Guarded
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_refused")

CODEC = Codec()

PLAIN = "tests.security.graphs:plain"

SUBMISSION: dict[str, Any] = {
    "run": "",
    "graph": PLAIN,
    "input": {"log": []},
    "config": None,
    "context": None,
    "modes": ["updates"],
    "output_keys": None,
    "whole": False,
    "interrupt_before": None,
    "interrupt_after": None,
    "durability": None,
    "subgraphs": False,
    "multitask_strategy": "enqueue",
    "on_disconnect": "cancel",
    "asynchronous": False,
}


class Caller:
    """Sends calls as a client does, of whatever content."""

    def __init__(self, connection: Any, coordinator: str) -> None:
        self._connection = connection
        self._coordinator = coordinator

    def push(self, data: bytes) -> None:
        self._connection.rpush(keys.calls(self._coordinator), data)

    def reply_to(self, id: str) -> Reply:
        # Each look is shorter than the connection's own patience.
        found = wait_until(lambda: self._connection.blpop(keys.reply(id), 2), 20, "a reply")
        return decode_reply(CODEC, found[1])

    def ask(self, method: Method, **payload: Any) -> Reply:
        id = uuid4().hex
        self.push(encode_call(CODEC, id, method, payload))
        return self.reply_to(id)

    def submit(self, **changed: Any) -> Reply:
        return self.ask(Method.SUBMIT, **{**SUBMISSION, "run": uuid4().hex, **changed})


@pytest.fixture
def caller(fleet: Guarded) -> Iterator[Caller]:
    """When it has called, the coordinator still works, and nothing is left of what was refused."""
    before = records(fleet)
    with fleet.login(Role.CLIENT) as connection:
        yield Caller(connection, fleet.coordinator)
    assert records(fleet) == before
    with Client(fleet.url(Role.CLIENT)) as client:
        assert client.invoke("plain", {"log": []}) == {"log": ["alone"]}


def records(fleet: Guarded) -> set[bytes]:
    """The keys of all runs and jobs."""
    return {key for pattern in (keys.run("*"), keys.rq_job("*")) for key in fleet.admin.scan_iter(pattern, count=1000)}


@pytest.mark.parametrize(
    "graph", ["os:system", "subprocess:run", "/etc/passwd:graph", "", "tests.security.graphs:saver"]
)
def test_a_graph_that_the_coordinator_was_not_started_with(caller: Caller, graph: str) -> None:
    for reply in (
        caller.submit(graph=graph),
        caller.ask(Method.GET_STATE, graph=graph, config={}, subgraphs=False),
        caller.ask(Method.UPDATE_STATE, graph=graph, config={}, values=None, as_node=None),
    ):
        assert isinstance(reply.error, GraphNotFound)


@pytest.mark.parametrize("run", ["", "x", "*", f"{'0' * 32}:log", "../" * 10 + "00", "0" * 31 + "\n"])
def test_a_run_id_that_would_make_another_key(caller: Caller, run: str) -> None:
    assert isinstance(caller.submit(run=run).error, FleetError)
    assert isinstance(caller.ask(Method.CANCEL, run=run).error, FleetError)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"rubbish", pickle.dumps((os.getpid, ())), b"\x94\x02\xa1x\xa6submit"])
def test_rubbish_is_thrown_away(caller: Caller, data: bytes) -> None:
    caller.push(data)
    assert isinstance(caller.ask(Method.CANCEL, run="0" * 32).value, bool), "the next call is answered"


@pytest.mark.parametrize("payload", [None, 7, [], b"x", pickle.dumps(os.getpid), {}, {"run": 7}])
@pytest.mark.parametrize("method", [*Method])
def test_a_payload_that_is_none(caller: Caller, method: Method, payload: Any) -> None:
    id = uuid4().hex
    caller.push(encode_call(CODEC, id, method, payload))
    assert isinstance(caller.reply_to(id).error, FleetgraphError)


def test_a_payload_that_can_not_be_read(caller: Caller) -> None:
    id = uuid4().hex
    sound = encode_call(CODEC, id, Method.CANCEL, {"run": "0" * 32})
    payload = CODEC.encode({"run": "0" * 32})
    caller.push(sound.replace(payload, b"\xc1" * len(payload)))
    assert isinstance(caller.reply_to(id).error, DecodeError)


def test_a_method_that_does_not_exist(caller: Caller) -> None:
    id = uuid4().hex
    sound = encode_call(CODEC, id, Method.CANCEL, {"run": "0" * 32})
    caller.push(sound.replace(b"cancel", b"system"))
    assert isinstance(caller.reply_to(id).error, FleetgraphError)


@pytest.mark.parametrize(
    "changed",
    [
        {"modes": ["everything"]},
        {"modes": "updates"},
        {"config": "x"},
        {"config": {"configurable": 7}},
        {"config": {"recursion_limit": "many"}},
        {"multitask_strategy": "fight"},
        {"interrupt_before": 7},
        {"output_keys": {"x": 1}},
        {"asynchronous": "yes"},
    ],
    ids=str,
)
def test_options_that_make_no_sense(caller: Caller, changed: dict[str, Any]) -> None:
    assert isinstance(caller.submit(**changed).error, Exception)
