"""Threads through a client: their state, what it was, writing to it, and answers to what they ask."""

from __future__ import annotations

from typing import Any

import pytest

from fleetgraph.client import Client
from fleetgraph.errors import InvalidUpdateError
from fleetgraph.types import Command
from tests.client import graphs
from tests.fleet.observing import new_thread

TEA: dict[str, Any] = {"topic": "tea", "log": []}


def test_the_state_is_the_graphs_own(client: Client) -> None:
    here, there = new_thread(), new_thread()
    graphs.asking.invoke(TEA, here)
    client.invoke("asking", TEA, there)
    mine, other = client.get_state("asking", there), graphs.asking.get_state(here)
    assert (
        (mine.values, mine.next)
        == (other.values, other.next)
        == ({"topic": "tea", "log": ["thought of tea"]}, ("review",))
    )
    assert [one.value for one in mine.interrupts] == [{"ok?": "tea"}]
    assert type(mine) is type(other)
    assert [task.name for task in mine.tasks] == ["review"]
    assert mine.metadata is not None
    assert other.metadata is not None
    assert mine.metadata["step"] == other.metadata["step"]


def test_a_thread_that_is_not_there_is_empty(client: Client) -> None:
    assert client.get_state("asking", new_thread()).values == {}
    assert list(client.get_state_history("asking", new_thread())) == []


@pytest.mark.parametrize("config", [{}, {"configurable": {}}, {"configurable": {"checkpoint_ns": ""}}], ids=str)
def test_a_config_without_a_thread(client: Client, config: Any) -> None:
    for method, ask in (
        ("get_state", lambda: client.get_state("asking", config)),
        ("get_state_history", lambda: next(client.get_state_history("asking", config))),
        ("update_state", lambda: client.update_state("asking", config, {"topic": "x"})),
    ):
        with pytest.raises(KeyError, match=rf"{method} needs the id of a thread in its config: .*'thread_id': \.\.\."):
            ask()


def test_an_answer(client: Client) -> None:
    thread = new_thread()
    client.invoke("asking", TEA, thread)
    chunks = list(client.stream("asking", Command(resume="fine"), thread))
    assert chunks == [{"review": {"log": ["review: fine"]}}]
    assert client.get_state("asking", thread).next == ()


def test_history(client: Client) -> None:
    thread = new_thread()
    client.invoke("asking", TEA, thread)
    client.invoke("asking", Command(resume="fine"), thread)
    history = list(client.get_state_history("asking", thread))
    assert [snapshot.next for snapshot in history] == [(), ("review",), ("think",), ("__start__",)]
    assert list(client.get_state_history("asking", thread, limit=2)) == history[:2]
    assert list(client.get_state_history("asking", thread, before=history[1].config)) == history[2:]
    assert list(client.get_state_history("asking", thread, filter={"step": 1})) == [history[1]]
    assert client.get_state("asking", history[2].config).values == history[2].values


def test_writing_to_the_state(client: Client) -> None:
    thread = new_thread()
    client.invoke("asking", TEA, thread)
    client.update_state("asking", thread, {"topic": "coffee"})
    assert client.get_state("asking", thread).values["topic"] == "coffee"
    client.update_state("asking", thread, {"log": ["as review"]}, as_node="review")
    assert client.get_state("asking", thread).next == ()
    with pytest.raises(InvalidUpdateError, match="nobody"):
        client.update_state("asking", thread, {"topic": "x"}, as_node="nobody")


def test_running_again_from_a_former_state(client: Client) -> None:
    thread = new_thread()
    client.invoke("asking", TEA, thread)
    client.invoke("asking", Command(resume="fine"), thread)
    before = next(snapshot for snapshot in client.get_state_history("asking", thread) if snapshot.next == ("think",))
    client.update_state("asking", thread, {"log": ["forgotten"]}, as_node="review")
    again: Any = client.invoke("asking", None, before.config)  # type: ignore[arg-type]
    assert again["log"] == ["thought of tea"]
    assert [one.value for one in again["__interrupt__"]] == [{"ok?": "tea"}]


def test_what_the_graph_refuses(client: Client) -> None:
    with pytest.raises(ValueError, match="No checkpointer set"):
        client.get_state("family", new_thread())
    with pytest.raises(KeyError, match="thread_id"):
        client.get_state("asking", {})
