"""Conditional edges."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, says
from tests.differential.harness import case


class Way(TypedDict):
    way: Any
    log: Annotated[list[str], operator.add]


def by_way(state: Way) -> Any:
    return state["way"]


def three(lg: Any, *, ending: bool = False) -> Any:
    """`a`, from START, and `b` and `c`, which nothing leads to yet."""
    builder = lg.StateGraph(Way)
    for node in "abc":
        builder.add_node(node, says(node))
    return builder.add_edge(lg.START, "a")


@case({"way": "b"}, {"way": ["c", "b"]}, {"way": "__end__"}, {"way": []}, {"way": ["b", "b", "c"]})
def without_path_map(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way)


@case({"way": "left"}, {"way": "right"}, {"way": ["left", "right"]}, {"way": "stop"}, {"way": ["stop", "left"]})
def path_map_dict(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way, {"left": "b", "right": "c", "stop": lg.END})


@case({"way": "b"}, {"way": ["c"]}, {"way": "__end__"})
def path_map_list(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way, ["b", "c", lg.END])


@case({"way": True}, {"way": False})
def path_map_of_bools(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way, {True: "b", False: "c"})


@case({"way": 1}, {"way": "7"}, {"way": None})
def path_map_of_other_keys(lg: Any) -> Any:
    def route(state: Way) -> Any:
        return None if state["way"] is None else ("n", int(state["way"]))[1]

    return three(lg).add_conditional_edges("a", route, {1: "b", 7: "c", None: lg.END})


@case({"way": "b"}, {"way": "c"})
def literal_return_type(lg: Any) -> Any:
    def route(state: Way) -> Literal["b", "c"]:
        return state["way"]

    return three(lg).add_conditional_edges("a", route)


@case({"way": "b"}, {"way": "c"}, {"way": ["b", "c"]})
def conditional_entry(lg: Any) -> Any:
    builder = lg.StateGraph(Way)
    for node in "bc":
        builder.add_node(node, says(node))
    return builder.add_conditional_edges(lg.START, by_way, ["b", "c"])


@case({"way": "b"}, {"way": "__end__"})
def conditional_entry_point_method(lg: Any) -> Any:
    builder = lg.StateGraph(Way).add_node("b", says("b")).add_node("c", says("c"))
    return builder.set_conditional_entry_point(by_way, {"b": "b", "__end__": lg.END}).set_finish_point("b")


@case({"way": "b"})
def edge_and_conditional_edge(lg: Any) -> Any:
    """Both lead on; to one node both lead only once."""
    return three(lg).add_edge("a", "c").add_conditional_edges("a", lambda state: ["b", "c"])


@case({"way": "b"})
def two_branches_of_one_node(lg: Any) -> Any:
    def first(state: Way) -> str:
        return "b"

    def second(state: Way) -> str:
        return "c"

    return three(lg).add_conditional_edges("a", first).add_conditional_edges("a", second)


@case({"log": []}, {"log": ["1", "2", "3"]})
def conditional_loop(lg: Any) -> Any:
    def again(state: Log) -> Literal["a", "__end__"]:
        return "a" if len(state["log"]) < 3 else "__end__"

    return lg.StateGraph(Log).add_node("a", says("a")).add_edge(lg.START, "a").add_conditional_edges("a", again)


@case({"log": []})
def loop_over_two_nodes(lg: Any) -> Any:
    def again(state: Log) -> bool:
        return len(state["log"]) < 5

    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", again, {True: "b", False: lg.END})
        .add_edge("b", "a")
    )


@case({"log": ["i"]})
def branch_sees_own_writes_only(lg: Any) -> Any:
    """A branch function reads the state before the superstep plus what its own node wrote, unknown keys included."""

    def one(state: Log) -> dict[str, Any]:
        return {"log": ["one"], "extra": "E"}

    def two(state: Log) -> dict[str, Any]:
        return {"log": ["two"]}

    def from_one(state: Any) -> Any:
        return lg.Send("show", {"from": "one", "sees": dict(state)})

    def from_two(state: Any) -> Any:
        return lg.Send("show", {"from": "two", "sees": dict(state)})

    def show(arg: Any) -> dict[str, Any]:
        return {"log": [f"{arg['from']} sees {sorted(arg['sees'].items())}"]}

    return (
        lg.StateGraph(Log)
        .add_node(one)
        .add_node(two)
        .add_node(show)
        .add_edge(lg.START, "one")
        .add_edge(lg.START, "two")
        .add_conditional_edges("one", from_one, ["show"])
        .add_conditional_edges("two", from_two, ["show"])
    )


@case({"way": "b"})
def branch_with_its_own_schema(lg: Any) -> Any:
    class Only(TypedDict):
        way: str

    def route(state: Only) -> str:
        return "b" if sorted(state) == ["way"] else "c"

    return three(lg).add_conditional_edges("a", route)


@case({"way": "b"}, async_only=True)
def async_branch_function(lg: Any) -> Any:
    async def route(state: Way) -> str:
        return state["way"]

    return three(lg).add_conditional_edges("a", route, ["b", "c"])


@case({"way": "b"})
def branch_with_config_and_writer(lg: Any) -> Any:
    from langchain_core.runnables import RunnableConfig

    def route(state: Way, config: RunnableConfig) -> str:
        lg.get_stream_writer()({"task": "a", "from": "the branch", "step": config["metadata"]["langgraph_step"]})
        return "b"

    return three(lg).add_conditional_edges("a", route)


@case({"way": "b"})
def branches_after_parallel_nodes(lg: Any) -> Any:
    builder = lg.StateGraph(Way)
    for node in ("a1", "a2", "b", "c"):
        builder.add_node(node, says(node))
    return (
        builder.add_edge(lg.START, "a1")
        .add_edge(lg.START, "a2")
        .add_conditional_edges("a1", by_way, ["b", "c"])
        .add_conditional_edges("a2", lambda state: "c", ["b", "c"])
    )


# --- errors ------------------------------------------------------------------------------------------------------


@case({"way": "nope"}, {"way": "left"}, {"way": ["left", "nope"]})
def value_not_in_path_map(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way, {"left": "b", "right": "c"})


@case({"way": None}, {"way": "__start__"}, {"way": ["b", None]})
def no_valid_destination(lg: Any) -> Any:
    return three(lg).add_conditional_edges("a", by_way)


@case({"way": "nope"}, {"way": ["nope", "b"]})
def branch_to_unknown_node(lg: Any) -> Any:
    """Only a warning in the log: the run goes on without."""
    return three(lg).add_conditional_edges("a", by_way)


@case({"way": "b"})
def branch_function_raises(lg: Any) -> Any:
    def route(state: Way) -> str:
        raise ValueError(f"no way from {state['log']}")

    return three(lg).add_conditional_edges("a", route)


@case({"way": "b"})
def entry_branch_raises(lg: Any) -> Any:
    def route(state: Way) -> str:
        raise ValueError("no way in")

    return lg.StateGraph(Way).add_node("b", says("b")).add_conditional_edges(lg.START, route, ["b"])
