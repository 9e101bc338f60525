"""From what a node returns to the writes that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from fleetgraph.constants import END
from fleetgraph.errors import ErrorCode, InvalidUpdateError, ParentCommand, coded
from fleetgraph.graph.schema import ROOT, annotated_keys, instance_items
from fleetgraph.pregel.program import TASKS, trigger_of
from fleetgraph.pregel.task import Write
from fleetgraph.types import Command, Send


def updates_of(keys: Sequence[str]) -> Callable[[Any], list[Write]]:
    """A function that turns a return value into state updates, restricted to `keys`, and gotos."""
    if list(keys) == [ROOT]:
        return lambda returned: [*_root_updates(returned), *_gotos(returned)]
    known = frozenset(keys)

    def updates(returned: Any) -> list[Write]:
        if type(returned) is dict:  # the everyday case: no goto can hide in it
            return [item for item in cast("dict[str, Any]", returned).items() if item[0] in known]
        return [*_state_updates(returned, keys, known), *_gotos(returned)]

    return updates


def _state_updates(returned: Any, keys: Sequence[str], known: Collection[str]) -> list[Write]:
    if returned is None or isinstance(returned, Send):
        return []
    if isinstance(returned, dict):
        return [item for item in cast("dict[str, Any]", returned).items() if item[0] in known]
    if isinstance(returned, Command):
        command = cast("Command[Any]", returned)
        if command.graph == Command.PARENT:
            return []
        return [item for item in command_items(command) if item[0] in known]
    if _has_command(returned):
        return [write for item in returned for write in _state_updates(item, keys, known)]
    if annotated_keys(cast("type[Any]", type(returned))):
        return instance_items(returned, keys)
    raise InvalidUpdateError(coded(f"Expected dict, got {returned}", ErrorCode.INVALID_GRAPH_NODE_RETURN_VALUE))


def _root_updates(returned: Any) -> list[Write]:
    if returned is None or isinstance(returned, Send):
        return []
    if isinstance(returned, Command):
        command = cast("Command[Any]", returned)
        return [] if command.graph == Command.PARENT else command_items(command)
    if _has_command(returned):
        return [write for item in returned for write in _root_updates(item)]
    return [(ROOT, returned)]


def command_items(command: Command[Any]) -> list[Write]:
    """The (channel, value) pairs of a command's update."""
    update: Any = command.update
    if update is None:
        return []
    if isinstance(update, dict):
        return list(cast("dict[str, Any]", update).items())
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
                writes.append((trigger_of(target), None))
    return writes


def _has_command(returned: Any) -> bool:
    return isinstance(returned, list | tuple) and any(
        isinstance(item, Command) for item in cast("Sequence[Any]", returned)
    )
