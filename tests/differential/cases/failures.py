"""Runs that end with an error: what it says, and what was streamed before."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.harness import Turn, case


class OddError(Exception):
    """An exception with state of its own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


def fails(state: Any) -> Any:
    raise ValueError(f"boom at {len(state['log'])}")


def fails_oddly(state: Any) -> Any:
    raise OddError(7, "odd")


@case({"log": ["i"]})
def first_node_raises(lg: Any) -> Any:
    return (
        lg.StateGraph(Log).add_node(fails).add_node("b", says("b")).add_edge(lg.START, "fails").add_edge("fails", "b")
    )


@case({"log": ["i"]}, {"log": ["again"]})
def later_node_raises(lg: Any) -> Any:
    """The thread can be used again: the second turn starts over with the state so far."""
    return lg.StateGraph(Log).add_node("a", says("a")).add_node(fails).add_edge(lg.START, "a").add_edge("a", "fails")


@case({"log": ["i"]})
def node_raises_its_own_exception(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node(fails_oddly).add_edge(lg.START, "fails_oddly")


@case({"log": ["i"]}, async_only=True)
def async_node_raises(lg: Any) -> Any:
    async def afails(state: Log) -> Any:
        raise KeyError("missing")

    return lg.StateGraph(Log).add_node(afails).add_edge(lg.START, "afails")


@case({"log": ["i"]})
def node_raises_after_streaming(lg: Any) -> Any:
    def node(state: Log, writer: lg.StreamWriter) -> Any:
        writer({"task": "node", "i": 1})
        writer({"task": "node", "i": 2})
        raise RuntimeError("after two")

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": ["i"]})
def node_raises_with_notes_and_cause(lg: Any) -> Any:
    def node(state: Log) -> Any:
        try:
            fails(state)
        except ValueError as cause:
            error = TypeError("with a cause")
            error.add_note("a note of the node's")
            raise error from cause

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": ["i"]}, races=True)
def one_of_parallel_nodes_raises(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node(fails)
        .add_node("z", says("z"))
        .add_node("after", says("after"))
        .add_edge(lg.START, "a")
        .add_edge(lg.START, "fails")
        .add_edge(lg.START, "z")
        .add_edge(["a", "fails", "z"], "after")
    )


@case({"log": ["i"]}, races=True)
def one_of_parallel_nodes_raises_later(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("first", says("first"))
        .add_node("a", says("a"))
        .add_node(fails)
        .add_edge(lg.START, "first")
        .add_edge("first", "a")
        .add_edge("first", "fails")
    )


class Last(TypedDict):
    x: str
    log: Annotated[list[str], operator.add]


def writes_x(word: str) -> Any:
    return lambda state: {"x": word, "log": [word]}


@case({"x": "i"}, {"log": ["again"]})
def two_writes_to_one_key(lg: Any) -> Any:
    return (
        lg.StateGraph(Last)
        .add_node("a", writes_x("a"))
        .add_node("b", writes_x("b"))
        .add_edge(lg.START, "a")
        .add_edge(lg.START, "b")
    )


@case({"x": "i"})
def two_writes_to_one_key_later(lg: Any) -> Any:
    return (
        lg.StateGraph(Last)
        .add_node("first", writes_x("first"))
        .add_node("a", writes_x("a"))
        .add_node("b", writes_x("b"))
        .add_edge(lg.START, "first")
        .add_edge("first", "a")
        .add_edge("first", "b")
    )


@case(
    *(Turn({"log": []}, config={"recursion_limit": limit}) for limit in (1, 2, 3, 4)),
)
def recursion_limit(lg: Any) -> Any:
    """Two nodes need a limit of three: the superstep that finds nothing to do counts."""
    return graph_of(lg, "a b", "s-a a-b")


@case(Turn({"log": []}, config={"recursion_limit": 5}), Turn({"log": []}, config={"recursion_limit": 5}))
def recursion_limit_of_a_loop(lg: Any) -> Any:
    """Counted from where each run starts."""
    return graph_of(lg, "a b", "s-a a-b b-a")


@case(
    Turn({"log": []}, config={"recursion_limit": 0}),
    Turn({"log": []}, config={"recursion_limit": -1}),
)
def recursion_limit_too_small(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"log": ["i"]}, config={"recursion_limit": 3})
def failure_in_the_last_allowed_superstep(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_node(fails)
        .add_edge(lg.START, "a")
        .add_edge("a", "b")
        .add_edge("b", "fails")
    )


@case({"log": ["i"]})
def node_needs_a_key_that_is_not_there(lg: Any) -> Any:
    def reads(state: Last) -> dict[str, Any]:
        return {"log": [state["x"]]}

    return lg.StateGraph(Last).add_node(reads).add_edge(lg.START, "reads")
