"""What the comparison of the corpus leaves out, without a fleet: the order of keys, odd modes, and when chunks come."""

from typing import Any, cast

import pytest

from tests.differential import live
from tests.differential.harness import CASES, cases, compiled
from tests.differential.libraries import Library, LibraryName, library

BOTH: list[LibraryName] = ["langgraph", "fleetgraph"]


cases()  # loads the corpus


# --- what the corpus's comparison leaves out ---------------------------------------------------------------------


def key_orders(name: str, lib: Library) -> list[Any]:
    case = CASES[name]
    chunks = compiled(case, lib, saver=False).stream(case.turns[0].input, stream_mode=["values", "updates", "tasks"])
    return [
        [mode, list(payload), [list(cast("dict[str, Any]", part)) for part in payload.values() if type(part) is dict]]
        for mode, payload in chunks
    ]


@pytest.mark.parametrize(
    "name", ["guide_sequential", "reducers_of_all_kinds", "input_and_output_schema", "private_key"]
)
def test_keys_come_in_the_same_order(name: str) -> None:
    """A printed chunk looks the same."""
    assert key_orders(name, library("fleetgraph")) == key_orders(name, library("langgraph"))


@pytest.mark.parametrize("stream_mode", [("updates", "values"), {"updates"}, [], ()], ids=repr)
def test_modes_in_other_collections(stream_mode: Any) -> None:
    streamed = [
        list(compiled(CASES["diamond"], library(name), saver=False).stream({"log": ["i"]}, stream_mode=stream_mode))
        for name in BOTH
    ]
    assert sorted(map(repr, streamed[0])) == sorted(map(repr, streamed[1]))


@pytest.mark.parametrize("stream_mode", ["nope", ["updates", "nope"]], ids=repr)
def test_a_mode_that_does_not_exist(stream_mode: Any) -> None:
    """Meant to differ: LangGraph runs the graph and says nothing, Fleetgraph says what is wrong."""
    graphs = {name: compiled(CASES["guide_sequential"], library(name), saver=False) for name in BOTH}
    assert len(list(graphs["langgraph"].stream({"topic": "t"}, stream_mode=stream_mode))) in (0, 2)
    with pytest.raises(ValueError, match="'nope'"):
        list(graphs["fleetgraph"].stream({"topic": "t"}, stream_mode=stream_mode))


def test_invoke_with_several_modes() -> None:
    returned = [
        compiled(CASES["guide_sequential"], library(name), saver=False).invoke(
            {"topic": "t"}, stream_mode=["values", "updates"]
        )
        for name in BOTH
    ]
    assert returned[0] == returned[1]


async def test_async_invoke_with_several_modes() -> None:
    returned = [
        await compiled(CASES["guide_sequential"], library(name), saver=False).ainvoke(
            {"topic": "t"}, stream_mode=["values", "updates"]
        )
        for name in BOTH
    ]
    assert returned[0] == returned[1]


# --- when --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_custom_data_arrives_while_the_node_runs(name: LibraryName) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    chunks = live.speaking(library(name)).stream(given, stream_mode="custom")
    for n in range(3):
        assert next(chunks) == {"task": "speaks", "n": n}
        assert signals.log == [f"said {i}" for i in range(n + 1)]
        signals.set(f"heard {n}")
    assert list(chunks) == []


@pytest.mark.parametrize("name", BOTH)
async def test_custom_data_arrives_while_the_node_runs_async(name: LibraryName) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    chunks = live.speaking(library(name)).astream(given, stream_mode="custom")
    for n in range(3):
        assert await anext(chunks) == {"task": "speaks", "n": n}
        signals.set(f"heard {n}")
    assert [chunk async for chunk in chunks] == []


@pytest.mark.parametrize("name", BOTH)
def test_updates_arrive_while_a_sibling_runs(name: LibraryName) -> None:
    given = live.new_input()
    chunks = live.early_and_late(library(name)).stream(given, stream_mode="updates")
    assert next(chunks) == {"early": {"log": ["early"]}}
    live.signals(given["key"]).set("early was read")
    assert list(chunks) == [{"late": {"log": ["late"]}}]


@pytest.mark.parametrize("name", BOTH)
def test_nothing_runs_ahead_of_the_reader(name: LibraryName) -> None:
    given = live.new_input()
    chunks = live.counting(library(name)).stream(given, stream_mode="updates")
    for ran in ("a", "ab", "abc"):
        assert list(next(chunks)) == [ran[-1]]
        assert live.signals(given["key"]).log == list(ran)


@pytest.mark.parametrize("name", BOTH)
def test_closing_the_iterator_ends_the_run(name: LibraryName) -> None:
    given = live.new_input()
    chunks = live.counting(library(name)).stream(given, stream_mode="updates")
    next(chunks)
    chunks.close()
    assert list(chunks) == []
    assert live.signals(given["key"]).log == ["a"]


@pytest.mark.parametrize("name", BOTH)
def test_updates_of_tasks_that_end_before_a_failure_are_streamed(name: LibraryName) -> None:
    given = live.new_input()
    chunks = live.failing_after_a_sibling(library(name)).stream(given, stream_mode="updates")
    assert next(chunks) == {"fast": {"log": ["fast"]}}
    live.signals(given["key"]).set("fast was read")
    with pytest.raises(ValueError, match="boom") as caught:
        next(chunks)
    assert [note.split(" and id ")[0] for note in caught.value.__notes__] == ["During task with name 'fails'"]


@pytest.mark.parametrize("name", BOTH)
def test_a_failure_is_streamed_at_once_and_raised_when_siblings_have_ended(name: LibraryName) -> None:
    given = live.new_input()
    signals = live.signals(given["key"])
    modes = ["tasks", "updates", "values", "custom"]
    chunks = live.failing_before_a_sibling(library(name)).stream(given, stream_mode=modes)
    seen: list[Any] = []

    def read() -> None:
        for mode, payload in chunks:
            seen.append((mode, payload.get("name")))
            if mode == "custom":
                signals.set("slow was heard")
            if payload.get("error"):
                signals.set("the failure was read")

    with pytest.raises(ValueError, match="boom"):
        read()
    assert seen == [("values", None), ("tasks", "fails"), ("tasks", "slow"), ("custom", None), ("tasks", "fails")]
    assert signals.log == ["slow ended"]


@pytest.mark.parametrize("name", BOTH)
async def test_a_failure_cancels_async_siblings(name: LibraryName) -> None:
    given = live.new_input()
    with pytest.raises(ValueError, match="boom"):
        await live.failing_before_an_async_sibling(library(name)).ainvoke(given)
    assert live.signals(given["key"]).log == ["slow was cancelled"]
