"""A supervisor and its team: each member is a graph of its own, and hands the work back with what it found.

`Command(goto=..., graph=Command.PARENT)` is how a graph inside another says what comes next outside. Look at the left
column: in which of the graphs each node ran. Needs `pip install 'fleetgraph[langchain]'`.
"""

from typing import Literal

from _fleet import placed
from langchain_core.messages import AIMessage

from fleetgraph.graph import END, START, MessagesState, StateGraph
from fleetgraph.types import Command


def search(state: MessagesState) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage("Otters hold hands while they sleep.", name="search")]}


def write(state: MessagesState) -> dict[str, list[AIMessage]]:
    found = state["messages"][-1].text
    return {"messages": [AIMessage(f"Did you know? {found}", name="write")]}


def hand_back(state: MessagesState) -> Command:
    return Command(graph=Command.PARENT, goto="supervisor", update={"messages": state["messages"][-1:]})


researcher = StateGraph(MessagesState).add_sequence([search, hand_back]).add_edge(START, "search").compile()
writer = StateGraph(MessagesState).add_sequence([write, hand_back]).add_edge(START, "write").compile()


def supervisor(state: MessagesState) -> Command[Literal["researcher", "writer", "__end__"]]:
    """Stands for a model that is asked who should go on; this one looks at who spoke last."""
    following = {None: "researcher", "search": "writer", "write": END}
    return Command(goto=following[state["messages"][-1].name])


graph = (
    StateGraph(MessagesState)
    .add_node(supervisor)
    .add_node("researcher", researcher)
    .add_node("writer", writer)
    .add_edge(START, "supervisor")
    .compile()
)


def main() -> None:
    question = {"messages": [("user", "Tell me something about otters.")]}
    with placed(graph) as app:
        for namespace, update in app.stream(question, stream_mode="updates", subgraphs=True):
            inside = "/".join(part.split(":")[0] for part in namespace) or "-"
            for node, change in update.items():
                said = [message.text for message in (change or {}).get("messages", [])]
                print(f"{inside:10} {node:10}", *said)


if __name__ == "__main__":
    main()
