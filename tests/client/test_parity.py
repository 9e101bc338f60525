"""A graph gives the same through a client as in this process, and as on a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleetgraph.client import AsyncClient, Client
from fleetgraph.errors import GraphRecursionError, RemoteNodeError
from fleetgraph.fleet import Fleet
from fleetgraph.redis_server import RedisServer
from fleetgraph.types import GraphOutput
from tests.client import graphs
from tests.client.conftest import QUEUE
from tests.differential.normalise import Ids, canonical_run, layout_of, open_envelope
from tests.fleet.graphs import failing, guide, rounds
from tests.fleet.observing import ALL_MODES, new_thread

TOPIC = {"topic": "ice cream"}
LOG: dict[str, Any] = {"log": []}
ROUNDS = {"run": "run", "key": "", "together": 0, "rounds": 2, "log": []}

CASES = [
    pytest.param("tests.fleet.graphs.guide:graph", guide.graph, TOPIC, False, id="guide"),
    pytest.param("tests.fleet.graphs.guide:saved", guide.saved, TOPIC, True, id="guide with a saver"),
    pytest.param("family", graphs.family, LOG, False, id="graphs in graphs"),
    pytest.param("asking", graphs.asking, {"topic": "cats", "log": []}, True, id="a question"),
]


@pytest.fixture
def fleet(server: RedisServer, service: None) -> Iterator[Fleet]:
    with Fleet(server.url, queue=QUEUE) as fleet:
        yield fleet


def comparable(chunks: list[Any], stream_mode: Any, version: str, subgraphs: bool) -> list[Any]:
    opened = [open_envelope(chunk, stream_mode, version, subgraphs=subgraphs) for chunk in chunks]
    return canonical_run(opened, None, layout_of(opened), Ids())


@pytest.mark.parametrize(("name", "graph", "given", "saved"), CASES)
@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_all_modes_at_once(
    client: Client, fleet: Fleet, name: str, graph: Any, given: Any, saved: bool, subgraphs: bool, version: Any
) -> None:
    def run(stream: Any) -> list[Any]:
        options: Any = {"stream_mode": ALL_MODES, "subgraphs": subgraphs, "version": version}
        return comparable(
            list(stream(given, new_thread() if saved else None, **options)), ALL_MODES, version, subgraphs
        )

    here = run(graph.stream)
    assert run(graph.on(fleet).stream) == here
    assert run(lambda *args, **options: client.stream(name, *args, **options)) == here


@pytest.mark.parametrize("mode", [*ALL_MODES, None, ["updates"], ["updates", "custom"], ("values",)])
def test_one_mode_or_some(client: Client, mode: Any) -> None:
    def run(stream: Any) -> list[Any]:
        chunks = list(stream(TOPIC, new_thread(), stream_mode=mode))
        return comparable(chunks, list(mode) if isinstance(mode, list) else mode, "v1", False)

    assert run(lambda *args, **options: client.stream("saved", *args, **options)) == run(guide.saved.stream)


@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
@pytest.mark.parametrize(
    ("name", "graph", "given"),
    [("family", graphs.family, LOG), ("tests.fleet.graphs.rounds:graph", rounds.graph, ROUNDS)],
    ids=["graphs in graphs", "async nodes"],
)
async def test_the_async_client_gives_the_same(
    server: RedisServer, service: None, name: str, graph: Any, given: Any, subgraphs: bool
) -> None:
    options: Any = {"stream_mode": ALL_MODES, "subgraphs": subgraphs}
    async with AsyncClient(server.url) as client:
        there = [chunk async for chunk in client.stream(name, given, **options)]
    here = [chunk async for chunk in graph.astream(given, **options)]
    assert comparable(there, ALL_MODES, "v1", subgraphs) == comparable(here, ALL_MODES, "v1", subgraphs)


def test_invoke(client: Client) -> None:
    name, graph = "tests.fleet.graphs.guide:graph", guide.graph
    assert client.invoke(name, TOPIC) == graph.invoke(TOPIC)
    assert client.invoke(name, TOPIC, stream_mode="updates") == graph.invoke(TOPIC, stream_mode="updates")
    assert (
        client.invoke(name, TOPIC, version="v2")
        == graph.invoke(TOPIC, version="v2")
        == GraphOutput(graph.invoke(TOPIC))
    )
    assert client.invoke(name, TOPIC, output_keys="joke") == graph.invoke(TOPIC, output_keys="joke")


def test_invoke_gives_what_the_graph_returns_and_stream_what_it_keeps(client: Client) -> None:
    given, context = {"name": "you"}, graphs.Settings("hello")
    assert client.invoke("narrow", given, context={"greeting": "hello"}) == {"answer": "hello you"}
    chunks = list(client.stream("narrow", given, context={"greeting": "hello"}, stream_mode="values"))
    assert chunks == list(graphs.narrow.stream(given, context=context, stream_mode="values"))
    assert chunks[-1] == {"name": "you", "scratch": "used", "answer": "hello you"}


def test_output_keys(client: Client) -> None:
    options: Any = {"stream_mode": ["values", "updates"], "output_keys": ["topic"]}
    there = list(client.stream("tests.fleet.graphs.guide:graph", TOPIC, **options))
    assert there == list(guide.graph.stream(TOPIC, **options))


def test_breakpoints(client: Client) -> None:
    def run(stream: Any) -> list[Any]:
        return list(stream(TOPIC, new_thread(), stream_mode=["updates"], interrupt_before=["generate_joke"]))

    assert run(lambda *args, **options: client.stream("saved", *args, **options)) == run(guide.saved.stream)


def test_an_instance_as_input(server: RedisServer, client: Client) -> None:
    given = {"note": graphs.Note("hi", graphs.Mood.GOOD)}
    with Client(server.url, allow=[graphs.Note, graphs.Mood, graphs.Place]) as knowing:
        assert knowing.invoke("typed", given) == graphs.typed.invoke(given)


@pytest.mark.parametrize("how", ["builtin", "own", "caused"])
def test_what_a_node_raises(client: Client, fleet: Fleet, how: str) -> None:
    def error_of(stream: Any) -> BaseException:
        with pytest.raises(Exception, match=r"no such number|umbrella|could not look") as caught:
            list(stream({"how": how}))
        return caught.value

    there = error_of(lambda given: client.stream("tests.fleet.graphs.failing:graph", given))
    on_fleet = error_of(failing.graph.on(fleet).stream)
    assert (type(there), str(there), vars(there).keys()) == (type(on_fleet), str(on_fleet), vars(on_fleet).keys())
    assert "fails" in " ".join(there.__notes__)


def test_what_a_node_raises_of_a_class_that_nobody_can_know(client: Client) -> None:
    with pytest.raises(RemoteNodeError, match="only this call knows me"):
        client.invoke("tests.fleet.graphs.failing:graph", {"how": "local"})


def test_what_the_graph_refuses(client: Client) -> None:
    name = "tests.fleet.graphs.guide:graph"
    with pytest.raises(ValueError, match="Key nope not in channels"):
        list(client.stream(name, TOPIC, output_keys="nope"))
    with pytest.raises(ValueError, match="Unknown stream mode"):
        list(client.stream(name, TOPIC, stream_mode="nope"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Checkpointer requires"):
        client.submit("saved", TOPIC)
    with pytest.raises(GraphRecursionError, match="Recursion limit of 1 reached"):
        client.invoke(name, TOPIC, {"recursion_limit": 1})
