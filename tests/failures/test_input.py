"""Rubbish and huge things, wherever they come from: that run has a clear error, and everybody lives on."""

from __future__ import annotations

import importlib
import operator
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
import redis

from fleetgraph.errors import DecodeError, EncodeError, FleetError, RemoteNodeError
from fleetgraph.fleet import Fleet
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send
from fleetgraph.wire import Codec, keys
from fleetgraph.wire.codec import LIMIT_VARIABLE
from fleetgraph.wire.messages import Outcome, TaskMessage
from tests.waiting import wait_until

msgpack: Any = importlib.import_module("msgpack")  # has no types

RUBBISH = [b"rubbish", b"?rubbish", b"!rubbish", b"\xdd\xff\xff\xff\xff", b"\x96\x02\x01\x01\x01", b"\x91" * 9000, b"?"]

MEGABYTE = 1 << 20


class State(TypedDict, total=False):
    size: int
    data: bytes
    length: int
    many: Annotated[list[int], operator.add]


class Gate:
    """Where a node waits until the test lets it go on."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.open = threading.Event()

    def wait(self) -> None:
        self.arrived.set()
        assert self.open.wait(30)


def graph_of(node: Callable[[Any], Any], after: Callable[[Any], Any] | None = None) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    if after is not None:
        builder.add_node("after", after)
        builder.add_edge("node", "after")
    return builder.compile()


def write(state: State) -> State:
    return {"data": b"x" * state["size"]}


def measure(state: State) -> State:
    return {"length": len(state["data"])}


@pytest.fixture
def fleet(redis_url: str) -> Iterator[Fleet]:
    """Two workers; after the test they, and the coordinator, have to be the same, and at work."""
    with Fleet.inline(2, url=redis_url) as fleet, redis.Redis.from_url(redis_url) as client:  # pyright: ignore
        graph_of(write).on(fleet).invoke({"size": 1})
        before = workers(client), coordinators(client)
        yield fleet
        assert graph_of(write, measure).on(fleet).invoke({"size": 3})["length"] == 3
        assert (workers(client), coordinators(client)) == before


def workers(client: redis.Redis) -> set[Any]:
    return set(client.smembers(keys.rq_workers()))  # pyright: ignore


def coordinators(client: redis.Redis) -> list[Any]:
    return client.zrange(keys.coordinators(), 0, -1)  # pyright: ignore


def inbox_of(client: redis.Redis) -> str:
    (coordinator,) = coordinators(client)
    return keys.inbox(coordinator.decode())


def queue_of(client: redis.Redis) -> str:
    (queue,) = client.smembers(keys.rq_queues())  # pyright: ignore
    return queue.decode().removeprefix(keys.rq_queue(""))


@pytest.fixture
def running() -> Iterator[Callable[..., Future[Any]]]:
    """Calls something in a thread of its own."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit


# --- huge things -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(150)
@pytest.mark.long
def test_a_node_writes_a_hundred_megabytes(fleet: Fleet, record_property: Callable[[str, object], None]) -> None:
    graph = graph_of(write, measure).on(fleet)
    began = time.monotonic()
    chunks = list(graph.stream({"size": 100 * MEGABYTE}, stream_mode="updates"))
    record_property("seconds", time.monotonic() - began)
    assert len(chunks[0]["node"]["data"]) == 100 * MEGABYTE
    assert chunks[1] == {"after": {"length": 100 * MEGABYTE}}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a megabyte."""
    monkeypatch.setenv(LIMIT_VARIABLE, str(MEGABYTE))


def emit(state: State) -> State:
    from fleetgraph.config import get_stream_writer

    get_stream_writer()(b"x" * state["size"])
    return {}


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("node", "given", "where"),
    [
        (write, {"size": 2 * MEGABYTE}, "node 'node', channel 'data'"),
        (measure, {"data": b"x" * 2 * MEGABYTE}, "node 'node', input"),
        (emit, {"size": 2 * MEGABYTE}, "node 'node', custom event"),
    ],
    ids=["write", "input", "event"],
)
def test_what_is_larger_than_allowed(
    request: pytest.FixtureRequest, node: Callable[[Any], Any], given: Any, where: str
) -> None:
    graph = graph_of(node).on(request.getfixturevalue("fleet"))
    with pytest.raises(EncodeError) as caught:
        list(graph.stream(given, stream_mode=["updates", "custom"]))
    assert caught.value.where == where
    assert "it takes 2.1 MB, and 1.0 MB are allowed" in str(caught.value)
    assert LIMIT_VARIABLE in str(caught.value)


@pytest.mark.usefixtures("narrow")
def test_an_exception_that_is_larger_than_allowed(request: pytest.FixtureRequest) -> None:
    def fail(state: State) -> State:
        raise ValueError("x" * 2 * MEGABYTE)

    graph = graph_of(fail).on(request.getfixturevalue("fleet"))
    with pytest.raises(RemoteNodeError, match=r"^ValueError: x{1000} … \(the rest can't travel") as caught:
        graph.invoke({})
    assert LIMIT_VARIABLE in str(caught.value)


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "0", "²"])
def test_a_limit_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(FleetError, match=f"{LIMIT_VARIABLE} is no number of bytes"):
        Fleet.inline()


@pytest.mark.timeout(150)
@pytest.mark.long
def test_ten_thousand_sends(fleet: Fleet) -> None:
    builder = StateGraph(State)
    builder.add_node("node", lambda number: {"many": [number]})
    builder.add_conditional_edges(START, lambda _: [Send("node", number) for number in range(10_000)], ["node"])
    result = builder.compile().on(fleet).invoke({})
    assert result["many"] == list(range(10_000))


# --- rubbish -----------------------------------------------------------------------------------------------------


def test_rubbish_in_the_inbox(
    fleet: Fleet, redis_client: redis.Redis, running: Callable[..., Future[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    run = running(graph_of(lambda _: gate.wait() or {"length": 1}).on(fleet).invoke, {})
    assert gate.arrived.wait(30)
    redis_client.rpush(inbox_of(redis_client), *RUBBISH)
    wait_until(lambda: "unreadable" in caplog.text)
    gate.open.set()
    assert run.result(30)["length"] == 1


def test_rubbish_on_the_queue(fleet: Fleet, redis_client: redis.Redis) -> None:
    queue = queue_of(redis_client)
    jobs = {
        "nothing": {},
        "empty": {"data": b"", "fleetgraph": ""},
        "rubbish": {"data": b"\xff\xff", "fleetgraph": b"\xff\xff"},
        "noroute": {"data": b"rubbish", "fleetgraph": "a b c d"},
        "strange": {"data": msgpack.packb(["os.system", None, ["ls"], {}]), "fleetgraph": "run task 1 inbox"},
        "deep": {"data": b"\x91" * 9000, "fleetgraph": "run task 1 inbox"},
    }
    for job, fields in jobs.items():
        if fields:
            redis_client.hset(keys.rq_job(job), mapping={"origin": queue, "status": "queued", **fields})  # pyright: ignore
    for some in [[job] for job in jobs] + [list(jobs), [b"\xff\xff"]]:
        redis_client.rpush(keys.rq_queue(queue), *some)
        wait_until(lambda: not redis_client.llen(keys.rq_queue(queue)))
        wait_until(lambda: not redis_client.llen(keys.rq_intermediate(queue)))


def test_rubbish_on_the_channel(fleet: Fleet, redis_client: redis.Redis, running: Callable[..., Future[Any]]) -> None:
    gate = Gate()
    run = running(graph_of(lambda _: gate.wait() or {"length": 1}).on(fleet).invoke, {})
    assert gate.arrived.wait(30)
    (channel,) = redis_client.pubsub_channels(keys.events("*"))  # pyright: ignore
    redis_client.publish(channel, b"rubbish")
    with pytest.raises(DecodeError, match="not a value of Fleetgraph"):
        run.result(30)
    gate.open.set()


@task
def called(number: int) -> int:
    return number + 1


def test_rubbish_among_the_answers(fleet: Fleet, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The worker that asks reads it before the answer it waits for."""
    names = [name.decode().removeprefix(keys.rq_worker("")) for name in workers(redis_client)]

    @entrypoint()
    def asking(number: int) -> int:
        for name in names:
            redis_client.rpush(keys.answers(name), *RUBBISH)
            redis_client.expire(keys.answers(name), 100)
        return called(number).result()

    assert asking.on(fleet).invoke(1) == 2
    assert "unreadable answer" in caplog.text


def test_a_task_message_that_is_cut_off(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Codec.encode_task

    def cut(codec: Codec, message: TaskMessage) -> bytes:
        data = whole(codec, message)
        return data[: len(data) // 2] if message.input.get("size") == 4711 else data

    monkeypatch.setattr(Codec, "encode_task", cut)
    with pytest.raises(DecodeError, match="it ends too early"):
        graph_of(write).on(fleet).invoke({"size": 4711})


@pytest.mark.parametrize("name", ["os:system", "somewhere:Else", "builtins:eval"])
def test_an_outcome_with_a_value_of_a_type_that_is_not_known(
    fleet: Fleet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Codec.encode_outcome
    unknown = msgpack.ExtType(31, msgpack.packb([name, {}]))

    def strange(codec: Codec, outcome: Outcome, node: str = "") -> bytes:
        outcome.writes[:] = [  # pyright: ignore
            (channel, unknown if value == 4711 else value) for channel, value in outcome.writes or ()
        ]
        return whole(codec, outcome, node)

    monkeypatch.setattr(Codec, "encode_outcome", strange)
    with pytest.raises(DecodeError, match=f"{name!r} is not on the allow-list of this process"):
        graph_of(lambda _: {"length": 4711}).on(fleet).invoke({"size": 1})


def test_a_request_and_an_answer_with_a_value_of_a_type_that_is_not_known(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleetgraph.wire import requests

    class Unknown:
        pass

    @task
    def odd(value: Any) -> Any:
        return Unknown() if value == "return it" else value

    @entrypoint()
    def asking(what: str) -> Any:
        return odd(Unknown() if what == "pass it" else what).result()

    graph = asking.on(fleet)
    assert graph.invoke("fine") == "fine"
    for what in ("pass it", "return it"):
        with pytest.raises(EncodeError, match="Unknown"):
            graph.invoke(what)
    unknown = msgpack.ExtType(31, msgpack.packb(["somewhere:Else", {}]))
    made = requests.message_to_array
    monkeypatch.setattr(requests, "message_to_array", lambda message: [*made(message)[:-1], unknown])
    with pytest.raises(Exception, match=r"somewhere:Else|unreadable"):
        graph.invoke("fine")
    monkeypatch.undo()
