"""Threads that go on with the other library, through `LangGraphSaver`."""

from __future__ import annotations

import binascii
import operator
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import langgraph.graph
import langgraph.types
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver as TheirBase
from langgraph.checkpoint.memory import InMemorySaver as TheirMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver as TheirSqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as TheirAsyncSqliteSaver
from pydantic import BaseModel

import fleetgraph.graph
import fleetgraph.types
from fleetgraph.checkpoint import digests
from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.checkpoint.langgraph import LangGraphSaver
from fleetgraph.errors import NotSupported
from tests.checkpoint.checkpoints import checkpoint, config, found, ids, put

THREAD: Any = {"configurable": {"thread_id": "1"}}


class Boom(Exception):
    """What a node raises."""


class State(TypedDict):
    items: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], langgraph.graph.add_messages]
    turn: int


def graph(library: Any, types: Any, saver: Any, fail: bool = False) -> Any:
    """The same graph in either library: a fork and a join, Sends, a branch that ends."""

    def ask(state: State) -> Any:
        return {"items": [f"ask {state['turn']}"], "turn": state["turn"] + 1}

    def left(state: State) -> Any:
        return {"items": ["left"], "messages": [AIMessage(f"answer {len(state['messages'])}", id=f"a{state['turn']}")]}

    def right(state: State) -> Any:
        if fail:
            raise Boom
        return {"items": ["right"]}

    def join(state: State) -> Any:
        return {"items": [f"join {len(state['items'])}"]}

    def spread(state: State) -> Any:
        return [types.Send("work", {"item": (i, str(i))}) for i in range(2)]

    def work(item: Any) -> Any:
        return {"items": [f"work {item['item'][1]}"]}

    builder = library.StateGraph(State)
    for node in (ask, left, right, join, work):
        builder.add_node(node)
    builder.add_edge("__start__", "ask")
    builder.add_edge("ask", "left")
    builder.add_edge("ask", "right")
    builder.add_edge(["left", "right"], "join")
    builder.add_conditional_edges("join", spread, ["work"])
    return builder.compile(checkpointer=saver)


def ours(saver: TheirBase[Any], **options: Any) -> Any:
    return graph(fleetgraph.graph, fleetgraph.types, LangGraphSaver(saver), **options)


def theirs(saver: Any, **options: Any) -> Any:
    return graph(langgraph.graph, langgraph.types, saver, **options)


def turn(number: int) -> dict[str, Any]:
    return {"items": [], "turn": number, "messages": [HumanMessage(f"question {number}", id=f"h{number}")]}


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TheirBase[Any]]:
    """A saver of LangGraph's."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield TheirMemorySaver()
        else:
            yield stack.enter_context(TheirSqliteSaver.from_conn_string(str(tmp_path / "theirs.sqlite")))


def test_a_thread_is_taken_over_and_given_back(saver: TheirBase[Any]) -> None:
    alone = theirs(TheirMemorySaver())
    expected = [alone.invoke(turn(number), THREAD) for number in range(5)]
    libraries = [theirs(saver), theirs(saver), ours(saver), ours(saver), theirs(saver)]
    assert [library.invoke(turn(number), THREAD) for number, library in enumerate(libraries)] == expected


@pytest.mark.parametrize("supersteps", [1, 2, 3, 4])
@pytest.mark.parametrize(("first", "second"), [(theirs, ours), (ours, theirs)])
def test_a_run_goes_on_from_any_superstep(saver: TheirBase[Any], first: Any, second: Any, supersteps: int) -> None:
    expected = theirs(TheirMemorySaver()).invoke(turn(0), THREAD)
    with pytest.raises(RecursionError):
        first(saver).invoke(turn(0), THREAD | {"recursion_limit": supersteps})
    assert second(saver).invoke(None, THREAD) == expected


@pytest.mark.parametrize(("first", "second"), [(theirs, ours), (ours, theirs)])
def test_a_run_goes_on_after_a_failure(saver: TheirBase[Any], first: Any, second: Any) -> None:
    expected = theirs(TheirMemorySaver()).invoke(turn(0), THREAD)
    with pytest.raises(Boom):
        first(saver, fail=True).invoke(turn(0), THREAD)
    assert second(saver).invoke(None, THREAD) == expected


@pytest.mark.parametrize(("first", "second"), [(theirs, ours), (ours, theirs)])
def test_what_had_finished_is_not_run_again(saver: TheirBase[Any], first: Any, second: Any) -> None:
    with pytest.raises(Boom):
        first(saver, fail=True).invoke(turn(0), THREAD)
    chunks = list(second(saver).stream(None, THREAD, stream_mode="updates"))
    assert {"__metadata__": {"cached": True}}.items() <= next(chunk for chunk in chunks if "left" in chunk).items()


def test_both_see_the_same_history(saver: TheirBase[Any]) -> None:
    ours(saver).invoke(turn(0), THREAD)
    theirs(saver).invoke(turn(1), THREAD)
    wrapped = LangGraphSaver(saver)
    seen, known = list(wrapped.list(THREAD)), list(saver.list(THREAD))
    assert len(seen) == len(known) > 10
    for mine, its in zip(seen, known, strict=True):
        assert (mine.config, mine.metadata, mine.parent_config) == (its.config, its.metadata, its.parent_config)
        assert {**mine.checkpoint, "channel_values": 0} == {**its.checkpoint, "channel_values": 0}
        assert [write[:2] for write in mine.pending_writes or ()] == [write[:2] for write in its.pending_writes or ()]
        assert found(wrapped, mine.checkpoint["id"]).checkpoint == mine.checkpoint
    sends = [item.checkpoint["channel_values"].get("__pregel_tasks") for item in seen]
    assert sends.count([fleetgraph.types.Send("work", {"item": [i, str(i)]}) for i in range(2)]) == 2
    steps = [snapshot.metadata["step"] for snapshot in theirs(saver).get_state_history(THREAD)]
    assert steps == [item.metadata["step"] for item in seen]
    wanted = {"filter": {"source": "input"}, "before": seen[3].config, "limit": 1}
    assert [item.config for item in wrapped.list(THREAD, **wanted)] == [i.config for i in saver.list(THREAD, **wanted)]


def test_a_question_that_langgraph_asked_is_one_of_ours(saver: TheirBase[Any]) -> None:
    def ask(state: State) -> Any:
        return {"items": [langgraph.types.interrupt({"why": "?"})]}

    builder = langgraph.graph.StateGraph(State).add_node(ask).add_edge("__start__", "ask")
    asking = builder.compile(checkpointer=saver)
    asking.invoke(turn(0), THREAD)
    task = asking.get_state(THREAD).tasks[0]
    writes = found(LangGraphSaver(saver)).pending_writes
    assert writes == [(task.id, "__interrupt__", [fleetgraph.types.Interrupt({"why": "?"}, task.interrupts[0].id)])]


def test_ids_of_tasks_are_those_of_langgraph() -> None:
    saver = TheirMemorySaver()
    with pytest.raises(Boom):
        theirs(saver, fail=True).invoke(turn(0), THREAD)
    state = theirs(saver).get_state(THREAD)
    task = next(task for task in state.tasks if task.name == "right")
    parts = [binascii.unhexlify(state.config["configurable"]["checkpoint_id"].replace("-", ""))]
    step = str(state.metadata["step"] + 1)
    parts += [part.encode() for part in ("right", step, "right", "__pregel_pull", "branch:to:right")]
    assert digests.digest(LangGraphSaver.digest, b"".join(parts)) == task.id.replace("-", "")


# --- the adapter -------------------------------------------------------------------------------------------------


def test_types_are_exchanged_on_the_way() -> None:
    saver = TheirMemorySaver()
    wrapped = LangGraphSaver(saver)
    send = fleetgraph.types.Send("node", {"question": fleetgraph.types.Interrupt("?", "i")})
    values: dict[str, Any] = {"sends": [send], "nested": {"a": [{"b": send}]}, "plain": {"x": [1]}}
    put(wrapped, "a", values)
    command = fleetgraph.types.Command(goto=[send], update={"x": fleetgraph.types.Overwrite([1])})
    wrapped.put_writes(config("a"), [("x", fleetgraph.types.Overwrite([1])), ("y", command)], "task", "~p")

    stored = saver.get_tuple(config("a"))
    assert stored is not None
    their_send = langgraph.types.Send("node", {"question": langgraph.types.Interrupt("?", "i")})
    assert stored.checkpoint["channel_values"]["sends"] == [their_send]
    assert stored.checkpoint["channel_values"]["nested"] == {"a": [{"b": their_send}]}
    their_command: Any = langgraph.types.Command(goto=[their_send], update={"x": langgraph.types.Overwrite([1])})
    assert [value for *_, value in stored.pending_writes or ()] == [langgraph.types.Overwrite([1]), their_command]

    assert found(wrapped).checkpoint["channel_values"] == values
    assert [value for *_, value in found(wrapped).pending_writes or ()] == [fleetgraph.types.Overwrite([1]), command]


def test_of_an_exception_the_text_is_kept(saver: TheirBase[Any]) -> None:
    wrapped = LangGraphSaver(saver)
    put(wrapped, "a")
    wrapped.put_writes(config("a"), [("__error__", Boom("x"))], "task")
    assert found(wrapped).pending_writes == [("task", "__error__", "Boom('x')")]


def test_values_that_contain_themselves_are_refused_and_not_followed_for_ever() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError):
        put(LangGraphSaver(TheirMemorySaver()), "a", {"x": endless})


def test_metadata_is_stored_as_it_is(saver: TheirBase[Any]) -> None:
    wrapped, labelled = LangGraphSaver(saver), config() | {"metadata": {"user": "ann"}}
    labelled["configurable"]["tenant"] = "t"
    wrapped.put(labelled, checkpoint("a", {}, {}), {"source": "input"}, {})
    assert found(wrapped).metadata == {"source": "input"}


def test_a_saver_without_task_paths() -> None:
    class Old(TheirMemorySaver):
        def put_writes(self, config: Any, writes: Any, task_id: str) -> None:  # type: ignore[override]
            super().put_writes(config, writes, task_id)

    wrapped = LangGraphSaver(Old())
    put(wrapped, "a")
    wrapped.put_writes(config("a"), [("x", 1)], "task", "~p")
    assert found(wrapped).pending_writes == [("task", "x", 1)]


def test_versions_are_the_wrapped_savers_business() -> None:
    class Counting(TheirMemorySaver):
        def get_next_version(self, current: Any, channel: None) -> Any:
            return (current or 0) + 1

    assert LangGraphSaver(Counting()).get_next_version(4) == 5


class Point(BaseModel):
    x: int


def test_where_langgraph_is_strict_allowed_classes_come_back() -> None:
    strict = TheirMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    wrapped = LangGraphSaver(strict)
    put(wrapped, "a", {"p": Point(x=1)})
    assert found(wrapped).checkpoint["channel_values"] == {"p": {"x": 1}}
    wrapped.allow(Point)
    assert found(wrapped).checkpoint["channel_values"] == {"p": Point(x=1)}


@pytest.mark.parametrize(
    "old",
    [
        {"v": 1, "channel_versions": {"start:node": 2}},
        {"v": 2, "channel_versions": {"branch:a:path:b": 2}},
        {"v": 3, "channel_versions": {"x": 1}, "pending_sends": [1]},
    ],
)
def test_old_formats_are_refused(old: dict[str, Any]) -> None:
    saver = TheirMemorySaver()
    saved: Any = {**checkpoint("a", {}, {}), **old}
    saver.put(config(), saved, {}, {})
    with pytest.raises(NotSupported, match=f"thread '1', which are in an old format \\({old['v']}\\) of LangGraph"):
        LangGraphSaver(saver).get_tuple(config())


def test_threads_can_be_deleted_and_what_theirs_lacks_is_lacking(saver: TheirBase[Any]) -> None:
    wrapped = LangGraphSaver(saver)
    put(wrapped, "a")
    put(wrapped, "a", thread="2")
    wrapped.delete_thread("1")
    assert (ids(wrapped), ids(wrapped, config(thread="2"))) == ([], ["a"])
    with pytest.raises(NotImplementedError):
        wrapped.copy_thread("1", "2")


# --- async -------------------------------------------------------------------------------------------------------


async def use(wrapped: BaseCheckpointSaver) -> None:
    saved = checkpoint("a", {"sends": [fleetgraph.types.Send("n", 1)]}, {"sends": "1"})
    assert await wrapped.aput(config(), saved, {"step": 1}, {"sends": "1"}) == config("a")
    await wrapped.aput_writes(config("a"), [("x", fleetgraph.types.Send("m", 2))], "task", "~p")
    item = await wrapped.aget_tuple(config())
    assert item is not None
    assert item.checkpoint["channel_values"] == saved["channel_values"]
    assert item.pending_writes == [("task", "x", fleetgraph.types.Send("m", 2))]
    assert [each async for each in wrapped.alist(config(), filter={"step": 1}, limit=1)] == [item]
    await wrapped.adelete_thread("1")
    assert await wrapped.aget_tuple(config()) is None
    with pytest.raises(NotImplementedError):
        await wrapped.acopy_thread("1", "2")


async def test_a_saver_that_is_only_sync_serves_async_runs(saver: TheirBase[Any]) -> None:
    await use(LangGraphSaver(saver))


async def test_a_saver_that_is_only_async(tmp_path: Path) -> None:
    async with TheirAsyncSqliteSaver.from_conn_string(str(tmp_path / "theirs.sqlite")) as saver:
        await use(LangGraphSaver(saver))
        await theirs(saver).ainvoke(turn(0), THREAD)
        async with aclosing(ours(saver).astream(turn(1), THREAD)) as chunks:
            assert [next(iter(chunk)) async for chunk in chunks] == ["ask", "left", "right", "join", "work", "work"]
