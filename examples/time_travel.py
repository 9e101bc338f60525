"""Time travel: every step of a thread is kept. Look back at them, change one, and go on from there.

Look at the history after the fork: the steps of the first run are still there.
"""

from typing import TypedDict

from _fleet import placed

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import START, StateGraph


class State(TypedDict):
    topic: str
    joke: str


def choose_topic(state: State) -> dict[str, str]:
    return {"topic": "socks in the dryer"}


def write_joke(state: State) -> dict[str, str]:
    return {"joke": f"What do {state['topic']} say? Nothing."}


graph = (
    StateGraph(State)
    .add_node(choose_topic)
    .add_node(write_joke)
    .add_edge(START, "choose_topic")
    .add_edge("choose_topic", "write_joke")
    .compile(checkpointer=InMemorySaver())
)


def main() -> None:
    thread = {"configurable": {"thread_id": "jokes"}}
    with placed(graph) as app:
        print(app.invoke({}, thread)["joke"])

        before_the_joke = next(state for state in app.get_state_history(thread) if state.next == ("write_joke",))
        forked = app.update_state(before_the_joke.config, {"topic": "chickens"})
        print(app.invoke(None, forked)["joke"])

        print("from the newest to the oldest:")
        for state in app.get_state_history(thread):
            print(f"  {state.metadata['source']:7} next: {', '.join(state.next) or '-':13} {state.values}")


if __name__ == "__main__":
    main()
