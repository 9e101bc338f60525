"""Tokens as the model writes them (`messages`): pairs of a token and where it comes from.

The node need not stream for it: `invoke` will do. Needs `pip install 'fleetgraph[langchain]'`.
"""

from typing import TypedDict

from _fleet import placed
from _model import chat_model

from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    topic: str
    joke: str


model = chat_model("Why did the ice cream truck break down? It had a rocky road.")


def write_joke(state: State) -> dict[str, str]:
    answer = model.invoke([("user", f"Write a joke about {state['topic']}")])
    return {"joke": answer.text}


graph = StateGraph(State).add_node(write_joke).add_edge(START, "write_joke").compile()


def main() -> None:
    with placed(graph) as app:
        for token, metadata in app.stream({"topic": "ice cream"}, stream_mode="messages"):
            if token.content:
                print(f"{metadata['langgraph_node']}: {token.content!r}")


if __name__ == "__main__":
    main()
