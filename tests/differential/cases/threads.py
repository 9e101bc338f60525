"""Several turns on one thread, and what the checkpoints say."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import graph_of, says
from tests.differential.harness import Turn, case


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    turn: int


def counts(state: State) -> dict[str, Any]:
    return {"turn": state.get("turn", 0) + 1, "log": ["counted"]}


@case({"log": ["hi"]}, {"log": ["again"]}, {})
def turns_on_one_thread(lg: Any) -> Any:
    return lg.StateGraph(State).add_sequence([counts, ("b", says("b"))]).add_edge(lg.START, "counts")


@case(
    Turn({"log": ["one"]}, config={"configurable": {"thread_id": "one"}}),
    Turn({"log": ["two"]}, config={"configurable": {"thread_id": "two"}}),
    Turn({"log": ["one again"]}, config={"configurable": {"thread_id": "one"}}),
)
def threads_are_apart(lg: Any) -> Any:
    return lg.StateGraph(State).add_sequence([counts]).add_edge(lg.START, "counts")


@case({"log": []}, {"log": []}, config={"metadata": {"m": 1}, "tags": ["t"], "configurable": {"user": "u1"}})
def metadata_in_checkpoints(lg: Any) -> Any:
    return lg.StateGraph(State).add_sequence([counts]).add_edge(lg.START, "counts")


@case({"log": []}, {"log": []})
def checkpoints_of_parallel_nodes(lg: Any) -> Any:
    return graph_of(lg, "z a m e1", "s-z s-a s-m z+a+m-e1")


@case({"log": []})
def checkpoints_of_sends(lg: Any) -> Any:
    def spread(state: State) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in (2, 1)]

    def work(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {arg['n']}"]}

    return (
        lg.StateGraph(State)
        .add_node(counts)
        .add_node(work)
        .add_node("b", says("b"))
        .add_edge(lg.START, "counts")
        .add_edge("counts", "b")
        .add_conditional_edges("counts", spread, ["work"])
    )


@case({"log": []}, {"log": []})
def join_half_filled_across_turns(lg: Any) -> Any:
    """What a join has seen is part of the thread: the second turn fills it."""

    def route(state: State) -> str:
        return "a" if state.get("turn", 0) == 1 else "b"

    return (
        lg.StateGraph(State)
        .add_node(counts)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_node("both", says("both"))
        .add_edge(lg.START, "counts")
        .add_conditional_edges("counts", route, ["a", "b"])
        .add_edge(["a", "b"], "both")
    )


@case(
    Turn({"log": ["i"]}, config={"recursion_limit": 2}),
    Turn({"log": ["j"]}, config={"recursion_limit": 10}),
)
def new_input_after_the_recursion_limit(lg: Any) -> Any:
    return graph_of(lg, "a b c", "s-a a-b b-c")


@case(
    Turn({"log": ["i"]}, config={"configurable": {"thread_id": 7}}),
    Turn({"log": ["i"]}, config={"configurable": {"thread_id": "7"}}),
    without_saver=False,
)
def thread_id_of_another_type(lg: Any) -> Any:
    return lg.StateGraph(State).add_sequence([counts]).add_edge(lg.START, "counts")


@case({"log": ["hi"]}, {"log": ["again"]})
def input_schema_on_a_thread(lg: Any) -> Any:
    class Given(TypedDict):
        log: Annotated[list[str], operator.add]

    class Shown(TypedDict):
        turn: int

    return (
        lg.StateGraph(State, input_schema=Given, output_schema=Shown)
        .add_sequence([counts])
        .add_edge(lg.START, "counts")
    )
