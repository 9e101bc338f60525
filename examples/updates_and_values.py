"""The state while the graph runs: what each node changed (`updates`), all of it after a step (`values`)."""

from typing import TypedDict

from _fleet import placed

from fleetgraph.graph import END, START, StateGraph


class State(TypedDict):
    topic: str
    joke: str


def refine_topic(state: State) -> dict[str, str]:
    return {"topic": state["topic"] + " and cats"}


def write_joke(state: State) -> dict[str, str]:
    return {"joke": f"Two {state['topic']} walk into a bar."}


graph = (
    StateGraph(State)
    .add_node(refine_topic)
    .add_node(write_joke)
    .add_edge(START, "refine_topic")
    .add_edge("refine_topic", "write_joke")
    .add_edge("write_joke", END)
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        print("updates:")
        for chunk in app.stream({"topic": "dogs"}, stream_mode="updates"):
            print("  ", chunk)

        print("values:")
        for chunk in app.stream({"topic": "dogs"}, stream_mode="values"):
            print("  ", chunk)


if __name__ == "__main__":
    main()
