"""`@entrypoint` and `@task`: a workflow as a function, whose calls are tasks."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log
from tests.differential.cases.subgraphs import BROKEN, at_once, broken, talk
from tests.differential.harness import Turn, case, history_of, resume, state_of, update_of


class Workflow:
    """An entrypoint whose saver is known later: what is compiled, to the harness."""

    def __init__(self, lg: Any, function: Callable[..., Any], **options: Any) -> None:
        self._lg, self._function, self._options = lg, function, options

    def compile(self, **options: Any) -> Any:
        return self._lg.entrypoint(**self._options, **options)(self._function)


def add_one(n: int) -> int:
    return n + 1


def double(n: int) -> int:
    return n * 2


# --- what a workflow gives ---------------------------------------------------------------------------------------


@case(1, {"any": "input"}, [1, 2], "text")
def entrypoint_without_tasks(lg: Any) -> Any:
    def workflow(given: Any) -> Any:
        return {"given": given}

    return Workflow(lg, workflow)


@case(1)
def entrypoint_that_returns_nothing(lg: Any) -> Any:
    def workflow(given: Any) -> None:
        lg.get_stream_writer()({"task": "workflow"})

    return Workflow(lg, workflow)


@case(None, without_saver=False)
def entrypoint_without_input(lg: Any) -> Any:
    def workflow(given: Any) -> Any:
        return given

    return Workflow(lg, workflow)


@case(1, 5)
def tasks_in_sequence(lg: Any) -> Any:
    first, second = lg.task(add_one), lg.task(double)

    def workflow(n: int) -> int:
        return second(first(n).result()).result()

    return Workflow(lg, workflow)


@case(3)
def tasks_in_a_loop(lg: Any) -> Any:
    step = lg.task(double)

    def workflow(n: int) -> list[int]:
        seen = [n]
        for _ in range(4):
            seen.append(step(seen[-1]).result())
        return seen

    return Workflow(lg, workflow)


@case([3, 1, 2])
def tasks_at_once(lg: Any) -> Any:
    """Results in the order of the calls."""

    @lg.task
    def square_at_once(n: int) -> int:
        return n * n

    def workflow(numbers: list[int]) -> list[int]:
        return [future.result() for future in [square_at_once(n) for n in numbers]]

    return Workflow(lg, workflow)


@case(2)
def different_tasks_at_once(lg: Any) -> Any:
    @lg.task
    def a_at_once(n: int) -> str:
        lg.get_stream_writer()({"task": "a_at_once", "n": 1})
        lg.get_stream_writer()({"task": "a_at_once", "n": 2})
        return f"a{n}"

    @lg.task
    def b_at_once(n: int) -> str:
        lg.get_stream_writer()({"task": "b_at_once", "n": 1})
        return f"b{n}"

    last = lg.task(name="last")(lambda words: " ".join(words))

    def workflow(n: int) -> str:
        futures = [b_at_once(n), a_at_once(n)]
        return last([future.result() for future in futures]).result()

    return Workflow(lg, workflow)


@case([1, 2, 3], async_only=True)
def async_tasks(lg: Any) -> Any:
    import asyncio

    @lg.task
    async def square_at_once(n: int) -> int:
        return n * n

    @lg.task
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    async def workflow(numbers: list[int]) -> int:
        first = await square_at_once(10)
        return first + await total(await asyncio.gather(*(square_at_once(n) for n in numbers)))

    return Workflow(lg, workflow)


@case(1, async_only=True)
def sync_and_async_tasks_in_an_async_workflow(lg: Any) -> Any:
    one = lg.task(add_one)

    @lg.task
    async def two(n: int) -> int:
        lg.get_stream_writer()({"task": "two"})
        return n + 2

    async def workflow(n: int) -> int:
        return await two(await one(n))

    return Workflow(lg, workflow)


@case(3)
def task_called_by_a_task(lg: Any) -> Any:
    @lg.task
    def inner(n: int) -> int:
        lg.get_stream_writer()({"task": "inner", "n": n})
        return n + 1

    @lg.task
    def outer(n: int) -> int:
        lg.get_stream_writer()({"task": "outer", "n": n})
        return inner(inner(n).result()).result() * 10

    def workflow(n: int) -> int:
        return outer(n).result()

    return Workflow(lg, workflow)


@case({"log": ["i"]}, {"log": ["j"]})
def tasks_called_by_a_node(lg: Any) -> Any:
    step = lg.task(double)

    def node(state: Log) -> dict[str, Any]:
        lg.get_stream_writer()({"task": "node"})
        return {"log": [str(step(step(2).result()).result())]}

    def after(state: Log) -> dict[str, Any]:
        return {"log": [str(step(5).result())]}

    return lg.StateGraph(Log).add_sequence([node, after]).add_edge(lg.START, "node")


@case({"log": ["i"]})
def tasks_called_by_parallel_nodes(lg: Any) -> Any:
    def calling(name: str) -> Any:
        step = lg.task(name=f"step_of_{name}")(lambda n: f"{name}{n}")

        def node(state: Log) -> dict[str, Any]:
            return {"log": [step(1).result(), step(2).result()]}

        return node

    builder = lg.StateGraph(Log).add_node("b", calling("b")).add_node("a", calling("a"))
    return builder.add_edge(lg.START, "a").add_edge(lg.START, "b")


@case({"log": ["i"]})
def tasks_called_in_a_subgraph(lg: Any) -> Any:
    step = lg.task(double)

    def node(state: Log) -> dict[str, Any]:
        return {"log": [str(step(2).result())]}

    sub = lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node").compile()
    return lg.StateGraph(Log).add_node("sub", sub).add_edge(lg.START, "sub")


@dataclass
class Point:
    x: int
    y: int = 0


class Model(BaseModel):
    name: str


@case(1)
def arguments_of_tasks(lg: Any) -> Any:
    @lg.task
    def many(a: int, *rest: int, b: int = 2, **more: int) -> str:
        return f"{a} {rest} {b} {more}"

    @lg.task
    def objects(point: Point, model: Model) -> Any:
        return [Point(point.y, point.x), Model(name=model.name * 2), (1, {2}), None]

    def workflow(n: int) -> Any:
        return [
            many(1).result(),
            many(1, 2, 3, b=4, c=5).result(),
            many(a=1).result(),
            objects(Point(1, 2), model=Model(name="m")).result(),
        ]

    return Workflow(lg, workflow)


@case(1)
def names_of_tasks(lg: Any) -> Any:
    class Calls:
        def method(self, n: int) -> int:
            return n

        def __call__(self, n: int) -> int:
            return n

    named = lg.task(name="a name")(lambda n: n + 1)  # not one that others use: LangGraph renames the function itself
    method = lg.task(Calls().method)
    unnamed = lg.task(lambda n: n + 1)

    def workflow(n: int) -> int:
        return unnamed(method(named(n).result()).result()).result()

    return Workflow(lg, workflow)


@case(1, {"n": None})
def task_that_returns_nothing(lg: Any) -> Any:
    @lg.task
    def nothing(n: Any) -> None:
        pass

    def workflow(n: Any) -> Any:
        return [nothing(n).result(), nothing(n).result()]

    return Workflow(lg, workflow)


@case(1)
def custom_data_of_workflow_and_tasks(lg: Any) -> Any:
    @lg.task
    def speaks(n: int, writer: lg.StreamWriter) -> int:
        for i in range(n):
            writer({"task": "speaks", "i": i})
        return n

    def workflow(n: int, writer: lg.StreamWriter) -> int:
        writer({"task": "workflow", "i": 1})
        speaks(2).result()
        writer({"task": "workflow", "i": 2})
        return speaks(1).result()

    return Workflow(lg, workflow)


@case(
    Turn(1, arguments={"context": {"x": 5}}),
    config={"configurable": {"user": "u"}, "metadata": {"um": 1}, "tags": ["t"]},
)
def what_is_injected(lg: Any) -> Any:
    @lg.task
    def reads(n: int, config: RunnableConfig, runtime: lg.Runtime) -> list[str]:
        metadata = config["metadata"]
        return [
            f"user {config['configurable'].get('user')} um {metadata.get('um')} step {metadata['langgraph_step']}",
            f"node {metadata['langgraph_node']} path {metadata['langgraph_path']}",
            f"ns {metadata['langgraph_checkpoint_ns']} triggers {metadata['langgraph_triggers']}",
            f"context {runtime.context} previous {runtime.previous} store {runtime.store}",
        ]

    def workflow(n: int, *, config: RunnableConfig, runtime: lg.Runtime, previous: Any, writer: lg.StreamWriter) -> Any:
        writer({"task": "workflow"})
        metadata = config["metadata"]
        own = [
            f"user {config['configurable'].get('user')} um {metadata.get('um')} step {metadata['langgraph_step']}",
            f"node {metadata['langgraph_node']} path {metadata['langgraph_path']}",
            f"ns {metadata['langgraph_checkpoint_ns']} triggers {metadata['langgraph_triggers']}",
            f"context {runtime.context} {lg.get_runtime().context} previous {previous} store {runtime.store}",
        ]
        return [*own, *reads(n).result()]

    return Workflow(lg, workflow, context_schema=Point)


# --- turns -------------------------------------------------------------------------------------------------------


@case(1, 2, 3, state_of(), history_of(), without_saver=False)
def previous_result(lg: Any) -> Any:
    def workflow(n: int, previous: int | None) -> int:
        return n + (previous or 0)

    return Workflow(lg, workflow)


@case(1, 2, 3, state_of(), without_saver=False)
def value_and_what_is_saved(lg: Any) -> Any:
    def workflow(n: int, *, previous: list[int] | None) -> Any:
        seen = [*(previous or []), n]
        return lg.entrypoint.final(value=f"seen {len(seen)}", save=seen)

    return Workflow(lg, workflow)


@case(1, 2)
def previous_without_a_saver(lg: Any) -> Any:
    def workflow(n: int, previous: Any) -> str:
        return f"{n} {previous} {lg.get_runtime().previous}"

    return Workflow(lg, workflow)


@case(
    *(Turn(n, config={"configurable": {"thread_id": thread}}) for thread, n in (("a", 1), ("b", 10), ("a", 2))),
    without_saver=False,
)
def previous_of_each_thread(lg: Any) -> Any:
    def workflow(n: int, previous: int | None) -> int:
        return n + (previous or 0)

    return Workflow(lg, workflow)


@case(1, update_of(100), 1, without_saver=False)
def update_of_the_previous_result(lg: Any) -> Any:
    def workflow(n: int, previous: int | None) -> int:
        return n + (previous or 0)

    return Workflow(lg, workflow)


# --- interrupts --------------------------------------------------------------------------------------------------


@case("topic", resume("good"), without_saver=False)
def interrupt_in_an_entrypoint(lg: Any) -> Any:
    """Finished tasks don't run again."""

    @lg.task
    def write(topic: str) -> str:
        lg.get_stream_writer()({"task": "write"})
        return f"essay on {topic}"

    def workflow(topic: str) -> dict[str, Any]:
        essay = write(topic).result()
        return {"essay": essay, "review": lg.interrupt({"essay": essay, "action": "review"})}

    return Workflow(lg, workflow)


@case("topic", state_of(), resume("first"), state_of(), resume("second"), state_of(), without_saver=False)
def two_interrupts_in_an_entrypoint(lg: Any) -> Any:
    step = lg.task(name="step")(lambda word: word.upper())

    def workflow(topic: str) -> list[str]:
        one = lg.interrupt("one?")
        loud = step(one).result()
        return [loud, lg.interrupt(f"two after {loud}?")]

    return Workflow(lg, workflow)


@case("topic", resume("good"), without_saver=False)
def interrupt_in_a_task(lg: Any) -> Any:
    @lg.task
    def prepare(topic: str) -> str:
        return f"prepared {topic}"

    @lg.task
    def ask(text: str) -> str:
        lg.get_stream_writer()({"task": "ask"})
        return f"{text}: {lg.interrupt(text)}"

    @lg.task
    def finish(text: str) -> str:
        return f"finished {text}"

    def workflow(topic: str) -> str:
        return finish(ask(prepare(topic).result()).result()).result()

    return Workflow(lg, workflow)


@case(
    "q",
    state_of(),
    resume(lambda lib, past: {past.interrupt_id("q1?"): "answer 1"}),
    state_of(),
    resume(lambda lib, past: {past.interrupt_id("q2?"): "answer 2"}),
    without_saver=False,
)
def interrupts_in_tasks_at_once(lg: Any) -> Any:
    """The workflow stops at the first that it waits for, so this is the only one that is told."""

    @lg.task
    def ask_at_once(text: str) -> str:
        return lg.interrupt(text)

    @lg.task
    def quick_at_once(text: str) -> str:
        return text

    def workflow(word: str) -> list[str]:
        futures = [ask_at_once(f"{word}1?"), ask_at_once(f"{word}2?"), quick_at_once("quick")]
        return [future.result() for future in futures]

    return Workflow(lg, workflow)


@case({"log": ["i"]}, resume("yes"), without_saver=False)
def interrupt_in_a_task_called_by_a_node(lg: Any) -> Any:
    ask = lg.task(name="ask")(lambda text: lg.interrupt(text))
    step = lg.task(double)

    def node(state: Log) -> dict[str, Any]:
        return {"log": [str(step(1).result()), ask("sure?").result()]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


# --- failures ----------------------------------------------------------------------------------------------------


@case(1)
def task_fails(lg: Any) -> Any:
    @lg.task
    def fails(n: int) -> int:
        raise ValueError(f"boom at {n}")

    step = lg.task(add_one)

    def workflow(n: int) -> int:
        return fails(step(n).result()).result()

    return Workflow(lg, workflow)


@case(1)
def workflow_fails(lg: Any) -> Any:
    step = lg.task(add_one)

    def workflow(n: int) -> int:
        raise ValueError(f"boom at {step(n).result()}")

    return Workflow(lg, workflow)


@case(1)
def workflow_catches_the_failure_of_a_task(lg: Any) -> Any:
    @lg.task
    def fails(n: int) -> int:
        raise ValueError(f"boom at {n}")

    step = lg.task(add_one)

    def workflow(n: int) -> str:
        try:
            fails(n).result()
        except ValueError as error:
            return f"caught {error}, then {step(n).result()}"
        return "did not fail"

    return Workflow(lg, workflow)


@case(1, async_only=True)
def async_task_fails(lg: Any) -> Any:
    @lg.task
    async def fails(n: int) -> int:
        raise KeyError("missing")

    async def workflow(n: int) -> int:
        return await fails(n)

    return Workflow(lg, workflow)


@case(Turn(1, config=BROKEN), state_of(), Turn(None), without_saver=False)
def resume_after_the_failure_of_a_task(lg: Any) -> Any:
    """The tasks before it don't run again, it does."""

    @lg.task
    def first(n: int) -> int:
        lg.get_stream_writer()({"task": "first"})
        return n + 1

    @lg.task
    def second(n: int) -> int:
        lg.get_stream_writer()({"task": "second"})
        if broken(lg):
            raise ValueError("broken")
        return n * 10

    def workflow(n: int) -> int:
        return second(first(n).result()).result()

    return Workflow(lg, workflow)


@case(Turn(1, config=BROKEN), Turn(2), without_saver=False)
def new_input_after_the_failure_of_a_task(lg: Any) -> Any:
    first = lg.task(add_one)

    @lg.task
    def second(n: int) -> int:
        if broken(lg):
            raise ValueError("broken")
        return n * 10

    def workflow(n: int) -> int:
        return second(first(n).result()).result()

    return Workflow(lg, workflow)


@case(1)
def retry_of_a_task(lg: Any) -> Any:
    @lg.task(retry_policy=at_once(lg))
    def flaky(n: int, runtime: lg.Runtime) -> str:
        runtime.stream_writer({"task": "flaky", "attempt": runtime.execution_info.node_attempt})
        if runtime.execution_info.node_attempt < 3:
            raise ValueError("not yet")
        return f"{n} at attempt {runtime.execution_info.node_attempt}"

    def workflow(n: int) -> str:
        return flaky(n).result()

    return Workflow(lg, workflow)


@case(1)
def retry_of_a_task_gives_up(lg: Any) -> Any:
    @lg.task(retry_policy=[at_once(lg, max_attempts=2)])
    def fails(n: int, runtime: lg.Runtime) -> str:
        raise ValueError(f"at attempt {runtime.execution_info.node_attempt}")

    def workflow(n: int) -> str:
        return fails(n).result()

    return Workflow(lg, workflow)


@case(1)
def retry_of_an_entrypoint(lg: Any) -> Any:
    """Without tasks: LangGraph runs these again, as it goes on counting its calls. See `tests/func`."""

    def workflow(n: int, runtime: lg.Runtime) -> str:
        if runtime.execution_info.node_attempt < 2:
            raise ValueError("not yet")
        return f"{n} at attempt {runtime.execution_info.node_attempt}"

    return Workflow(lg, workflow, retry_policy=at_once(lg))


@case(1, 1, 2)
def cache_of_a_task(lg: Any) -> Any:
    """Each turn finds what those before it computed."""

    @lg.task(cache_policy=lg.CachePolicy())
    def costly(n: int) -> int:
        lg.get_stream_writer()({"task": "costly", "n": n})
        return n * 2

    def workflow(n: int) -> list[int]:
        return [costly(n).result(), costly(n + 1).result()]

    return Workflow(lg, workflow, cache=lg.InMemoryCache())


@case(1, 1, 2)
def cache_of_an_entrypoint(lg: Any) -> Any:
    def workflow(n: int) -> int:
        lg.get_stream_writer()({"task": "workflow", "n": n})
        return n * 2

    return Workflow(lg, workflow, cache=lg.InMemoryCache(), cache_policy=lg.CachePolicy())


@case("i")
def entrypoint_is_a_generator(lg: Any) -> Any:
    def workflow(given: Any) -> Any:
        yield given

    class Tried:
        def compile(self, **options: Any) -> Any:
            try:
                return lg.entrypoint(**options)(workflow)
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                return lg.entrypoint(**options)(lambda given: text)

    return Tried()


@case("i")
def entrypoint_without_parameters(lg: Any) -> Any:
    class Tried:
        def compile(self, **options: Any) -> Any:
            try:
                return lg.entrypoint(**options)(lambda: 1)
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                return lg.entrypoint(**options)(lambda given: text)

    return Tried()


@case({"log": []})
def task_called_outside_of_a_run(lg: Any) -> Any:
    try:
        lg.task(add_one)(1)
        text = "no error"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    return lg.StateGraph(Log).add_node("tells", lambda state: {"log": [text]}).add_edge(lg.START, "tells")


@case(1)
def result_that_does_not_fit_the_annotation(lg: Any) -> Any:
    def workflow(n: int) -> str:
        return n  # pyright: ignore[reportReturnType]

    return Workflow(lg, workflow)


# --- graphs and workflows ----------------------------------------------------------------------------------------


@case(["i"])
def entrypoint_that_calls_a_graph(lg: Any) -> Any:
    sub = talk(lg, "s1", "s2").compile()
    step = lg.task(name="step")(lambda log: len(log))

    def workflow(log: list[str]) -> dict[str, Any]:
        found = sub.invoke({"log": log})["log"]
        return {"log": found, "length": step(found).result()}

    return Workflow(lg, workflow)


@case(["i"])
def task_that_calls_a_graph(lg: Any) -> Any:
    sub = talk(lg, "s1", "s2").compile()

    @lg.task
    def step(log: list[str]) -> list[str]:
        return sub.invoke({"log": log})["log"]

    def workflow(log: list[str]) -> list[str]:
        return step(step(log).result()).result()

    return Workflow(lg, workflow)


@case({"log": ["i"]})
def node_that_calls_an_entrypoint(lg: Any) -> Any:
    step = lg.task(double)

    @lg.entrypoint()
    def workflow(n: int) -> int:
        lg.get_stream_writer()({"task": "workflow"})
        return step(n).result()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": [str(workflow.invoke(2)), str(list(workflow.stream(3)))]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")


class Text(TypedDict):
    text: str
    log: Annotated[list[str], operator.add]


@case({"text": "t"})
def entrypoint_as_a_node(lg: Any) -> Any:
    @lg.entrypoint()
    def workflow(state: Any) -> dict[str, Any]:
        return {"text": state["text"].upper(), "log": ["workflow"]}

    return lg.StateGraph(Text).add_node("node", workflow).add_edge(lg.START, "node")


@case(1, resume("yes"), without_saver=False)
def interrupt_in_a_graph_called_by_an_entrypoint(lg: Any) -> Any:
    def ask(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt("sure?")]}

    sub = lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask").compile()
    step = lg.task(add_one)

    def workflow(n: int) -> list[Any]:
        return [step(n).result(), *sub.invoke({"log": []})["log"]]

    return Workflow(lg, workflow)
