"""What a run may be started with."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

from typing import Any

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.harness import Turn, case


@case({}, {"log": ["x"]}, {})
def empty_input(lg: Any) -> Any:
    """Runs the graph; the first `values` chunk comes when there is something to show."""
    return lg.StateGraph(Log).add_node("a", says("a", counting=True)).add_edge(lg.START, "a")


@case(None)
def none_on_a_fresh_thread(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"log": ["i"]}, None, without_saver=False)
def none_on_a_finished_thread(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"nobody": 1}, {"log": ["i"], "nobody": 1})
def unknown_keys_in_the_input(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case(5, ["log"], "text", ("log", ["x"]))
def input_of_a_wrong_type(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"log": None}, {"log": "text"}, {"log": ("t",)})
def input_the_reducer_refuses(lg: Any) -> Any:
    return graph_of(lg, "a", "s-a")


@case({"log": ["i"]})
def no_edges_but_start_to_end(lg: Any) -> Any:
    """Nodes exist, but none is reached."""
    return graph_of(lg, "a", "s-e")


@case(
    Turn({"log": ["i"]}, arguments={"context": {"user": "u"}}),
    Turn({"log": ["i"]}, arguments={"context": None}),
)
def context_without_schema(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        return {"log": [repr(runtime.context)]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")
