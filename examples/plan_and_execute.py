"""Plan and execute: a planner makes a list of steps, an executor does one after the other, the planner looks again.

Look at how the plan gets shorter, and at the step that nobody had planned. Needs `pip install 'fleetgraph[langchain]'`.
"""

import operator
from typing import Annotated, Literal, TypedDict

from _fleet import placed
from _model import chat_model
from langchain_core.messages import AIMessage, BaseMessage

from fleetgraph.graph import END, START, StateGraph


class State(TypedDict):
    goal: str
    plan: list[str]
    done: Annotated[list[str], operator.add]
    answer: str


PLANS = {0: "find the recipe; buy eggs", 1: "buy eggs", 2: "borrow a pan", 3: "ANSWER: The omelette can be made."}
"""What a planner might say once so many steps are done."""


def plan_again(messages: list[BaseMessage]) -> AIMessage:
    return AIMessage(PLANS[messages[-1].text.count("; done: ")])


planner = chat_model(plan_again)
executor = chat_model("it went well")


def plan(state: State) -> dict[str, list[str] | str]:
    done = "".join(f"; done: {step}" for step in state["done"])
    said = planner.invoke(f"Say what is left to do, with semicolons between. The goal: {state['goal']}{done}").text
    if said.startswith("ANSWER: "):
        return {"plan": [], "answer": said.removeprefix("ANSWER: ")}
    return {"plan": said.split("; ")}


def execute(state: State) -> dict[str, list[str]]:
    step, *_ = state["plan"]
    outcome = executor.invoke(f"Do this, and say how it went: {step}").text
    return {"done": [f"{step} ({outcome})"]}


def is_done(state: State) -> Literal["execute", "__end__"]:
    return END if state.get("answer") else "execute"


graph = (
    StateGraph(State)
    .add_node(plan)
    .add_node(execute)
    .add_edge(START, "plan")
    .add_conditional_edges("plan", is_done)
    .add_edge("execute", "plan")
    .compile()
)


def main() -> None:
    with placed(graph) as app:
        for update in app.stream({"goal": "make an omelette"}, {"recursion_limit": 20}, stream_mode="updates"):
            for node, change in update.items():
                print(f"{node:8}", change)


if __name__ == "__main__":
    main()
