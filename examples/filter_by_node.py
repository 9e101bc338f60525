"""Of all tokens, those of one node: two nodes write at the same time, the caller listens to one.

Needs `pip install 'fleetgraph[langchain]'`.
"""

from typing import TypedDict

from _fleet import placed
from _model import chat_model

from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    topic: str
    joke: str
    poem: str


joke_model = chat_model("A cat walks into a bar. It leaves, then wants back in.")
poem_model = chat_model("Soft paws at dawn, the curtain torn.")


def write_joke(state: State) -> dict[str, str]:
    return {"joke": joke_model.invoke([("user", f"Write a joke about {state['topic']}")]).text}


def write_poem(state: State) -> dict[str, str]:
    return {"poem": poem_model.invoke([("user", f"Write a short poem about {state['topic']}")]).text}


graph = (
    StateGraph(State)
    .add_node(write_joke)
    .add_node(write_poem)
    .add_edge(START, "write_joke")
    .add_edge(START, "write_poem")
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        for token, metadata in app.stream({"topic": "cats"}, stream_mode="messages"):
            if token.content and metadata["langgraph_node"] == "write_poem":
                print(token.content, end="|")
        print()


if __name__ == "__main__":
    main()
