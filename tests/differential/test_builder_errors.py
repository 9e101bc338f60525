"""Mistakes in describing or calling a graph raise what LangGraph raises: same type, same text."""

# pyright: reportUnknownLambdaType=false

import logging
import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from typing_extensions import TypedDict

from tests.differential.libraries import Library, library


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def newest(left: list[str], right: list[str]) -> list[str]:
    return right


def of_three(left: list[str], middle: list[str], right: list[str]) -> list[str]:
    return right


class OtherReducer(TypedDict):
    log: Annotated[list[str], newest]


class ThreeParameters(TypedDict):
    log: Annotated[list[str], of_three]


class NotAReducer(TypedDict):
    log: Annotated[list[str], max]


def node(state: State) -> dict[str, Any]:
    return {"log": ["node"]}


def other(state: State) -> dict[str, Any]:
    return {"log": ["other"]}


def route(state: State) -> str:
    return "other"


def two(lg: Library) -> Any:
    """A builder with two nodes and an entry, without a mistake."""
    return lg.StateGraph(State).add_node("a", node).add_node("b", other).add_edge(lg.START, "a")


MISTAKES: dict[str, Callable[[Library], object]] = {}


def mistake(function: Callable[[Library], object]) -> Callable[[Library], object]:
    MISTAKES[function.__name__] = function
    return function


# --- nodes -------------------------------------------------------------------------------------------------------


@mistake
def node_twice(lg: Library) -> object:
    return two(lg).add_node("a", node)


@mistake
def node_named_end(lg: Library) -> object:
    return two(lg).add_node(lg.END, node)


@mistake
def node_named_start(lg: Library) -> object:
    return two(lg).add_node(lg.START, node)


@mistake
def node_name_with_bar(lg: Library) -> object:
    return two(lg).add_node("a|b", node)


@mistake
def node_name_with_colon(lg: Library) -> object:
    return two(lg).add_node("a:b", node)


@mistake
def node_that_is_no_function(lg: Library) -> object:
    return two(lg).add_node("c", 5)


@mistake
def empty_sequence(lg: Library) -> object:
    return two(lg).add_sequence([])


@mistake
def sequence_with_one_name_twice(lg: Library) -> object:
    return two(lg).add_sequence([node, node])


@mistake
def sequence_with_a_name_of_the_graph(lg: Library) -> object:
    return two(lg).add_sequence([("a", node)])


# --- edges -------------------------------------------------------------------------------------------------------


@mistake
def no_entry(lg: Library) -> object:
    return lg.StateGraph(State).add_node("a", node).compile()


@mistake
def empty_graph(lg: Library) -> object:
    return lg.StateGraph(State).compile()


@mistake
def edge_to_unknown(lg: Library) -> object:
    return two(lg).add_edge("a", "zz").compile()


@mistake
def edge_from_unknown(lg: Library) -> object:
    return two(lg).add_edge("q", "a").compile()


@mistake
def entry_to_unknown(lg: Library) -> object:
    return lg.StateGraph(State).add_edge(lg.START, "zz").compile()


@mistake
def edge_from_end(lg: Library) -> object:
    return two(lg).add_edge(lg.END, "a")


@mistake
def edge_to_start(lg: Library) -> object:
    return two(lg).add_edge("a", lg.START)


@mistake
def join_from_unknown(lg: Library) -> object:
    return two(lg).add_edge(["a", "c"], "b")


@mistake
def join_to_unknown(lg: Library) -> object:
    return two(lg).add_edge(["a", "b"], "c")


@mistake
def join_from_end(lg: Library) -> object:
    return two(lg).add_edge(["a", lg.END], "b")


@mistake
def join_to_start(lg: Library) -> object:
    return two(lg).add_edge(["a", "b"], lg.START)


# --- branches ----------------------------------------------------------------------------------------------------


@mistake
def branch_twice(lg: Library) -> object:
    return two(lg).add_conditional_edges("a", route, ["b"]).add_conditional_edges("a", route, ["b"])


@mistake
def branch_to_unknown(lg: Library) -> object:
    return two(lg).add_conditional_edges("a", route, {"other": "zz"}).compile()


@mistake
def branch_from_unknown(lg: Library) -> object:
    return two(lg).add_conditional_edges("zz", route, ["b"]).compile()


@mistake
def branch_from_end(lg: Library) -> object:
    return two(lg).add_conditional_edges(lg.END, route, ["b"]).compile()


@mistake
def branch_without_function(lg: Library) -> object:
    return two(lg).add_conditional_edges("a", 5)


# --- schemas -----------------------------------------------------------------------------------------------------


@mistake
def input_schema_with_another_reducer(lg: Library) -> object:
    return lg.StateGraph(State, input_schema=OtherReducer)


@mistake
def node_schema_with_another_reducer(lg: Library) -> object:
    return two(lg).add_node("c", other, input_schema=OtherReducer)


@mistake
def reducer_with_three_parameters(lg: Library) -> object:
    return lg.StateGraph(ThreeParameters)


@mistake
def reducer_without_signature(lg: Library) -> object:
    return lg.StateGraph(NotAReducer)


# --- compiling ---------------------------------------------------------------------------------------------------


@mistake
def interrupt_before_unknown(lg: Library) -> object:
    return two(lg).compile(interrupt_before=["zz"])


@mistake
def interrupt_after_unknown(lg: Library) -> object:
    return two(lg).compile(interrupt_after=["zz"])


@mistake
def checkpointer_that_is_none(lg: Library) -> object:
    return two(lg).compile(checkpointer="sqlite")


@mistake
def checkpointer_class_instead_of_instance(lg: Library) -> object:
    return two(lg).compile(checkpointer=lg.InMemorySaver)


# --- calling -----------------------------------------------------------------------------------------------------


@mistake
def saver_without_configurable(lg: Library) -> object:
    return two(lg).compile(checkpointer=lg.InMemorySaver()).invoke({"log": []})


@mistake
def saver_without_thread(lg: Library) -> object:
    return two(lg).compile(checkpointer=lg.InMemorySaver()).invoke({"log": []}, {"configurable": {"user": "u"}})


@mistake
def saver_of_a_parent_at_the_root(lg: Library) -> object:
    return two(lg).compile(checkpointer=True).invoke({"log": []}, {"configurable": {"thread_id": "1"}})


@mistake
def no_input(lg: Library) -> object:
    return two(lg).compile().invoke(None)


@mistake
def recursion_limit_of_zero(lg: Library) -> object:
    return two(lg).compile().invoke({"log": []}, {"recursion_limit": 0})


@mistake
def unknown_output_key(lg: Library) -> object:
    return two(lg).compile().invoke({"log": []}, output_keys=["nope"])


@mistake
def stream_writer_outside_a_graph(lg: Library) -> object:
    return lg.get_stream_writer()


@mistake
def config_outside_a_graph(lg: Library) -> object:
    return lg.get_config()


@mistake
def runtime_outside_a_graph(lg: Library) -> object:
    return lg.get_runtime()


@mistake
def goto_of_a_wrong_type(lg: Library) -> object:
    graph = lg.StateGraph(State).add_node("a", lambda state: lg.Command(goto=5)).add_edge(lg.START, "a")
    return graph.compile().invoke({"log": []})


@mistake
def command_and_something_else_in_a_list(lg: Library) -> object:
    graph = lg.StateGraph(State).add_node("a", lambda state: [lg.Command(), 5]).add_edge(lg.START, "a")
    return graph.compile().invoke({"log": []})


def raised_by(function: Callable[[Library], object], lg: Library) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is: it is compared
        function(lg)
    return type(caught.value).__name__, str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_same_error(name: str) -> None:
    function = MISTAKES[name]
    assert raised_by(function, library("fleetgraph")) == raised_by(function, library("langgraph"))


def name_without_function(lg: Library) -> object:
    return two(lg).add_node("c")


def nothing(lg: Library) -> object:
    return two(lg).add_node(None)


@pytest.mark.parametrize("function", [name_without_function, nothing])
def test_errors_that_say_more(function: Callable[[Library], object]) -> None:
    """LangGraph raises a bare RuntimeError here, which helps nobody."""
    assert raised_by(function, library("langgraph")) == ("RuntimeError", "")
    assert raised_by(function, library("fleetgraph"))[1]


# --- what is only warned of --------------------------------------------------------------------------------------


def goes_to_nobody(lg: Library) -> object:
    graph = lg.StateGraph(State).add_node("a", lambda state: lg.Command(goto="nope")).add_edge(lg.START, "a")
    return graph.compile().invoke({"log": []})


def sends_to_nobody(lg: Library) -> object:
    graph = (
        lg.StateGraph(State).add_node("a", lambda state: lg.Command(goto=lg.Send("nope", 1))).add_edge(lg.START, "a")
    )
    return graph.compile().invoke({"log": []})


def adds_to_a_compiled_graph(lg: Library) -> object:
    builder = two(lg)
    builder.compile()
    builder.add_node("c", node)
    builder.add_edge("a", "c")
    return builder.add_conditional_edges("b", route, ["c"])


def unknown_input_key(lg: Library) -> object:
    return two(lg).compile().invoke({"nope": 1})


@pytest.mark.parametrize("function", [goes_to_nobody, sends_to_nobody, adds_to_a_compiled_graph, unknown_input_key])
def test_same_warnings(function: Callable[[Library], object], caplog: pytest.LogCaptureFixture) -> None:
    logged: dict[str, list[tuple[str, str]]] = {}
    for name in ("langgraph", "fleetgraph"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            function(library(name))
        logged[name] = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert logged["fleetgraph"] == logged["langgraph"]


# --- what is no mistake ------------------------------------------------------------------------------------------


def without_mistake(lg: Library) -> dict[str, Any]:
    """Every builder method, chained, with things that look like mistakes and are none."""
    graph = (
        lg.StateGraph(State)
        .add_node("log", node)  # named like a key
        .add_node("unreachable", other)
        .add_node("b", other, destinations=("log",))
        .add_edge("log", "b")
        .add_edge("log", "b")
        .add_sequence([("s1", node), ("s2", other)])
        .add_edge("b", "s1")
        .add_edge([], "unreachable")
        .set_entry_point("log")
        .set_finish_point("s2")
        .add_edge("s2", lg.END)
        .validate()
        .compile(name="chained")
    )
    assert graph.name == "chained"
    return graph.invoke({"log": ["i"]})


def test_what_is_no_mistake() -> None:
    assert without_mistake(library("fleetgraph")) == without_mistake(library("langgraph"))
