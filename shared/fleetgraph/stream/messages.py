"""The `messages` mode: chat-model tokens while a node runs, and the messages it returns.

LangChain is optional. Without it installed nothing here does anything; nothing here imports it unless somebody
streams `messages` or the program uses it already.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from fleetgraph.types import Command

if TYPE_CHECKING:
    from fleetgraph.pregel.context import TaskContext


@cache
def _langchain_installed() -> bool:
    return find_spec("langchain_core") is not None


def _message_class() -> type | None:
    """LangChain's BaseMessage, if the program has imported it: else no message can exist."""
    module = sys.modules.get("langchain_core.messages")
    return None if module is None else cast("type | None", getattr(module, "BaseMessage", None))


def streaming(running: TaskContext) -> AbstractContextManager[None]:
    """While a node runs: lets LangChain code inside it find the task's config, and streams what its models say."""
    wanted = "messages" in running.emit.modes and _langchain_installed()
    if not wanted and "langchain_core.runnables.config" not in sys.modules:
        return nullcontext()
    return _inside_langchain(running, wanted)


@contextmanager
def _inside_langchain(running: TaskContext, wanted: bool) -> Generator[None]:
    from langchain_core.runnables.config import var_child_runnable_config

    if wanted:
        from fleetgraph.stream.langchain import callbacks_for

        running.config["callbacks"] = callbacks_for(running)
    entered = var_child_runnable_config.set(cast(Any, running.config))
    try:
        yield
    finally:
        var_child_runnable_config.reset(entered)


def saw_input(running: TaskContext) -> None:
    """Remember the messages a node is given, so that returning them again does not stream them."""
    if "messages" in running.emit.modes and (kind := _message_class()):
        found = (message.id for message in _messages_in(running.task.input, kind))
        if ids := [message_id for message_id in found if message_id is not None]:
            running.emit.saw_messages(ids)


def emit_returned(running: TaskContext, returned: Any) -> None:
    """Stream the messages a node returned, but those that were streamed or known before."""
    if "messages" not in running.emit.modes or not (kind := _message_class()) or running.node.hidden:
        return
    for part in _updates_in(returned):
        for message in _messages_in(part, kind):
            if message.id is None:
                message.id = str(uuid4())
            running.emit.message(message, dict(running.metadata), unless_seen=True)


def _updates_in(returned: Any) -> list[Any]:
    if isinstance(returned, Command):
        return [cast("Command[Any]", returned).update]
    if isinstance(returned, list | tuple):
        items = cast("Sequence[Any]", returned)
        if any(isinstance(item, Command) for item in items):
            return [part for item in items for part in _updates_in(item)]
    return [returned]


def _messages_in(value: Any, kind: type) -> Iterator[Any]:
    """Messages that are the value, or one of its top-level values, or an item of a sequence among those."""
    if isinstance(value, kind):
        yield value
        return
    for part in _top_level(value):
        if isinstance(part, kind):
            yield part
        elif isinstance(part, Sequence) and not isinstance(part, str | bytes):
            yield from (item for item in cast("Sequence[Any]", part) if isinstance(item, kind))


def _top_level(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[Any, Any]", value).values())
    if isinstance(value, list | tuple):
        return cast("Sequence[Any]", value)
    return list(getattr(value, "__dict__", {}).values())
