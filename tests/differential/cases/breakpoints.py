"""Breakpoints: the run stops before or after a node, and goes on when called again."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.cases.interrupts import asking
from tests.differential.harness import Turn, case, command, history_of, resume, state_of, update_of

CHAIN = ("a b c", "s-a a-b b-c")


def before(*nodes: str, after: Any = ()) -> dict[str, Any]:
    """Arguments of `compile`."""
    return {"interrupt_before": list(nodes), "interrupt_after": list(after)}


# --- at compile --------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, state_of(), None, state_of(), compile=before("b"))
def breakpoint_before_a_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), None, state_of(), compile={"interrupt_after": ["b"]})
def breakpoint_after_a_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, state_of(), compile=before("a"))
def breakpoint_before_the_first_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), None, state_of(), {"log": ["j"]}, compile={"interrupt_after": ["c"]})
def breakpoint_after_the_last_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, None, None, state_of(), compile={"interrupt_before": "*"})
def breakpoint_before_all_nodes(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, None, None, state_of(), compile={"interrupt_after": "*"})
def breakpoint_after_all_nodes(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, state_of(), compile=before("b", after=["b"]))
def breakpoint_before_and_after_one_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, state_of(), compile=before("b", after=["a"]))
def breakpoint_after_one_node_and_before_the_next(lg: Any) -> Any:
    """One stop, not two."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, {"log": ["j"]}, None, state_of(), compile=before("b"))
def breakpoint_in_each_run_of_a_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, state_of(), compile=before("a"))
def breakpoint_in_a_cycle(lg: Any) -> Any:
    """Each visit stops."""
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a", counting=True))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", lambda state: "a" if len(state["log"]) < 3 else lg.END)
    )


@case({}, None, state_of(), compile=before("b"))
def breakpoint_after_empty_input(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- per call ----------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, state_of(), None, None, interrupt_before=["b"])
def breakpoint_of_the_call_before(lg: Any) -> Any:
    """Each call passes the stop that the one before made."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), None, None, interrupt_after=["a", "b"])
def breakpoint_of_the_call_after(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, None, None, None, interrupt_after="*")
def breakpoint_of_the_call_after_all(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["i"]}, arguments={"interrupt_before": ["c"]}),
    state_of(),
    None,
    state_of(),
    compile=before("b"),
)
def breakpoint_of_the_call_instead_of_the_graphs(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["i"]}, arguments={"interrupt_before": []}),
    {"log": ["j"]},
    compile=before("b"),
)
def no_breakpoint_of_the_call(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["i"]}, arguments={"interrupt_before": ["b"]}),
    Turn(None, arguments={"interrupt_after": ["b"]}),
    Turn(None, arguments={"interrupt_before": ["c"]}),
    state_of(),
)
def another_breakpoint_in_each_call(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, interrupt_before=["nobody"])
def breakpoint_of_the_call_before_an_unknown_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- without a saver ---------------------------------------------------------------------------------------------


@case({"log": ["i"]}, None, compile=before("b"), with_saver=False, without_saver=True)
def breakpoint_without_saver(lg: Any) -> Any:
    """The run ends there, and can't be continued."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, compile={"interrupt_after": ["a"]}, with_saver=False, without_saver=True)
def breakpoint_after_a_node_without_saver(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- going on otherwise than with None ---------------------------------------------------------------------------


@case({"log": ["i"]}, {"log": ["new"]}, state_of(), None, state_of(), compile=before("b"))
def new_input_at_a_breakpoint(lg: Any) -> Any:
    """The run starts over and stops again."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, {}, state_of(), None, compile=before("b"))
def empty_input_at_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, resume("unasked"), state_of(), compile=before("b"))
def resume_at_a_breakpoint(lg: Any) -> Any:
    """There is nothing to answer, but the run goes on."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(update={"log": ["updated"]}), state_of(), compile=before("b"))
def update_at_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, command(goto="c"), state_of(), compile=before("b"))
def goto_at_a_breakpoint(lg: Any) -> Any:
    """What the run stopped before still runs, beside what the caller wants."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["edited"]}), state_of(), None, history_of(), compile=before("b"))
def state_edited_at_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["for b"]}, as_node="b"), state_of(), None, history_of(), compile=before("b"))
def node_skipped_at_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of(None, as_node="a"), state_of(), None, None, state_of(), compile=before("b"))
def node_repeated_at_a_breakpoint(lg: Any) -> Any:
    """Its edges are followed again."""
    return graph_of(lg, *CHAIN)


# --- parallel nodes, Sends, questions ----------------------------------------------------------------------------


@case({"log": ["i"]}, state_of(), None, state_of(), compile=before("b"))
def breakpoint_before_one_of_parallel_nodes(lg: Any) -> Any:
    """None of the superstep runs."""
    return graph_of(lg, "a b c d", "s-a a-b a-c b+c-d")


@case({"log": ["i"]}, state_of(), None, state_of(), compile=before("b", "c"))
def breakpoint_before_parallel_nodes(lg: Any) -> Any:
    return graph_of(lg, "a b c d", "s-a a-b a-c b+c-d")


@case({"log": ["i"]}, state_of(), None, state_of(), compile={"interrupt_after": ["b"]})
def breakpoint_after_one_of_parallel_nodes(lg: Any) -> Any:
    return graph_of(lg, "a b c d", "s-a a-b a-c b+c-d")


@case({"log": ["i"]}, None, state_of(), compile=before("d"))
def breakpoint_before_a_join(lg: Any) -> Any:
    return graph_of(lg, "a b b2 c d", "s-a a-b a-c b-b2 b2+c-d")


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


def spreading(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def work(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {arg['n']}"]}

    return (
        lg.StateGraph(Numbers)
        .add_node("a", says("a"))
        .add_node(work)
        .add_node("end", says("end"))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", spread, ["work"])
        .add_edge("work", "end")
    )


@case({"numbers": [2, 1]}, state_of(), None, state_of(), compile=before("work"))
def breakpoint_before_sent_tasks(lg: Any) -> Any:
    return spreading(lg)


@case({"numbers": [2, 1]}, state_of(), None, state_of(), compile={"interrupt_after": ["work"]})
def breakpoint_after_sent_tasks(lg: Any) -> Any:
    return spreading(lg)


@case({"log": ["i"]}, state_of(), None, state_of(), resume("yes"), state_of(), compile=before("ask", after=["ask"]))
def breakpoint_at_a_node_that_asks(lg: Any) -> Any:
    """It stops before, asks, and when that is answered stops after."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, resume("too early"), state_of(), compile=before("ask"))
def resume_before_a_node_that_asks(lg: Any) -> Any:
    """The answer is there when the question comes."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, state_of(), history_of(), compile={"interrupt_after": ["a"]}, config={"recursion_limit": 2})
def breakpoint_and_the_recursion_limit(lg: Any) -> Any:
    """The stop comes before the limit is found to be reached."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, state_of(), compile={"interrupt_before": ["b"], "debug": False}, durability="exit")
def breakpoint_with_durability_exit(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)
