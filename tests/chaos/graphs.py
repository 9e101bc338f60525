"""The graphs of the chaos run: whatever happens to the processes that run them, they must come to the same end.

Where a coordinator or a worker loads them, threads are kept in the Redis that `FLEETGRAPH_CHAOS_REDIS` names; elsewhere
in memory, and nothing takes time.
"""

from __future__ import annotations

import asyncio
import operator
import os
import random
import time
from typing import Annotated, Any, TypedDict

from fleetgraph.checkpoint.base import BaseCheckpointSaver
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.config import get_stream_writer
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import END, START, StateGraph
from fleetgraph.types import Command, RetryPolicy, Send, interrupt
from tests.chaos.ledger import execution

REDIS = "FLEETGRAPH_CHAOS_REDIS"
QUICK_SECONDS = 0.15
LONG_SECONDS = 5.0
"""Longer than a lease."""
LONG_ONES = 0.02
"""The part of the nodes that take long."""


def _saver() -> BaseCheckpointSaver:
    if REDIS not in os.environ:
        return InMemorySaver()
    return RedisSaver(os.environ[REDIS])


saver = _saver()


def _seconds(*what: Any) -> float:
    """How long a node works."""
    if REDIS not in os.environ:
        return 0.0
    drawn = random.Random(repr(what))
    return LONG_SECONDS if drawn.random() < LONG_ONES else drawn.uniform(0, QUICK_SECONDS)


def work(*what: Any) -> None:
    time.sleep(_seconds(*what))


class State(TypedDict):
    seed: int
    log: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]


class Item(TypedDict):
    seed: int
    number: int


def add(text: str, number: int = 1) -> dict[str, Any]:
    return {"log": [text], "total": number}


def plan(state: State) -> dict[str, Any]:
    with execution():
        return add("planned")


def spread(state: State) -> list[Send]:
    return [Send("item", {"seed": state["seed"], "number": number}) for number in range(2 + state["seed"] % 7)]


def item(item: Item) -> dict[str, Any]:
    with execution():
        write = get_stream_writer()
        for step in range(3):
            write({"item": item["number"], "step": step})
            work(item, step)
        return add(f"item {item['number']}", item["number"])


def gather(state: State) -> dict[str, Any]:
    with execution():
        return add(f"gathered {state['total']} of {len(state['log'])}")


fan_builder = (
    StateGraph(State)
    .add_node(plan)
    .add_node(item)
    .add_node(gather)
    .add_edge(START, "plan")
    .add_conditional_edges("plan", spread, ["item"])
    .add_edge("item", "gather")
)
fan = fan_builder.compile()


def before(state: State) -> dict[str, Any]:
    with execution():
        work("before", state["seed"])
        return add("before", state["seed"])


def after(state: State) -> dict[str, Any]:
    with execution():
        work("after", state["seed"])
        return add(f"after {state['total']}")


class Inner(TypedDict):
    seed: int
    log: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]
    seen: Annotated[list[str], operator.add]


def left(state: Inner) -> dict[str, Any]:
    with execution():
        work("left", state["seed"])
        return {**add("left"), "seen": ["left"]}


async def right(state: Inner) -> dict[str, Any]:
    with execution():
        await asyncio.sleep(_seconds("right", state["seed"]))
        return {**add("right"), "seen": ["right"]}


def join(state: Inner) -> dict[str, Any]:
    with execution():
        return add(f"joined {'+'.join(state['seen'])}")


innermost = (
    StateGraph(Inner)
    .add_node(left)
    .add_node(right)
    .add_node(join)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .add_edge(["left", "right"], "join")
    .compile()
)


class Middle(TypedDict):
    seed: int
    log: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]


def middle_first(state: Middle) -> dict[str, Any]:
    with execution():
        return add("middle")


middle = (
    StateGraph(Middle)
    .add_node("first", middle_first)
    .add_node("innermost", innermost)
    .add_edge(START, "first")
    .add_edge("first", "innermost")
    .compile()
)

nested = (
    StateGraph(State)
    .add_node(before)
    .add_node("middle", middle)
    .add_node(after)
    .add_edge(START, "before")
    .add_edge("before", "middle")
    .add_edge("middle", "after")
    .compile()
)


class NotYet(Exception):
    """What a node raises at its first tries."""


def stubborn(state: State) -> dict[str, Any]:
    with execution() as attempt:
        work("stubborn", state["seed"], attempt)
        if attempt <= 1 + state["seed"] % 2:
            raise NotYet(f"try {attempt}")
        return add(f"done at try {attempt}")


def lenient(state: State) -> dict[str, Any]:
    with execution():
        work("lenient", state["seed"])
        return add("lenient")


RETRY = RetryPolicy(initial_interval=0.05, jitter=False, max_attempts=4, retry_on=NotYet)

retrying = (
    StateGraph(State)
    .add_node(stubborn, retry_policy=RETRY)
    .add_node(lenient)
    .add_node(after)
    .add_edge(START, "stubborn")
    .add_edge(START, "lenient")
    .add_edge(["stubborn", "lenient"], "after")
    .compile()
)


def ask(state: State) -> dict[str, Any]:
    with execution():
        first = interrupt({"question": "first", "seed": state["seed"]})
        second = interrupt("second")
        return add(f"{first} and {second}")


asking = (
    StateGraph(State)
    .add_node(before)
    .add_node(ask)
    .add_node(after)
    .add_edge(START, "before")
    .add_edge("before", "ask")
    .add_edge("ask", "after")
    .compile(saver)
)


def around(state: State) -> Command[Any]:
    with execution():
        work("around", state["seed"], state["total"])
        goto = "around" if state["total"] < 10 + state["seed"] % 10 else END
        return Command(update=add(f"round {state['total']}"), goto=goto)


looping = StateGraph(State).add_node(around).add_edge(START, "around").compile()


def hear(state: State) -> dict[str, Any]:
    with execution():
        work("hear", state["seed"], state["total"])
        return add(f"heard {state['seed']} as number {len(state['log'])}", state["seed"])


def reply(state: State) -> dict[str, Any]:
    with execution():
        return add(f"reply {state['total']}", 0)


talk = StateGraph(State).add_node(hear).add_node(reply).add_edge(START, "hear").add_edge("hear", "reply").compile(saver)


def chatter(state: State) -> dict[str, Any]:
    with execution():
        write = get_stream_writer()
        for word in range(60):
            write(word)
        work("chatter", state["seed"])
        return add("chattered")


async def achatter(state: State) -> dict[str, Any]:
    with execution():
        write = get_stream_writer()
        for word in range(60):
            write({"word": word})
            await asyncio.sleep(_seconds("achatter", state["seed"]) / 60)
        return add("chattered too")


chatting = (
    StateGraph(State)
    .add_node(chatter)
    .add_node(achatter)
    .add_node(after)
    .add_edge(START, "chatter")
    .add_edge(START, "achatter")
    .add_edge(["chatter", "achatter"], "after")
    .compile()
)


@task
def double(number: int) -> int:
    with execution():
        work("double", number)
        return 2 * number


@task(retry_policy=RETRY)
def double_late(number: int) -> int:
    with execution() as attempt:
        if attempt == 1:
            raise NotYet
        return 2 * number


@entrypoint(checkpointer=saver)
def workflow(given: dict[str, Any]) -> dict[str, Any]:
    with execution():
        numbers = [double(given["seed"] + number) for number in range(3)]
        total = sum(future.result() for future in numbers)
        return {"seed": given["seed"], "total": double_late(total).result()}


NAMES = ["fan", "nested", "retrying", "asking", "looping", "talk", "chatting", "workflow"]
REFS = [f"tests.chaos.graphs:{name}" for name in NAMES]
