"""Drawings of graphs, against those that LangGraph makes of the same graphs.

A program is a function of a `Library` that returns a compiled graph. What it returns for LangGraph is drawn by
LangGraph, and is the answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.graph import CurveStyle as LangChainCurveStyle
from langchain_core.runnables.graph import NodeStyles as LangChainNodeStyles
from typing_extensions import TypedDict

from fleetgraph.drawing import CurveStyle, NodeStyles
from tests.differential.libraries import Library, library

Program = Callable[[Library], Any]
PROGRAMS: list[Program] = []


class State(TypedDict):
    text: str
    parts: Annotated[list[str], operator.add]


def program(build: Program) -> Program:
    PROGRAMS.append(build)
    return build


def no_op(state: State) -> dict[str, Any]:
    return {}


def somewhere(state: State) -> str:
    raise AssertionError("a drawing runs no code")


def builder(lib: Library, *names: str) -> Any:
    graph = lib.StateGraph(State)
    for name in names:
        graph.add_node(name, no_op)
    return graph


def chain(lib: Library, *names: str) -> Any:
    graph = builder(lib, *names)
    for source, target in zip((lib.START, *names), (*names, lib.END), strict=False):
        graph.add_edge(source, target)
    return graph


# --- the corpus --------------------------------------------------------------------------------------------------


@program
def sequence(lib: Library) -> Any:
    return chain(lib, "a", "b", "c").compile()


@program
def without_an_edge_to_the_end(lib: Library) -> Any:
    return builder(lib, "a", "b").add_edge(lib.START, "a").add_edge("a", "b").compile()


@program
def diamond_with_a_join(lib: Library) -> Any:
    graph = builder(lib, "a", "left", "right", "d").add_edge(lib.START, "a")
    graph.add_edge("a", "left").add_edge("a", "right").add_edge(["left", "right"], "d").add_edge("d", lib.END)
    return graph.compile()


@program
def join_of_nodes_that_run_at_different_times(lib: Library) -> Any:
    graph = builder(lib, "a", "b", "late", "d").add_edge(lib.START, "a").add_edge(lib.START, "b")
    return graph.add_edge("b", "late").add_edge(["a", "late"], "d").compile()


@program
def branch_without_a_map(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_edge(lib.START, "a").add_conditional_edges("a", somewhere)
    return graph.add_edge("b", lib.END).compile()


@program
def branch_with_labels(lib: Library) -> Any:
    graph = builder(lib, "a", "b", "c").add_edge(lib.START, "a")
    graph.add_conditional_edges("a", somewhere, {"it is good": "b", True: "c", 3: lib.END, "also b": "b"})
    return graph.add_edge("b", "a").compile()


@program
def branch_with_a_list(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_edge(lib.START, "a")
    return graph.add_conditional_edges("a", somewhere, ["b", lib.END]).add_edge("b", lib.END).compile()


@program
def branch_that_returns_literals(lib: Library) -> Any:
    def route(state: State) -> Literal["b", "c", "__end__"]:
        return "b"

    graph = builder(lib, "a", "b", "c").add_edge(lib.START, "a").add_conditional_edges("a", route)
    return graph.add_edge("b", "c").compile()


@program
def branch_from_the_start(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_conditional_edges(lib.START, somewhere, {"one": "a", "two": "b"})
    return graph.add_edge("a", lib.END).add_edge("b", lib.END).compile()


@program
def label_that_is_wrapped(lib: Library) -> Any:
    label = "a label of more words than fit on a line, and then  some   more of them"
    graph = builder(lib, "a", "b").add_edge(lib.START, "a")
    return graph.add_conditional_edges("a", somewhere, {label: "b", "": lib.END}).compile()


@program
def fan_out_by_send(lib: Library) -> Any:
    graph = builder(lib, "plan", "work", "gather").add_edge(lib.START, "plan")
    graph.add_conditional_edges("plan", somewhere, ["work"]).add_edge("work", "gather")
    return graph.add_edge("gather", lib.END).compile()


@program
def commands_with_destinations(lib: Library) -> Any:
    graph = builder(lib, "b", "c").add_edge(lib.START, "a")
    graph.add_node("a", no_op, destinations=("b", "c", lib.END))
    return graph.compile()


@program
def commands_with_labels(lib: Library) -> Any:
    graph = builder(lib, "b", "c").add_edge(lib.START, "a")
    graph.add_node("a", no_op, destinations={"b": "when good", "c": "c", lib.END: "when done"})
    return graph.add_edge("b", "a").compile()


@program
def commands_by_annotation(lib: Library) -> Any:
    def decide(state: State):
        return lib.Command(goto="b")

    decide.__annotations__["return"] = lib.Command[Literal["b", "__end__"]]
    graph = builder(lib, "b").add_node("decide", decide).add_edge(lib.START, "decide")
    return graph.add_edge("b", "decide").compile()


@program
def edge_and_branch_to_one_node(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_edge(lib.START, "a").add_edge("a", "b")
    return graph.add_conditional_edges("a", somewhere, {"yes": "b", "no": lib.END}).compile()


@program
def edge_and_branch_to_one_node_in_a_loop(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_edge(lib.START, "a").add_edge("a", "b").add_edge("b", "a")
    return graph.add_conditional_edges("a", somewhere, {"yes": "b", "no": lib.END}).compile()


@program
def retry_of_itself(lib: Library) -> Any:
    graph = builder(lib, "agent", "tools", "z").add_edge(lib.START, "agent")
    graph.add_conditional_edges("agent", somewhere, {"again": "agent", "tools": "tools", "done": lib.END})
    return graph.add_edge("tools", "agent").add_conditional_edges("tools", somewhere, ["z", "tools"]).compile()


@program
def endless_loop_of_two(lib: Library) -> Any:
    return builder(lib, "a", "b").add_edge(lib.START, "a").add_edge("a", "b").add_edge("b", "a").compile()


@program
def endless_loop_of_three(lib: Library) -> Any:
    graph = builder(lib, "x", "y", "z").add_edge(lib.START, "x").add_edge("x", "y")
    return graph.add_edge("y", "z").add_edge("z", "x").compile()


@program
def edge_to_the_end_beside_another(lib: Library) -> Any:
    graph = builder(lib, "a", "b").add_edge(lib.START, "a").add_edge("a", lib.END)
    return graph.add_edge("a", "b").add_edge("b", lib.END).compile()


@program
def unreachable_nodes(lib: Library) -> Any:
    graph = builder(lib, "a", "island", "beach").add_edge(lib.START, "a").add_edge("a", lib.END)
    return graph.add_edge("island", "beach").compile()


@program
def metadata(lib: Library) -> Any:
    graph = lib.StateGraph(State)
    facts = {"owner": "team [a] #1", "tier": 2, "on": True, "tags": ("x", "y"), "seen": {"q", "b"}, "skipped": {"a": 1}}
    graph.add_node("a", no_op, metadata=facts).add_node("b", no_op, metadata={}).add_node("_c_", no_op)
    return graph.add_edge(lib.START, "a").add_edge("a", "b").add_edge("b", "_c_").compile()


@program
def names_that_are_no_ids(lib: Library) -> Any:
    graph = chain(lib, "look it up", "récapituler", "a.b/c", "漢字")
    return graph.add_conditional_edges("look it up", somewhere, {"to c": "a.b/c"}).compile()


@program
def breakpoints(lib: Library) -> Any:
    graph = chain(lib, "a", "b", "c", "d")
    return graph.compile(interrupt_before=["a", "b"], interrupt_after=["b", "c"])


@program
def breakpoints_everywhere(lib: Library) -> Any:
    return chain(lib, "a", "b").compile(interrupt_before="*")


@program
def deferred(lib: Library) -> Any:
    graph = builder(lib, "a", "b", "c").add_node("d", no_op, defer=True, metadata={"m": 1}).add_edge(lib.START, "a")
    return graph.add_edge("a", "b").add_edge("b", "c").add_edge("a", "d").add_edge("d", lib.END).compile()


@program
def deferred_after_all(lib: Library) -> Any:
    graph = builder(lib, "a", "b", "c").add_node("d", no_op, defer=True).add_edge(lib.START, "a")
    graph.add_edge("a", "b").add_edge("a", "c").add_edge("b", "d").add_edge("c", "d")
    return graph.add_edge("d", lib.END).compile()


@program
def deferred_join(lib: Library) -> Any:
    graph = builder(lib, "a", "b", "c").add_node("d", no_op, defer=True).add_edge(lib.START, "a")
    graph.add_edge(lib.START, "b").add_edge("b", "c").add_edge(["a", "b"], "d")
    return graph.compile()


@program
def single_channel_state(lib: Library) -> Any:
    graph = lib.StateGraph(Annotated[list[str], operator.add])
    graph.add_node("a", lambda state: []).add_node("b", lambda state: [])
    return graph.add_edge(lib.START, "a").add_edge("a", "b").compile()


# --- subgraphs ---------------------------------------------------------------------------------------------------


def searching(lib: Library) -> Any:
    return chain(lib, "search", "read").add_conditional_edges("read", somewhere, {"again": "search"}).compile()


@program
def subgraph(lib: Library) -> Any:
    graph = builder(lib, "plan", "write").add_node("research", chain(lib, "search", "rank", "read").compile())
    graph.add_edge(lib.START, "plan").add_edge("plan", "research").add_edge("research", "write")
    return graph.add_edge("write", lib.END).compile()


@program
def subgraph_with_a_loop(lib: Library) -> Any:
    graph = builder(lib, "plan", "write").add_node("research", searching(lib))
    graph.add_edge(lib.START, "plan").add_edge("research", "write")
    graph.add_conditional_edges("plan", somewhere, {"facts are needed": "research", "opinion": "write"})
    return graph.add_edge("write", lib.END).compile(interrupt_before=["research"])


@program
def subgraph_of_one_node(lib: Library) -> Any:
    graph = builder(lib, "a").add_node("inner", chain(lib, "only").compile())
    return graph.add_edge(lib.START, "a").add_edge("a", "inner").add_edge("inner", lib.END).compile()


@program
def subgraphs_in_subgraphs(lib: Library) -> Any:
    innermost = builder(lib, "x", "y", "retry").add_edge(lib.START, "x").add_edge("x", "y")
    innermost.add_conditional_edges("y", somewhere, {"again": "retry"})
    innermost.add_conditional_edges("retry", somewhere, {"retry": "retry", "x": "x", "end": lib.END})
    middle = builder(lib, "before", "after").add_node("innermost", innermost.compile())
    middle.add_edge(lib.START, "before").add_edge("before", "innermost").add_edge("innermost", "after")
    outer = builder(lib, "first", "last").add_node("middle", middle.compile()).add_node("side", searching(lib))
    outer.add_edge(lib.START, "first").add_edge("first", "middle").add_edge("first", "side")
    return outer.add_edge(["middle", "side"], "last").add_edge("last", lib.END).compile()


@program
def subgraph_without_one_way_in(lib: Library) -> Any:
    inner = builder(lib, "x", "y", "island").add_edge(lib.START, "x").add_edge("x", "y").compile()
    graph = builder(lib, "a").add_node("inner", inner)
    return graph.add_edge(lib.START, "a").add_edge("a", "inner").compile()


@program
def subgraph_called_by_a_function(lib: Library) -> Any:
    inner = chain(lib, "search", "read").compile()

    def research(state: State) -> Any:
        return next(inner.invoke(part) for part in [state])

    graph = builder(lib, "plan").add_node("research", research)
    return graph.add_edge(lib.START, "plan").add_edge("plan", "research").compile()


@program
def method_of_a_subgraph_called_by_a_function(lib: Library) -> Any:
    call = chain(lib, "search", "read").compile().invoke

    def research(state: State) -> Any:
        return call(state)

    return lib.StateGraph(State).add_node("research", research).add_edge(lib.START, "research").compile()


@program
def subgraph_of_a_module_called_by_a_function(lib: Library) -> Any:
    module = ModuleType("subgraphs")
    module.research = chain(lib, "search", "read").compile()  # type: ignore[attr-defined]

    def research(state: State) -> Any:
        return module.research.invoke(state)

    return lib.StateGraph(State).add_node("research", research).add_edge(lib.START, "research").compile()


@program
def subgraph_called_by_a_runnable(lib: Library) -> Any:
    inner = chain(lib, "search", "read").compile()
    sequence = RunnableLambda(lambda state: state) | RunnableLambda(lambda state: inner.invoke(state))
    return lib.StateGraph(State).add_node("research", sequence).add_edge(lib.START, "research").compile()


# --- the same as LangGraph's -------------------------------------------------------------------------------------


def both(build: Program, xray: bool | int = False) -> tuple[Any, Any]:
    """What is drawn of a program by Fleetgraph, and by LangGraph."""
    return tuple(build(library(name)).get_graph(xray=xray) for name in ("fleetgraph", "langgraph"))


@pytest.mark.parametrize("build", PROGRAMS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("xray", [False, True, 1, 2])
def test_the_mermaid_text_is_langgraphs(build: Program, xray: bool | int) -> None:
    ours, theirs = both(build, xray)

    assert ours.draw_mermaid() == theirs.draw_mermaid()
    assert ours.draw_mermaid(with_styles=False) == theirs.draw_mermaid(with_styles=False)


def without_addresses(json: dict[str, Any]) -> dict[str, Any]:
    """`to_json` less where the code is defined: LangGraph names the class of its own that it wraps functions in."""
    for node in json["nodes"]:
        if "data" in node:
            assert node["data"].pop("id")
    return json


@pytest.mark.parametrize("build", PROGRAMS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("xray", [False, True])
def test_the_json_is_langgraphs(build: Program, xray: bool) -> None:
    ours, theirs = both(build, xray)

    assert without_addresses(ours.to_json()) == without_addresses(theirs.to_json())


@pytest.mark.parametrize(
    "options",
    [
        {"curve_style": LangChainCurveStyle.STEP_AFTER},
        {"node_colors": LangChainNodeStyles(default="fill:#fff", first="fill:#ffdfba", last="fill:#baffc9")},
        {"wrap_label_n_words": 2},
        {
            "frontmatter_config": {
                "config": {
                    "theme": "neutral",
                    "look": "handDrawn",
                    "flowchart": {"htmlLabels": False, "nodeSpacing": 40, "curve": "basis"},
                    "themeVariables": {"primaryColor": "#e2e2e2", "fontFamily": "a, 'b'", "off": "off", "x": None},
                },
                "title": "A graph: what it does",
            }
        },
    ],
    ids=lambda options: next(iter(options)),
)
def test_the_options_are_langgraphs(options: dict[str, Any]) -> None:
    ours, theirs = both(label_that_is_wrapped)

    assert ours.draw_mermaid(**options) == theirs.draw_mermaid(**options)


def test_the_styles_have_langchains_values() -> None:
    assert {style.name: style.value for style in CurveStyle} == {s.name: s.value for s in LangChainCurveStyle}
    assert vars(NodeStyles()) == vars(LangChainNodeStyles())


@pytest.mark.parametrize("build", PROGRAMS, ids=lambda build: build.__name__)
def test_nodes_and_edges_read_like_langgraphs(build: Program) -> None:
    ours, theirs = both(build, True)

    assert [tuple(edge) for edge in ours.edges] == [tuple(edge) for edge in theirs.edges]
    assert [(key, node.id, node.name, node.metadata) for key, node in ours.nodes.items()] == [
        (key, node.id, node.name, node.metadata) for key, node in theirs.nodes.items()
    ]
    for end in ("first_node", "last_node"):
        assert getattr(getattr(ours, end)(), "id", None) == getattr(getattr(theirs, end)(), "id", None)


# --- where LangGraph's drawing is wrong --------------------------------------------------------------------------


def mermaid_lines(graph: Any) -> Sequence[str]:
    return [line.strip() for line in graph.get_graph(xray=True).draw_mermaid(with_styles=False).splitlines()]


def test_a_subgraph_that_holds_nothing_but_a_subgraph_is_drawn() -> None:
    lib = library("fleetgraph")
    middle = lib.StateGraph(State).add_node("inner", chain(lib, "x", "y").compile()).add_edge(lib.START, "inner")
    graph = lib.StateGraph(State).add_node("outer", middle.compile()).add_edge(lib.START, "outer").compile()

    assert mermaid_lines(graph)[1:] == [
        r"__start__ --> outer\3ainner\3ax;",
        r"outer\3ainner\3ay --> __end__;",
        "subgraph outer",
        "subgraph inner",
        r"outer\3ainner\3ax --> outer\3ainner\3ay;",
        "end",
        "end",
    ]


def test_nodes_of_one_name_in_two_subgraphs_share_no_box() -> None:
    lib = library("fleetgraph")
    graph = lib.StateGraph(State).add_node("s1", chain(lib, "x").compile()).add_node("s2", chain(lib, "x").compile())
    compiled = graph.add_edge(lib.START, "s1").add_edge("s1", "s2").compile()

    assert r"s1\3ax --> s2\3ax;" in mermaid_lines(compiled)
    assert "subgraph x" not in mermaid_lines(compiled)


def test_subgraphs_of_one_name_are_boxes_of_their_own() -> None:
    lib = library("fleetgraph")
    graph = builder(lib, "z")
    for name in ("s1", "s2"):
        inner = builder(lib, "a").add_node("tools", chain(lib, "x", "y").compile()).add_edge(lib.START, "a")
        graph.add_node(name, inner.add_edge("a", "tools").compile()).add_edge(lib.START, name).add_edge(name, "z")

    assert [line for line in mermaid_lines(graph.compile()) if line.startswith("subgraph")] == [
        "subgraph s1",
        "subgraph tools",
        "subgraph s2",
        r"subgraph s2\3atools [tools]",
    ]


def test_a_command_and_a_branch_to_one_node_are_one_edge() -> None:
    """LangGraph can't sort the two: TypeError."""
    lib = library("fleetgraph")
    graph = builder(lib, "b").add_node("a", no_op, destinations=("b",)).add_edge(lib.START, "a")
    compiled = graph.add_conditional_edges("a", somewhere, {"yes": "b"}).compile()

    assert [line for line in mermaid_lines(compiled) if line.startswith("a ")] == ["a -.-> b;"]


def test_a_graph_that_calls_itself_is_drawn_once() -> None:
    lib = library("fleetgraph")

    def again(state: State) -> Any:
        return compiled.invoke(state)

    compiled = lib.StateGraph(State).add_node("again", again).add_edge(lib.START, "again").compile()

    assert list(compiled.get_graph(xray=True).nodes) == ["__start__", "again", "__end__"]
