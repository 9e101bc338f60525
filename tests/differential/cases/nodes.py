"""What a node may be and return."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from functools import partial
from typing import Annotated, Any

from langchain_core.runnables import RunnableLambda
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, says
from tests.differential.harness import case


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    n: int


@case({"log": ["i"]}, {"log": ["i"], "n": 1})
def nodes_that_write_nothing(lg: Any) -> Any:
    def none(state: State) -> None:
        return None

    def empty(state: State) -> dict[str, Any]:
        return {}

    def unknown(state: State) -> dict[str, Any]:
        return {"nobody": "knows"}

    def some_unknown(state: State) -> dict[str, Any]:
        return {"nobody": "knows", "n": 5}

    return lg.StateGraph(State).add_sequence([none, empty, unknown, some_unknown]).add_edge(lg.START, "none")


@case({"log": ["i"]})
def parallel_nodes_that_write_nothing(lg: Any) -> Any:
    def none(state: State) -> None:
        return None

    def empty(state: State) -> dict[str, Any]:
        return {}

    return (
        lg.StateGraph(State)
        .add_node(none)
        .add_node(empty)
        .add_node("end", says("end"))
        .add_edge(lg.START, "none")
        .add_edge(lg.START, "empty")
        .add_edge(["none", "empty"], "end")
    )


async def slept(state: State) -> dict[str, Any]:
    return {"log": ["async"], "n": 2}


@case({"log": ["i"]}, async_only=True)
def async_only_node(lg: Any) -> Any:
    """An error through the sync methods."""
    return (
        lg.StateGraph(State)
        .add_node("before", says("before"))
        .add_node("aa", slept)
        .add_edge(lg.START, "before")
        .add_edge("before", "aa")
    )


class Callable_:
    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, state: State) -> dict[str, Any]:
        return {"log": [self.word]}


def parametrised(word: str, state: State) -> dict[str, Any]:
    return {"log": [word]}


class Holder:
    def method(self, state: State) -> dict[str, Any]:
        return {"log": ["method"]}


@case({"log": ["i"]})
def nodes_of_all_kinds(lg: Any) -> Any:
    return (
        lg.StateGraph(State)
        .add_node("function", says("function"))
        .add_node("lambda", lambda state: {"log": ["lambda"]})
        .add_node("partial", partial(parametrised, "partial"))
        .add_node("object", Callable_("object"))
        .add_node("method", Holder().method)
        .add_node("runnable", RunnableLambda(says("runnable")))
        .add_node("pipe", RunnableLambda(lambda state: len(state["log"])) | (lambda n: {"n": n}))
        .add_edge(lg.START, "function")
        .add_edge("function", "lambda")
        .add_edge("lambda", "partial")
        .add_edge("partial", "object")
        .add_edge("object", "method")
        .add_edge("method", "runnable")
        .add_edge("runnable", "pipe")
    )


@case({"log": ["i"]})
def names_of_nodes(lg: Any) -> Any:
    """From the function, the object's class, the runnable; names may hold spaces and be keys of the state."""

    def plain(state: State) -> dict[str, Any]:
        return {"log": ["plain"]}

    return (
        lg.StateGraph(State)
        .add_node(plain)
        .add_node(Callable_("x"))
        .add_node(RunnableLambda(plain, name="my runnable"))
        .add_node("log", says("log"))
        .add_node("ünïcode näme", says("unicode"))
        .add_edge(lg.START, "plain")
        .add_edge("plain", "Callable_")
        .add_edge("Callable_", "my runnable")
        .add_edge("my runnable", "log")
        .add_edge("log", "ünïcode näme")
    )


@case({"log": ["i"]})
def unreachable_node(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("a", says("a")).add_node("lonely", says("lonely")).add_edge(lg.START, "a")


@case({"log": ["i"]})
def entry_and_finish_points(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("a", says("a"))
        .add_node("b", says("b"))
        .add_edge("a", "b")
        .set_entry_point("a")
        .set_finish_point("b")
    )


@case({"log": ["i"]}, compile={"name": "a name"})
def named_graph(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("a", says("a")).add_edge(lg.START, "a")


def _returning(value: Any) -> Any:
    def build(lg: Any) -> Any:
        return (
            lg.StateGraph(State)
            .add_node("fine", says("fine"))
            .add_node("bad", lambda state: value)
            .add_edge(lg.START, "fine")
            .add_edge("fine", "bad")
        )

    return build


for _name, _value in {
    "a_number": 5,
    "a_string": "text",
    "a_list": ["log"],
    "a_list_of_dicts": [{"log": ["x"]}],
    "a_tuple": ("log", ["x"]),
    "a_set": {"log"},
    "false": False,
    "an_empty_list": [],
}.items():
    _build = _returning(_value)
    _build.__name__ = f"node_returns_{_name}"
    case({"log": ["i"]})(_build)


@case({"log": ["i"]})
def nodes_that_stream(lg: Any) -> Any:
    """A generator's last value counts."""

    def generates(state: State) -> Any:
        yield {"log": ["first"]}
        yield {"log": ["second"]}

    return lg.StateGraph(State).add_node("generates", RunnableLambda(generates)).add_edge(lg.START, "generates")
