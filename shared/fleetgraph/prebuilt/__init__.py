"""Ready-made parts of agents. They work with LangChain's tools and models, and need `fleetgraph[langchain]`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fleetgraph.prebuilt.tools_condition import tools_condition

if TYPE_CHECKING:
    from fleetgraph.prebuilt.chat_agent_executor import create_react_agent
    from fleetgraph.prebuilt.tool_node import InjectedState, InjectedStore, ToolNode, ToolRuntime

_HOMES = {
    "InjectedState": "tool_node",
    "InjectedStore": "tool_node",
    "ToolNode": "tool_node",
    "ToolRuntime": "tool_node",
    "create_react_agent": "chat_agent_executor",
}


def __getattr__(name: str) -> Any:
    # Imported only when asked for, so that this package can be imported where LangChain is not installed.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "langchain_core":
            raise
        raise ImportError(
            f"{__name__}.{name} needs LangChain, which is not installed: pip install 'fleetgraph[langchain]'"
        ) from error


__all__ = [
    "InjectedState",
    "InjectedStore",
    "ToolNode",
    "ToolRuntime",
    "create_react_agent",
    "tools_condition",
]
