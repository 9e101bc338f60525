"""Asking a human: a run stops at `interrupt`, and goes on with the answers, however much later, in whichever process.

Look at the ids: two payments ask at the same time, so their answers are given by id; the last question is the only one
open, so its answer needs none. The answers that are in are kept: what was approved is not asked again.
"""

import operator
from typing import Annotated, TypedDict

from _fleet import placed

from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.graph import START, StateGraph
from fleetgraph.types import Command, Send, interrupt


class State(TypedDict):
    payments: dict[str, int]
    approved: Annotated[list[str], operator.add]
    sent: list[str]


class Payment(TypedDict):
    to: str
    amount: int


def each_payment(state: State) -> list[Send]:
    return [Send("approve", {"to": to, "amount": amount}) for to, amount in state["payments"].items()]


def approve(payment: Payment) -> dict[str, list[str]]:
    if payment["amount"] < 100:
        return {"approved": [payment["to"]]}
    answer = interrupt(f"Pay {payment['amount']} to {payment['to']}?")
    return {"approved": [payment["to"]] if answer == "yes" else []}


def send(state: State) -> dict[str, list[str]]:
    when = interrupt(f"When shall {' and '.join(state['approved'])} be paid?")
    return {"sent": [f"{to}, {when}" for to in state["approved"]]}


graph = (
    StateGraph(State)
    .add_node(approve)
    .add_node(send)
    .add_conditional_edges(START, each_payment, ["approve"])
    .add_edge("approve", "send")
    .compile(checkpointer=InMemorySaver())
)


def main() -> None:
    thread = {"configurable": {"thread_id": "payments of May"}}
    answers = {"Pay 900 to Mallory?": "no", "Pay 250 to Alice?": "yes"}
    with placed(graph) as app:
        result = app.invoke({"payments": {"Alice": 250, "Bob": 20, "Mallory": 900}}, thread)
        questions = sorted(result["__interrupt__"], key=lambda question: question.value)
        for question in questions:
            print(f"{question.value} {answers[question.value]}")

        result = app.invoke(Command(resume={question.id: answers[question.value] for question in questions}), thread)
        (question,) = result["__interrupt__"]
        print(f"{question.value} on Friday")

        result = app.invoke(Command(resume="on Friday"), thread)
        print(result["sent"])


if __name__ == "__main__":
    main()
