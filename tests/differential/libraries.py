"""The names a graph program uses, from LangGraph or from Fleetgraph, behind one object.

A program that takes its names from a `Library` can be built with either, which is what makes two runs of it
comparable. Both libraries lay out their modules alike, so one loader serves both: moving a program from one to the
other changes nothing but the first word of its imports.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal

LibraryName = Literal["langgraph", "fleetgraph"]

_NAMES: Final = {
    "graph": ("START", "END", "StateGraph", "MessagesState", "add_messages"),
    "types": (
        *("Send", "Command", "Overwrite", "StreamWriter", "interrupt", "Interrupt", "RetryPolicy", "CachePolicy"),
        *("TimeoutPolicy", "StateSnapshot", "StateUpdate", "PregelTask"),
    ),
    "errors": (
        "GraphInterrupt",
        "GraphBubbleUp",
        "GraphDrained",
        "NodeError",
        "NodeTimeoutError",
        "InvalidUpdateError",
    ),
    "runtime": ("Runtime", "get_runtime", "RunControl"),
    "config": ("get_config", "get_stream_writer", "get_store"),
    "managed": ("IsLastStep", "RemainingSteps"),
    "func": ("entrypoint", "task"),
    "checkpoint.memory": ("InMemorySaver",),
    "store.memory": ("InMemoryStore",),
    "cache.memory": ("InMemoryCache",),
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names}


class Saved:
    """What tasks have saved in the present turn, for a node that is to go on only when a sibling is done."""

    TIMEOUT_SECONDS = 20.0
    """Below the time limit of a test, so that what is never saved fails the test where it is waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._writes: list[tuple[str, str]] = []

    def clear(self) -> None:
        """Begin a turn."""
        with self._changed:
            self._writes.clear()

    def add(self, writes: Sequence[tuple[str, Any]]) -> None:
        """Note the writes that a task has saved."""
        with self._changed:
            self._writes.extend((channel, repr(value)) for channel, value in writes)
            self._changed.notify_all()

    def wait_for(self, channel: str, text: str) -> None:
        """Wait until a task has saved a write to `channel` whose repr contains `text`. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: any(saved == channel and text in value for saved, value in self._writes), self.TIMEOUT_SECONDS
            ):
                raise TimeoutError(f"nobody saved {text!r} in {channel!r}; so far: {self._writes}")


@dataclass(frozen=True)
class Library:
    """What graph programs import from a graph library. Programs are untyped in it, on purpose: there are two.

    A name is looked up when it is first asked for, where users look for it.
    """

    name: LibraryName
    saved: Saved = field(default_factory=Saved, compare=False)
    """Of the recording that is being made."""

    def __getattr__(self, name: str) -> Any:
        """The library's own `name`. Raises ImportError or AttributeError when it is not where users look for it."""
        if name not in _HOMES:
            raise AttributeError(f"{name} is no name that graph programs use: see _NAMES")
        return getattr(import_module(f"{self.name}.{_HOMES[name]}"), name)

    def watched_saver(self) -> Any:
        """An in-memory saver that notes in `saved` what it saves."""
        saved = self.saved

        class Watched(self.InMemorySaver):
            def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
                super().put_writes(config, writes, task_id, task_path)
                saved.add(writes)

            async def aput_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
                await super().aput_writes(config, writes, task_id, task_path)
                saved.add(writes)

        return Watched()


@cache
def library(name: LibraryName) -> Library:
    """The library called `name`."""
    return Library(name)
