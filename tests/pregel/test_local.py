"""The in-process driver: when tasks run, where, and what becomes of them when the caller or a sibling gives up."""

from __future__ import annotations

import asyncio
import contextvars
import operator
import threading
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest

from fleetgraph.channels import UntrackedValue
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.config import RunnableConfig, get_config, get_stream_writer
from fleetgraph.errors import NodeCancelledError, NotSupported
from fleetgraph.graph import END, START, CompiledStateGraph, StateGraph
from fleetgraph.pregel.local import MOST_THREADS
from fleetgraph.types import RetryPolicy, Send, StreamWriter

WAIT_SECONDS = 10


class State(TypedDict):
    items: Annotated[list[str], operator.add]


def graph_of(*nodes: Any, saver: Any = None, **options: Any) -> CompiledStateGraph:
    """A graph whose nodes run side by side."""
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node, **options)
        builder.add_edge(START, node.__name__)
    return builder.compile(saver)


def test_nothing_runs_before_its_chunk_is_asked_for() -> None:
    ran: list[str] = []

    def first(state: State) -> Any:
        ran.append("first")

    def second(state: State) -> Any:
        ran.append("second")

    graph = StateGraph(State).add_sequence([first, second]).add_edge(START, "first").compile()
    chunks = graph.stream({"items": []})
    assert ran == []
    assert next(chunks) == {"first": None}
    chunks.close()  # type: ignore[attr-defined]
    assert ran == ["first"]


def test_a_lone_task_runs_in_the_callers_thread_and_siblings_in_others() -> None:
    threads: dict[str, int] = {}

    def a(state: State) -> Any:
        threads["a"] = threading.get_ident()

    def b(state: State) -> Any:
        threads["b"] = threading.get_ident()

    graph_of(a).invoke({"items": []})
    assert threads == {"a": threading.get_ident()}
    graph_of(a, b).invoke({"items": []})
    assert threading.get_ident() not in threads.values()


def test_custom_chunks_arrive_while_the_node_runs() -> None:
    taken = threading.Event()

    def node(state: State, writer: StreamWriter) -> Any:
        writer("one")
        assert taken.wait(WAIT_SECONDS), "the caller never saw the chunk"
        writer("two")

    chunks = graph_of(node).stream({"items": []}, stream_mode="custom")
    assert next(chunks) == "one"
    taken.set()
    assert list(chunks) == ["two"]


def test_a_failure_is_raised_once_its_siblings_have_ended_and_keeps_what_they_wrote() -> None:
    failed = threading.Event()
    runs: list[str] = []
    broken = True

    def bad(state: State) -> Any:
        runs.append("bad")
        if broken:
            failed.set()
            raise ValueError("boom")
        return {"items": ["bad"]}

    def good(state: State) -> Any:
        runs.append("good")
        assert failed.wait(WAIT_SECONDS)
        return {"items": ["good"]}

    graph = graph_of(bad, good, saver=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    with pytest.raises(ValueError, match="boom") as caught:
        graph.invoke({"items": []}, config)
    assert "During task with name 'bad'" in caught.value.__notes__[0]
    broken = False

    assert list(graph.stream(None, config)) == [
        {"good": {"items": ["good"]}, "__metadata__": {"cached": True}},
        {"bad": {"items": ["bad"]}},
    ]
    assert sorted(runs) == ["bad", "bad", "good"]


async def test_on_the_event_loop_siblings_of_a_failure_are_cancelled() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(state: State) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def bad(state: State) -> Any:
        await started.wait()
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await graph_of(slow, bad).ainvoke({"items": []})
    assert cancelled.is_set()


async def test_on_the_event_loop_closing_the_iterator_cancels_what_runs() -> None:
    cancelled = asyncio.Event()

    async def node(state: State, writer: StreamWriter) -> Any:
        writer("started")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    chunks: Any = graph_of(node).astream({"items": []}, stream_mode="custom")
    assert await anext(chunks) == "started"
    await chunks.aclose()
    assert cancelled.is_set()


async def test_on_the_event_loop_a_plain_function_blocks_nobody() -> None:
    loop_went_on = threading.Event()

    def blocking(state: State) -> Any:
        assert loop_went_on.wait(WAIT_SECONDS), "the event loop stood still"

    async def ticking(state: State) -> Any:
        loop_went_on.set()

    await graph_of(blocking, ticking).ainvoke({"items": []})


@pytest.mark.parametrize("mode", ["updates", "custom"])
def test_max_concurrency_bounds_the_tasks_that_run_at_once(mode: Any) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    both = threading.Barrier(2, timeout=WAIT_SECONDS)

    def work(state: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1

    def fan_out(state: State) -> list[Send]:
        return [Send("work", {}) for _ in range(6)]

    graph = StateGraph(State).add_node(work).add_conditional_edges(START, fan_out).compile()
    list(graph.stream({"items": []}, {"max_concurrency": 2}, stream_mode=mode))
    assert most == 2


def test_nodes_see_the_callers_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def a(state: State) -> Any:
        seen.append(variable.get())

    def b(state: State) -> Any:
        seen.append(variable.get())

    variable.set("set")
    graph_of(a, b).invoke({"items": []})
    assert seen == ["set", "set"]


def test_a_node_is_tried_again_as_its_policy_says() -> None:
    attempts: list[int] = []

    def flaky(state: State, runtime: Any) -> Any:
        attempts.append(runtime.execution_info.node_attempt)
        if len(attempts) < 3:
            raise ConnectionError("again")
        return {"items": ["done"]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    assert graph_of(flaky, retry_policy=policy).invoke({"items": []}) == {"items": ["done"]}
    assert attempts == [1, 2, 3]


def test_a_retry_policy_gives_up() -> None:
    attempts: list[None] = []

    def broken(state: State) -> Any:
        attempts.append(None)
        raise ConnectionError("always")

    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=2)
    with pytest.raises(ConnectionError):
        graph_of(broken, retry_policy=policy).invoke({"items": []})
    assert len(attempts) == 2


def test_errors_the_policy_does_not_cover_are_not_retried() -> None:
    attempts: list[None] = []

    def broken(state: State) -> Any:
        attempts.append(None)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        graph_of(broken, retry_policy=RetryPolicy(initial_interval=0.001)).invoke({"items": []})
    assert len(attempts) == 1


@pytest.mark.parametrize("ask", [get_config, get_stream_writer])
def test_outside_a_node_there_is_nothing_to_ask(ask: Any) -> None:
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        ask()


def test_a_graph_given_a_nodes_config_streams_values_by_default() -> None:
    def inner(state: State) -> Any:
        return {"items": ["inner"]}

    child = graph_of(inner)

    def outer(state: State, config: RunnableConfig) -> Any:
        return {"items": [repr([*child.stream({"items": []})]), repr([*child.stream({"items": []}, config)])]}

    assert graph_of(outer).invoke({"items": []})["items"] == [
        "[{'inner': {'items': ['inner']}}]",
        "[{'items': []}, {'items': ['inner']}]",
    ]


def test_a_graph_called_inside_a_node_takes_over_the_config() -> None:
    seen: list[Any] = []

    def inner(state: State, config: RunnableConfig) -> Any:
        seen.append(
            (config["configurable"]["user"], config["tags"], config["metadata"]["m"], config["recursion_limit"])
        )

    child = graph_of(inner)

    def outer(state: State) -> Any:
        child.invoke({"items": []}, {"tags": ["inner"]})

    given: Any = {"configurable": {"user": "u"}, "tags": ["outer"], "metadata": {"m": 1}, "recursion_limit": 9}
    graph_of(outer).invoke({"items": []}, given)
    assert seen == [("u", ["outer", "inner"], 1, 9)]


async def test_a_plain_function_that_raises_stop_iteration_fails_its_run() -> None:
    def exhausted(state: State) -> Any:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await graph_of(exhausted).ainvoke({"items": []})


@pytest.mark.parametrize("siblings", [False, True])
async def test_a_node_that_raises_a_cancellation_of_its_own_fails_its_run(siblings: bool) -> None:
    async def gone(state: State) -> Any:
        raise asyncio.CancelledError

    async def fine(state: State) -> Any:
        return {"items": ["fine"]}

    with pytest.raises(NodeCancelledError, match="'gone'"):
        await (graph_of(gone, fine) if siblings else graph_of(gone)).ainvoke({"items": []})


def test_tasks_that_wait_for_a_thread_when_the_run_fails_never_start() -> None:
    ran: list[None] = []
    failed = threading.Event()

    def work(index: int) -> Any:
        ran.append(None)
        if index == 0:
            failed.set()
            raise ValueError("boom")
        assert failed.wait(WAIT_SECONDS)

    def fan_out(state: State) -> list[Send]:
        return [Send("work", index) for index in range(MOST_THREADS * 3)]

    graph = StateGraph(State).add_node(work).add_conditional_edges(START, fan_out).compile()
    with pytest.raises(ValueError, match="boom"):
        graph.invoke({"items": []})
    assert len(ran) < MOST_THREADS * 3


@pytest.mark.parametrize("key", ["recursion_limit", "max_concurrency"])
def test_limits_start_at_one(key: Any) -> None:
    def node(state: State) -> Any:
        return None

    with pytest.raises(ValueError, match=f"{key} must be at least 1"):
        graph_of(node).invoke({"items": []}, {key: 0})
    with pytest.raises(TypeError, match=f"{key} must be a number, at least 1, not 'many'"):
        graph_of(node).invoke({"items": []}, {key: "many"})


def test_a_path_function_sees_values_that_are_never_saved() -> None:
    class Untracked(TypedDict):
        secret: Annotated[str, UntrackedValue]

    seen: list[Any] = []

    def node(state: Untracked) -> Any:
        return None

    def route(state: Untracked) -> str:
        seen.append(dict(state))
        return END

    graph = StateGraph(Untracked).add_node(node).add_edge(START, "node").add_conditional_edges("node", route).compile()
    graph.invoke({"secret": "s"})
    assert seen == [{"secret": "s"}]


def test_a_coroutine_function_in_a_dict_of_functions_is_refused() -> None:
    async def node(state: State) -> Any:
        return None

    with pytest.raises(NotSupported, match="coroutine"):
        StateGraph(State).add_node("node", {"a": node})  # type: ignore[arg-type]


def test_a_generator_is_worth_all_it_yields() -> None:
    def node(state: State) -> Any:
        yield {"items": ["first"]}
        yield {"items": ["last"]}

    assert graph_of(node).invoke({"items": []}) == {"items": ["last"]}


def test_an_interrupt_of_the_program_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def node(state: State) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graph_of(node).invoke({"items": []})


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    of_the_pool = "fleetgraph_"
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(of_the_pool)] == []


def three_steps() -> CompiledStateGraph:
    builder = StateGraph(State)
    for name in "abc":
        builder.add_node(name, lambda state, name=name: {"items": [name]})
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")
    return builder.compile(InMemorySaver())


def test_what_a_values_chunk_shows_is_saved_before_it_is_shown() -> None:
    graph, config = three_steps(), {"configurable": {"thread_id": "1"}}
    chunks = graph.stream({"items": []}, config, stream_mode="values")
    assert [next(chunks) for _ in range(2)] == [{"items": []}, {"items": ["a"]}]
    chunks.close()
    state = graph.get_state(config)
    assert (state.values, state.next) == ({"items": ["a"]}, ("b",))


async def test_what_an_asynchronous_values_chunk_shows_is_saved_before_it_is_shown() -> None:
    graph, config = three_steps(), {"configurable": {"thread_id": "1"}}
    chunks = graph.astream({"items": []}, config, stream_mode="values")
    assert [await anext(chunks) for _ in range(2)] == [{"items": []}, {"items": ["a"]}]
    await chunks.aclose()
    state = await graph.aget_state(config)
    assert (state.values, state.next) == ({"items": ["a"]}, ("b",))


def test_whoever_changes_the_last_values_chunk_does_not_change_what_is_saved() -> None:
    graph, config = three_steps(), {"configurable": {"thread_id": "1"}}
    for chunk in graph.stream({"items": []}, config, stream_mode="values"):
        if len(chunk["items"]) == 3:
            chunk["items"].append("spoilt")
    assert graph.get_state(config).values == {"items": ["a", "b", "c"]}
