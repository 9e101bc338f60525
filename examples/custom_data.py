"""A node's own chunks (`custom`): progress, partial results, whatever the caller should see before it ends.

Two ways to the writer: `get_stream_writer()` in a node or in what it calls, or a parameter of the node:
`writer: StreamWriter`.
"""

from typing import TypedDict

from _fleet import placed

from fleetgraph.config import get_stream_writer
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import StreamWriter


class State(TypedDict):
    rows: int
    loaded: int
    report: str


def read_rows(count: int) -> int:
    """Not a node: called by one."""
    writer = get_stream_writer()
    for row in range(1, count + 1):
        writer({"progress": f"{row}/{count}"})
    return count


def load(state: State) -> dict[str, int]:
    return {"loaded": read_rows(state["rows"])}


def report(state: State, writer: StreamWriter) -> dict[str, str]:
    writer({"status": "writing the report"})
    return {"report": f"{state['loaded']} rows"}


graph = StateGraph(State).add_node(load).add_node(report).add_edge(START, "load").add_edge("load", "report").compile()


def main() -> None:
    with placed(graph) as app:
        for chunk in app.stream({"rows": 4}, stream_mode="custom"):
            print(chunk)


if __name__ == "__main__":
    main()
