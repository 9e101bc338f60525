"""Several stream modes at once: each chunk comes as a pair of its mode and what it holds."""

from typing import TypedDict

from _fleet import placed

from fleetgraph.config import get_stream_writer
from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    question: str
    sources: list[str]
    answer: str


def look_up(state: State) -> dict[str, list[str]]:
    writer = get_stream_writer()
    sources: list[str] = []
    for shelf in ("encyclopedia", "newspaper"):
        writer(f"reading the {shelf}")
        sources.append(shelf)
    return {"sources": sources}


def answer(state: State) -> dict[str, str]:
    return {"answer": f"According to {' and '.join(state['sources'])}: yes."}


graph = (
    StateGraph(State)
    .add_node(look_up)
    .add_node(answer)
    .add_edge(START, "look_up")
    .add_edge("look_up", "answer")
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        for mode, chunk in app.stream({"question": "Is it worth it?"}, stream_mode=["updates", "values", "custom"]):
            print(f"{mode:8}", chunk)


if __name__ == "__main__":
    main()
