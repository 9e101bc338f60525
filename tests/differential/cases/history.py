"""The checkpoints of a thread: listing them, running on from one, and forking."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.cases.interrupts import FAIL, answers, asking, asks, fails_if_told
from tests.differential.cases.subgraphs import counting
from tests.differential.harness import Turn, at, case, command, history_of, replay_of, resume, state_of, update_of

CHAIN = ("a b c", "s-a a-b b-c")


# --- listing -----------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, {"log": ["j"]}, history_of())
def history_of_two_runs(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, {}, history_of())
def history_of_an_empty_input(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(limit=2), history_of(limit=1), history_of(limit=0), history_of(limit=100))
def history_with_a_limit(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    update_of({"log": ["edited"]}),
    history_of(filter={"source": "input"}),
    history_of(filter={"source": "update"}),
    history_of(filter={"source": "loop", "step": 1}),
    history_of(filter={"source": "nothing"}),
    history_of(filter={}),
    history_of(filter={"source": "loop"}, limit=2),
)
def history_with_a_filter(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["i"]}, config={"metadata": {"m": 1}}),
    Turn({"log": ["j"]}, config={"metadata": {"m": 2}}),
    history_of(filter={"m": 1}),
    history_of(filter={"m": 2}, limit=1),
)
def history_filtered_by_the_callers_metadata(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case(
    {"log": ["i"]},
    history_of(),
    history_of(arguments=lambda lg, past: {"before": past.checkpoint(2).config}),
    history_of(arguments=lambda lg, past: {"before": past.checkpoint(0).config, "limit": 1}),
)
def history_before_a_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), history_of(at(1)), state_of(at(1)))
def history_at_a_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    Turn({"log": ["one"]}, config={"configurable": {"thread_id": "one"}}),
    Turn({"log": ["two"]}, config={"configurable": {"thread_id": "two"}}),
    history_of({"configurable": {"thread_id": "one"}}),
    history_of({"configurable": {"thread_id": "nobody's"}}),
)
def history_of_one_of_two_threads(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"log": ["i"]}, resume("yes"), history_of())
def history_of_an_interrupted_run(lg: Any) -> Any:
    """The question stays with the checkpoint it was asked at, answered or not."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case(Turn({"log": ["i"]}, config=FAIL), None, history_of())
def history_of_a_failed_run(lg: Any) -> Any:
    """So does the failure, beside what the task then wrote."""
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told)
    return builder.add_edge(lg.START, "a").add_edge("a", "fails")


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


@case({"numbers": [2, 1]}, history_of())
def history_of_sent_tasks(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def work(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {arg['n']}"]}

    builder = lg.StateGraph(Numbers).add_node("a", says("a")).add_node(work).add_edge(lg.START, "a")
    return builder.add_conditional_edges("a", spread, ["work"])


@case({"log": ["i"]}, history_of())
def history_of_several_writes_to_one_key(lg: Any) -> Any:
    def node(state: Log) -> Any:
        return [{"log": ["1"]}, lg.Command(update={"log": ["2"]}, goto="b")]

    return lg.StateGraph(Log).add_node(node).add_node("b", lambda state: None).add_edge(lg.START, "node")


# --- running on from a checkpoint --------------------------------------------------------------------------------


@case({"log": ["i"]}, history_of(), replay_of(at(1)), state_of(), history_of())
def run_again_from_a_checkpoint(lg: Any) -> Any:
    """A fork: what was there stays."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), replay_of(at(3)), state_of(), history_of())
def run_again_from_the_last_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), replay_of(at(-1)), state_of())
def run_again_from_the_input(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), replay_of(at(1)), history_of(), replay_of(at(2)), state_of())
def run_again_from_a_fork(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), replay_of(at(1), {"log": ["new"]}), state_of(), history_of())
def new_input_at_a_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), command(goto="c", config=at(1)), state_of(), history_of())
def goto_at_a_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, resume("yes"), history_of(), replay_of(at(1)), state_of(), resume("no"), state_of())
def run_again_from_before_a_question(lg: Any) -> Any:
    """The question is asked again, and may be answered otherwise."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, history_of(), resume("yes", config=at(1)), state_of(), history_of())
def answer_at_the_checkpoint_of_the_question(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, resume("yes"), history_of(), replay_of(at(0)), state_of(), resume("no"), state_of())
def run_again_from_well_before_a_question(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, history_of(), replay_of(at(0)), state_of(), resume(answers(m="yes")), state_of())
def run_again_where_parallel_nodes_are_half_done(lg: Any) -> Any:
    """All of them run again."""
    return asking(lg, "z m? a end", "s-z s-m s-a z+m+a-end")


@case(Turn({"log": ["i"]}, config=FAIL), history_of(), replay_of(at(1)), state_of(), history_of())
def run_again_from_where_it_failed(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told)
    return builder.add_edge(lg.START, "a").add_edge("a", "fails")


@case({"log": ["i"]}, None, history_of(), replay_of(at(0)), state_of(), None, compile={"interrupt_before": ["b"]})
def run_again_up_to_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, None, history_of(), replay_of(at(1)), state_of(), None, compile={"interrupt_before": ["b"]})
def run_again_from_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, replay_of({"configurable": {"checkpoint_id": "1f000000-0000-6000-8000-000000000000"}}))
def run_again_from_a_checkpoint_that_is_not_there(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- writing to an old checkpoint --------------------------------------------------------------------------------


@case(
    {"log": ["i"]},
    history_of(),
    update_of({"log": ["edited"]}, at(1)),
    state_of(),
    None,
    history_of(),
)
def update_of_an_old_checkpoint(lg: Any) -> Any:
    """The thread goes on from the fork."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), update_of({"log": ["edited"]}, at(0)), state_of(), None, state_of())
def update_of_the_checkpoint_before_the_first_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), update_of({"log": ["edited"]}, at(0), as_node="b"), state_of(), None, state_of())
def update_of_an_old_checkpoint_as_a_later_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), update_of({"log": ["edited"]}, at(-1)), state_of(), None, state_of())
def update_of_the_first_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, history_of(), update_of(None, at(1), as_node="__copy__"), state_of(), None, history_of())
def copy_of_an_old_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    resume("yes"),
    history_of(),
    update_of({"log": ["edited"]}, at(1)),
    None,
    resume("no"),
    state_of(),
)
def update_of_the_checkpoint_of_a_question(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case(
    {"log": ["i"]},
    history_of(),
    update_of({"log": ["one"]}, at(1)),
    Turn(None),
    update_of({"log": ["two"]}, lambda lg, past: past[1].result[-3].config),
    Turn(None),
    history_of(),
)
def two_forks_of_one_checkpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    history_of(),
    update_of({"log": ["edited"]}, at(1)),
    replay_of(lambda lg, past: past[2].result),
    state_of(lambda lg, past: past[2].result),
    state_of(),
)
def run_with_the_config_that_an_update_returns(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- graphs that functions call ----------------------------------------------------------------------------------


def calling(lg: Any, *before: str, keeps: bool = True) -> Any:
    """A function that calls a graph, which counts its runs and, unless told otherwise, remembers them."""
    sub = counting(lg).compile(checkpointer=True if keeps else None)

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": ["called"]})["log"]}

    sequence = [*((name, says(name)) for name in before), ("calls", calls)]
    return lg.StateGraph(Log).add_sequence(sequence).add_edge(lg.START, sequence[0][0])


THREE_RUNS = ({"log": ["i"]}, {"log": ["j"]}, {"log": ["k"]}, history_of())


@case(*THREE_RUNS, replay_of(at(5)), state_of(), {"log": ["l"]}, without_saver=False)
def replay_with_a_called_graph_that_keeps_its_state(lg: Any) -> Any:
    return calling(lg, "first")


@case(*THREE_RUNS, replay_of(at(1)), replay_of(at(9)), {"log": ["l"]}, without_saver=False)
def two_replays_with_a_called_graph_that_keeps_its_state(lg: Any) -> Any:
    return calling(lg, "first")


@case(*THREE_RUNS, replay_of(at(4), {"log": ["new"]}), {"log": ["l"]}, without_saver=False)
def new_input_at_an_old_checkpoint_with_a_called_graph_that_keeps_its_state(lg: Any) -> Any:
    return calling(lg, "first")


@case(
    *THREE_RUNS,
    update_of({"log": ["edited"]}, as_node="first", config=at(5)),
    replay_of(lambda lg, past: past[-1].result),
    {"log": ["l"]},
    without_saver=False,
)
def fork_with_a_called_graph_that_keeps_its_state(lg: Any) -> Any:
    return calling(lg, "first")


@case({"log": ["i"]}, {"log": ["j"]}, history_of(), replay_of(at(5)), {"log": ["k"]}, without_saver=False)
def replay_of_a_loop_that_calls_a_graph_that_keeps_its_state(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=True)

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": ["called"]})["log"]}

    builder = lg.StateGraph(Log).add_sequence([("first", says("first")), ("calls", calls)]).add_edge(lg.START, "first")
    rounds = iter(range(1000))
    return builder.add_conditional_edges("calls", lambda state: lg.END if next(rounds) % 2 else "calls")


@case(*THREE_RUNS, replay_of(at(5)), {"log": ["l"]}, without_saver=False)
def replay_with_a_graph_that_calls_a_graph_that_keeps_its_state(lg: Any) -> Any:
    middle = calling(lg).compile()
    return lg.StateGraph(Log).add_sequence([("first", says("first")), ("middle", middle)]).add_edge(lg.START, "first")


@case(*THREE_RUNS, replay_of(at(5)), {"log": ["l"]}, without_saver=False)
def replay_with_a_called_graph_in_which_one_keeps_its_state(lg: Any) -> Any:
    keeps = counting(lg).compile(checkpointer=True)
    middle = lg.StateGraph(Log).add_node("keeps", keeps).add_edge(lg.START, "keeps").compile()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": middle.invoke({"log": ["called"]})["log"]}

    return lg.StateGraph(Log).add_sequence([("first", says("first")), ("calls", calls)]).add_edge(lg.START, "first")


@case(*THREE_RUNS, replay_of(at(5)), {"log": ["l"]}, without_saver=False)
def replay_with_a_called_graph_that_starts_anew(lg: Any) -> Any:
    return calling(lg, "first", keeps=False)


@case({"log": ["i"]}, resume("yes"), history_of(), replay_of(at(1)), resume("no"), state_of(), without_saver=False)
def replay_asks_again_in_a_called_graph(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_sequence([("one", says("one")), ("asks", asks(lg, "asks"))])
    sub = sub.add_edge(lg.START, "one").compile()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": ["called"]})["log"]}

    return lg.StateGraph(Log).add_sequence([("first", says("first")), ("calls", calls)]).add_edge(lg.START, "first")


@case(*THREE_RUNS, replay_of(at(5)), {"log": ["l"]}, async_only=True, without_saver=False)
def replay_with_a_graph_called_by_a_coroutine(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=True)

    async def calls(state: Log) -> dict[str, Any]:
        return {"log": (await sub.ainvoke({"log": ["called"]}))["log"]}

    return lg.StateGraph(Log).add_sequence([("first", says("first")), ("calls", calls)]).add_edge(lg.START, "first")


@case(*THREE_RUNS, replay_of(at(4), {"log": ["new"]}), replay_of(at(5)), {"log": ["l"]}, without_saver=False)
def new_input_at_an_old_checkpoint_with_a_subgraph_that_keeps_its_state(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=True)
    return lg.StateGraph(Log).add_sequence([("first", says("first")), ("sub", sub)]).add_edge(lg.START, "first")
