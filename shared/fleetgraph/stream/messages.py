"""The `messages` mode: chat-model tokens while a node runs, and the messages it returns.

LangChain is optional. Without it installed only `fleetgraph.messages` makes messages; nothing here imports it unless
somebody streams `messages` or the program uses it already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from fleetgraph.pregel.repeatable import new_uuid
from fleetgraph.types import Command

if TYPE_CHECKING:
    from fleetgraph.pregel.context import TaskContext


@cache
def langchain_installed() -> bool:
    """Whether there is LangChain to make messages of."""
    return find_spec("langchain_core") is not None


def _message_classes() -> tuple[type[Any], ...]:
    """The classes of messages: LangChain's and ours, if the program has imported them; else none can exist."""
    homes = (("langchain_core.messages", "BaseMessage"), ("fleetgraph.messages", "Message"))
    found = (getattr(sys.modules.get(module), name, None) for module, name in homes)
    return tuple(cls for cls in found if cls is not None)


def streaming(running: TaskContext) -> AbstractContextManager[None]:
    """While a node runs: lets LangChain code inside it find the task's config, and streams what its models say."""
    told, unheard, counting = "messages" in running.emit.modes, running.task.frame.unheard, _has_idle_timeout(running)
    listening = langchain_installed() and (told or unheard or counting)
    if not listening and "langchain_core.runnables.config" not in sys.modules:
        return nullcontext()
    return _langchain().Surroundings(running, told=told, unheard=unheard, counting=counting)


@cache
def _langchain() -> Any:
    """The module that knows LangChain, which is imported with it; LangChain's tools know Commands from then on."""
    from fleetgraph.stream import langchain

    langchain.let_tools_return_commands()
    return langchain


def _has_idle_timeout(running: TaskContext) -> bool:
    """Whether the time counts that passes without a sign of progress, such as LangChain's callbacks are."""
    policy = running.task.timeout
    return policy is not None and policy.idle_timeout is not None and policy.refresh_on == "auto"


def saw_input(running: TaskContext) -> None:
    """Remember the messages a node is given, so that returning them again does not stream them."""
    if "messages" in running.emit.modes and (ids := known_ids(running.task.input)):
        running.emit.saw_messages(ids)


def known_ids(given: Any) -> list[str]:
    """The ids of the messages in what a node is given."""
    if not (kinds := _message_classes()):
        return []
    return [message.id for message in _in_values(given, kinds) if message.id is not None]


def emit_returned(running: TaskContext, value: Any) -> None:
    """Stream the messages a node returned, but those that were streamed or known before."""
    if "messages" in running.emit.modes and not running.node.hidden:
        for message in returned(value):
            running.emit.message(message, dict(running.metadata), unless_seen=True)


def returned(value: Any) -> list[Any]:
    """The messages in what a node returned. Those without an id are given one, which the state has then too."""
    if not (kinds := _message_classes()):
        return []
    found = [message for update in _updates_in(value) for message in _in_update(update, kinds)]
    for message in found:
        if message.id is None:
            message.id = str(new_uuid())
    return found


def _updates_in(returned: Any) -> list[Any]:
    """The updates a return value stands for: itself, or those of Commands."""
    if isinstance(returned, Command):
        return [cast("Command[Any]", returned).update]
    if isinstance(returned, list | tuple):
        items = cast("Sequence[Any]", returned)
        if any(isinstance(item, Command) for item in items):
            return [cast("Command[Any]", item).update if isinstance(item, Command) else item for item in items]
    return [returned]


def _in_update(update: Any, kinds: tuple[type[Any], ...]) -> Iterator[Any]:
    """Messages that are the update, or items of it if it is a sequence, or in its values."""
    if isinstance(update, kinds):
        yield update
    elif isinstance(update, Sequence):
        yield from _in_sequence(cast("Sequence[Any]", update), kinds)
    else:
        yield from _in_values(update, kinds)


def _in_values(state: Any, kinds: tuple[type[Any], ...]) -> Iterator[Any]:
    """Messages that are values of a state, or items of sequences that are."""
    for value in _values(state):
        if isinstance(value, kinds):
            yield value
        elif isinstance(value, Sequence):
            yield from _in_sequence(cast("Sequence[Any]", value), kinds)


def _in_sequence(items: Sequence[Any], kinds: tuple[type[Any], ...]) -> Iterator[Any]:
    return iter(()) if isinstance(items, str | bytes) else (item for item in items if isinstance(item, kinds))


def _values(state: Any) -> Iterator[Any]:
    """The values of a mapping, a pydantic model or a dataclass; none of anything else, such as a list."""
    if isinstance(state, Mapping):
        yield from cast("Mapping[Any, Any]", state).values()
    elif is_dataclass(state):
        for item in fields(state):
            yield getattr(state, item.name, None)
    else:
        for name in getattr(cast("Any", type(state)), "model_fields", ()):
            yield getattr(state, name, None)
