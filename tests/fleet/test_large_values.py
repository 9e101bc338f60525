"""Large values in states: on a fleet nodes see what they see in one process; what they do to it is their own affair."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel

from fleetgraph.channels import Topic
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.fleet import Fleet
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.graph.message import add_messages
from fleetgraph.types import Command, Overwrite, Send, interrupt
from fleetgraph.wire import keys, values
from fleetgraph.wire.connection import connect

LARGE = "x" * values.LARGE_BYTES


@pytest.fixture
def fleet(redis_url: str) -> Iterator[Fleet]:
    with Fleet.inline(3, url=redis_url) as fleet:
        yield fleet
    with connect(redis_url) as client:
        assert not list(client.scan_iter(keys.values("*")))


@pytest.fixture
def stored(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields that were stored."""
    from fleetgraph.coordinator import run

    fields: list[str] = []
    real = run.store

    def noting(run_id: str, epoch: int, new: dict[str, bytes], gone: list[str], **more: Any) -> Any:
        fields.extend(new)
        return real(run_id, epoch, new, gone, **more)

    monkeypatch.setattr(run, "store", noting)
    return fields


def merged(old: list[Any], new: list[Any]) -> list[Any]:
    """Changes what is there, as reducers may."""
    return [f"merged {len(old)} {LARGE}", *old[1:], *new]


class State(TypedDict, total=False):
    text: str
    log: Annotated[list[Any], operator.add]
    own: Annotated[list[Any], merged]
    topic: Annotated[list[Any], Topic(accumulate=True)]
    seen: Annotated[list[Any], operator.add]
    turns: int


def look(name: str, spoils: bool = False) -> Any:
    def node(state: State) -> dict[str, Any]:
        seen = [(name, len(state["text"]), len(state["log"]), [len(one) for one in state["own"]], len(state["topic"]))]
        if spoils:
            state["log"].clear()
            state["own"][0] = ""
        turns = state["turns"]
        return {"log": [name], "own": [name], "topic": [name], "seen": seen} | (
            {"turns": turns + 1} if name == "a" else {}
        )

    return node


def route(state: State) -> Any:
    assert state["log"][-1] == "a"  # its own write, and no sibling's
    assert state["text"] == LARGE
    return ["a", "b"] if state["turns"] < 5 else [END]


def looping(*, spoils: bool = False, saver: Any = None) -> Any:
    graph = StateGraph(State).add_node("a", look("a", spoils)).add_node("b", look("b", spoils))
    return graph.add_edge(START, "a").add_conditional_edges("a", route, ["a", "b", END]).compile(saver)


INPUTS: dict[str, Any] = {"text": LARGE, "log": [LARGE], "own": [LARGE], "topic": [LARGE], "turns": 0}


def both(graph: Any, fleet: Fleet, inputs: Any, *, there: Any = None, **options: Any) -> list[Any]:
    """What a graph streams in this process, which has to be what it, or another one, streams on a fleet."""
    modes: Any = ["values", "updates"]
    config: Any = {"configurable": {"thread_id": "1"}}
    here: list[Any] = []
    shown_here: list[str] = []
    for chunk in graph.stream(deepcopy(inputs), config, stream_mode=modes, **options):
        here.append(chunk)
        shown_here.append(shown(chunk))  # at once: what is in it may change
    if graph.checkpointer is not None and there is None:
        graph.checkpointer.delete_thread("1")
    found = (there or graph).on(fleet).stream(deepcopy(inputs), config, stream_mode=modes, **options)
    assert sorted(map(shown, found)) == sorted(shown_here)
    return here


def shown(chunk: Any) -> str:
    return re.sub(r"x{50,}", lambda match: f"<{len(match[0])}>", re.sub(r":[0-9a-f-]{36}", "", repr(chunk)))


@pytest.mark.parametrize("saver", [False, True])
def test_a_loop(fleet: Fleet, stored: list[str], saver: bool) -> None:
    here, there = (looping(spoils=spoils, saver=InMemorySaver() if saver else None) for spoils in (False, True))
    chunks = both(here, fleet, INPUTS, there=there)
    assert chunks[-1][1]["turns"] == 5
    # Of the lists that only grow one piece a superstep, those of the reducer that may do anything each time anew.
    wholes = [name for name in stored if "." not in name]
    assert len(wholes) == 3 + 5
    assert len(stored) - len(wholes) == 2 * 4


class Model(BaseModel):
    text: str
    log: Annotated[list[str], operator.add]


@dataclass
class Data:
    text: str
    log: Annotated[list[str], operator.add] = field(default_factory=list)


@pytest.mark.parametrize("schema", [Model, Data])
def test_schemas_that_are_classes(fleet: Fleet, stored: list[str], schema: type[Any]) -> None:
    def node(state: Any) -> dict[str, Any]:
        assert type(state) is schema
        return {"log": [f"{len(state.text)} {len(state.log)}"]}

    graph = StateGraph(schema).add_node("one", node).add_node("two", node)
    graph.add_edge(START, "one").add_edge("one", "two")
    chunks = both(graph.compile(), fleet, {"text": LARGE, "log": [LARGE]})
    assert chunks[-1][1]["log"][1:] == [f"{len(LARGE)} 1", f"{len(LARGE)} 2"]
    assert stored == ["1-1", "1-2", "1-2.1"]


def test_a_state_that_is_one_value(fleet: Fleet, stored: list[str]) -> None:
    graph: Any = StateGraph(Annotated[list, operator.add])
    graph.add_node("one", lambda state: [len(state)]).add_node("two", lambda state: [len(state)])
    graph.add_edge(START, "one").add_edge("one", "two")
    chunks = both(graph.compile(), fleet, [LARGE])
    assert chunks[-1][1] == [LARGE, 1, 2]
    assert stored == ["1-1", "1-1.1"]


def test_graphs_in_nodes_arguments_and_failures(fleet: Fleet, stored: list[str]) -> None:
    def fails(state: State) -> dict[str, Any]:
        raise ValueError(f"{len(state['text'])}")

    def handles(state: State, error: Any = None) -> dict[str, Any]:
        return {"log": [f"handled {len(state['text'])}"]}

    def sends(state: State) -> list[Send]:
        return [Send("part", {"text": state["text"], "turns": number}) for number in range(5)]

    inner = (
        StateGraph(State)
        .add_node("deep", lambda state: {"log": [f"deep {len(state['text'])} {len(state['log'])}"]})
        .add_node("deeper", lambda state: {"log": [f"deeper {len(state['log'])}"]})
        .add_edge(START, "deep")
        .add_edge("deep", "deeper")
        .compile()
    )
    graph = (
        StateGraph(State)
        .add_node("inner", inner)
        .add_node("part", lambda state: {"topic": [f"{state['turns']} {len(state['text'])}"]})
        .add_node("fails", fails, error_handler=handles)
        .add_edge(START, "inner")
        .add_conditional_edges("inner", sends, ["part"])
        .add_edge("part", "fails")
        .compile()
    )
    chunks = both(graph, fleet, {"text": LARGE, "log": [LARGE]}, subgraphs=True)
    assert chunks[-1][-1]["log"][-1] == f"handled {len(LARGE)}"
    assert stored


def test_a_thread_that_waits_and_goes_on(fleet: Fleet) -> None:
    def ask(state: State) -> dict[str, Any]:
        return {"log": [interrupt(len(state["text"]))], "text": state["text"] + "!"}

    graph = (
        StateGraph(State)
        .add_node("ask", ask)
        .add_node("end", lambda state: {"seen": [len(state["text"]), len(state["log"])], "log": Overwrite(["new"])})
        .add_edge(START, "ask")
        .add_edge("ask", "end")
        .compile(checkpointer=InMemorySaver())
    )
    for thread, one in (("here", graph), ("there", graph.on(fleet))):
        config: Any = {"configurable": {"thread_id": thread}}
        waiting = one.invoke({"text": LARGE, "log": [LARGE]}, config)
        assert waiting["__interrupt__"][0].value == len(LARGE)
        ended = one.invoke(Command(resume="yes"), config)
        assert ended["text"] == LARGE + "!"
        assert (ended["log"], ended["seen"]) == (["new"], [len(LARGE) + 1, 2])


def test_a_conversation(fleet: Fleet, stored: list[str]) -> None:
    messages = pytest.importorskip("langchain_core.messages")

    class Chat(TypedDict):
        messages: Annotated[list[Any], add_messages]

    def answer(state: Chat) -> Any:
        number = len(state["messages"])
        if number == 4:
            return {"messages": [messages.AIMessage("changed", id="1")]}
        return {"messages": [messages.AIMessage(f"{LARGE} {number}", id=f"{number}")]}

    graph = StateGraph(Chat)
    for name in "abcdef":
        graph.add_node(name, answer)
    graph.add_edge(START, "a")
    for one, other in zip("abcde", "bcdef", strict=True):
        graph.add_edge(one, other)
    chunks = both(graph.compile(), fleet, {"messages": [messages.HumanMessage(LARGE, id="0")]})
    assert [len(message.content) < 20 for message in chunks[-1][1]["messages"]] == [False, True, False, False]
    # Where one was replaced all of them are stored anew.
    assert stored == ["1-1", "1-1.1", "1-1.2", "1-1.3", "1-2", "1-3"]


def test_a_value_that_is_gone_fails_the_run(fleet: Fleet, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetgraph.errors import ValueLost
    from fleetgraph.worker.values import ValueCache

    monkeypatch.setattr(ValueCache, "_read", lambda self, run, fields: [None] * len(fields))
    with pytest.raises(ValueLost, match="its value of text is gone from Redis"):
        looping().on(fleet).invoke({**INPUTS, "log": [], "own": [], "topic": []})
