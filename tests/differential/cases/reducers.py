"""How writes become state."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, SystemMessage
from typing_extensions import TypedDict

from tests.differential.harness import case


def merged(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {**left, **right}


def joined(left: str, right: str) -> str:
    return f"({left}+{right})"


def longest(left: "list[str] | None", right: "list[str]") -> "list[str]":
    return max(left or [], right, key=len)


class Everything(TypedDict):
    items: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]
    table: Annotated[dict[str, int], merged]
    unique: Annotated[set[str], operator.or_]
    text: Annotated[str, joined]
    rows: Annotated[Sequence[str], lambda left, right: [*left, *right]]
    view: Annotated[Mapping[str, int], merged]
    odd: Annotated[list[str] | None, longest]
    last: str
    described: Annotated[list[str], "the reducer is what comes last", operator.add]


@case({}, {"items": ["i"], "total": 5, "text": "t", "odd": ["o"], "last": "l"}, {"table": {"k": 1}, "unique": {"u"}})
def reducers_of_all_kinds(lg: Any) -> Any:
    """First writes meet the default of the type, or no default at all."""

    def first(state: Everything) -> dict[str, Any]:
        return {
            "items": ["a"],
            "total": 2,
            "table": {"a": 1},
            "unique": {"a", "b"},
            "text": "a",
            "rows": ["a"],
            "view": {"a": 1},
            "odd": ["a", "b"],
            "last": "a",
            "described": ["a"],
        }

    def second(state: Everything) -> dict[str, Any]:
        return {
            "items": [f"{key}={value!r}" for key, value in sorted(state.items()) if key != "unique"],
            "total": len(state["unique"]),
            "table": {"a": 2, "b": 3},
            "unique": {"c"},
            "text": "b",
        }

    return lg.StateGraph(Everything).add_sequence([first, second]).add_edge(lg.START, "first")


def larger(left: int, right: int) -> int:
    return max(left, right)


class Keep(TypedDict):
    same: Annotated[int, larger]
    n: int


@case({"same": 5}, {"same": 1, "n": 1})
def writes_that_change_nothing(lg: Any) -> Any:
    """A write counts even when the value stays what it was."""

    def small(state: Keep) -> dict[str, Any]:
        return {"same": 2}

    def again(state: Keep) -> dict[str, Any]:
        return {"n": state.get("n", 0)}

    def nothing(state: Keep) -> None:
        return None

    return lg.StateGraph(Keep).add_sequence([small, again, nothing]).add_edge(lg.START, "small")


class Falsy(TypedDict):
    a: Any
    b: Any
    c: Any


@case({"a": None, "b": 0}, {"a": "", "b": [], "c": False})
def falsy_values(lg: Any) -> Any:
    def node(state: Falsy) -> dict[str, Any]:
        return {"c": sorted(state)}

    def wipe(state: Falsy) -> dict[str, Any]:
        return {"a": None, "b": {}, "c": None}

    return lg.StateGraph(Falsy).add_sequence([node, wipe]).add_edge(lg.START, "node")


class Log(TypedDict):
    log: Annotated[list[str], operator.add]
    other: str


@case({"log": ["i"]})
def overwrite(lg: Any) -> Any:
    """`Overwrite` goes around the reducer; what else is written in that superstep is lost."""

    def add(state: Log) -> dict[str, Any]:
        return {"log": ["a"]}

    def before(state: Log) -> dict[str, Any]:
        return {"log": ["before"]}

    def reset(state: Log) -> dict[str, Any]:
        return {"log": lg.Overwrite(["reset"])}

    def then(state: Log) -> dict[str, Any]:
        return {"log": ["then"]}

    return (
        lg.StateGraph(Log)
        .add_node(add)
        .add_node(before)
        .add_node(reset)
        .add_node(then)
        .add_edge(lg.START, "add")
        .add_edge("add", "before")
        .add_edge("add", "reset")
        .add_edge("add", "then")
        .add_node("last", add)
        .add_edge(["before", "reset", "then"], "last")
    )


@case({"log": ["i"]})
def two_overwrites(lg: Any) -> Any:
    def one(state: Log) -> dict[str, Any]:
        return {"log": lg.Overwrite(["one"])}

    def two(state: Log) -> dict[str, Any]:
        return {"log": lg.Overwrite(["two"])}

    return lg.StateGraph(Log).add_node(one).add_node(two).add_edge(lg.START, "one").add_edge(lg.START, "two")


class Numbers(TypedDict):
    number: Annotated[int, operator.add]


@case({"number": 1}, {"number": "text"}, loses=("updates", "tasks", "debug"))
def reducer_raises(lg: Any) -> Any:
    """The error of a reducer is the error of the run: no task is to blame."""

    def fine(state: Numbers) -> dict[str, Any]:
        return {"number": 1}

    def bad(state: Numbers) -> dict[str, Any]:
        return {"number": "text"}

    return lg.StateGraph(Numbers).add_sequence([fine, bad]).add_edge(lg.START, "fine")


@case({"number": 1})
def reducer_raises_beside_siblings(lg: Any) -> Any:
    def bad(state: Numbers) -> dict[str, Any]:
        return {"number": []}

    def fine(state: Numbers) -> dict[str, Any]:
        return {"number": 1}

    return lg.StateGraph(Numbers).add_node(bad).add_node(fine).add_edge(lg.START, "bad").add_edge(lg.START, "fine")


# --- messages ----------------------------------------------------------------------------------------------------


@case(
    {"messages": [HumanMessage("hi", id="h1")]},
    {"messages": HumanMessage("one, not in a list", id="h2")},
    {"messages": [{"role": "user", "content": "a dict", "id": "h3"}, ["human", "a pair"]]},
)
def add_messages_appends_and_replaces(lg: Any) -> Any:
    def answers(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"answer to {len(state['messages'])}", id="a1")]}

    def corrects(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("corrected", id="a1"), SystemMessage("added", id="s1")]}

    return lg.StateGraph(lg.MessagesState).add_sequence([answers, corrects]).add_edge(lg.START, "answers")


@case({"messages": [HumanMessage("1", id="h1"), AIMessage("2", id="a1"), HumanMessage("3", id="h2")]})
def add_messages_removes(lg: Any) -> Any:
    def forgets(state: Any) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id="a1"), AIMessage("4", id="a2")]}

    def forgets_all(state: Any) -> dict[str, Any]:
        return {"messages": [HumanMessage("lost", id="l"), RemoveMessage(id="__remove_all__"), AIMessage("5", id="a3")]}

    return lg.StateGraph(lg.MessagesState).add_sequence([forgets, forgets_all]).add_edge(lg.START, "forgets")


@case({"messages": [HumanMessage("1", id="h1")]}, loses=("updates", "tasks", "debug"))
def add_messages_removes_unknown(lg: Any) -> Any:
    def forgets(state: Any) -> dict[str, Any]:
        return {"messages": RemoveMessage(id="never seen")}

    return lg.StateGraph(lg.MessagesState).add_node(forgets).add_edge(lg.START, "forgets")


@case({"messages": [], "count": 0})
def messages_state_with_more_keys(lg: Any) -> Any:
    class State(lg.MessagesState):
        count: int

    def node(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage("x", id=f"m{state['count']}")], "count": state["count"] + 1}

    return lg.StateGraph(State).add_sequence([("a", node), ("b", node)]).add_edge(lg.START, "a")


@case({"messages": [HumanMessage("hi", id="h1"), AIMessage("of the input", id="both")]})
def add_messages_from_parallel_nodes(lg: Any) -> Any:
    class State(TypedDict):
        messages: Annotated[list[AnyMessage], lg.add_messages]

    def zed(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage("zed", id="z"), AIMessage("both: zed", id="both")]}

    def abe(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage("abe", id="a"), AIMessage("both: abe", id="both")]}

    return lg.StateGraph(State).add_node(zed).add_node(abe).add_edge(lg.START, "zed").add_edge(lg.START, "abe")
