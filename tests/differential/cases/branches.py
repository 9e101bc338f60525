"""Parallel branches, and how they come together again."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.harness import case


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def says(word: str, *, counting: bool = False) -> Any:
    """A node that appends `word`, with how much it saw if `counting`."""

    def node(state: Log) -> dict[str, list[str]]:
        return {"log": [f"{word}{len(state['log'])}" if counting else word]}

    return node


def graph_of(lg: Any, nodes: str, edges: str) -> Any:
    """A graph of nodes that say their names. Edges: `s-a` from START, `a-b`, `a+b-c` a join; END is `e`."""
    names = {"s": lg.START, "e": lg.END}
    builder = lg.StateGraph(Log)
    for node in nodes.split():
        builder.add_node(node, says(node, counting=True))
    for edge in edges.split():
        start, end = edge.split("-")
        starts = [names.get(name, name) for name in start.split("+")]
        builder.add_edge(starts if len(starts) > 1 else starts[0], names.get(end, end))
    return builder


@case({"log": ["i"]})
def parallel_writes_apply_by_name(lg: Any) -> Any:
    """Not in the order of their ends, nor of their addition."""
    return graph_of(lg, "zeta mid alpha Beta", "s-zeta s-mid s-alpha s-Beta")


@case({"log": []})
def diamond(lg: Any) -> Any:
    return graph_of(lg, "a b c d", "s-a a-b a-c b-d c-d d-e")


@case({"log": []})
def uneven_branches_without_join(lg: Any) -> Any:
    """The node at the end runs twice: once for each branch."""
    return graph_of(lg, "a b b2 c d", "s-a a-b a-c b-b2 b2-d c-d")


@case({"log": []})
def uneven_branches_with_join(lg: Any) -> Any:
    return graph_of(lg, "a b b2 c d", "s-a a-b a-c b-b2 b2+c-d d-e")


@case({"log": []})
def join_of_three_lengths(lg: Any) -> Any:
    return graph_of(lg, "a b1 b2 c1 c2 c3 d e1", "s-a s-b1 s-c1 b1-b2 c1-c2 c2-c3 a+b2+c3-d d-e1")


@case({"log": []})
def two_joins_into_one_node(lg: Any) -> Any:
    return graph_of(lg, "a b c d x", "s-a s-b s-c c-d a+b-x c+d-x")


@case({"log": []})
def join_and_edge_into_one_node(lg: Any) -> Any:
    return graph_of(lg, "a b c x", "s-a s-b a+b-x b-c c-x")


@case({"log": []})
def double_edge(lg: Any) -> Any:
    return graph_of(lg, "a b", "s-a a-b a-b")


@case({"log": []})
def wide_then_narrow_then_wide(lg: Any) -> Any:
    return graph_of(lg, "a b c m x y z", "s-a s-b s-c a+b+c-m m-x m-y m-z")


@case({"log": []})
def join_rearms_in_a_loop(lg: Any) -> Any:
    def route(state: Log) -> list[str]:
        return ["a", "b"] if len(state["log"]) < 8 else [lg.END]

    return graph_of(lg, "a b c", "s-a s-b a+b-c").add_conditional_edges("c", route, ["a", "b", lg.END])


@case({"log": []})
def join_half_filled_twice(lg: Any) -> Any:
    """One side of the join fires again before the other does: it still fires once."""

    def route(state: Log) -> str:
        return "a" if state["log"].count("a1") + state["log"].count("a0") < 1 or len(state["log"]) < 4 else "b"

    return graph_of(lg, "a b c", "s-a a+b-c").add_conditional_edges("a", route, ["a", "b"])


@case({"log": []})
def join_never_filled(lg: Any) -> Any:
    """The run just ends."""
    return graph_of(lg, "a b c", "s-a a+b-c")


class Separate(TypedDict):
    left: str
    right: str
    both: Annotated[list[str], operator.add]


@case({"left": "l", "right": "r"})
def parallel_nodes_see_the_same_state(lg: Any) -> Any:
    def one(state: Separate) -> dict[str, Any]:
        return {"left": f"{state['left']}/{state['right']}", "both": ["one"]}

    def two(state: Separate) -> dict[str, Any]:
        return {"right": f"{state['right']}/{state['left']}", "both": ["two"]}

    def shows(state: Separate) -> dict[str, Any]:
        return {"both": [f"{state['left']} {state['right']}"]}

    return (
        lg.StateGraph(Separate)
        .add_node(two)
        .add_node(one)
        .add_node(shows)
        .add_edge(lg.START, "one")
        .add_edge(lg.START, "two")
        .add_edge(["one", "two"], "shows")
    )


@case({"log": []}, races=True, async_only=True)
def mixed_sync_and_async_siblings(lg: Any) -> Any:
    """Through the sync methods the async node can't run."""

    async def later(state: Log) -> dict[str, Any]:
        return {"log": ["async"]}

    return (
        lg.StateGraph(Log)
        .add_node("now", says("sync"))
        .add_node(later)
        .add_node("end", says("end"))
        .add_edge(lg.START, "now")
        .add_edge("now", "later")
        .add_edge("now", "end")
    )
