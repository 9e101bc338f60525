"""`defer=True`: nodes that wait until all else is done."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

from typing import Any

from tests.differential.cases.branches import Log, says
from tests.differential.cases.subgraphs import BROKEN, breaks, tells
from tests.differential.harness import Turn, case, resume, state_of


def graph(lg: Any, nodes: str, edges: str) -> Any:
    """Like `branches.graph_of`; the nodes whose names end in `!` are deferred."""
    names = {"s": lg.START, "e": lg.END}
    builder = lg.StateGraph(Log)
    for node in nodes.split():
        name = node.removesuffix("!")
        builder.add_node(name, says(name, counting=True), defer=node.endswith("!"))
    for edge in edges.split():
        start, end = edge.split("-")
        starts = [names.get(name, name) for name in start.split("+")]
        builder.add_edge(starts if len(starts) > 1 else starts[0], names.get(end, end))
    return builder


@case({"log": []}, {"log": ["again"]})
def deferred_behind_uneven_branches(lg: Any) -> Any:
    """It runs once, after the longer one."""
    return graph(lg, "a b b2 b3 c last!", "s-a a-b a-c b-b2 b2-b3 b3-last c-last last-e")


@case({"log": []})
def deferred_in_even_branches(lg: Any) -> Any:
    return graph(lg, "a b c last!", "s-a a-b a-c b-last c-last")


@case({"log": []})
def deferred_alone(lg: Any) -> Any:
    return graph(lg, "only!", "s-only")


@case({"log": []})
def deferred_in_a_sequence(lg: Any) -> Any:
    return graph(lg, "a! b! c!", "s-a a-b b-c")


@case({"log": []})
def deferred_before_others(lg: Any) -> Any:
    """What follows a deferred node isn't deferred."""
    return graph(lg, "a b b2 last! after after2", "s-a s-b b-b2 a-last b2-last last-after after-after2")


@case({"log": []})
def several_deferred(lg: Any) -> Any:
    """They run together when nothing else is left."""
    return graph(lg, "a b b2 x! y!", "s-a s-b b-b2 a-x b-y b2-y")


@case({"log": []})
def deferred_behind_deferred(lg: Any) -> Any:
    return graph(lg, "a b b2 x! y!", "s-a s-b b-b2 a-x b2-x x-y a-y")


@case({"log": []}, {"log": ["again"]})
def deferred_join(lg: Any) -> Any:
    return graph(lg, "a b b2 c c2 c3 last!", "s-a s-b s-c b-b2 c-c2 c2-c3 a+b2-last")


@case({"log": []})
def deferred_join_and_edges(lg: Any) -> Any:
    return graph(lg, "a b b2 b3 last!", "s-a s-b b-b2 b2-b3 a+b-last b3-last")


@case({"log": []})
def deferred_join_that_is_never_full(lg: Any) -> Any:
    return graph(lg, "a b c last!", "s-a a-b b+c-last")


@case({"log": []})
def deferred_behind_sent_tasks(lg: Any) -> Any:
    """Packets don't keep it waiting: it runs beside the tasks they lead to, and again for what these call for."""

    def work(n: Any) -> Any:
        goto = [lg.Send("work", n - 1)] if n > 1 else []
        return lg.Command(update={"log": [f"work {n}"]}, goto=goto)

    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", n) for n in (1, 3)]

    return (
        lg.StateGraph(Log)
        .add_node(work)
        .add_node("last", says("last", counting=True), defer=True)
        .add_conditional_edges(lg.START, spread, ["work"])
        .add_edge("work", "last")
    )


@case({"log": []})
def deferred_that_is_sent_to(lg: Any) -> Any:
    """A packet is not deferred."""

    def spread(state: Log) -> list[Any]:
        return [lg.Send("last", {"log": ["sent"]}), "a"]

    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_node("last", says("last", counting=True), defer=True)
        .add_conditional_edges(lg.START, spread, ["last", "a"])
        .add_edge("a", "b")
        .add_edge("b", "last")
    )


@case({"log": []})
def deferred_in_a_loop(lg: Any) -> Any:
    """It sends the run back to its start, until there is enough."""

    def route(state: Log) -> str:
        return "a" if len(state["log"]) < 8 else lg.END

    return graph(lg, "a b b2 last!", "s-a a-b a-last b-b2 b2-last").add_conditional_edges("last", route, ["a", lg.END])


@case({"log": []})
def deferred_behind_a_loop(lg: Any) -> Any:
    """Each round calls for it, it runs once."""

    def route(state: Log) -> list[str]:
        return ["again", "last"] if len(state["log"]) < 4 else ["last"]

    return (
        lg.StateGraph(Log)
        .add_node("again", says("again"))
        .add_node("last", says("last", counting=True), defer=True)
        .add_edge(lg.START, "again")
        .add_conditional_edges("again", route, ["again", "last"])
    )


@case({"log": []}, {"log": ["x", "y"]})
def deferred_with_conditional_edges(lg: Any) -> Any:
    def route(state: Log) -> list[str]:
        return ["b", "last"] if len(state["log"]) % 2 else ["last"]

    return (
        graph(lg, "a b b2 last! end!", "s-a b-b2 b2-last")
        .add_conditional_edges("a", route, ["b", "last"])
        .add_conditional_edges("last", lambda state: "end", ["end"])
    )


@case({"log": []})
def deferred_by_command(lg: Any) -> Any:
    def node(state: Log) -> Any:
        return lg.Command(update={"log": ["node"]}, goto=["last", "b"])

    return (
        lg.StateGraph(Log)
        .add_node(node)
        .add_node("b", tells(lg, "b"))
        .add_node("c", tells(lg, "c"))
        .add_node("last", tells(lg, "last"), defer=True)
        .add_edge(lg.START, "node")
        .add_edge("b", "c")
    )


@case({"log": ["i"]})
def deferred_subgraph(lg: Any) -> Any:
    """It waits in its graph; and what is deferred in it waits only for what is in it."""
    sub = graph(lg, "x y y2 z!", "s-x s-y y-y2 x-z y2-z").compile()
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_node("b2", says("b2"))
        .add_node("sub", sub, defer=True)
        .add_node("free", sub)
        .add_edge(lg.START, "a")
        .add_edge(lg.START, "b")
        .add_edge(lg.START, "free")
        .add_edge("b", "b2")
        .add_edge("a", "sub")
        .add_edge("b2", "sub")
    )


@case({"log": []}, state_of(), resume("yes"), state_of(), without_saver=False)
def deferred_behind_an_interrupt(lg: Any) -> Any:
    def ask(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt("sure?")]}

    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node(ask)
        .add_node("after", says("after"))
        .add_node("last", says("last", counting=True), defer=True)
        .add_edge(lg.START, "a")
        .add_edge("a", "last")
        .add_edge("a", "ask")
        .add_edge("ask", "after")
        .add_edge("after", "last")
    )


@case(Turn({"log": []}, config=BROKEN), Turn(None), without_saver=False)
def deferred_behind_a_failure(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("fails", breaks(lg, "fails"))
        .add_node("last", says("last", counting=True), defer=True)
        .add_edge(lg.START, "a")
        .add_edge("a", "last")
        .add_edge("a", "fails")
        .add_edge("fails", "last")
    )


@case({"log": []}, Turn(None), compile={"interrupt_before": ["last"]}, without_saver=False)
def breakpoint_before_a_deferred_node(lg: Any) -> Any:
    return graph(lg, "a b b2 last!", "s-a s-b b-b2 a-last b2-last")
