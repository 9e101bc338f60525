"""What the machine knows of values that stay what they are: lines, and what it tells savers of lists that grow."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.pregel.state import State, Written
from fleetgraph.types import Overwrite


def merged(old: list[Any], new: list[Any]) -> list[Any]:
    old.extend(new)
    return old


class Values(TypedDict):
    log: Annotated[list[str], operator.add]
    own: Annotated[list[str], merged]
    count: int


graph = (
    StateGraph(Values)
    .add_node("one", lambda state: {"log": [str(state["count"])], "count": state["count"] + 1})
    .add_edge(START, "one")
    .add_conditional_edges("one", lambda state: END if state["count"] > 3 else "one", ["one", END])
)


def state(**values: Any) -> State:
    program = graph.compile().program
    return State(program, values, dict.fromkeys(values, 1), {}, lambda version: version + 1)


def test_a_line_lasts_as_long_as_nothing_is_written() -> None:
    living = state(log=["a"], own=["b"], count=1)
    before = {key: living.line(key) for key in ("log", "own", "count")}
    living.apply([Written([("count", 2)])])
    assert living.line("log") is before["log"]
    assert living.line("own") is before["own"]
    assert living.line("count") is not before["count"]


def test_a_line_goes_on_where_items_are_only_added() -> None:
    living = state(log=["a"], own=["b"])
    before = living.line("log")
    living.apply([Written([("log", ["b"])])])
    assert living.line("log") is before
    living.apply([Written([("log", Overwrite(["c"]))])])
    assert living.line("log") is not before


def test_a_reducer_that_changes_a_list_in_its_place_ends_its_line() -> None:
    living = state(own=["a"])
    before, value = living.line("own"), living.channels["own"].get()
    living.apply([Written([("own", ["b"])])])
    assert living.channels["own"].get() is value
    assert living.line("own") is not before


class Told(InMemorySaver):
    """Notes what it is told of lists that grow."""

    def __init__(self) -> None:
        super().__init__()
        self.grown: list[dict[str, int]] = []

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any, *, grown: Any = None) -> Any:  # type: ignore[override]
        before = self.get_tuple(config)
        for channel, (version, items) in (grown or {}).items():
            assert before is not None
            assert before.checkpoint["channel_versions"][channel] == version
            assert before.checkpoint["channel_values"][channel] == checkpoint["channel_values"][channel][:items]
        self.grown.append({channel: items for channel, (_, items) in (grown or {}).items()})
        return super().put(config, checkpoint, metadata, new_versions)

    async def aput(self, *args: Any, grown: Any = None) -> Any:  # type: ignore[override]
        return self.put(*args, grown=grown)


def test_a_saver_that_asks_for_it_is_told_which_lists_have_grown() -> None:
    saver = Told()
    saved = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "1"}}
    saved.invoke({"count": 1, "log": ["first", "second"], "own": ["x"]}, config)
    assert saver.grown == [{}, {}, {"log": 2}, {"log": 3}, {"log": 4}]
    saver.grown.clear()

    saved.invoke({"count": 3, "log": ["more"], "own": ["y"]}, config)

    assert saver.grown == [{}, {"log": 5}, {"log": 6}]
    saver.grown.clear()
    saved.invoke({"count": 3, "log": Overwrite(["new"])}, config)
    assert saver.grown == [{}, {}, {"log": 1}]


async def test_so_it_is_by_coroutines() -> None:
    saver = Told()
    saved = graph.compile(checkpointer=saver)
    await saved.ainvoke({"count": 2, "log": ["first"]}, {"configurable": {"thread_id": "1"}})
    assert saver.grown == [{}, {}, {"log": 1}, {"log": 2}]


def test_what_was_held_back_until_the_end_has_grown_since_the_run_began() -> None:
    saver = Told()
    saved = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "1"}}
    saved.invoke({"count": 3, "log": ["first"]}, config, durability="exit")
    saved.invoke({"count": 1, "log": ["next"]}, config, durability="exit")
    assert saver.grown == [{}, {"log": 2}]
