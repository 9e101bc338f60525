"""`Command` as what a run is given: an update, where to go, or both; answers are in `interrupts`."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.cases.interrupts import asking
from tests.differential.harness import case, command, history_of, resume, state_of

CHAIN = ("a b c", "s-a a-b b-c")


# --- an update ---------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, command(update={"log": ["updated"]}), state_of(), history_of())
def update_of_a_finished_thread(lg: Any) -> Any:
    """The state changes, and nothing runs."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(update={"log": ["updated"]}), state_of(), resume("yes"), state_of())
def update_while_interrupted(lg: Any) -> Any:
    """The question is asked again, of the new state."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(update={"log": ["updated"]}), state_of(), resume("yes"), state_of())
def update_while_parallel_nodes_are_half_done(lg: Any) -> Any:
    return asking(lg, "z ask? a end", "s-z s-ask s-a a+ask+z-end")


@case({"log": ["i"]}, command(update={"log": ["updated"], "nobody": 1}), state_of())
def update_of_unknown_keys(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(update=[("log", ["1"]), ("log", ["2"])]), state_of())
def update_as_pairs(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


class Update(BaseModel):
    log: list[str] = []


@case({"log": ["i"]}, command(update=Update(log=["from an instance"])), state_of())
def update_as_an_instance(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(update=lambda lg, past: {"log": lg.Overwrite(["only this"])}), state_of())
def update_that_overwrites(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- where to go -------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, command(goto="b"), state_of(), history_of())
def goto_on_a_finished_thread(lg: Any) -> Any:
    """The run goes on from there."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto="b", update={"log": ["updated"]}), state_of())
def goto_with_an_update_on_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto=["c", "b", "c"]), state_of())
def goto_several_on_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto="other"), state_of(), resume("yes"), state_of())
def goto_while_interrupted(lg: Any) -> Any:
    """That node runs, and the question stays open."""
    return asking(lg, "a ask? b other", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(goto="ask"), state_of(), resume("yes"), state_of())
def goto_the_node_that_asks(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(goto="a"), state_of(), resume("yes"), state_of())
def goto_back_while_interrupted(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(goto="ask"), state_of(), resume("yes"))
def goto_a_question_on_a_finished_thread(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a")


@case({"log": ["i"]}, command(goto="nobody"), state_of(), history_of())
def goto_unknown_on_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto=lambda lg, past: lg.END), state_of())
def goto_end_while_interrupted(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(goto=lambda lg, past: lg.Send("b", {"log": ["sent"]})), state_of())
def goto_by_a_send_on_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    command(goto=lambda lg, past: [lg.Send("b", {"log": [str(n)] * n}) for n in (2, 1)], update={"log": ["updated"]}),
    state_of(),
    resume("yes"),
    state_of(),
)
def goto_by_sends_while_interrupted(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, command(goto=5), state_of())
def goto_of_a_wrong_type(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto="b", graph="__parent__"), state_of())
def command_to_a_parent_as_input(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- where there is nothing yet ----------------------------------------------------------------------------------


@case(command(goto="b"), state_of(), {"log": ["i"]})
def goto_on_a_fresh_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(command(goto="b"), {"log": ["i"]}, with_saver=False, without_saver=True)
def goto_without_saver(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, resume("yes"), with_saver=False, without_saver=True)
def resume_without_saver(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- more --------------------------------------------------------------------------------------------------------


class Both(TypedDict):
    log: Annotated[list[str], operator.add]
    last: str


@case({"log": ["i"]}, command(update={"last": "x"}), command(update=[("last", "1"), ("last", "2")]), state_of())
def update_of_a_key_without_reducer(lg: Any) -> Any:
    return lg.StateGraph(Both).add_node("a", says("a")).add_edge(lg.START, "a")


@case({"log": ["i"], "last": "x"}, command(goto="pick", update={"last": "y"}), state_of())
def goto_a_node_with_a_branch(lg: Any) -> Any:
    def pick(state: Both) -> dict[str, Any]:
        return {"log": [f"pick {state['last']}"]}

    return (
        lg.StateGraph(Both)
        .add_node(pick)
        .add_node("x", says("x"))
        .add_node("y", says("y"))
        .add_edge(lg.START, "pick")
        .add_conditional_edges("pick", lambda state: state["last"], ["x", "y"])
    )


@case({"log": ["i"]}, command(goto="b"), state_of(), None, state_of(), interrupt_before=["b"])
def goto_a_node_with_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto="b"), state_of(), config={"recursion_limit": 4})
def goto_and_the_recursion_limit(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(update={"log": ["half"]}), command(goto="b"), command(goto="c"), state_of())
def goto_both_halves_of_a_join(lg: Any) -> Any:
    def nowhere(state: Log) -> list[str]:
        return []

    builder = graph_of(lg, "a b c d", "s-a b+c-d")
    return builder.add_conditional_edges("a", nowhere, ["b", "c"])


@case({"log": ["i"]}, command(update={"log": ["updated"]}), {"log": ["new"]}, state_of())
def new_input_after_an_update_while_interrupted(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")
