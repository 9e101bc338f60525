"""`get_state`, `update_state`, `bulk_update_state`: looking at a thread, and writing to it, between runs."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.cases.interrupts import FAIL, asking, fails_beside, fails_if_told
from tests.differential.harness import Turn, case, history_of, replay_of, resume, state_of, update_of

CHAIN = ("a b c", "s-a a-b b-c")
PARALLEL = ("z m a end", "s-z s-m s-a z+m+a-end")


# --- get_state ---------------------------------------------------------------------------------------------------


@case(state_of(), history_of(), state_of({"configurable": {"thread_id": "nobody's"}}))
def state_of_a_fresh_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), state_of(subgraphs=True))
def state_of_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), history_of(), None, state_of())
def state_of_a_failed_thread(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told)
    return builder.add_edge(lg.START, "a").add_edge("a", "fails")


@case({"log": ["i"]}, state_of(), history_of(), compile={"interrupt_before": ["m"]})
def state_before_parallel_nodes(lg: Any) -> Any:
    """`next` is in the order in which the nodes were added."""
    return graph_of(lg, *PARALLEL)


@case({"log": ["i"]}, state_of(), history_of(), resume("yes"), state_of())
def state_of_parallel_nodes_half_done(lg: Any) -> Any:
    """The state shows what is done; the history, what was there when the superstep began."""
    return asking(lg, "z m? a end", "s-z s-m s-a z+m+a-end")


@case(
    {"log": ["i"]},
    history_of(),
    state_of(lambda lg, past: past.checkpoint(0).config),
    state_of(lambda lg, past: past.checkpoint(-1).config),
)
def state_at_a_checkpoint_of_parallel_nodes_half_done(lg: Any) -> Any:
    return asking(lg, "z m? a end", "s-z s-m s-a z+m+a-end")


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), history_of(), None, state_of())
def state_of_a_failure_beside_nodes_that_finished(lg: Any) -> Any:
    builder = graph_of(lg, "a", "s-a").add_node("fails", fails_beside(lg, "log", "a1"))
    return builder.add_edge(lg.START, "fails")


@case({"log": ["i"]}, state_of({"configurable": {"checkpoint_id": "1f000000-0000-6000-8000-000000000000"}}))
def state_at_a_checkpoint_that_is_not_there(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    state_of(),
    history_of(),
    update_of({"log": ["x"]}),
    Turn([], method="bulk_update_state"),
    with_saver=False,
    without_saver=True,
)
def state_without_saver(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, state_of(), config={"metadata": {"m": 1}, "tags": ["t"], "configurable": {"user": "u"}})
def state_with_metadata(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


@case({"numbers": [2, 1]}, state_of(), None, state_of(), compile={"interrupt_before": ["work"]})
def state_with_sent_tasks(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return ["a", *(lg.Send("work", {"n": n}) for n in state["numbers"])]

    def work(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {arg['n']}"]}

    builder = lg.StateGraph(Numbers).add_node(work).add_node("a", says("a"))
    return builder.add_conditional_edges(lg.START, spread, ["work", "a"])


class Shown(TypedDict):
    last: str


class Whole(TypedDict):
    log: Annotated[list[str], operator.add]
    last: str


@case({"log": ["i"]}, state_of(), update_of({"last": "edited", "nobody": 1}), state_of())
def state_with_an_output_schema(lg: Any) -> Any:
    """The state is shown whole."""
    builder = lg.StateGraph(Whole, output_schema=Shown)
    return builder.add_node("a", lambda state: {"last": "a"}).add_edge(lg.START, "a")


class Person(BaseModel):
    name: str
    age: int = 5
    log: Annotated[list[str], operator.add] = []


@case(
    {"name": "n"}, state_of(), update_of({"age": "7"}), state_of(), update_of(Person(name="m", log=["x"])), state_of()
)
def state_of_a_pydantic_schema(lg: Any) -> Any:
    """Values are neither checked nor completed."""
    return lg.StateGraph(Person).add_node("a", lambda state: {"log": [state.name]}).add_edge(lg.START, "a")


@dataclass
class Point:
    x: int
    trail: Annotated[list[str], operator.add] = field(default_factory=list)


@case({"x": 1}, state_of(), update_of(Point(x=3, trail=["edited"])), state_of())
def state_of_a_dataclass_schema(lg: Any) -> Any:
    return lg.StateGraph(Point).add_node("a", lambda state: {"trail": ["a"]}).add_edge(lg.START, "a")


# --- update_state: which node it is of ---------------------------------------------------------------------------


@case({"log": ["i"]}, update_of({"log": ["edited"]}), state_of(), None, history_of())
def update_a_finished_thread(lg: Any) -> Any:
    """In the name of the node that ran last."""
    return graph_of(lg, *CHAIN)


@case(update_of({"log": ["edited"]}), state_of(), {"log": ["i"]}, history_of())
def update_a_fresh_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(update_of({"log": ["edited"]}, as_node="a"), state_of(), None, state_of())
def update_a_fresh_thread_as_a_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(update_of({"log": ["edited"]}), state_of(), None, state_of())
def update_a_fresh_thread_of_one_node(lg: Any) -> Any:
    """There is only one it could be of."""
    return graph_of(lg, "a", "s-a")


@case({"log": ["i"]}, update_of({"log": ["edited"]}, as_node="a"), state_of(), None, state_of())
def update_as_a_node(lg: Any) -> Any:
    """What follows that node is next."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["edited"]}), update_of({"log": ["edited"]}, as_node="m"), state_of())
def update_after_parallel_nodes(lg: Any) -> Any:
    """Which node it is of must be said."""
    return graph_of(lg, "z m a", "s-z s-m s-a")


@case({"log": ["i"]}, update_of({"log": ["edited"]}, as_node="nobody"), state_of())
def update_as_an_unknown_node(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["edited"]}, as_node="b"), state_of(), None, history_of())
def update_as_one_of_a_join(lg: Any) -> Any:
    builder = graph_of(lg, "a b c d", "s-a b+c-d")
    return builder.add_conditional_edges("a", lambda state: "c", ["b", "c"])


@case({"log": ["i"]}, update_of({"log": ["left"]}, as_node="a"), state_of(), None, state_of())
def update_as_a_node_with_a_branch(lg: Any) -> Any:
    """The branch decides by the updated state."""

    def route(state: Log) -> str:
        return state["log"][-1] if state["log"][-1] in ("left", "right") else "right"

    return graph_of(lg, "a left right", "s-a").add_conditional_edges("a", route, ["left", "right"])


@case({"log": ["i"]}, update_of({"log": ["3"]}, as_node="a"), state_of(), None, state_of())
def update_as_a_node_that_sends(lg: Any) -> Any:
    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in range(int(state["log"][-1]) if state["log"][-1].isdigit() else 0)]

    def work(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {arg['n']}"]}

    return graph_of(lg, "a", "s-a").add_node(work).add_conditional_edges("a", spread, ["work"])


@case({"log": ["i"]}, update_of({"log": ["x"]}, as_node="a"), state_of(), None)
def update_as_a_node_whose_branch_fails(lg: Any) -> Any:
    def route(state: Log) -> str:
        if state["log"][-1] == "x":
            raise ValueError("no way from x")
        return "b"

    return graph_of(lg, "a b", "s-a").add_conditional_edges("a", route, ["b"])


@case({"log": ["i"]}, update_of(lambda lg, past: lg.Command(update={"log": ["x"]}, goto="c"), as_node="a"), state_of())
def update_by_a_command(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- update_state: what is written -------------------------------------------------------------------------------


@case({"log": ["i"]}, update_of({"log": "text"}), state_of(), update_of(5), update_of(["x"]), state_of())
def update_of_wrong_types(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({}), state_of(), update_of({"nobody": 1}), state_of(), None)
def update_of_nothing(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of(lambda lg, past: {"log": lg.Overwrite(["only this"])}), state_of())
def update_state_that_overwrites(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"last": "x"}), update_of({"last": "y"}), state_of(), None, history_of())
def updates_in_a_row(lg: Any) -> Any:
    return (
        lg.StateGraph(Whole)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_sequence([("c", says("c")), ("d", says("d"))])
        .add_edge(lg.START, "c")
    )


@case(
    {
        "messages": [
            (
                "user",
                "hi",
            )
        ]
    },
    update_of({"messages": [("user", "edited")]}),
    state_of(),
)
def update_of_messages(lg: Any) -> Any:
    return (
        lg.StateGraph(lg.MessagesState)
        .add_node("a", lambda state: {"messages": [("ai", "ho")]})
        .add_edge(lg.START, "a")
    )


# --- update_state: special names ---------------------------------------------------------------------------------


@case({"log": ["i"]}, update_of(None), state_of(), None, state_of(), compile={"interrupt_before": ["b"]})
def update_none(lg: Any) -> Any:
    """A checkpoint is made, and nothing else."""
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    Turn(None, method="update_state", arguments=lambda lg, past: {"as_node": lg.END}),
    state_of(),
    None,
    history_of(),
    compile={"interrupt_before": ["b"]},
)
def update_none_as_end(lg: Any) -> Any:
    """What is pending is given up."""
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    Turn({"log": ["x"]}, method="update_state", arguments=lambda lg, past: {"as_node": lg.END}),
    state_of(),
    compile={"interrupt_before": ["b"]},
)
def update_as_end(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of({"log": ["input"]}, as_node="__input__"), state_of(), None, history_of())
def update_as_input(lg: Any) -> Any:
    """As if the graph had been given it."""
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    update_of({"log": ["input"]}, as_node="__input__"),
    state_of(),
    None,
    state_of(),
    compile={"interrupt_before": ["b"]},
)
def update_as_input_at_a_breakpoint(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    Turn({"log": ["x"]}, method="update_state", arguments=lambda lg, past: {"as_node": lg.START}),
    state_of(),
    None,
    state_of(),
)
def update_as_start(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    update_of(None, as_node="__copy__"),
    state_of(),
    None,
    history_of(),
    compile={"interrupt_before": ["b"]},
)
def update_as_a_copy(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


# --- update_state while the thread is waiting --------------------------------------------------------------------


@case({"log": ["i"]}, update_of({"log": ["edited"]}), state_of(), resume("yes"), state_of())
def update_an_interrupted_thread(lg: Any) -> Any:
    """In the name of the node before: the question is asked anew, and is another one."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, update_of({"log": ["for ask"]}, as_node="ask"), state_of(), None, state_of())
def update_as_the_node_that_asks(lg: Any) -> Any:
    """What it asked is settled."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, update_of({"log": ["edited"]}, as_node="m"), state_of(), None, state_of())
def update_while_parallel_nodes_wait(lg: Any) -> Any:
    return asking(lg, "z m? a end", "s-z s-m s-a z+m+a-end")


@case(Turn({"log": ["i"]}, config=FAIL), update_of({"log": ["repaired"]}), state_of(), None, state_of())
def update_a_failed_thread(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told)
    return builder.add_edge(lg.START, "a").add_edge("a", "fails")


@case(Turn({"log": ["i"]}, config=FAIL), update_of({"log": ["instead"]}, as_node="fails"), state_of(), None, state_of())
def update_as_the_node_that_failed(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_node("a", says("a")).add_node("fails", fails_if_told).add_node("b", says("b"))
    return builder.add_edge(lg.START, "a").add_edge("a", "fails").add_edge("fails", "b")


# --- bulk_update_state -------------------------------------------------------------------------------------------


def bulk(*supersteps: Any) -> Turn:
    """Writes several supersteps at once, each given as (values, node) pairs."""

    def made(lg: Any, past: Any) -> Any:
        return [[lg.StateUpdate(*update) for update in superstep] for superstep in supersteps]

    return Turn(made, method="bulk_update_state")


@case({"log": ["i"]}, bulk([({"log": ["1"]}, "a")], [({"log": ["2"]}, "b")]), state_of(), None, history_of())
def bulk_update_of_several_supersteps(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, bulk([({"log": ["m"]}, "m"), ({"log": ["z"]}, "z"), ({"log": ["a"]}, "a")]), state_of(), None)
def bulk_update_of_parallel_nodes(lg: Any) -> Any:
    """A join is filled by them."""
    return graph_of(lg, *PARALLEL)


@case(bulk([({"log": ["i"]}, "__input__")], [({"log": ["i"]}, "__start__")], [({"log": ["a"]}, "a")]), state_of(), None)
def bulk_update_of_a_fresh_thread(lg: Any) -> Any:
    """A thread rebuilt from what is known of it."""
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, bulk(), bulk([]), bulk([({"log": ["x"]}, "a")], []), state_of())
def bulk_update_of_nothing(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    bulk([({"log": ["x"]}, None)]),
    bulk([({"log": ["x"]}, "a"), ({"log": ["x"]}, None)]),
    bulk([({"log": ["x"]}, "a"), ({"log": ["x"]}, "nobody")]),
    bulk([(None, "__end__"), ({"log": ["x"]}, "a")]),
    bulk([({"log": ["x"]}, "__input__"), ({"log": ["x"]}, "a")]),
    state_of(),
)
def bulk_updates_that_are_refused(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    update_of([[{"log": ["for b"]}, "b"]], as_node="__copy__"),
    state_of(),
    history_of(),
    None,
    compile={"interrupt_before": ["b"]},
)
def copy_with_updates(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case({"log": ["i"]}, update_of([5], as_node="__copy__"), state_of(), compile={"interrupt_before": ["b"]})
def copy_with_what_is_no_update(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(update_of(None, as_node="__copy__"), update_of(None, as_node="__end__"), update_of(None, as_node="__input__"))
def special_updates_of_a_fresh_thread(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    Turn(
        {"log": ["by id"]},
        method="update_state",
        arguments=lambda lg, past: {"as_node": "m", "task_id": "00000000-0000-0000-0000-00000000000a"},
    ),
    history_of(),
    compile={"interrupt_before": ["m"]},
)
def update_with_a_task_id(lg: Any) -> Any:
    return graph_of(lg, *PARALLEL)


@case(
    {"numbers": [2, 1]},
    bulk([({"log": ["first"]}, "work"), ({"log": ["second"]}, "work")]),
    state_of(),
    history_of(),
    None,
    compile={"interrupt_before": ["work"]},
)
def bulk_update_of_sent_tasks(lg: Any) -> Any:
    """Updates stand for the tasks in their order."""

    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    builder = lg.StateGraph(Numbers).add_node("work", lambda arg: {"log": [f"work {arg['n']}"]})
    return builder.add_conditional_edges(lg.START, spread, ["work"])


@case({"log": ["i"]}, state_of({"configurable": {"thread_id": 7}}), update_of({"log": ["x"]}, {"configurable": {}}))
def thread_ids_that_are_numbers(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(
    {"log": ["i"]},
    update_of({"log": ["edited"]}, {"metadata": {"by": "me"}, "configurable": {"user": "u"}}, as_node="a"),
    history_of(),
    history_of(filter={"by": "me"}),
)
def update_with_metadata(lg: Any) -> Any:
    return graph_of(lg, *CHAIN)


@case(update_of({"log": ["x"]}, as_node="a"), state_of(), async_only=True)
def update_as_a_node_with_an_async_branch(lg: Any) -> Any:
    async def route(state: Log) -> str:
        return "b" if state["log"][-1] == "x" else lg.END

    return graph_of(lg, "a b", "s-a").add_conditional_edges("a", route, ["b", lg.END])


@case({"log": ["i"]}, Turn({"log": ["x"]}, method="update_state", arguments={"as_node": "a"}), config={"tags": ["t"]})
def update_as_a_node_whose_branch_looks_around(lg: Any) -> Any:
    def route(state: Log, config: RunnableConfig, writer: lg.StreamWriter) -> str:
        writer({"task": "a", "saw": state["log"]})
        raise ValueError(f"{state['log']} {config['configurable']['thread_id']} {config['tags']}")

    builder = graph_of(lg, "a b", "s-a")
    return builder.add_conditional_edges("a", lambda state: "b" if "x" not in state["log"] else route, ["b"])


@case({"log": ["i"]}, state_of(), update_of({"log": ["x"]}, as_node="a"), state_of(), None)
def update_beside_a_deferred_node(lg: Any) -> Any:
    builder = graph_of(lg, "a b", "s-a s-b").add_node("last", says("last"), defer=True)
    return builder.add_edge("a", "last").add_edge("b", "last")


@case({"log": ["i"]}, state_of(), history_of(), durability="sync")
def state_that_a_node_looks_at(lg: Any) -> Any:
    """What it has written itself is not in it yet."""
    graph: list[Any] = []

    def looks(state: Log, config: RunnableConfig) -> dict[str, Any]:
        thread = {"configurable": {"thread_id": config["configurable"]["thread_id"]}}
        return {"log": [f"{graph[0].get_state(thread).values['log']} {graph[0].get_state(thread).next}"]}

    class Builder(lg.StateGraph):
        def compile(self, *args: Any, **options: Any) -> Any:
            graph[:] = [super().compile(*args, **options)]
            return graph[0]

    return Builder(Log).add_sequence([("a", says("a")), looks]).add_edge(lg.START, "a")


# --- graphs in nodes ---------------------------------------------------------------------------------------------


def _inside(**more: Any) -> Any:
    """The config of the graph in the first task that was told last."""

    def config(lg: Any, past: Any) -> Any:
        state = next(p.result.tasks[0].state for p in reversed(past) if hasattr(p.result, "tasks"))
        found = state.config if hasattr(state, "config") else state
        return {"configurable": {**found["configurable"], **more}}

    return config


@case({"log": ["i"]}, state_of(), state_of(_inside()), history_of(_inside()), resume("yes"), history_of())
def state_inside_a_graph_in_a_node(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("sub", asking(lg, "a ask?", "s-a a-ask").compile()).add_edge(lg.START, "sub")


@case({"log": ["i"]}, state_of(), update_of({"log": ["x"]}, _inside()), state_of(subgraphs=True), resume("yes"))
def update_inside_a_graph_in_a_node(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("sub", asking(lg, "a ask? b", "s-a a-ask ask-b").compile())
        .add_edge(lg.START, "sub")
    )


@case(
    {"log": ["i"]},
    resume("first"),
    history_of(),
    history_of(lambda lg, past: past.checkpoint(0).tasks[0].state),
    update_of({"log": ["x"]}, lambda lg, past: past.checkpoint(1).config),
    replay_of(lambda lg, past: past[4].result),
    resume("yes"),
    resume("again", config=lambda lg, past: past[4].result),
)
def run_from_an_update_inside_a_graph_with_a_history_of_its_own(lg: Any) -> Any:
    sub = asking(lg, "a ask? b", "s-a a-ask ask-b").compile(checkpointer=True)
    return lg.StateGraph(Log).add_node("sub", sub).add_edge(lg.START, "sub")


@case(
    {"log": ["i"]},
    state_of(subgraphs=True),
    update_of({"log": ["x"]}, _inside()),
    resume("yes", config=lambda lg, past: past[-1].result),
)
def answer_at_an_update_inside_a_graph_in_a_node(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("sub", asking(lg, "a ask? b", "s-a a-ask ask-b").compile())
        .add_edge(lg.START, "sub")
    )


@case(
    {"log": ["i"]}, state_of(subgraphs=True), state_of(), state_of(_inside()), resume("yes"), state_of(subgraphs=True)
)
def state_inside_graphs_two_deep(lg: Any) -> Any:
    inner = asking(lg, "a ask?", "s-a a-ask").compile()
    middle = lg.StateGraph(Log).add_node("inner", inner).add_edge(lg.START, "inner").compile()
    return lg.StateGraph(Log).add_node("middle", middle).add_edge(lg.START, "middle")


@case(
    {"log": ["i"]},
    state_of(subgraphs=True),
    resume("yes"),
    {"log": ["j"]},
    state_of(),
    state_of({"configurable": {"checkpoint_ns": "sub"}}),
    history_of({"configurable": {"checkpoint_ns": "sub"}}),
    update_of({"log": ["x"]}, {"configurable": {"checkpoint_ns": "sub"}}),
    state_of({"configurable": {"checkpoint_ns": "sub"}}),
    resume("also"),
)
def state_of_a_graph_with_a_history_of_its_own(lg: Any) -> Any:
    sub = asking(lg, "a ask?", "s-a a-ask").compile(checkpointer=True)
    return lg.StateGraph(Log).add_node("sub", sub).add_edge(lg.START, "sub")


@case(
    {"log": ["i"]},
    state_of({"configurable": {"checkpoint_ns": "nobody"}}),
    history_of({"configurable": {"checkpoint_ns": "nobody"}}),
    update_of({"log": ["x"]}, {"configurable": {"checkpoint_ns": "nobody:1|sub:2"}}),
)
def states_of_graphs_that_are_not_there(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("sub", asking(lg, "a ask?", "s-a a-ask").compile()).add_edge(lg.START, "sub")


@case({"log": ["i"]}, state_of(), state_of(subgraphs=True), resume("yes"), history_of())
def state_of_a_graph_that_a_node_calls(lg: Any) -> Any:
    sub = asking(lg, "a ask?", "s-a a-ask").compile()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": ["called"]})["log"]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")
