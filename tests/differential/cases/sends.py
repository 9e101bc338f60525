"""`Send`: tasks made at run time, one for each item."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.harness import case


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


def work(arg: Any) -> dict[str, Any]:
    return {"log": [f"work {arg}"]}


def start(state: Numbers) -> dict[str, Any]:
    return {"log": ["start"]}


@case({"numbers": [3, 1, 2]}, {"numbers": []}, {"numbers": [7]})
def map_reduce(lg: Any) -> Any:
    """Writes are applied in the order of the Sends."""

    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def reduce(state: Numbers) -> dict[str, Any]:
        return {"log": [f"reduce {len(state['log'])}"]}

    return (
        lg.StateGraph(Numbers)
        .add_node(start)
        .add_node(work)
        .add_node(reduce)
        .add_edge(lg.START, "start")
        .add_conditional_edges("start", spread, ["work"])
        .add_edge("work", "reduce")
    )


@case({"numbers": [2, 1]})
def sends_from_start(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", n) for n in state["numbers"]]

    return lg.StateGraph(Numbers).add_node(work).add_conditional_edges(lg.START, spread, ["work"])


@case({"numbers": [2, 1]})
def sends_and_edges_in_one_superstep(lg: Any) -> Any:
    """Nodes reached by edges come before Sends when writes are applied; a node reached by both runs for both."""

    def spread(state: Numbers) -> list[Any]:
        return ["work", *(lg.Send("work", {"n": n}) for n in state["numbers"]), "zed", "work"]

    def on_edge(state: Any) -> dict[str, Any]:
        return {"log": ["zed"]}

    def works(arg: Any) -> dict[str, Any]:
        return {"log": [f"work {sorted(arg)}{arg.get('n', '')}"]}

    return (
        lg.StateGraph(Numbers)
        .add_node(start)
        .add_node("work", works)
        .add_node("zed", on_edge)
        .add_node("also", on_edge)
        .add_edge(lg.START, "start")
        .add_edge("start", "also")
        .add_conditional_edges("start", spread, ["work", "zed"])
    )


@case({"numbers": [1, 2]})
def sends_from_parallel_nodes(lg: Any) -> Any:
    """Ordered by the name of the sender, then in the order sent."""

    def zed(state: Numbers) -> dict[str, Any]:
        return {"log": ["zed"]}

    def abe(state: Numbers) -> dict[str, Any]:
        return {"log": ["abe"]}

    def from_zed(state: Numbers) -> list[Any]:
        return [lg.Send("work", f"zed {n}") for n in state["numbers"]]

    def from_abe(state: Numbers) -> list[Any]:
        return [lg.Send("work", f"abe {n}") for n in reversed(state["numbers"])]

    return (
        lg.StateGraph(Numbers)
        .add_node(zed)
        .add_node(abe)
        .add_node(work)
        .add_edge(lg.START, "zed")
        .add_edge(lg.START, "abe")
        .add_conditional_edges("zed", from_zed, ["work"])
        .add_conditional_edges("abe", from_abe, ["work"])
    )


@case({"numbers": [1, 2]})
def sends_to_several_nodes(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send(node, f"{node}{n}") for n in state["numbers"] for node in ("work", "also")]

    return (
        lg.StateGraph(Numbers)
        .add_node(start)
        .add_node(work)
        .add_node("also", work)
        .add_edge(lg.START, "start")
        .add_conditional_edges("start", spread, ["work", "also"])
    )


class Model(BaseModel):
    n: int
    log: Annotated[list[str], operator.add] = []


@dataclass
class Parcel:
    content: str


@case({"n": "1"})
def send_argument_is_passed_as_it_is(lg: Any) -> Any:
    """No coercion to the node's schema, no merge with the state."""

    def start(state: Model) -> dict[str, Any]:
        return {"log": ["start"]}

    def spread(state: Any) -> list[Any]:
        arguments = [{"n": "5"}, Parcel("p"), ("a", "tuple"), 7, None, [1, {2, 3}], Model(n=4)]
        return [lg.Send("show", argument) for argument in arguments]

    def show(state: Model) -> dict[str, Any]:
        return {"log": [f"{type(state).__name__} {state!r}"]}

    return (
        lg.StateGraph(Model)
        .add_node(start)
        .add_node(show)
        .add_edge(lg.START, "start")
        .add_conditional_edges("start", spread, ["show"])
    )


@case({"numbers": [2, 3]})
def sends_that_send(lg: Any) -> Any:
    def count(arg: Any) -> Any:
        n = arg["n"]
        return lg.Command(update={"log": [f"at {n}"]}, goto=[lg.Send("count", {"n": n - 1})] if n else [])

    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("count", {"n": n}) for n in state["numbers"]]

    return lg.StateGraph(Numbers).add_node(count).add_conditional_edges(lg.START, spread, ["count"])


@case({"numbers": [1, 2]})
def sent_tasks_with_branches(lg: Any) -> Any:
    """A sent task's branch function sees the state, not the argument."""

    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def onwards(state: Any) -> str:
        return "end" if len(state["log"]) == 1 else "other"

    def end(state: Numbers) -> dict[str, Any]:
        return {"log": ["end"]}

    def other(state: Numbers) -> dict[str, Any]:
        return {"log": ["other"]}

    return (
        lg.StateGraph(Numbers)
        .add_node(work)
        .add_node(end)
        .add_node(other)
        .add_conditional_edges(lg.START, spread, ["work"])
        .add_conditional_edges("work", onwards, ["end", "other"])
    )


@case({"numbers": [1]})
def node_returns_a_send(lg: Any) -> Any:
    def sends(state: Numbers) -> Any:
        return lg.Send("work", {"from": "a node"})

    return lg.StateGraph(Numbers).add_node(sends).add_node(work).add_edge(lg.START, "sends")


@case({"numbers": [3, 1, 2]})
def sends_that_stream(lg: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("speak", {"n": n}) for n in state["numbers"]]

    def speak(arg: Any, writer: lg.StreamWriter) -> dict[str, Any]:
        for i in range(arg["n"]):
            writer({"task": f"speak#{arg['n']}", "i": i})
        return {"log": [f"spoke {arg['n']}"]}

    return lg.StateGraph(Numbers).add_node(speak).add_conditional_edges(lg.START, spread, ["speak"])


# --- errors ------------------------------------------------------------------------------------------------------


@case({"numbers": []})
def send_to_end(lg: Any) -> Any:
    return (
        lg.StateGraph(Numbers)
        .add_node(start)
        .add_edge(lg.START, "start")
        .add_conditional_edges("start", lambda state: [lg.Send(lg.END, {})])
    )


@case({"numbers": []})
def send_to_unknown_node(lg: Any) -> Any:
    """Only a warning in the log."""
    return (
        lg.StateGraph(Numbers)
        .add_node(start)
        .add_node(work)
        .add_edge(lg.START, "start")
        .add_conditional_edges("start", lambda state: [lg.Send("nope", {}), lg.Send("work", 1)])
    )


@case({"numbers": [1, 0, 2]}, races=True)
def one_send_fails(lg: Any) -> Any:
    """All tasks of the node race with the failing one, so what each streams is not compared here."""

    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("divide" if n == 0 else "work", {"n": n}) for n in state["numbers"]]

    def divide(arg: Any) -> dict[str, Any]:
        return {"log": [str(1 // arg["n"])]}

    return (
        lg.StateGraph(Numbers)
        .add_node(divide)
        .add_node(work)
        .add_conditional_edges(lg.START, spread, ["divide", "work"])
    )
