"""Checks what tools return, and puts the answers of several into one update."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, cast

from langchain_core.messages import RemoveMessage, ToolMessage, convert_to_messages
from langchain_core.tools.base import TOOL_MESSAGE_BLOCK_TYPES

from fleetgraph.graph.message import REMOVE_ALL_MESSAGES
from fleetgraph.pregel.updates import command_items
from fleetgraph.types import Command, Send

Shape = Literal["list", "dict", "tool_calls"]
"""What a `ToolNode` was given: a list of messages, a state, or tool calls."""

Answer = ToolMessage | Command[Any]


def checked(response: Any, call: Mapping[str, Any], shape: Shape, messages_key: str) -> Answer | list[Answer]:
    """What a tool returned, once it is known to answer its call.

    Raises:
        TypeError: It is neither a message nor a Command, nor a list of these.
        ValueError: The call stays without an answer, is answered twice, or the update has the wrong shape.
    """
    if isinstance(response, Command):
        return _checked_command(cast("Command[Any]", response), call, shape, messages_key, alone=True)
    if isinstance(response, ToolMessage):
        return _with_content(response)
    if not isinstance(response, list):
        raise TypeError(f"Tool {call['name']} returned unexpected type: {type(response)}")
    items = cast("list[Any]", response)
    if not all(isinstance(item, Command | ToolMessage) for item in items):
        raise TypeError(
            f"Tool {call['name']} returned a list with invalid element types: expected all Command or ToolMessage"
        )
    count = sum(_answers(item, call["id"], messages_key) for item in items)
    if count != 1:
        raise ValueError(
            f"Tool {call['name']} returned a list with {count} messages bound to tool_call_id "
            f"{call['id']!r}; expected exactly one terminating ToolMessage."
        )
    return [
        _checked_command(cast("Any", item), call, shape, messages_key, alone=False)
        if isinstance(item, Command)
        else _with_content(item)
        for item in items
    ]


def _answers(item: Answer, call_id: str, messages_key: str) -> int:
    """How many messages in `item` answer the call."""
    if isinstance(item, ToolMessage):
        return int(item.tool_call_id == call_id)
    if not isinstance(item.update, dict):
        return 0
    messages: Any = cast("Any", item).update.get(messages_key, [])
    return sum(isinstance(message, ToolMessage) and message.tool_call_id == call_id for message in messages)


def _with_content(message: ToolMessage) -> ToolMessage:
    message.content = _as_content(message.content)
    return message


def _as_content(content: Any) -> Any:
    """Content as models take it: text, or a list of content blocks; anything else as JSON."""
    if isinstance(content, str) or _is_blocks(content):
        return content
    try:
        return json.dumps(content, ensure_ascii=False)
    except Exception:  # a tool may return anything, and its JSON fail in any way; its text is the next best
        return str(content)


def _is_blocks(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(block, dict) and cast("dict[str, Any]", block).get("type") in TOOL_MESSAGE_BLOCK_TYPES
        for block in cast("list[Any]", content)
    )


def _checked_command(
    command: Command[Any], call: Mapping[str, Any], shape: Shape, messages_key: str, *, alone: bool
) -> Command[Any]:
    update = command.update
    if isinstance(update, dict):
        if shape == "list":
            raise ValueError(
                f"Tools can provide a dict in Command.update only when using dict with '{messages_key}' key as "
                f"ToolNode input, got: {update} for tool '{call['name']}'"
            )
    elif isinstance(update, list):
        if shape != "list":
            raise ValueError(
                "Tools can provide a list of messages in Command.update only when using list of messages as ToolNode "
                f"input, got: {update} for tool '{call['name']}'"
            )
    else:
        return command
    command = deepcopy(command)  # the tool may keep its messages; they are given the tool's name below
    update = command.update
    messages = convert_to_messages(update if shape == "list" else update.get(messages_key, []))
    if messages == [RemoveMessage(id=REMOVE_ALL_MESSAGES)]:
        return command
    answered = False
    for message in messages:
        if isinstance(message, ToolMessage) and message.tool_call_id == call["id"]:
            message.name = call["name"]
            answered = True
    if alone and command.graph is None and not answered:
        update_example = '{"messages": [ToolMessage("Success", tool_call_id=tool_call_id), ...]}'
        list_example = '[ToolMessage("Success", tool_call_id=tool_call_id), ...]'
        raise ValueError(
            f"Expected to have a matching ToolMessage in Command.update for tool '{call['name']}', got: {messages}. "
            "Every tool call (LLM requesting to call a tool) in the message history MUST have a corresponding "
            "ToolMessage. You can fix it by modifying the tool to return "
            f"`Command(update={update_example if shape == 'dict' else list_example}, ...)`."
        )
    return command


def combined(answers: Sequence[Answer | list[Answer]], shape: Shape, messages_key: str) -> Any:
    """The answers of all calls as one update of the state, or where a Command is among them as a list of updates."""
    flat: list[Answer] = []
    for answer in answers:
        flat.extend(answer if isinstance(answer, list) else [answer])

    def as_update(messages: list[Answer]) -> Any:
        return messages if shape == "list" else {messages_key: messages}

    if not any(isinstance(answer, Command) for answer in flat):
        return as_update(flat)
    updates: list[Any] = []
    handover: Command[Any] | None = None
    for answer in flat:
        if not isinstance(answer, Command):
            updates.append(as_update([answer]))
        elif not _sends_to_parent(answer):
            updates.append(answer)
        else:
            handover = answer if handover is None else _merged(handover, answer)
    return updates if handover is None else [*updates, handover]


def _sends_to_parent(command: Command[Any]) -> bool:
    goto = command.goto
    return (
        command.graph == Command.PARENT and isinstance(goto, list) and all(isinstance(target, Send) for target in goto)
    )


def _merged(one: Command[Any], other: Command[Any]) -> Command[Any]:
    """Two Commands for the parent as one: a node can end with one only."""
    update = [*command_items(one), *command_items(other)] or None
    return replace(one, update=update, goto=[*cast("list[Send]", one.goto), *cast("list[Send]", other.goto)])
