"""From what a node returns, or a caller commands, to the writes that follow from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, Final, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.constants import END, START
from fleetgraph.errors import ErrorCode, InvalidUpdateError, ParentCommand, coded
from fleetgraph.pregel.reserved import RESUME, TASKS, trigger_of
from fleetgraph.pregel.task import Write
from fleetgraph.types import Command, Send

ROOT: Final = "__root__"
"""The only channel of a graph whose state is one annotated type."""

_NAMES_OF_BOTH: Final = frozenset({"Command", "Overwrite", "Send", "entrypoint.final"})
"""What a graph that was moved from LangGraph by halves may still import from there."""

_PLAIN: Final = frozenset([type(None), bool, int, float, str, bytes, list, dict])
"""Most of what a state holds: nobody need ask for their names."""


def updates_of(keys: Sequence[str]) -> Callable[[Any], list[Write]]:
    """A function that turns a return value into state updates, restricted to `keys`, and gotos."""
    if list(keys) == [ROOT]:
        return lambda returned: [*_root_updates(returned), *_gotos(returned)]
    known = frozenset(keys)

    def updates(returned: Any) -> list[Write]:
        if type(returned) is dict:  # the everyday case: no goto can hide in it
            return _known_items(cast("dict[str, Any]", returned), known)
        return [*_state_updates(returned, keys, known), *_gotos(returned)]

    return updates


def _state_updates(returned: Any, keys: Sequence[str], known: Collection[str]) -> list[Write]:
    if returned is None or isinstance(returned, Send):
        return []
    if isinstance(returned, dict):
        return _known_items(cast("dict[str, Any]", returned), known)
    if isinstance(returned, Command):
        command = cast("Command[Any]", returned)
        if command.graph == Command.PARENT:
            return []
        return [item for item in command_items(command) if item[0] in known]
    if _has_command(returned):
        return [write for item in returned for write in _state_updates(item, keys, known)]
    refuse_foreign(returned)
    if annotated_keys(cast("type[Any]", type(returned))):
        return instance_items(returned, keys)
    raise InvalidUpdateError(coded(f"Expected dict, got {returned}", ErrorCode.INVALID_GRAPH_NODE_RETURN_VALUE))


def _known_items(update: dict[str, Any], known: Collection[str]) -> list[Write]:
    items = [item for item in update.items() if item[0] in known]
    for _, value in items:
        if type(value) not in _PLAIN and type(value).__qualname__ in _NAMES_OF_BOTH:
            refuse_foreign(value)
    return items


def _root_updates(returned: Any) -> list[Write]:
    if returned is None or isinstance(returned, Send):
        return []
    if isinstance(returned, Command):
        command = cast("Command[Any]", returned)
        return [] if command.graph == Command.PARENT else command_items(command)
    if _has_command(returned):
        return [write for item in returned for write in _root_updates(item)]
    refuse_foreign(returned)
    return [(ROOT, returned)]


def command_items(command: Command[Any]) -> list[Write]:
    """The (channel, value) pairs of a command's update."""
    update: Any = command.update
    if update is None:
        return []
    if isinstance(update, dict):
        return _known_items(cast("dict[str, Any]", update), cast("dict[str, Any]", update))
    if isinstance(update, list | tuple) and all(
        type(item) is tuple and len(cast("tuple[Any, ...]", item)) == 2 and isinstance(item[0], str)
        for item in cast("Sequence[Any]", update)
    ):
        return list(cast("Sequence[Write]", update))
    if keys := annotated_keys(cast("Any", update).__class__):
        return instance_items(update, keys)
    return [(ROOT, update)]


def _gotos(returned: Any) -> list[Write]:
    """Where a returned Send, Command, or list with Commands says to go."""
    if isinstance(returned, Send):
        return [(TASKS, returned)]
    if isinstance(returned, Command):
        commands = [cast("Command[Any]", returned)]
    elif isinstance(returned, list | tuple):
        items = cast("Sequence[Any]", returned)
        commands = [cast("Command[Any]", item) for item in items if isinstance(item, Command)]
    else:
        return []
    writes: list[Write] = []
    for command in commands:
        if command.graph == Command.PARENT:
            raise ParentCommand(command)
        goto = command.goto
        for target in [goto] if isinstance(goto, Send | str) else goto:
            if isinstance(target, Send):
                writes.append((TASKS, target))
            elif target != END:
                refuse_foreign(target)
                writes.append((trigger_of(target), None))
    return writes


def refuse_foreign(value: Any) -> None:
    """Refuse what LangGraph has under a name of ours: nothing here knows it, so it would be taken for data.

    Raises:
        InvalidUpdateError: Names what to import from where.
    """
    for one in cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (value,):
        cls = cast("type[Any]", type(one))
        if cls.__qualname__ in _NAMES_OF_BOTH and cls.__module__.startswith("langgraph."):
            raise InvalidUpdateError(
                f"{cls.__qualname__} is LangGraph's, of {cls.__module__}. Import it from "
                f"fleet{cls.__module__.removeprefix('lang')} instead, like everything else that comes from langgraph."
            )


def _has_command(returned: Any) -> bool:
    return isinstance(returned, list | tuple) and any(
        isinstance(item, Command) for item in cast("Sequence[Any]", returned)
    )


def command_writes(command: Command[Any]) -> list[Write]:
    """The writes of a `Command` that a caller gives as input: its gotos, its answer, its update.

    Raises:
        TypeError: Its goto is neither a node's name nor a Send.
    """
    writes: list[Write] = []
    goto: Any = command.goto
    for target in cast("Sequence[Any]", goto) if isinstance(goto, list | tuple) else [goto] if goto else []:
        if isinstance(target, Send):
            writes.append((TASKS, target))
        elif isinstance(target, str):
            writes.append((trigger_of(target), START))
        else:
            refuse_foreign(target)
            raise TypeError(f"In Command.goto, expected Send/str, got {type(target).__name__}")
    if command.resume is not None:
        writes.append((RESUME, command.resume))
    if command.update:
        writes += command_items(command)
    return writes


def is_pydantic(cls: Any) -> bool:
    """Whether `cls` is a pydantic model class; answers without importing pydantic."""
    return isinstance(cls, type) and hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_construct")


@cache
def annotated_keys(cls: type) -> tuple[str, ...]:
    """The annotated attribute names of a class and its bases, base first; empty when it has none."""
    keys: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        keys.update(dict.fromkeys(inspect.get_annotations(base)))
    return tuple(keys)


def instance_items(instance: Any, keys: Sequence[str]) -> list[tuple[str, Any]]:
    """The (key, value) pairs that an instance of a schema updates.

    A pydantic instance leaves out what is None only because nobody set it and None is its default.
    """
    cls = cast("Any", type(instance))
    if is_pydantic(cls):
        fields, kept = cls.model_fields, instance.model_fields_set
        return [
            (key, value)
            for key in keys
            if (value := getattr(instance, key, MISSING)) is not MISSING
            and (value is not None or key not in fields or fields[key].default is not None or key in kept)
        ]
    return [(key, value) for key in keys if (value := getattr(instance, key, MISSING)) is not MISSING]
