"""Conversations as state: `add_messages`, their reducer, and `push_message`, which shows one before its node ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypedDict, cast, overload

from fleetgraph.channels.binop import KEEPS_ITEMS
from fleetgraph.pregel.context import current
from fleetgraph.pregel.repeatable import new_uuid

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
else:
    AnyMessage = Any  # the schema's hints must resolve without LangChain

Format = Literal["langchain-openai"]

REMOVE_ALL_MESSAGES: Final = "__remove_all__"
"""Id of a `RemoveMessage` that removes every message before it."""


@overload
def add_messages(left: Any, right: Any, *, format: Format | None = None) -> list[Any]: ...
@overload
def add_messages(*, format: Format | None = None) -> Callable[[Any, Any], list[Any]]: ...
def add_messages(left: Any = None, right: Any = None, *, format: Format | None = None) -> Any:
    """Merge messages into a conversation: new ids are appended, known ones replaced, `RemoveMessage` deletes.

    Messages may be given as LangChain takes them: objects, dicts, strings, (role, content) pairs. Those without an
    id are given one. Needs LangChain (`pip install 'fleetgraph[langchain]'`).

    Args:
        left: The conversation: messages, or one.
        right: What to merge into it.
        format: `langchain-openai` turns the contents of all messages into those of OpenAI's messages.

    Returns:
        The new conversation; or without `left` and `right` a reducer that has the format.

    Raises:
        ValueError: A message to be removed does not exist; an unknown format; only one of `left` and `right`.
        ImportError: LangChain is not installed.

    Example:
        >>> class State(TypedDict):
        ...     messages: Annotated[list, add_messages]
        ...     shown: Annotated[list, add_messages(format="langchain-openai")]
    """
    if left is None and right is None:
        return partial(_merged, format=format)
    if left is None or right is None:
        given = "left" if right is None else "right"
        raise ValueError(f"Must specify non-null arguments for both 'left' and 'right'. Only received: '{given}'.")
    return _merged(left, right, format=format)


setattr(add_messages, KEEPS_ITEMS, True)


def _merged(left: Any, right: Any, *, format: Format | None) -> list[Any]:
    remove = _langchain().RemoveMessage
    old, new = _coerced(left), _coerced(right)
    for index in range(len(new) - 1, -1, -1):
        if isinstance(new[index], remove) and new[index].id == REMOVE_ALL_MESSAGES:
            return new[index + 1 :]
    merged = list(old)
    places = {message.id: place for place, message in enumerate(merged)}
    removed: set[str] = set()
    for message in new:
        place = places.get(message.id)
        if isinstance(message, remove):
            if place is None:
                raise ValueError(f"Attempting to delete a message with an ID that doesn't exist ('{message.id}')")
            removed.add(cast("str", message.id))
        elif place is None:
            places[message.id] = len(merged)
            merged.append(message)
        else:
            removed.discard(message.id)
            merged[place] = message
    return _formatted([message for message in merged if message.id not in removed] if removed else merged, format)


def _langchain() -> Any:
    try:
        from langchain_core import messages
    except ModuleNotFoundError as error:
        raise ImportError(
            "LangChain's messages need langchain-core, which is not installed: pip install 'fleetgraph[langchain]'. "
            "A state without it can hold dicts: Annotated[list, operator.add]"
        ) from error
    return messages


def _coerced(messages: Any) -> list[Any]:
    """Messages as objects with an id, the list itself where it is one of those."""
    library = _langchain()
    listed = cast("list[Any]", messages if isinstance(messages, list) else [messages])
    # A long history is all plain messages, of few types: most of the time there is nothing to convert.
    kinds: set[type[Any]] = set(map(type, listed))
    plain, chunk = library.BaseMessage, library.BaseMessageChunk
    if not all(issubclass(kind, plain) and not issubclass(kind, chunk) for kind in kinds):
        listed = [library.message_chunk_to_message(message) for message in library.convert_to_messages(listed)]
    for message in listed:
        if message.id is None:
            message.id = str(new_uuid())
    return listed


def _formatted(messages: list[Any], format: Format | None) -> list[Any]:
    if not format:
        return messages
    if format != "langchain-openai":
        raise ValueError(f"Unrecognized {format=}. Expected one of 'langchain-openai', None.")
    library = _langchain()
    return library.convert_to_messages(library.convert_to_openai_messages(messages))


def push_message(message: Any, *, state_key: str | None = "messages") -> Any:
    """Show a message in `messages` at once, and add it to the state when the node ends.

    Args:
        message: A message with an id, as LangChain takes it: an object or a dict.
        state_key: The key of the state it is written to, before what the node returns; None for none.

    Returns:
        The message.

    Raises:
        ValueError: It has no id.
        RuntimeError: No node is running here.

    Example:
        >>> def research(state: MessagesState):
        ...     push_message(AIMessage("Let me see …", id="progress-1"))
        ...     return {"messages": [AIMessage(find(state))]}
    """
    running = current()
    [message] = _langchain().convert_to_messages([message])
    if message.id is None:
        raise ValueError("Message ID is required")
    if "messages" in running.emit.modes:
        metadata = {key: value for key, value in running.metadata.items() if key != "ls_integration"}
        running.emit.message(message, metadata, unless_seen=False)
    if state_key:
        running.extra_writes.append((state_key, message))
    return message


class MessagesState(TypedDict):
    """A state that is a conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


__all__ = ["REMOVE_ALL_MESSAGES", "MessagesState", "add_messages", "push_message"]
