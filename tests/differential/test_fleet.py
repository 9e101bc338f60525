"""What the comparison of the corpus leaves out, on a fleet: when chunks come, many runs at once, and processes."""

from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from tests.differential import graphs, live
from tests.differential.harness import CASES, WAYS, Played, canonical, cases, expected
from tests.differential.libraries import library
from tests.differential.normalise import Ids, freeze
from tests.differential.test_messages import HI, URL, ask_openai, chatbot
from tests.openai_server import Gate, OpenAIServer, Reply

cases()  # loads the corpus


# --- when --------------------------------------------------------------------------------------------------------


def test_custom_data_arrives_while_the_node_runs(fleet: Any) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    chunks = live.speaking(library("fleetgraph")).on(fleet).stream(given, stream_mode="custom")
    for n in range(3):
        assert next(chunks) == {"task": "speaks", "n": n}
        assert signals.log == [f"said {i}" for i in range(n + 1)]
        signals.set(f"heard {n}")
    assert list(chunks) == []


async def test_custom_data_arrives_while_the_node_runs_async(fleet: Any) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    chunks = live.speaking(library("fleetgraph")).on(fleet).astream(given, stream_mode="custom")
    for n in range(3):
        assert await anext(chunks) == {"task": "speaks", "n": n}
        signals.set(f"heard {n}")
    assert [chunk async for chunk in chunks] == []


def test_updates_arrive_while_a_sibling_runs(fleet: Any) -> None:
    given = live.new_input()
    chunks = live.early_and_late(library("fleetgraph")).on(fleet).stream(given, stream_mode="updates")
    assert next(chunks) == {"early": {"log": ["early"]}}
    live.signals(given["key"]).set("early was read")
    assert list(chunks) == [{"late": {"log": ["late"]}}]


def test_updates_of_tasks_that_end_before_a_failure_are_streamed(fleet: Any) -> None:
    given = live.new_input()
    chunks = live.failing_after_a_sibling(library("fleetgraph")).on(fleet).stream(given, stream_mode="updates")
    assert next(chunks) == {"fast": {"log": ["fast"]}}
    live.signals(given["key"]).set("fast was read")
    with pytest.raises(ValueError, match="boom") as caught:
        next(chunks)
    assert [note.split(" and id ")[0] for note in caught.value.__notes__] == ["During task with name 'fails'"]


def test_a_failure_is_streamed_while_a_sibling_runs(fleet: Any) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    modes = ["tasks", "updates", "values", "custom"]
    chunks = live.failing_before_a_sibling(library("fleetgraph")).on(fleet).stream(given, stream_mode=modes)
    seen: list[Any] = []

    def read() -> None:
        for mode, payload in chunks:
            seen.append((mode, payload.get("name")))
            if mode == "custom":
                signals.set("slow was heard")
            if payload.get("error"):
                signals.set("the failure was read")

    with pytest.raises(ValueError, match="boom"):
        read()
    assert seen == [("values", None), ("tasks", "fails"), ("tasks", "slow"), ("custom", None), ("tasks", "fails")]


def test_a_token_arrives_before_the_next_is_sent(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    with OpenAIServer(Reply("one two three", gate=gate)) as server:
        monkeypatch.setenv(URL, server.url)
        chunks = chatbot(library("fleetgraph"), ask_openai).on(fleet).stream(HI, stream_mode="messages")
        assert next(chunks)[0].content == ""
        for sent, token in enumerate(["one", " two", " three"]):
            assert server.exchanges[0].sent == sent
            gate.let()
            assert next(chunks)[0].content == token
        assert not any(message.content for message, _ in chunks)


# --- many at once ------------------------------------------------------------------------------------------------


def test_runs_at_the_same_time_do_not_mix(fleet: Any) -> None:
    """One reader takes turns between runs of several graphs."""
    names = ["guide_sequential", "diamond", "custom_from_parallel_nodes", "map_reduce", "turns_on_one_thread"]
    graphs = {name: CASES[name].build(library("fleetgraph")).compile() for name in names}
    given = {name: CASES[name].turns[0].input for name in names}
    alone = {name: sorted(map(repr, frozen_chunks(graphs[name].stream(given[name])))) for name in names}
    streams = {name: graphs[name].on(fleet).stream(given[name]) for name in names for _ in range(1)}
    together: dict[str, list[Any]] = {name: [] for name in names}
    while streams:
        for name in list(streams):
            try:
                together[name].append(next(streams[name]))
            except StopIteration:
                del streams[name]
    assert {name: sorted(map(repr, frozen_chunks(chunks))) for name, chunks in together.items()} == alone


def frozen_chunks(chunks: Any) -> list[Any]:
    return [freeze(chunk, Ids()) for chunk in chunks]


# --- processes ---------------------------------------------------------------------------------------------------


def test_worker_processes_find_the_graphs_by_name() -> None:
    """The same comparison with nodes in other processes, which have nothing but the name of the graph."""
    case, way = CASES["custom_from_parallel_nodes"], WAYS["stream-all"]
    with Fleet.local(workers=2) as fleet:
        graph = graphs.custom_from_parallel_nodes.on(fleet)
        played = Played(list(graph.stream(case.turns[0].input, **way.arguments)))
    assert canonical(case, way, [played]) == expected(case, way)
