"""`Command`: an update and where to go next, from one node."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import says
from tests.differential.harness import case


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    last: str


def around(lg: Any, node: Any) -> Any:
    """`node`, from START, and `b` and `c`, which nothing leads to."""
    builder = lg.StateGraph(State).add_node("a", node).add_edge(lg.START, "a")
    return builder.add_node("b", says("b")).add_node("c", says("c"))


@case({"log": []})
def command_update_and_goto(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update={"log": ["a"], "last": "a"}, goto="b"))


@case({"log": []})
def command_update_only(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update={"log": ["a"]}))


@case({"log": []})
def command_goto_only(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(goto="c"))


@case({"log": []})
def command_goto_several(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update={"last": "a"}, goto=["c", "b", "c"]))


@case({"log": []})
def command_goto_end(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update={"last": "a"}, goto=lg.END))


@case({"log": []})
def command_goto_end_and_more(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(goto=[lg.END, "b"]))


@case({"log": []})
def command_goto_does_not_replace_edges(lg: Any) -> Any:
    builder = around(lg, lambda state: lg.Command(update={"last": "a"}, goto="b"))
    return builder.add_edge("a", "c")


@case({"log": []})
def command_goto_beside_a_branch(lg: Any) -> Any:
    builder = around(lg, lambda state: lg.Command(update={"last": "c"}, goto="b"))
    return builder.add_conditional_edges("a", lambda state: state["last"], ["b", "c"])


@case({"log": []})
def command_goto_send(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(update={"last": "a"}, goto=lg.Send("shows", {"arg": 1}))

    def shows(arg: Any) -> dict[str, Any]:
        return {"log": [f"shows {arg}"]}

    return around(lg, node).add_node(shows)


@case({"log": []})
def command_goto_sends_and_names(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(goto=[lg.Send("shows", 2), "b", lg.Send("shows", 1), "shows"])

    def shows(arg: Any) -> dict[str, Any]:
        return {"log": [f"shows {arg if isinstance(arg, int) else sorted(arg)}"]}

    return around(lg, node).add_node(shows)


@case({"log": []})
def command_goto_itself(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(update={"log": ["a"]}, goto="a" if len(state["log"]) < 2 else "b")

    return around(lg, node)


@case({"log": []})
def commands_in_a_list(lg: Any) -> Any:
    """Each command's update is a write of its own."""

    def node(state: State) -> Any:
        return [
            lg.Command(update={"log": ["1"], "last": "x"}, goto="b"),
            {"log": ["2"]},
            lg.Command(update={"log": ["3"]}, goto=["c", "b"]),
        ]

    return around(lg, node)


@case({"log": []}, loses=("updates", "tasks", "debug"))
def commands_in_a_list_conflict(lg: Any) -> Any:
    def node(state: State) -> Any:
        return [lg.Command(update={"last": "1"}), lg.Command(update={"last": "2"})]

    return around(lg, node)


@case({"log": []})
def command_update_as_pairs(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(update=[("log", ["1"]), ("last", "x"), ("log", ["2"])], goto="b")

    return around(lg, node)


@case({"log": []})
def command_without_anything(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command())


class Update(BaseModel):
    log: list[str] = []
    last: str = "default"


@case({"log": []})
def command_update_as_an_instance(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update=Update(log=["a"]), goto="b"))


@case({"log": []})
def command_goto_unknown(lg: Any) -> Any:
    """Only a warning in the log: the run ends."""
    return around(lg, lambda state: lg.Command(update={"last": "a"}, goto="nope"))


@case({"log": []})
def command_send_to_unknown(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(goto=lg.Send("nope", {})))


@case({"log": []})
def command_send_to_end(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(goto=lg.Send(lg.END, {})))


@case({"log": []})
def command_update_not_a_mapping(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update=5, goto="b"))


@case({"log": []})
def command_to_a_parent_that_is_not_there(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(graph=lg.Command.PARENT, goto="b"))


@case({"log": []})
def commands_from_parallel_nodes(lg: Any) -> Any:
    def to_b(state: State) -> Any:
        return lg.Command(update={"log": ["to b"]}, goto="b")

    def to_both(state: State) -> Any:
        return lg.Command(update={"log": ["to both"]}, goto=["c", "b"])

    builder = lg.StateGraph(State).add_node(to_both).add_node(to_b)
    builder.add_node("b", says("b")).add_node("c", says("c"))
    return builder.add_edge(lg.START, "to_both").add_edge(lg.START, "to_b")


@case({"log": []})
def command_destinations_are_only_for_drawing(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(goto="c")

    builder = lg.StateGraph(State).add_node("a", node, destinations=("b", "c")).add_edge(lg.START, "a")
    return builder.add_node("b", says("b")).add_node("c", says("c"))
