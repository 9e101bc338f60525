"""What is saved, when, and what a run that goes on after a failure takes from it."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.cases.interrupts import FAIL, asking, asks, fails_beside, fails_if_told
from tests.differential.harness import Turn, at, case, history_of, replay_of, resume, state_of, update_of

CHAIN = ("a b c", "s-a a-b b-c")


# --- when it is saved --------------------------------------------------------------------------------------------


@case({"log": ["i"]}, history_of(), {"log": ["j"]}, history_of(), durability="sync")
def durability_sync(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), {"log": ["j"]}, history_of(), durability="async")
def durability_async(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), history_of(), {"log": ["j"]}, history_of(), durability="exit")
def durability_exit(lg: Any) -> Any:
    """Only the last checkpoint of a run is saved."""
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["i"]}, arguments={"durability": "exit"}),
    {"log": ["j"]},
    Turn({"log": ["k"]}, arguments={"durability": "exit"}),
    history_of(),
)
def durability_chosen_by_the_call(lg: Any) -> Any:
    return graph_of(lg, "a b", "s-a a-b")


@case({"log": ["i"]}, state_of(), history_of(), resume("yes"), history_of(), durability="exit")
def durability_exit_with_a_question(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, resume("x"), state_of(), resume("y"), resume("z"), history_of(), durability="exit")
def durability_exit_with_several_questions(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("ask", asks(lg, "ask", "1?", "2?", "3?")).add_edge(lg.START, "ask")


@case({"log": ["i"]}, state_of(), history_of(), resume("yes"), history_of(), durability="exit")
def durability_exit_with_parallel_nodes_half_done(lg: Any) -> Any:
    """What finished beside the question is saved too."""
    return asking(lg, "z m? a end", "s-z s-m s-a z+m+a-end")


@case(
    Turn({"log": ["i"]}, config=FAIL, arguments={"durability": "exit"}),
    state_of(),
    history_of(),
    Turn(None, arguments={"durability": "exit"}),
    history_of(),
)
def durability_exit_with_a_failure(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told)
    return builder.add_edge(lg.START, "a").add_edge("a", "fails")


@case({"log": ["i"]}, state_of(), None, history_of(), compile={"interrupt_after": ["b"]}, durability="exit")
def durability_exit_with_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), history_of(), config={"recursion_limit": 3}, durability="exit")
def durability_exit_and_the_recursion_limit(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["edited"]}, as_node="a"), None, history_of(), durability="exit")
def durability_exit_after_an_update(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    history_of(),
    Turn(None, config=at(1), arguments={"durability": "exit"}),
    history_of(),
)
def durability_exit_of_a_fork(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({}, None, history_of(), durability="exit")
def durability_exit_with_an_empty_input(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- after a failure ---------------------------------------------------------------------------------------------


def failing(lg: Any, channel: str, text: str, nodes: str, edges: str) -> Any:
    """A graph like `branches.graph_of`, with a node `fails`, that fails if told, when a sibling has saved this."""
    names = {"s": lg.START, "e": lg.END}
    builder = lg.StateGraph(Log).add_node("fails", fails_beside(lg, channel, text))
    for node in nodes.split():
        builder.add_node(node, says(node, counting=True))
    for edge in edges.split():
        start, end = edge.split("-")
        starts = [names.get(name, name) for name in start.split("+")]
        builder.add_edge(starts if len(starts) > 1 else starts[0], names.get(end, end))
    return builder


BESIDE = ("a end", "s-a s-fails a+fails-end")


def failing_alone(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told).add_node("b", says("b"))
    return builder.add_edge(lg.START, "a").add_edge("a", "fails").add_edge("fails", "b")


@case(Turn({"log": ["i"]}, config=FAIL), None, state_of())
def continue_after_a_failure(lg: Any) -> Any:
    """What went well is not repeated."""
    return failing_alone(lg)


@case(Turn({"log": ["i"]}, config=FAIL), Turn(None, config=FAIL), state_of(), None, history_of())
def continue_after_a_second_failure(lg: Any) -> Any:
    return failing_alone(lg)


@case(Turn({"log": ["i"]}, config=FAIL), {"log": ["j"]}, state_of(), history_of())
def new_input_after_a_failure(lg: Any) -> Any:
    """The run starts over."""
    return failing_alone(lg)


@case(Turn({"log": ["i"]}, config=FAIL), {}, state_of())
def empty_input_after_a_failure(lg: Any) -> Any:
    return failing_alone(lg)


@case(Turn({"log": ["i"]}, config=FAIL), resume("unasked"), state_of())
def resume_after_a_failure(lg: Any) -> Any:
    return failing_alone(lg)


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), None, state_of())
def failure_in_the_first_node(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("fails", fails_if_told).add_edge(lg.START, "fails")


@case(Turn({"log": ["i"]}, config=FAIL), None, state_of())
def finished_siblings_of_a_failure_are_not_repeated(lg: Any) -> Any:
    return failing(lg, "log", "a1", *BESIDE)


@case(Turn({"log": ["i"]}, config=FAIL), {"log": ["j"]}, state_of())
def finished_siblings_of_a_failure_are_given_up_on_new_input(lg: Any) -> Any:
    return failing(lg, "log", "a1", *BESIDE)


@case(Turn({"log": ["i"]}, config=FAIL), history_of(), replay_of(at(0)), state_of())
def finished_siblings_of_a_failure_run_again_in_a_fork(lg: Any) -> Any:
    return failing(lg, "log", "a1", *BESIDE)


@case(Turn({"log": ["i"]}, config=FAIL), update_of({"log": ["edited"]}, as_node="fails"), state_of(), None, state_of())
def update_in_the_name_of_what_failed_beside_siblings(lg: Any) -> Any:
    return failing(lg, "log", "a1", *BESIDE)


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), None, state_of())
def siblings_without_writes_are_not_repeated(lg: Any) -> Any:
    """That a task finished is saved even if it has nothing to write."""

    def quiet(state: Log, writer: lg.StreamWriter) -> None:
        writer({"task": "quiet"})

    builder = lg.StateGraph(Log).add_node(quiet).add_node("fails", fails_beside(lg, "__no_writes__", ""))
    return builder.add_edge(lg.START, "quiet").add_edge(lg.START, "fails")


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), None, state_of())
def siblings_that_route_are_not_repeated(lg: Any) -> Any:
    """Where they go from there is saved too."""

    def goes(state: Log, writer: lg.StreamWriter) -> Any:
        writer({"task": "goes"})
        return lg.Command(update={"log": ["goes"]}, goto=["b", lg.Send("c", {"log": ["sent"]})])

    builder = graph_of(lg, "b c", "b-e").add_node(goes).add_node("fails", fails_beside(lg, "log", "goes"))
    return builder.add_edge(lg.START, "goes").add_edge(lg.START, "fails")


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


@case(Turn({"numbers": [3, 2, 1]}, config=FAIL), state_of(), None, state_of())
def one_of_the_sent_tasks_fails(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def work(arg: Any, config) -> dict[str, Any]:
        if arg["n"] == 2 and config["configurable"].get("fail"):
            lg.saved.wait_for("log", "work 3")
            lg.saved.wait_for("log", "work 1")
            raise ValueError("told to fail")
        return {"log": [f"work {arg['n']}"]}

    builder = lg.StateGraph(Numbers).add_node(work).add_node("end", says("end")).add_edge("work", "end")
    return builder.add_conditional_edges(lg.START, spread, ["work"])


@case(
    Turn({"log": ["i"]}, config={"configurable": {"fail": "a"}}),
    Turn(None, config={"configurable": {"fail": "b"}}),
    state_of(),
    None,
    history_of(),
)
def failures_one_after_the_other(lg: Any) -> Any:
    """Each run gets one step further."""

    def node(name: str) -> Any:
        def fails(state: Log, config) -> dict[str, Any]:
            if config["configurable"].get("fail") == name:
                raise ValueError(f"{name} was told to fail")
            return {"log": [name]}

        return fails

    return lg.StateGraph(Log).add_sequence([(name, node(name)) for name in "abc"]).add_edge(lg.START, "a")


class Conflict(TypedDict):
    log: Annotated[list[str], operator.add]
    last: str


@case({"log": ["i"]}, state_of(), None, {"log": ["new"]})
def conflicting_writes(lg: Any) -> Any:
    """All tasks were done: the same conflict is there again, until something else is written."""
    builder = lg.StateGraph(Conflict)
    for name in "ab":
        builder.add_node(name, lambda state, name=name: {"last": name}).add_edge(lg.START, name)
    return builder


@case({"log": ["i"]}, update_of({"last": "x"}, as_node="a"), state_of(), None, state_of(), loses=("updates", "tasks"))
def conflicting_writes_overruled(lg: Any) -> Any:
    builder = lg.StateGraph(Conflict).add_node("end", says("end"))
    for name in "ab":
        builder.add_node(name, lambda state, name=name: {"last": name}).add_edge(lg.START, name).add_edge(name, "end")
    return builder


@case(Turn({"log": ["i"]}, config={"recursion_limit": 2}), state_of(), None, state_of())
def continue_after_the_recursion_limit(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(Turn({"log": ["left"]}, config=FAIL), state_of(), {"log": ["right"]}, state_of())
def join_half_filled_by_a_failed_run(lg: Any) -> Any:
    """What a join has seen is part of the thread: the second run fills it."""
    builder = graph_of(lg, "left right both", "left+right-both").add_node("fails", fails_if_told)
    builder.add_conditional_edges(lg.START, lambda state: state["log"][-1], ["left", "right"])
    return builder.add_edge("left", "fails")


@case({"log": ["i"]}, None, None, state_of())
def none_again_and_again(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)
