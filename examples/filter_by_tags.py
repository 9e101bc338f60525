"""Of all tokens, those of one model: give the model tags, and look for them in the metadata.

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


joke_model = chat_model("A cat walks into a bar. It leaves, then wants back in.", tags=["joke"])
poem_model = chat_model("Soft paws at dawn, the curtain torn.", tags=["poem"])


def write_both(state: State) -> dict[str, str]:
    topic = state["topic"]
    joke = joke_model.invoke([("user", f"Write a joke about {topic}")])
    poem = poem_model.invoke([("user", f"Write a short poem about {topic}")])
    return {"joke": joke.text, "poem": poem.text}


graph = StateGraph(State).add_node(write_both).add_edge(START, "write_both").compile()


def main() -> None:
    with placed(graph) as app:
        for token, metadata in app.stream({"topic": "cats"}, stream_mode="messages"):
            if token.content and "joke" in metadata["tags"]:
                print(token.content, end="|")
        print()


if __name__ == "__main__":
    main()
