"""`add_messages`: the reducer of a conversation."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict, cast

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
else:
    AnyMessage = Any  # the schema's hints must resolve without LangChain

REMOVE_ALL_MESSAGES: Final = "__remove_all__"
"""Id of a `RemoveMessage` that removes every message before it."""


def add_messages(left: Any, right: Any) -> Any:
    """Merge messages into a conversation: new ids are appended, known ones replaced, `RemoveMessage` deletes.

    Messages may be given as LangChain takes them: objects, dicts, strings, (role, content) pairs. Those without an
    id are given one. Needs LangChain (`pip install 'fleetgraph[langchain]'`).

    Raises:
        ValueError: A message to be removed does not exist.
    """
    from langchain_core.messages import RemoveMessage, convert_to_messages, message_chunk_to_message

    def coerced(messages: Any) -> list[Any]:
        listed = cast("list[Any]", messages if isinstance(messages, list) else [messages])
        converted = [message_chunk_to_message(cast(Any, m)) for m in convert_to_messages(listed)]
        for message in converted:
            if message.id is None:
                message.id = str(uuid.uuid4())
        return converted

    old, new = coerced(left), coerced(right)
    for index in range(len(new) - 1, -1, -1):
        if isinstance(new[index], RemoveMessage) and new[index].id == REMOVE_ALL_MESSAGES:
            return new[index + 1 :]
    merged = list(old)
    places = {message.id: place for place, message in enumerate(merged)}
    removed: set[str] = set()
    for message in new:
        place = places.get(message.id)
        if isinstance(message, RemoveMessage):
            if place is None:
                raise ValueError(f"Attempting to delete a message with an ID that doesn't exist ('{message.id}')")
            removed.add(cast(str, message.id))
        elif place is None:
            places[message.id] = len(merged)
            merged.append(message)
        else:
            removed.discard(message.id)
            merged[place] = message
    return [message for message in merged if message.id not in removed]


class MessagesState(TypedDict):
    """A state that is a conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


__all__ = ["REMOVE_ALL_MESSAGES", "MessagesState", "add_messages"]
