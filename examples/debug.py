"""All there is to know of a run (`debug`): here, each task as it starts and as it ends."""

from typing import TypedDict

from _fleet import placed

from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    number: int


def double(state: State) -> dict[str, int]:
    return {"number": state["number"] * 2}


def add_one(state: State) -> dict[str, int]:
    return {"number": state["number"] + 1}


graph = (
    StateGraph(State)
    .add_node(double)
    .add_node(add_one)
    .add_edge(START, "double")
    .add_edge("double", "add_one")
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        for chunk in app.stream({"number": 20}, stream_mode="debug"):
            payload = chunk["payload"]
            told = payload["input"] if chunk["type"] == "task" else payload["result"]
            print(f"step {chunk['step']}  {chunk['type']:12} {payload['name']:8} {told}")


if __name__ == "__main__":
    main()
