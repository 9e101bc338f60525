"""What `@task` and `@entrypoint` do beyond LangGraph, and how other processes find a function."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from dataclasses import dataclass
from typing import Any

import langgraph.func
import langgraph.types
import pytest

from fleetgraph.cache.memory import InMemoryCache
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.errors import FunctionNotFound, InvalidUpdateError
from fleetgraph.func import entrypoint, task
from fleetgraph.pregel import functions
from fleetgraph.types import CachePolicy, Command, RetryPolicy
from fleetgraph.wire import allowlist
from fleetgraph.wire.names import wire_name

AT_ONCE = RetryPolicy(initial_interval=0, jitter=False, retry_on=ValueError)


@task
def add_one(n: int) -> int:
    return n + 1


def plain(n: int) -> int:
    return n


class Counter:
    def count(self, n: int) -> int:
        return n


# --- names -------------------------------------------------------------------------------------------------------


def test_a_function_of_a_module_is_found_by_its_name() -> None:
    assert add_one.reference == f"{__name__}:add_one"
    spec = functions.find(add_one.reference)
    call = spec.call((1,), {})
    assert (call.reference, call.name, call.function(1)) == (add_one.reference, "add_one", 2)


def test_the_policies_come_with_the_name() -> None:
    retry, cache = RetryPolicy(max_attempts=7), CachePolicy(ttl=3)
    decorated = task(name="other", retry_policy=retry, cache_policy=cache)(plain)
    call = functions.find(decorated.reference).call((), {})
    assert (call.name, call.retry, call.cache) == ("other", (retry,), cache)
    assert plain.__name__ == "plain"


def test_one_function_decorated_twice_has_two_names() -> None:
    first, second = task(plain), task(name="again")(plain)
    assert first.reference != second.reference
    assert functions.find(first.reference).name == "plain"
    assert functions.find(second.reference).name == "again"


def test_functions_without_a_name_of_their_own_are_counted() -> None:
    made = [task(lambda n: n) for _ in range(2)]
    names = [one.reference.rpartition("#") for one in made]
    assert names[0][0] == names[1][0]
    assert int(names[1][2]) == int(names[0][2]) + 1
    assert [functions.find(one.reference).function for one in made] == [one.__wrapped__ for one in made]  # pyright: ignore


@pytest.mark.parametrize("code", [Counter().count, functools.partial(plain), functools.partial(Counter().count)])
def test_methods_and_partials(code: Any) -> None:
    first, second = task(code), task(code)
    assert first.reference != second.reference

    @entrypoint()
    def workflow(n: int) -> int:
        return first(n).result() + second(n).result()

    assert workflow.invoke(2) == 4


def test_a_redefined_function_takes_the_place_of_the_former() -> None:
    def named(result: int) -> Any:
        def function() -> int:
            return result

        function.__qualname__ = "redefined"
        return function

    former, later = task(named(1)), task(named(2))
    assert former.reference == later.reference
    assert functions.find(later.reference).function() == 2


def test_what_a_running_task_makes_is_known_while_it_is_used() -> None:
    references: list[str] = []

    @entrypoint()
    def workflow(n: int) -> int:
        references.extend(task(plain).reference for _ in range(2))
        inner = task(plain)
        references.append(inner.reference)
        assert functions.find(inner.reference).function is plain
        return inner(n).result()

    assert workflow.invoke(3) == 3
    assert len(set(references)) == 3
    gc.collect()
    for reference in references:
        with pytest.raises(FunctionNotFound, match="top level"):
            functions.find(reference)


def test_an_unknown_function_of_an_unknown_module() -> None:
    with pytest.raises(FunctionNotFound, match="'nowhere' is not imported"):
        functions.find("nowhere:nothing")


@dataclass
class OfATask:
    n: int


def test_the_classes_in_annotations_may_travel() -> None:
    @task
    def function(given: list[OfATask]) -> None: ...

    assert allowlist.registered(wire_name(OfATask)) is OfATask


# --- what is refused ---------------------------------------------------------------------------------------------


def test_a_task_outside_of_a_run() -> None:
    with pytest.raises(RuntimeError, match="Called get_config outside of a runnable context"):
        add_one(1)


def test_a_coroutine_function_in_a_sync_run() -> None:
    @task
    async def later(n: int) -> int:
        return n

    @entrypoint()
    def workflow(n: int) -> int:
        return later(n).result()

    with pytest.raises(RuntimeError, match="In an sync context async tasks cannot be called"):
        workflow.invoke(1)


def test_timeouts_of_plain_functions() -> None:
    """A task's is refused at once; an entrypoint's when it is run here, as a fleet can end it."""
    with pytest.raises(ValueError, match="Task 'plain' is sync"):
        task(timeout=1)(plain)
    workflow = entrypoint(timeout=1)(plain)
    with pytest.raises(ValueError, match="Node 'plain' is sync"):
        workflow.invoke(1)


def test_generators() -> None:
    def generator(n: int) -> Any:
        yield n

    for decorate in (task, entrypoint()):
        with pytest.raises(NotImplementedError, match="Generators are not supported"):
            decorate(generator)


def test_missing_parentheses() -> None:
    with pytest.raises(TypeError, match=r"@entrypoint\(\)"):
        entrypoint(plain)


@pytest.mark.parametrize(
    "foreign",
    [langgraph.types.Command(resume=1), langgraph.types.Send("x", 1), langgraph.func.entrypoint.final(value=1, save=2)],
    ids=lambda value: type(value).__name__,
)
def test_what_langgraph_has_under_the_same_name(foreign: Any) -> None:
    workflow = entrypoint()(lambda given: foreign)
    with pytest.raises(InvalidUpdateError, match="Import it from fleetgraph"):
        workflow.invoke(1)
    with pytest.raises(InvalidUpdateError, match="Import it from fleetgraph"):
        workflow.invoke(foreign)


# --- running -----------------------------------------------------------------------------------------------------


def test_a_retried_entrypoint_does_not_run_again_the_tasks_that_have_ended() -> None:
    ran: list[int] = []

    @task
    def step(n: int) -> int:
        ran.append(n)
        return n + 1

    attempts: list[int] = []

    @entrypoint(retry_policy=AT_ONCE)
    def workflow(n: int) -> int:
        stepped = step(n).result()
        attempts.append(stepped)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return stepped

    assert workflow.invoke(1) == 2
    assert (ran, attempts) == ([1], [2, 2, 2])


def test_updates_arrive_while_the_entrypoint_runs() -> None:
    read = threading.Event()

    @entrypoint()
    def workflow(n: int) -> int:
        stepped = add_one(n).result()
        assert read.wait(20)
        return stepped

    chunks = workflow.stream(1)
    assert next(chunks) == {"add_one": 2}
    read.set()
    assert list(chunks) == [{"workflow": 2}]


async def test_an_abandoned_task_is_cancelled_and_the_run_ends() -> None:
    cancelled = asyncio.Event()

    @task
    async def waits(n: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @entrypoint()
    async def workflow(n: int) -> str:
        try:
            await asyncio.wait_for(asyncio.ensure_future(waits(n)), 0.05)  # pyright: ignore
        except TimeoutError:
            await asyncio.wait_for(cancelled.wait(), 20)
            return "gave up"
        return "came"

    assert await workflow.ainvoke(1) == "gave up"


async def test_many_sync_callers_on_an_event_loop_do_not_wait_for_each_others_threads() -> None:
    everybody = threading.Barrier(40)

    @task
    def caller(n: int) -> int:
        everybody.wait(20)
        return add_one(n).result()

    @entrypoint()
    async def workflow(count: int) -> int:
        return sum(await asyncio.gather(*(caller(n) for n in range(count))))  # pyright: ignore

    assert await workflow.ainvoke(40) == sum(range(1, 41))


def test_a_task_whose_result_can_not_be_saved_fails_the_run() -> None:
    class Full(InMemorySaver):
        def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
            raise OSError("disk full")

    @entrypoint(checkpointer=Full())
    def workflow(n: int) -> int:
        return add_one(n).result()

    with pytest.raises(OSError, match="disk full"):
        workflow.invoke(1, {"configurable": {"thread_id": "t"}})


def test_the_cache_of_a_task_can_be_cleared() -> None:
    ran: list[int] = []
    cache = InMemoryCache()

    @task(cache_policy=CachePolicy())
    def costly(n: int) -> int:
        ran.append(n)
        return n

    @entrypoint(cache=cache)
    def workflow(n: int) -> int:
        return costly(n).result()

    assert [workflow.invoke(1), workflow.invoke(1)] == [1, 1]
    assert ran == [1]
    costly.clear_cache(cache)
    assert workflow.invoke(1) == 1
    assert ran == [1, 1]


def test_another_value_is_saved_than_returned() -> None:
    @entrypoint(checkpointer=InMemorySaver())
    def workflow(n: int, previous: int | None) -> entrypoint.final[str, int]:
        return entrypoint.final(value=f"before: {previous}", save=n)

    config: Any = {"configurable": {"thread_id": "t"}}
    assert [workflow.invoke(n, config) for n in (1, 2)] == ["before: None", "before: 1"]


def test_a_fleet_finds_it_where_it_is_decorated() -> None:
    assert entrypoint()(plain).module == __name__


# --- batches -----------------------------------------------------------------------------------------------------


def odd(n: int) -> int:
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return n


def test_batch() -> None:
    workflow = entrypoint()(odd)
    assert workflow.batch([1, 3, 5], {"max_concurrency": 2}) == [1, 3, 5]
    assert workflow.batch([]) == []
    with pytest.raises(ValueError, match="2 is even"):
        workflow.batch([1, 2, 4])
    assert [repr(one) for one in workflow.batch([1, 2], return_exceptions=True)] == ["1", "ValueError('2 is even')"]
    with pytest.raises(ValueError, match="2 inputs, but 1 configs"):
        workflow.batch([1, 3], [{}])


async def test_abatch_runs_as_many_at_once_as_it_may() -> None:
    running, most = 0, 0

    @entrypoint()
    async def workflow(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return n

    assert await workflow.abatch(list(range(6)), {"max_concurrency": 2}) == list(range(6))
    assert most == 2


async def test_abatch_raises_the_first_failure() -> None:
    with pytest.raises(ValueError, match="2 is even"):
        await entrypoint()(odd).abatch([1, 2])


def test_a_workflow_in_a_batch_keeps_its_thread() -> None:
    from fleetgraph.types import interrupt

    @entrypoint(checkpointer=InMemorySaver())
    def workflow(n: int) -> Any:
        return [n, interrupt(f"{n}?")]

    configs: Any = [{"configurable": {"thread_id": str(n)}} for n in (1, 2)]
    workflow.batch([1, 2], configs)
    assert workflow.batch([Command(resume="a"), Command(resume="b")], configs) == [[1, "a"], [2, "b"]]
