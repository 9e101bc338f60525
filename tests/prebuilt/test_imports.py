"""What the prebuilt parts do to a process: one without LangChain, and one whose tools return Commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOTS = [str(Path(__file__).parents[2] / name) for name in ("coordinator", "worker", "shared")]


def output_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ROOTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT = """
import sys
sys.modules["langchain_core"] = None
import fleetgraph.prebuilt
from fleetgraph.prebuilt import tools_condition
print(tools_condition({"messages": ["a message"]}))
for name in ("ToolNode", "create_react_agent", "InjectedState", "nothing"):
    try:
        getattr(fleetgraph.prebuilt, name)
    except (ImportError, AttributeError) as error:
        print(type(error).__name__, error)
"""


def test_without_langchain() -> None:
    condition, *errors = output_of(WITHOUT).splitlines()
    assert condition == "__end__"
    needs = "needs LangChain, which is not installed: pip install 'fleetgraph[langchain]'"
    assert errors == [
        f"ImportError fleetgraph.prebuilt.ToolNode {needs}",
        f"ImportError fleetgraph.prebuilt.create_react_agent {needs}",
        f"ImportError fleetgraph.prebuilt.InjectedState {needs}",
        "AttributeError module 'fleetgraph.prebuilt' has no attribute 'nothing'",
    ]


UNUSED = """
import sys
import fleetgraph.prebuilt, fleetgraph.messages, fleetgraph.graph.message
print("langchain_core" in sys.modules)
"""


def test_importing_them_does_not_import_langchain() -> None:
    assert output_of(UNUSED) == "False\n"


COMMANDS = """
from typing import Annotated, TypedDict
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Command

early = Command(update={"user": "made before LangChain was imported"})

from langchain_core.tools import tool

class State(TypedDict):
    user: str

@tool
def rename(to: str) -> Command:
    '''Rename.'''
    return early if to == "early" else Command(update={"user": to})

def tools(state: State):
    call = {"name": "rename", "args": {"to": state["user"]}, "id": "c1", "type": "tool_call"}
    return rename.invoke(call)

graph = StateGraph(State).add_node(tools).add_edge(START, "tools").compile()
print(graph.invoke({"user": "Ann"})["user"])
print(graph.invoke({"user": "early"})["user"])
"""


def test_a_tool_that_a_node_calls_itself_may_return_a_command() -> None:
    """LangChain would make a text of it, did it not know Commands."""
    assert output_of(COMMANDS) == "Ann\nmade before LangChain was imported\n"
