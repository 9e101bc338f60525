"""Where to go from a chat model: to its tools, or to the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast


def tools_condition(state: Any, messages_key: str = "messages") -> Literal["tools", "__end__"]:
    """A path function for conditional edges: `"tools"` if the last message calls tools, else END.

    Args:
        state: The state: a mapping or an object that has messages, or a list of messages.
        messages_key: Where the state keeps them.

    Raises:
        ValueError: The state has no messages.

    Example:
        >>> builder.add_node("model", ask).add_node("tools", ToolNode([search]))
        >>> builder.add_conditional_edges("model", tools_condition)
        >>> builder.add_edge("tools", "model")
    """
    if isinstance(state, list):
        messages = cast("list[Any]", state)
    elif isinstance(state, Mapping):
        messages = cast("Mapping[str, Any]", state).get(messages_key)
    else:
        messages = getattr(state, messages_key, None)
    if not messages:
        raise ValueError(f"No messages found in input state to tool_edge: {state}")
    return "tools" if getattr(messages[-1], "tool_calls", None) else "__end__"
