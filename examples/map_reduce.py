"""Map and reduce: a joke for each of the subjects that turn up (`Send`), then the best of them.

How many there will be is known only while the graph runs. Look at the jokes: they are in the order of the subjects,
whichever was written first. Needs `pip install 'fleetgraph[langchain]'`.
"""

import operator
from typing import Annotated, TypedDict

from _fleet import placed
from _model import chat_model
from langchain_core.messages import AIMessage, BaseMessage

from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Send


class State(TypedDict):
    topic: str
    subjects: list[str]
    jokes: Annotated[list[str], operator.add]
    best: str


class Subject(TypedDict):
    subject: str


def recite(messages: list[BaseMessage]) -> AIMessage:
    """What a model might say."""
    asked = messages[-1].text
    if asked.startswith("Name"):
        return AIMessage("lions, penguins, eels")
    return AIMessage(f"Two {asked.split()[-1]} walk into a bar.")


model = chat_model(recite)


def find_subjects(state: State) -> dict[str, list[str]]:
    answer = model.invoke(f"Name some {state['topic']}, with commas between")
    return {"subjects": answer.text.split(", ")}


def for_each_subject(state: State) -> list[Send]:
    return [Send("write_joke", {"subject": subject}) for subject in state["subjects"]]


def write_joke(state: Subject) -> dict[str, list[str]]:
    return {"jokes": [model.invoke(f"Write a joke about {state['subject']}").text]}


def choose(state: State) -> dict[str, str]:
    return {"best": max(state["jokes"], key=len)}


graph = (
    StateGraph(State)
    .add_node(find_subjects)
    .add_node(write_joke)
    .add_node(choose)
    .add_edge(START, "find_subjects")
    .add_conditional_edges("find_subjects", for_each_subject, ["write_joke"])
    .add_edge("write_joke", "choose")
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        result = app.invoke({"topic": "animals"})
        print("\n".join(result["jokes"]))
        print("The best:", result["best"])


if __name__ == "__main__":
    main()
