"""What the machine knows of a graph's channels from one superstep to the next, and what it tells savers of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Annotated, Any, TypedDict

from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.channels import LastValue, Topic
from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.pregel.state import State, Written


class Forgetful(LastValue):
    """Holds a value for as long as every superstep writes one."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        if values:
            return super().update(values)
        self.value = MISSING
        return True


class Values(TypedDict):
    text: str
    log: Annotated[list[str], operator.add]
    seen: Annotated[list[str], Topic]
    brief: Annotated[str, Forgetful]


def joined() -> State:
    """The state of a graph with a join and a node that is put off, of which nothing has run."""
    program = (
        StateGraph(Values)
        .add_node("a", lambda state: None)
        .add_node("b", lambda state: None)
        .add_node("both", lambda state: None)
        .add_node("late", lambda state: None, defer=True)
        .add_edge(START, "a")
        .add_edge(START, "b")
        .add_edge(["a", "b"], "both")
        .add_edge(["a", "b"], "late")
        .compile()
        .program
    )
    return State(program, {}, {}, {}, lambda version: (version or 0) + 1)


JOINS = ("join:a+b:both", "join:a+b:late")
WRITES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "log": lambda text: [text],
    "seen": lambda text: [text] if text else [],
    "brief": str,
    **dict.fromkeys(JOINS, lambda text: "b" if text else "a"),
}


@given(st.lists(st.lists(st.tuples(st.sampled_from(sorted(WRITES)), st.sampled_from(["", "x", "y"])), max_size=6)))
def test_what_is_to_be_saved_is_what_the_channels_hold(supersteps: list[list[tuple[str, str]]]) -> None:
    living, told = joined(), list[tuple[dict[str, Any], dict[str, Any]]]()
    for number, drawn in enumerate(supersteps):
        writes = {channel: WRITES[channel](text) for channel, text in drawn}
        triggers = JOINS if number % 2 else ("branch:to:a",)
        living.apply([Written(list(writes.items()), "both" if number % 2 else "a", ("a",), triggers)])
        saved = living.checkpoint()
        assert saved == {
            key: value
            for key, channel in living.channels.items()
            if key in living.versions and (value := channel.checkpoint()) is not MISSING
        }
        assert living.checkpoint() == saved
        told.append((saved, deepcopy(saved)))
    assert all(saved == then for saved, then in told)


def test_what_a_checkpoint_says_of_nodes_stays_what_it_was() -> None:
    living = joined()
    living.apply([Written([("branch:to:a", None)], START, ("a",), (START,))])
    living.apply([Written([("branch:to:a", None)], "a", ("a",), ("branch:to:a",))])
    before = dict(living.seen)
    then = deepcopy(before)
    living.apply([Written([], "a", ("a",), ("branch:to:a",))])
    living.pass_interrupt()
    assert before == then
    assert living.seen["a"] != then["a"]


def test_a_channel_that_inherits_may_change_when_nobody_writes_to_it() -> None:
    graph = (
        StateGraph(Values)
        .add_node("a", lambda state: {"brief": "gone soon", "text": "kept"})
        .add_node("b", lambda state: {"log": [state.get("brief", "gone")]})
        .add_node("c", lambda state: {"log": [state.get("brief", "gone"), state["text"]]})
        .add_edge(START, "a")
        .add_edge("a", "b")
        .add_edge("b", "c")
        .add_edge("c", END)
        .compile(checkpointer=InMemorySaver())
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"log": []}, config)["log"] == ["gone soon", "gone", "kept"]
    assert "brief" not in graph.get_state(config).values
