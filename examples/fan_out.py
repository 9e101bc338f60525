"""One task for each item, made while the graph runs: `Send` fans out over the workers, a reducer collects.

However the tasks are spread, and whichever ends first, the result is in the order in which they were sent.
"""

import operator
import os
import sys
from typing import Annotated, TypedDict

from _fleet import placed

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send


class State(TypedDict):
    documents: list[str]
    counts: Annotated[list[int], operator.add]
    worked: Annotated[list[int], operator.add]
    total: int


class Document(TypedDict):
    text: str


def split(state: State) -> list[Send]:
    return [Send("count_words", {"text": text}) for text in state["documents"]]


def count_words(document: Document) -> dict[str, list[int]]:
    return {"counts": [len(document["text"].split())], "worked": [os.getpid()]}


def add_up(state: State) -> dict[str, int]:
    return {"total": sum(state["counts"])}


graph = (
    StateGraph(State)
    .add_node(count_words)
    .add_node(add_up)
    .add_conditional_edges(START, split, ["count_words"])
    .add_edge("count_words", "add_up")
    .compile()
)


def main() -> None:
    documents = [("word " * number).strip() for number in range(1, 21)]
    with placed(graph) as app:
        done = 0
        result: State | None = None
        for mode, chunk in app.stream({"documents": documents}, stream_mode=["updates", "values"]):
            if mode == "values":
                result = chunk
            elif "count_words" in chunk:
                done += 1
                print(f"{done} of {len(documents)} documents")
    assert result is not None
    print("words of each:", result["counts"])
    print("total:", result["total"])
    print(f"(worked on by {len(set(result['worked']))} processes)", file=sys.stderr)


if __name__ == "__main__":
    main()
