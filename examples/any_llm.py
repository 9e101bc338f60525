"""Tokens of any other model, in `messages`: hand the stream of its client to `stream_message`.

It takes texts, or what the `openai` client streams. Look at the id: the tokens have that of the message. LangChain is
not needed; see docs/messages.md.
"""

from collections.abc import Iterator
from typing import Any, TypedDict

from _fleet import placed

from fleetgraph.graph import START, StateGraph
from fleetgraph.messages import stream_message


class State(TypedDict):
    topic: str
    answer: Any


def some_client(prompt: str) -> Iterator[str]:
    """Stands for the streaming call of any other library."""
    yield from (f"{word} " for word in f"You said: {prompt}. I say: meow.".split())


def call_model(state: State) -> dict[str, Any]:
    return {"answer": stream_message(some_client(state["topic"]), tags=["cat"])}


graph = StateGraph(State).add_node(call_model).add_edge(START, "call_model").compile()


def main() -> None:
    ids: set[str] = set()
    with placed(graph) as app:
        for mode, chunk in app.stream({"topic": "cats"}, stream_mode=["messages", "values"]):
            if mode == "messages":
                token, metadata = chunk
                ids.add(token.id)
                print(f"{metadata['langgraph_node']} {metadata['tags']}: {token.content!r}")
            elif "answer" in chunk:
                print("the same id:", ids == {chunk["answer"].id})


if __name__ == "__main__":
    main()
