"""What a node's policies do: retry, cache, time limits, error handlers; and limits of the whole run."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import asyncio
import operator
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, says
from tests.differential.cases.subgraphs import BROKEN, at_once, breaks, talk, tells
from tests.differential.harness import Turn, case, resume, state_of


def compiling(builder: Any, set_up: Callable[[Any], None] = lambda graph: None, **options: Any) -> Any:
    """The builder, to be compiled with options of its own, which unlike those of `@case` are made for each recording.

    `set_up` is done to the graph.
    """

    def compile(**more: Any) -> Any:
        graph = builder.compile(**options, **more)
        set_up(graph)
        return graph

    return SimpleNamespace(compile=compile)


def alone(lg: Any, node: Any, **policies: Any) -> Any:
    return lg.StateGraph(Log).add_node("node", node, **policies).add_edge(lg.START, "node")


# --- retry -------------------------------------------------------------------------------------------------------


class OwnError(Exception):
    pass


class OwnConnectionError(ConnectionError):
    pass


class OwnValueError(ValueError):
    pass


ERRORS = {
    kind.__name__: kind
    for kind in (
        *(Exception, OwnError, ConnectionError, OwnConnectionError, OwnValueError, EOFError, AssertionError),
        *(ValueError, TypeError, ArithmeticError, ZeroDivisionError, OverflowError, ImportError, ModuleNotFoundError),
        *(LookupError, KeyError, IndexError, NameError, SyntaxError, RuntimeError, NotImplementedError, RecursionError),
        *(ReferenceError, StopAsyncIteration, OSError, TimeoutError, FileNotFoundError, PermissionError, BufferError),
        *(AttributeError, MemoryError, UnicodeError),
    )
}


def failing(lg: Any, error: Any, until: int = 3, name: str = "node") -> Any:
    """A node that streams its attempts, and fails in those before `until`."""

    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        runtime.stream_writer({"task": name, "attempt": attempt})
        if attempt < until:
            raise error(f"attempt {attempt}")
        return {"log": [f"attempt {attempt}"]}

    return node


def quick(lg: Any, **more: Any) -> Any:
    """The default policy but for its pauses."""
    return lg.RetryPolicy(initial_interval=0.0, jitter=False, **more)


@case(*(Turn({"log": [name]}) for name in ERRORS), without_saver=True, with_saver=False)
def errors_that_are_retried_by_default(lg: Any) -> Any:
    """Each turn raises another class of error, once."""

    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        if attempt < 2:
            raise ERRORS[state["log"][0]](f"attempt {attempt}")
        return {"log": [f"attempt {attempt}"]}

    return alone(lg, node, retry_policy=quick(lg))


@case({"log": []})
def retry_gives_up(lg: Any) -> Any:
    return alone(lg, failing(lg, OwnError, until=9), retry_policy=quick(lg, max_attempts=4))


@case({"log": []})
def retry_with_one_attempt(lg: Any) -> Any:
    return alone(lg, failing(lg, OwnError), retry_policy=quick(lg, max_attempts=1))


@case({"log": []})
def retry_discards_the_writes_of_failed_attempts(lg: Any) -> Any:
    """A branch function fails at first: what the node returned then doesn't count."""

    def node(state: Log) -> dict[str, Any]:
        return {"log": ["node"]}

    def route(state: Log) -> str:
        if lg.get_runtime().execution_info.node_attempt < 2:
            raise OwnError("not yet")
        return "b"

    return (
        lg.StateGraph(Log)
        .add_node(node, retry_policy=quick(lg))
        .add_node("b", says("b"))
        .add_edge(lg.START, "node")
        .add_conditional_edges("node", route, ["b"])
    )


@case({"log": []})
def retry_on_a_class(lg: Any) -> Any:
    return alone(lg, failing(lg, OwnValueError), retry_policy=quick(lg, retry_on=ValueError))


@case({"log": []})
def retry_on_another_class(lg: Any) -> Any:
    return alone(lg, failing(lg, OwnError), retry_policy=quick(lg, retry_on=ValueError))


@case({"log": []})
def retry_on_several_classes(lg: Any) -> Any:
    return alone(lg, failing(lg, KeyError), retry_policy=quick(lg, retry_on=(TypeError, KeyError)))


@case({"log": []})
def retry_on_what_a_function_says(lg: Any) -> Any:
    return alone(lg, failing(lg, ValueError), retry_policy=quick(lg, retry_on=lambda error: "attempt 1" in str(error)))


@case({"log": []})
def retry_policies_in_a_sequence(lg: Any) -> Any:
    """The first that is for the error counts, with its number of attempts."""

    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        runtime.stream_writer({"task": "node", "attempt": attempt})
        raise (KeyError if attempt % 2 else ValueError)(f"attempt {attempt}")

    policies = [
        quick(lg, retry_on=KeyError, max_attempts=9),
        quick(lg, retry_on=ValueError, max_attempts=4),
        quick(lg, retry_on=Exception, max_attempts=20),
    ]
    return alone(lg, node, retry_policy=policies)


@case({"log": []})
def retry_of_parallel_nodes(lg: Any) -> Any:
    def flaky(name: str, until: int) -> Any:
        def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
            attempt = runtime.execution_info.node_attempt
            runtime.stream_writer({"task": name, "attempt": attempt})
            if attempt < until:
                raise OwnError(name)
            return {"log": [f"{name} {attempt}"]}

        return node

    builder = lg.StateGraph(Log)
    for name, until in (("a", 3), ("b", 1), ("c", 2)):
        builder.add_node(name, flaky(name, until), retry_policy=quick(lg)).add_edge(lg.START, name)
    return builder.add_node("end", says("end")).add_edge(["a", "b", "c"], "end")


@case({"log": []})
def retry_of_sent_tasks(lg: Any) -> Any:
    def work(n: Any, runtime: lg.Runtime) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        if attempt < n:
            raise OwnError(f"{n}")
        return {"log": [f"{n} at {attempt}"]}

    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", n) for n in (3, 1, 2)]

    return lg.StateGraph(Log).add_node(work, retry_policy=quick(lg)).add_conditional_edges(lg.START, spread, ["work"])


@case({"log": []}, resume("yes"))
def interrupts_are_not_retried(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        runtime.stream_writer({"task": "node", "attempt": runtime.execution_info.node_attempt})
        return {"log": [lg.interrupt("sure?")]}

    return alone(lg, node, retry_policy=at_once(lg))


@case({"log": []}, resume("one"), resume("two"), without_saver=False)
def interrupts_answered_in_a_node_that_is_retried(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        one = lg.interrupt("one?")
        if runtime.execution_info.node_attempt < 2:
            raise OwnError("not yet")
        return {"log": [one, lg.interrupt("two?")]}

    return alone(lg, node, retry_policy=at_once(lg))


@case({"log": []}, async_only=True)
def retry_of_an_async_node(lg: Any) -> Any:
    async def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        if runtime.execution_info.node_attempt < 3:
            raise OwnError("not yet")
        return {"log": [f"attempt {runtime.execution_info.node_attempt}"]}

    return alone(lg, node, retry_policy=quick(lg))


# --- cache -------------------------------------------------------------------------------------------------------


class Number(TypedDict):
    n: int
    log: Annotated[list[str], operator.add]


def costly(lg: Any, word: str = "costly") -> Any:
    def node(state: Any) -> dict[str, Any]:
        lg.get_stream_writer()({"task": word, "n": state["n"]})
        return {"log": [f"{word} {state['n']}"]}

    return node


@case({"n": 1, "log": []}, {"n": 1, "log": []}, {"n": 2, "log": []}, with_saver=False)
def cache_hit_in_the_next_run(lg: Any) -> Any:
    builder = (
        lg.StateGraph(Number)
        .add_node("costly", costly(lg), cache_policy=lg.CachePolicy())
        .add_node("after", costly(lg, "after"))
        .add_edge(lg.START, "costly")
        .add_edge("costly", "after")
    )
    return compiling(builder, cache=lg.InMemoryCache())


def by_parity(state: Any) -> str:
    return str(state["n"] % 2)


@case({"n": 1, "log": []}, {"n": 3, "log": []}, {"n": 2, "log": []}, {"n": 4, "log": []})
def cache_with_a_key_function(lg: Any) -> Any:
    builder = lg.StateGraph(Number).add_node("costly", costly(lg), cache_policy=lg.CachePolicy(key_func=by_parity))
    return compiling(builder.add_edge(lg.START, "costly"), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def cache_policy_without_a_cache(lg: Any) -> Any:
    policy = lg.CachePolicy(key_func=by_parity)
    return lg.StateGraph(Number).add_node("costly", costly(lg), cache_policy=policy).add_edge(lg.START, "costly")


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def cache_with_a_time_to_live(lg: Any) -> Any:
    policy = lg.CachePolicy(key_func=by_parity, ttl=3600)
    builder = lg.StateGraph(Number).add_node("costly", costly(lg), cache_policy=policy).add_edge(lg.START, "costly")
    return compiling(builder, cache=lg.InMemoryCache())


@case({"log": []})
def clearing_the_cache(lg: Any) -> Any:
    """Of some nodes, and of all."""
    policy = lg.CachePolicy(key_func=by_parity)
    cached = (
        lg.StateGraph(Number)
        .add_node("a", costly(lg, "a"), cache_policy=policy)
        .add_node("b", costly(lg, "b"), cache_policy=policy)
        .add_edge(lg.START, "a")
        .add_edge("a", "b")
        .compile(cache=lg.InMemoryCache())
    )

    def runs(state: Log) -> dict[str, Any]:
        seen: list[str] = []
        for nodes in ([], ["a"], ["a", "b"], None):
            for _ in range(2):
                seen.append(repr(cached.invoke({"n": 1, "log": []}, stream_mode="updates")))
            cached.clear_cache(nodes)
        return {"log": [*seen, repr(cached.invoke({"n": 1, "log": []}, stream_mode="updates"))]}

    return lg.StateGraph(Log).add_node(runs).add_edge(lg.START, "runs")


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def two_cached_nodes(lg: Any) -> Any:
    policy = lg.CachePolicy(key_func=by_parity)
    builder = (
        lg.StateGraph(Number)
        .add_node("a", costly(lg, "a"), cache_policy=policy)
        .add_node("b", costly(lg, "b"), cache_policy=policy)
        .add_node("free", costly(lg, "free"))
        .add_edge(lg.START, "a")
        .add_edge(lg.START, "b")
        .add_edge(lg.START, "free")
    )
    return compiling(builder, cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def one_function_cached_as_two_nodes(lg: Any) -> Any:
    policy, node = lg.CachePolicy(key_func=by_parity), costly(lg)
    builder = lg.StateGraph(Number).add_node("a", node, cache_policy=policy).add_node("b", node, cache_policy=policy)
    return compiling(builder.add_edge(lg.START, "a").add_edge("a", "b"), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def cache_keeps_where_to_go(lg: Any) -> Any:
    """A hit goes where the node's edges, branches and commands led when it ran."""

    def node(state: Any) -> Any:
        lg.get_stream_writer()({"task": "node"})
        return lg.Command(update={"log": ["node"]}, goto=["b", lg.Send("shows", "sent")])

    def shows(word: Any) -> dict[str, Any]:
        return {"log": [f"shows {word}"]}

    builder = (
        lg.StateGraph(Number)
        .add_node("node", node, cache_policy=lg.CachePolicy(key_func=by_parity))
        .add_node("b", says("b"))
        .add_node("c", says("c"))
        .add_node(shows)
        .add_edge(lg.START, "node")
        .add_conditional_edges("node", lambda state: "c", ["c"])
    )
    return compiling(builder, cache=lg.InMemoryCache())


@case(Turn({"n": 1, "log": []}, config=BROKEN), {"n": 1, "log": []}, {"n": 1, "log": []})
def errors_are_not_cached(lg: Any) -> Any:
    builder = lg.StateGraph(Number).add_node(
        "node", breaks(lg, "node"), cache_policy=lg.CachePolicy(key_func=by_parity)
    )
    return compiling(builder.add_edge(lg.START, "node"), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, resume("yes"), {"n": 1, "log": []}, without_saver=False)
def interrupts_are_not_cached(lg: Any) -> Any:
    def node(state: Any) -> dict[str, Any]:
        return {"log": [lg.interrupt("sure?")]}

    builder = lg.StateGraph(Number).add_node("node", node, cache_policy=lg.CachePolicy(key_func=by_parity))
    return compiling(builder.add_edge(lg.START, "node"), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def cached_sent_tasks(lg: Any) -> Any:
    def work(n: Any) -> dict[str, Any]:
        return {"log": [f"work {n}"]}

    def spread(state: Any) -> list[Any]:
        return [lg.Send("work", n) for n in (2, 1, 3)]

    builder = lg.StateGraph(Number).add_node(work, cache_policy=lg.CachePolicy())
    return compiling(builder.add_conditional_edges(lg.START, spread, ["work"]), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []}, with_saver=False)
def cached_subgraph(lg: Any) -> Any:
    builder = lg.StateGraph(Number).add_node("sub", talk(lg, "s1").compile(), cache_policy=lg.CachePolicy())
    return compiling(builder.add_edge(lg.START, "sub"), cache=lg.InMemoryCache())


@case({"n": 1, "log": []}, {"n": 1, "log": []}, async_only=True)
def cached_async_node(lg: Any) -> Any:
    async def node(state: Any) -> dict[str, Any]:
        lg.get_stream_writer()({"task": "node"})
        return {"log": ["async"]}

    builder = lg.StateGraph(Number).add_node("node", node, cache_policy=lg.CachePolicy(key_func=by_parity))
    return compiling(builder.add_edge(lg.START, "node"), cache=lg.InMemoryCache())


# --- time limits -------------------------------------------------------------------------------------------------

# What has to be in time does nothing but return, with time to spare; what is to be late waits for good.


async def waits(state: Any) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {"log": ["never"]}


async def returns(state: Any) -> dict[str, Any]:
    return {"log": ["in time"]}


@case({"log": []}, async_only=True)
def time_limit_in_seconds(lg: Any) -> Any:
    return alone(lg, waits, timeout=0.05)


@case({"log": []}, async_only=True)
def time_limit_as_a_timedelta(lg: Any) -> Any:
    return alone(lg, waits, timeout=timedelta(milliseconds=50))


@case({"log": []}, async_only=True)
def time_limit_that_is_met(lg: Any) -> Any:
    return alone(lg, returns, timeout=30)


@case({"log": []}, async_only=True)
def time_limit_of_a_run(lg: Any) -> Any:
    return alone(lg, waits, timeout=lg.TimeoutPolicy(run_timeout=0.05, idle_timeout=30))


@case({"log": []}, async_only=True)
def time_limit_of_idleness(lg: Any) -> Any:
    return alone(lg, waits, timeout=lg.TimeoutPolicy(run_timeout=30, idle_timeout=timedelta(milliseconds=50)))


@case({"log": []}, async_only=True)
def time_limit_of_idleness_after_some_progress(lg: Any) -> Any:
    """What a node streams is a sign of life, and so is a heartbeat."""

    async def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        for n in range(3):
            runtime.stream_writer({"task": "node", "n": n})
            runtime.heartbeat()
            await asyncio.sleep(0)
        return await waits(state)

    return alone(lg, node, timeout=lg.TimeoutPolicy(idle_timeout=0.4))


@case({"log": []}, async_only=True)
def heartbeats_keep_a_node_alive(lg: Any) -> Any:
    """It takes longer than it may be idle, by beating much oftener than it has to."""

    async def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while loop.time() < start + 1.2:
            runtime.heartbeat()
            await asyncio.sleep(0.01)
        return {"log": ["in time"]}

    return alone(lg, node, timeout=lg.TimeoutPolicy(idle_timeout=1.0, refresh_on="heartbeat"))


@case({"log": []}, async_only=True)
def node_that_is_busy_but_does_not_beat(lg: Any) -> Any:
    async def node(state: Log) -> dict[str, Any]:
        while True:
            await asyncio.sleep(0.005)

    return alone(lg, node, timeout=lg.TimeoutPolicy(idle_timeout=0.05, refresh_on="heartbeat"))


@case({"log": []}, async_only=True)
def time_limit_and_retry(lg: Any) -> Any:
    """A timeout is retried by default."""

    async def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        if runtime.execution_info.node_attempt < 3:
            await waits(state)
        return {"log": [f"attempt {runtime.execution_info.node_attempt}"]}

    return alone(lg, node, timeout=0.4, retry_policy=quick(lg))


@case({"log": []}, async_only=True)
def time_limit_and_error_handler(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> dict[str, Any]:
        return {"log": [f"{error.node}: {type(error.error).__name__}"]}

    return alone(lg, waits, timeout=0.05, error_handler=handles)


@case({"log": []}, async_only=True)
def time_limit_of_a_sent_task(lg: Any) -> Any:
    """A packet may bring its own."""

    async def work(n: Any) -> dict[str, Any]:
        return await waits(n)

    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", 1, timeout=0.05)]

    return lg.StateGraph(Log).add_node(work, timeout=30).add_conditional_edges(lg.START, spread, ["work"])


@case({"log": []}, async_only=True)
def time_limit_in_a_subgraph(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_node(waits, timeout=0.05).add_edge(lg.START, "waits").compile()
    return alone(lg, sub)


@case(1, async_only=True)
def time_limit_of_tasks_and_entrypoints(lg: Any) -> Any:
    from tests.differential.cases.functional import Workflow

    @lg.task(timeout=0.05)
    async def late(n: int) -> int:
        await asyncio.Event().wait()
        return n

    async def workflow(n: int) -> str:
        try:
            await late(n)
        except lg.NodeTimeoutError:
            pass
        else:
            return "in time"
        await asyncio.Event().wait()
        return "never"

    return Workflow(lg, workflow, timeout=1.5)


def told(lg: Any, *attempts: Any) -> Any:
    """A graph that tells what building its parts raised."""
    texts: list[str] = []
    for attempt in attempts:
        try:
            attempt()
        except Exception as error:
            texts.append(f"{type(error).__name__}: {error}")
        else:
            texts.append("no error")
    return lg.StateGraph(Log).add_node("tells", lambda state: {"log": texts}).add_edge(lg.START, "tells")


@case({"log": []})
def policies_that_are_refused(lg: Any) -> Any:
    """Not a timeout of a plain function, that LangGraph refuses when it is added: a fleet can end that."""

    def add_async(**policies: Any) -> Callable[[], Any]:
        return partial(alone, lg, returns, **policies)

    def limit(**options: Any) -> Callable[[], Any]:
        return partial(lg.TimeoutPolicy, **options)

    return told(
        lg,
        add_async(timeout=0),
        add_async(timeout=-1),
        add_async(timeout=timedelta(0)),
        limit(run_timeout=0),
        limit(idle_timeout=-1.0),
        limit(),
        lambda: lg.task(timeout=1)(lambda n: n),
    )


# --- error handlers ----------------------------------------------------------------------------------------------


def fails(state: Any) -> Any:
    raise ValueError("boom")


@case({"log": ["i"]}, {"log": ["j"]})
def error_handler_gives_an_update(lg: Any) -> Any:
    """It has the node's input and its error. The node's own edges lead nowhere then."""

    def handles(state: Log, error: lg.NodeError) -> dict[str, Any]:
        lg.get_stream_writer()({"task": "handles"})
        return {"log": [f"{len(state['log'])} {error.node} {type(error.error).__name__} {error.error}"]}

    return (
        lg.StateGraph(Log)
        .add_node(fails, error_handler=handles)
        .add_node("after", says("after"))
        .add_edge(lg.START, "fails")
        .add_edge("fails", "after")
    )


@case({"log": ["i"]})
def error_handler_goes_on(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return lg.Command(update={"log": [str(error.error)]}, goto="rescue")

    return (
        lg.StateGraph(Log)
        .add_node(fails, error_handler=handles)
        .add_node("rescue", says("rescue"))
        .add_node("after", says("after"))
        .add_edge(lg.START, "fails")
        .add_edge("fails", "after")
    )


@case({"log": ["i"]})
def error_handler_not_needed(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": ["handled"]}

    builder = lg.StateGraph(Log).add_node("a", says("a"), error_handler=handles).add_node("b", says("b"))
    return builder.add_edge(lg.START, "a").add_edge("a", "b")


@case({"log": ["i"]})
def error_handler_after_retries(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [str(error.error)]}

    return alone(lg, failing(lg, OwnError), retry_policy=quick(lg, max_attempts=2), error_handler=handles)


@case({"log": ["i"]})
def error_handler_without_an_error_parameter(lg: Any) -> Any:
    def handles(state: Log) -> Any:
        return {"log": [f"handled {state['log']}"]}

    return alone(lg, fails, error_handler=handles)


@case({"log": ["i"]})
def error_handler_fails_too(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        raise KeyError("in the handler")

    return alone(lg, fails, error_handler=handles)


@case({"log": ["i"]})
def error_handler_beside_siblings(lg: Any) -> Any:
    """It runs in the superstep of its node; the siblings are none the wiser."""

    def handles(state: Log, error: lg.NodeError) -> Any:
        return lg.Command(update={"log": [f"handled {error.node}"]}, goto="rescue")

    return (
        lg.StateGraph(Log)
        .add_node("a", tells(lg, "a"))
        .add_node(fails, error_handler=handles)
        .add_node("z", tells(lg, "z"))
        .add_node("rescue", says("rescue"))
        .add_node("both", says("both"))
        .add_edge(lg.START, "a")
        .add_edge(lg.START, "fails")
        .add_edge(lg.START, "z")
        .add_edge(["a", "z"], "both")
    )


@case({"log": ["i"]})
def error_handler_for_two_nodes(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"handled {error.node}"]}

    builder = lg.StateGraph(Log).add_node("x", fails, error_handler=handles)
    builder = builder.add_node("y", fails, error_handler=handles)
    return builder.add_edge(lg.START, "x").add_edge(lg.START, "y")


@case({"log": ["i"]})
def error_handler_as_a_default(lg: Any) -> Any:
    def default(state: Log, error: lg.NodeError) -> Any:
        return lg.Command(update={"log": [f"default for {error.node}"]}, goto="own")

    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"own for {error.node}"]}

    return (
        lg.StateGraph(Log)
        .set_node_defaults(error_handler=default)
        .add_node(fails)
        .add_node("own", fails, error_handler=handles)
        .add_edge(lg.START, "fails")
    )


@case({"log": ["i"]})
def error_handler_of_sent_tasks(lg: Any) -> Any:
    def handles(state: Any, error: lg.NodeError) -> Any:
        return {"log": [f"handled {state} of {error.node}"]}

    def work(n: Any) -> dict[str, Any]:
        if n == 1:
            raise ValueError("one")
        return {"log": [f"work {n}"]}

    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", n) for n in (2, 1, 3)]

    builder = lg.StateGraph(Log).add_node(work, error_handler=handles)
    return builder.add_conditional_edges(lg.START, spread, ["work"])


@case({"log": ["i"]})
def error_handler_of_a_subgraph(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"handled {error.node}: {error.error}"]}

    sub = lg.StateGraph(Log).add_sequence([("s", tells(lg, "s")), fails]).add_edge(lg.START, "s").compile()
    return lg.StateGraph(Log).add_node("sub", sub, error_handler=handles).add_edge(lg.START, "sub")


@case({"log": ["i"]})
def error_handler_in_a_subgraph(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"handled {error.node}: {error.error}"]}

    sub = lg.StateGraph(Log).add_node(fails, error_handler=handles).add_edge(lg.START, "fails").compile()
    builder = lg.StateGraph(Log).add_node("sub", sub).add_node("after", says("after"))
    return builder.add_edge(lg.START, "sub").add_edge("sub", "after")


@case({"log": ["i"]}, resume("yes"), without_saver=False)
def error_handler_does_not_handle_interrupts(lg: Any) -> Any:
    def node(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt("sure?")]}

    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": ["handled"]}

    return alone(lg, node, error_handler=handles)


@case({"log": ["i"]}, state_of(), resume("yes"), without_saver=False)
def error_handler_that_asks(lg: Any) -> Any:
    def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"{error.error}: {lg.interrupt('what now?')}"]}

    return alone(lg, fails, error_handler=handles)


@case({"log": ["i"]}, async_only=True)
def async_error_handler(lg: Any) -> Any:
    async def node(state: Log) -> dict[str, Any]:
        raise ValueError("async boom")

    async def handles(state: Log, error: lg.NodeError) -> Any:
        return {"log": [str(error.error)]}

    return alone(lg, node, error_handler=handles)


# --- defaults ----------------------------------------------------------------------------------------------------


@case({"log": []})
def node_defaults_and_a_node_that_knows_better(lg: Any) -> Any:
    def default(state: Log, error: lg.NodeError) -> Any:
        return {"log": [f"{error.node} gave up: {error.error}"]}

    return (
        lg.StateGraph(Log)
        .add_node("added_before", failing(lg, OwnError, name="added_before"))
        .set_node_defaults(retry_policy=quick(lg, max_attempts=2), error_handler=default)
        .add_node("by_default", failing(lg, OwnError, name="by_default"))
        .add_node("knows_better", failing(lg, OwnError, name="knows_better"), retry_policy=quick(lg, max_attempts=9))
        .add_edge(lg.START, "added_before")
        .add_edge(lg.START, "by_default")
        .add_edge(lg.START, "knows_better")
    )


@case({"log": []})
def node_defaults_are_not_for_subgraphs(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_node("node", failing(lg, OwnError)).add_edge(lg.START, "node").compile()

    def calls(state: Log) -> dict[str, Any]:
        try:
            return {"log": sub.invoke({"log": []})["log"]}
        except OwnError as error:
            return {"log": [f"failed at {error}"]}

    return (
        lg.StateGraph(Log)
        .set_node_defaults(retry_policy=quick(lg, max_attempts=5))
        .add_node(calls)
        .add_edge(lg.START, "calls")
    )


@case({"n": 1, "log": []}, {"n": 1, "log": []})
def cache_policy_as_a_default(lg: Any) -> Any:
    builder = (
        lg.StateGraph(Number)
        .set_node_defaults(cache_policy=lg.CachePolicy(key_func=by_parity))
        .add_node("a", costly(lg, "a"))
        .add_node("b", costly(lg, "b"))
        .add_edge(lg.START, "a")
        .add_edge("a", "b")
    )
    return compiling(builder, cache=lg.InMemoryCache())


@case({"log": []}, async_only=True)
def timeout_as_a_default(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .set_node_defaults(timeout=0.4)
        .add_sequence([("own", returns), waits])
        .add_edge(lg.START, "own")
    )


# --- the whole run -----------------------------------------------------------------------------------------------


@case({"log": []}, config={"max_concurrency": 2})
def few_at_once(lg: Any) -> Any:
    """They all run, and all is as if they had run at once."""
    builder = lg.StateGraph(Log)
    for name in "abcdef":
        builder.add_node(name, tells(lg, name)).add_edge(lg.START, name)
    return builder.add_node("end", says("end")).add_edge(list("abcdef"), "end")


@case({"log": []}, async_only=True)
def step_timeout(lg: Any) -> Any:
    builder = lg.StateGraph(Log).add_sequence([("first", says("first")), waits]).add_edge(lg.START, "first")

    def limit(graph: Any) -> None:
        graph.step_timeout = 1.0

    return compiling(builder, limit)


def draining(lg: Any) -> Any:
    """A node that asks for the end of the run."""

    def drains(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        asked = runtime.drain_requested
        runtime.control.request_drain("bye")
        return {"log": [f"drains {asked} {runtime.drain_requested}"]}

    return drains


def controlled(given: Any) -> Turn:
    return Turn(given, arguments=lambda lib, past: {"control": lib.RunControl()})


@case(controlled({"log": []}), state_of(), Turn(None), without_saver=False)
def drained_run(lg: Any) -> Any:
    """It ends after the superstep, and goes on when it is called again."""
    return (
        lg.StateGraph(Log).add_sequence([draining(lg), ("b", says("b")), ("c", says("c"))]).add_edge(lg.START, "drains")
    )


@case(controlled({"log": []}))
def drained_run_without_a_saver(lg: Any) -> Any:
    return lg.StateGraph(Log).add_sequence([draining(lg), ("b", says("b"))]).add_edge(lg.START, "drains")


@case(controlled({"log": []}))
def drained_in_the_last_superstep(lg: Any) -> Any:
    """There is nothing left to stop."""
    return lg.StateGraph(Log).add_node(draining(lg)).add_edge(lg.START, "drains")


@case(controlled({"log": []}), Turn(None), without_saver=False)
def drained_in_a_subgraph(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_sequence([draining(lg), ("b", says("b"))]).add_edge(lg.START, "drains").compile()
    return lg.StateGraph(Log).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")
