"""Tokens of any other model: read its stream in the node, pass it on as `custom` chunks."""

from collections.abc import Iterator
from typing import TypedDict

from _fleet import placed

from fleetgraph.config import get_stream_writer
from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    topic: str
    answer: str


def some_client(prompt: str) -> Iterator[str]:
    """Stands for the streaming call of any other library."""
    yield from f"You said: {prompt}. I say: meow.".split(" ")


def call_model(state: State) -> dict[str, str]:
    writer = get_stream_writer()
    words: list[str] = []
    for word in some_client(state["topic"]):
        writer({"token": word})
        words.append(word)
    return {"answer": " ".join(words)}


graph = StateGraph(State).add_node(call_model).add_edge(START, "call_model").compile()


def main() -> None:
    with placed(graph) as app:
        for chunk in app.stream({"topic": "cats"}, stream_mode="custom"):
            print(chunk["token"], end="|")
        print()


if __name__ == "__main__":
    main()
