"""docs/parity.md names tests that exist, and here are those behaviours that no other test covers."""

# pyright: basic

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
from typing_extensions import TypedDict

from fleetgraph.errors import EmptyInputError
from fleetgraph.fleet import Fleet
from tests.differential.choosing import ways_in_process, ways_on_a_fleet
from tests.differential.harness import CASES, cases
from tests.differential.libraries import Library, LibraryName, library

REPOSITORY = Path(__file__).parent.parent
BOTH: list[LibraryName] = ["langgraph", "fleetgraph"]


# --- the table ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    feature: str
    here: str
    on_a_fleet: str
    tests: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.feature


def rows() -> Iterator[Row]:
    for line in (REPOSITORY / "docs" / "parity.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and cells[3] != "tests":
            yield Row(*cells[:3], tuple(re.findall(r"`([^`]+)`", cells[3])), cells[3])


ROWS = list(rows())


def test_the_table_is_read() -> None:
    numbered = [row.feature.split(".")[0] for row in ROWS if row.feature[0].isdigit()]
    assert numbered == [str(number) for number in range(1, 46)]
    assert len(ROWS) > 140


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_each_row_names_tests_that_exist(row: Row) -> None:
    assert row.here, "in-process?"
    assert row.on_a_fleet, "on a fleet?"
    assert row.tests, "no test"
    assert " ".join(f"`{test}`" for test in row.tests) == row.text
    for test in row.tests:
        file, _, function = test.partition("::")
        if function:
            assert function in functions_of(file), test
        else:
            assert_in_the_corpus(test)


def assert_in_the_corpus(test: str) -> None:
    """That it is a theme, or a program of a theme, which is played in both places."""
    theme, _, name = test.partition("/")
    played = [case for case in cases(theme) if name in ("", case.name)]
    assert played, test
    for case in played:
        assert ways_in_process(case), f"{test} is not played in-process"
        assert ways_on_a_fleet(case), f"{test} is not played on a fleet"


@cache
def functions_of(file: str) -> set[str]:
    """Those of its tests that are expected to pass."""
    functions = ast.parse((REPOSITORY / file).read_text()).body
    return {
        function.name
        for function in functions
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any("xfail" in ast.unparse(decorator) for decorator in function.decorator_list)
    }


def test_every_theme_of_the_corpus_is_in_the_table() -> None:
    named = {test.partition("/")[0] for row in ROWS for test in row.tests if "::" not in test}
    cases()
    assert named == {case.theme for case in CASES.values()}


# --- names -------------------------------------------------------------------------------------------------------

NAMES = {
    "graph": "StateGraph START END MessagesState add_messages",
    "graph.message": "add_messages MessagesState push_message REMOVE_ALL_MESSAGES",
    "graph.state": "StateGraph CompiledStateGraph",
    "types": "Send Command interrupt Interrupt RetryPolicy CachePolicy TimeoutPolicy StreamWriter StreamMode "
    "StreamPart GraphOutput StateSnapshot StateUpdate PregelTask Overwrite Durability All Checkpointer "
    "default_retry_on",
    "config": "get_stream_writer get_config get_store",
    "constants": "START END TAG_NOSTREAM TAG_HIDDEN",
    "errors": "GraphRecursionError InvalidUpdateError EmptyInputError EmptyChannelError GraphBubbleUp GraphInterrupt "
    "NodeInterrupt ParentCommand NodeError NodeTimeoutError NodeCancelledError GraphDrained UnknownInterruptError "
    "TaskNotFound ErrorCode is_invalid_resume",
    "func": "entrypoint task",
    "runtime": "Runtime get_runtime RunControl ExecutionInfo",
    "managed": "IsLastStep RemainingSteps",
    "channels": "EphemeralValue UntrackedValue AnyValue Topic LastValue NamedBarrierValue BinaryOperatorAggregate",
    "checkpoint.base": "BaseCheckpointSaver Checkpoint CheckpointMetadata CheckpointTuple",
    "checkpoint.memory": "InMemorySaver MemorySaver",
    "checkpoint.sqlite": "SqliteSaver",
    "store.base": "BaseStore Item SearchItem",
    "store.memory": "InMemoryStore",
    "cache.base": "BaseCache",
    "cache.memory": "InMemoryCache",
    "cache.redis": "RedisCache",
    "prebuilt": "create_react_agent ToolNode tools_condition InjectedState InjectedStore ToolRuntime",
}
"""What people import, and where from."""


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_people_import_them_from(module: str) -> None:
    for lib in BOTH:
        home = import_module(f"{lib}.{module}")
        assert [name for name in NAMES[module].split() if not hasattr(home, name)] == []


# --- what no other test covers -----------------------------------------------------------------------------------


class State(TypedDict):
    log: Annotated[list[Any], operator.add]


def says(text: str) -> Any:
    return lambda state: {"log": [text]}


def nested(lg: Library, **options: Any) -> Any:
    inner = lg.StateGraph(State).add_node("x", says("x")).add_edge(lg.START, "x").compile()
    outer = lg.StateGraph(State).add_node("inner", inner).add_edge(lg.START, "inner").compile()
    builder = lg.StateGraph(State).add_sequence([("a", says("a")), ("outer", outer)]).add_edge(lg.START, "a")
    return builder.compile(**options)


def new_thread() -> Any:
    return {"configurable": {"thread_id": "1"}}


@pytest.mark.parametrize("options", [{"print_mode": "updates"}, {"print_mode": ["values", "tasks"]}, {"debug": True}])
def test_printed_chunks(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for name in BOTH:
        assert len(list(nested(library(name)).stream({"log": []}, **options))) == 2
        printed.append(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", capsys.readouterr().out))
    assert printed[0] == printed[1] != ""


def test_printed_chunks_of_a_graph_compiled_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for name in BOTH:
        nested(library(name), debug=True).invoke({"log": []})
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


@pytest.mark.parametrize("options", [{}, {"config": {"max_concurrency": 1}}, {"return_exceptions": True}], ids=repr)
async def test_a_batch(options: dict[str, Any]) -> None:
    given = [{"log": ["1"]}, {"log": ["2"]}, *([{"log": 5}] if "return_exceptions" in options else [])]
    answers = []
    for name in BOTH:
        graph = nested(library(name))
        answers += [graph.batch(given, **options), await graph.abatch(given, **options)]
    assert len({repr(answer) for answer in answers}) == 1
    assert answers[0][1]["log"][-1] == "x"


async def test_a_batch_on_a_fleet(fleet: Fleet) -> None:
    graph, given = nested(library("fleetgraph")), [{"log": ["1"]}, {"log": ["2"]}]
    assert graph.on(fleet).batch(given) == graph.batch(given)
    assert await graph.on(fleet).abatch(given) == graph.batch(given)


async def test_pipes(place: Any) -> None:
    from langchain_core.runnables import RunnableLambda

    graph = place(nested(library("fleetgraph")))
    expected = [nested(library("langgraph")).invoke({"log": []})["log"]]
    given, count = RunnableLambda(lambda log: {"log": log}), lambda state: [state["log"]]
    for pipe in (given | (graph | count), given | graph.pipe(count), (lambda log: {"log": log}) | graph | count):
        assert pipe.invoke([]) == expected
        assert await pipe.ainvoke([]) == expected


async def test_a_graph_as_a_runnable(place: Any) -> None:
    from langchain_core.runnables import Runnable, RunnableLambda

    runnable = place(nested(library("fleetgraph"))).as_runnable()
    result = nested(library("langgraph")).invoke({"log": []})
    assert isinstance(runnable, Runnable)
    assert runnable.with_retry().invoke({"log": []}) == result
    assert runnable.map().invoke([{"log": []}] * 2) == [result] * 2
    assert await (RunnableLambda(lambda log: {"log": log}) | runnable).ainvoke([]) == result
    assert list(runnable.stream({"log": []}, stream_mode="values"))[-1] == result


@pytest.mark.parametrize("options", [{}, {"recurse": True}, {"namespace": "outer"}, {"namespace": "a"}], ids=repr)
async def test_subgraphs_are_found(options: dict[str, Any]) -> None:
    found = []
    for name in BOTH:
        graph = nested(library(name))
        found.append([namespace for namespace, _ in graph.get_subgraphs(**options)])
        found.append([namespace async for namespace, _ in graph.aget_subgraphs(**options)])
    assert all(names == found[0] for names in found)


def test_what_is_retried_by_default() -> None:
    def retried(name: LibraryName) -> list[bool]:
        retry = import_module(f"{name}.types").default_retry_on
        kinds = [ValueError, TypeError, LookupError, KeyError, RuntimeError, OSError, TimeoutError, ConnectionError]
        return [retry(kind()) for kind in (*kinds, ConnectionResetError, StopIteration, ArithmeticError, Exception)]

    assert retried("fleetgraph") == retried("langgraph")


def test_the_default_recursion_limit() -> None:
    def steps(name: LibraryName) -> int:
        graph = import_module(f"{name}.graph")
        remaining = import_module(f"{name}.managed").RemainingSteps
        counting: Any = TypedDict("counting", {"left": int, "remaining": remaining})
        node = graph.StateGraph(counting).add_node("a", lambda state: {"left": state["remaining"]})
        return node.add_edge(graph.START, "a").compile().invoke({"left": 0})["left"]

    assert steps("fleetgraph") == steps("langgraph")


# --- what parallel nodes share -----------------------------------------------------------------------------------


class Shared(TypedDict):
    box: dict[str, list[str]]
    saw: Annotated[list[int], operator.add]


def changing_what_it_was_given(lg: Library) -> Any:
    def first(state: Shared) -> dict[str, list[int]]:
        state["box"]["inside"].append("first")
        return {"saw": [len(state["box"]["inside"])]}

    def second(state: Shared) -> dict[str, list[int]]:
        return {"saw": [len(state["box"]["inside"])]}

    builder = lg.StateGraph(Shared).add_node(first).add_node(second).add_edge(lg.START, "first")
    return builder.add_edge("first", "second").compile()


@pytest.mark.parametrize("name", BOTH)
def test_nodes_share_nested_objects(name: LibraryName) -> None:
    """Changing in place what one was given is a mistake, but one that shows in the state."""
    result = changing_what_it_was_given(library(name)).invoke({"box": {"inside": []}})
    assert result == {"box": {"inside": ["first"]}, "saw": [1, 1]}


def test_on_a_fleet_each_task_has_its_own_copy(fleet: Fleet) -> None:
    graph = changing_what_it_was_given(library("fleetgraph")).on(fleet)
    assert graph.invoke({"box": {"inside": []}}) == {"box": {"inside": []}, "saw": [1, 0]}


# --- slips of LangGraph's ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet.inline(workers=2) as fleet:
        yield fleet


@pytest.fixture(params=["here", "on a fleet"])
def place(request: pytest.FixtureRequest) -> Any:
    """What a graph is run by."""
    if request.param == "here":
        return lambda graph: graph
    inline = request.getfixturevalue("fleet")
    return lambda graph: graph.on(inline)


@pytest.mark.parametrize("fields", [{}, {"resume": None}], ids=repr)
def test_an_empty_command(place: Any, fields: dict[str, Any]) -> None:
    lg = library("fleetgraph")
    graph = place(nested(lg, checkpointer=lg.InMemorySaver()))
    with pytest.raises(EmptyInputError, match="empty Command"):
        graph.invoke(lg.Command(**fields), new_thread())


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_durability_without_a_saver(place: Any, durability: str) -> None:
    expected = nested(library("langgraph")).invoke({"log": []})
    assert place(nested(library("fleetgraph"))).invoke({"log": []}, durability=durability) == expected


def test_an_update_without_a_saver_is_applied_once(place: Any) -> None:
    lg = library("fleetgraph")
    graph = lg.StateGraph(State).add_node("a", says("a")).add_edge(lg.START, "a").compile()
    assert place(graph).invoke(lg.Command(update={"log": ["q"]}))["log"][:2] == ["q", "a"]


def test_one_at_a_time_with_custom_data(place: Any) -> None:
    lg = library("fleetgraph")

    def speak(state: State) -> None:
        lg.get_stream_writer()("said")

    builder = lg.StateGraph(State).add_node("a", speak).add_node("b", speak).add_edge(lg.START, "a")
    graph = place(builder.add_edge(lg.START, "b").compile())
    assert list(graph.stream({"log": []}, {"max_concurrency": 1}, stream_mode="custom")) == ["said", "said"]


def test_an_empty_dict_is_an_answer(place: Any) -> None:
    lg = library("fleetgraph")
    builder = lg.StateGraph(State).add_node("ask", lambda state: {"log": [lg.interrupt("?")]}).add_edge(lg.START, "ask")
    graph, thread = place(builder.compile(checkpointer=lg.InMemorySaver())), new_thread()
    graph.invoke({"log": []}, thread)
    assert graph.invoke(lg.Command(resume={}), thread)["log"] == [{}]


class Once:
    """Raises the first time it is called."""

    def __init__(self) -> None:
        self.called = 0

    def __call__(self) -> None:
        self.called += 1
        if self.called == 1:
            raise ValueError("the first time")


def test_an_answer_that_was_used_up_is_not_given_again(place: Any) -> None:
    def answers(lg: Library, run_by: Any) -> list[Any]:
        once = Once()

        def asks(state: State) -> dict[str, list[Any]]:
            first = lg.interrupt("first?")
            once()
            return {"log": [first, lg.interrupt("second?")]}

        builder = lg.StateGraph(State).add_node(asks).add_edge(lg.START, "asks")
        graph, thread = run_by(builder.compile(checkpointer=lg.InMemorySaver())), new_thread()
        graph.invoke({"log": []}, thread)
        with pytest.raises(ValueError, match="the first time"):
            graph.invoke(lg.Command(resume="yes"), thread)
        result = graph.invoke(None, thread)
        return [*result["log"], *(question.value for question in result.get("__interrupt__", ()))]

    assert answers(library("langgraph"), lambda graph: graph) == ["yes", "yes"]
    assert answers(library("fleetgraph"), place) == ["second?"]


def test_a_node_whose_conditional_edge_failed_runs_again(place: Any) -> None:
    def ran(lg: Library, run_by: Any) -> list[str]:
        once = Once()

        def chooses(state: State) -> str:
            once()
            return "b"

        builder = lg.StateGraph(State).add_node("a", says("a")).add_node("b", says("b")).add_edge(lg.START, "a")
        graph = run_by(builder.add_conditional_edges("a", chooses, ["b"]).compile(checkpointer=lg.InMemorySaver()))
        thread = new_thread()
        with pytest.raises(ValueError, match="the first time"):
            graph.invoke({"log": []}, thread)
        return graph.invoke(None, thread)["log"]

    assert ran(library("langgraph"), lambda graph: graph) == ["a"]
    assert ran(library("fleetgraph"), place) == ["a", "b"]


def test_a_timeout_of_a_plain_function_is_refused_in_this_process() -> None:
    lg = library("fleetgraph")
    graph = lg.StateGraph(State).add_node("a", says("a"), timeout=1).add_edge(lg.START, "a").compile()
    with pytest.raises(ValueError, match="timeouts are only supported for async nodes"):
        graph.invoke({"log": []})
