"""What `compile` takes for a saver, and what savers inherit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver as TheirSaver

from fleetgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, as_saver, check_saver
from fleetgraph.checkpoint.langgraph import LangGraphSaver
from fleetgraph.checkpoint.memory import InMemorySaver
from tests.checkpoint.checkpoints import config


@pytest.mark.parametrize("nothing", [None, True, False, InMemorySaver()])
def test_what_passes_for_a_saver(nothing: Any) -> None:
    check_saver(nothing)
    assert as_saver(nothing) is nothing


@pytest.mark.parametrize(
    ("wrong", "notes"),
    [
        ("redis://", []),
        (1, []),
        *(
            (
                cls,
                [f"checkpointer={cls.__name__} is a class: pass an instance of it, checkpointer={cls.__name__}(...)."],
            )
            for cls in (InMemorySaver, TheirSaver)
        ),
    ],
)
def test_what_does_not_pass_for_a_saver(wrong: Any, notes: list[str]) -> None:
    with pytest.raises(TypeError, match="Invalid checkpointer provided"):
        check_saver(wrong)
    with pytest.raises(TypeError, match=f"Received {type(wrong).__name__}") as caught:
        as_saver(wrong)
    assert getattr(caught.value, "__notes__", []) == notes


def test_a_saver_of_langgraph_is_wrapped() -> None:
    theirs = TheirSaver()
    wrapped = as_saver(theirs)
    assert isinstance(wrapped, LangGraphSaver)
    assert wrapped.saver is theirs


def test_savers_are_light_to_import() -> None:
    code = (
        "import sys, fleetgraph.checkpoint.memory as m, fleetgraph.checkpoint.base as b\n"
        "b.as_saver(m.InMemorySaver())\n"
        "print([name for name in ('redis', 'rq', 'sqlite3', 'langgraph', 'langchain_core') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, check=True
    )
    assert ran.stdout.strip() == "[]"


class Slow(BaseCheckpointSaver):
    """Does the least a saver has to, in a way that would keep an event loop waiting."""

    def __init__(self) -> None:
        self.proceed = threading.Event()
        self.saved: dict[str, Any] = {}

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        assert self.proceed.wait(10)
        return None

    def list(self, config: Any, **options: Any) -> Iterator[CheckpointTuple]:  # type: ignore[override]
        for checkpoint_id in "ba":
            assert self.proceed.wait(10)
            yield CheckpointTuple({}, {"id": checkpoint_id}, options)

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        raise ValueError("full")

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        assert self.proceed.wait(10)

    def delete_thread(self, thread_id: str) -> None:
        assert self.proceed.wait(10)


async def test_a_saver_that_waits_keeps_no_event_loop_waiting() -> None:
    saver = Slow()

    async def listed() -> list[CheckpointTuple]:
        return [item async for item in saver.alist(config(), limit=2)]

    calls = asyncio.gather(
        saver.aget_tuple(config()), saver.aput_writes(config(), [], "t"), saver.adelete_thread("1"), listed()
    )
    asyncio.get_running_loop().call_soon(saver.proceed.set)
    *_, items = await calls
    assert [item.checkpoint["id"] for item in items] == ["b", "a"]
    assert items[0].metadata == {"filter": None, "before": None, "limit": 2}


async def test_errors_of_a_saver_reach_the_caller() -> None:
    with pytest.raises(ValueError, match="full"):
        await Slow().aput(config(), {}, {}, {})


async def test_what_a_saver_need_not_have_says_so() -> None:
    saver = Slow()
    with pytest.raises(NotImplementedError, match=r"Slow has no copy_thread\."):
        saver.copy_thread("1", "2")
    with pytest.raises(NotImplementedError, match=r"Slow has no prune\."):
        await saver.aprune(["1"])
    with pytest.raises(NotImplementedError, match=r"Slow has no delete_for_runs\."):
        await saver.adelete_for_runs(["r"])
