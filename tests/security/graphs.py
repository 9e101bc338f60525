"""What the processes of the security tests run. A process reaches Redis by the URL in `DATA`, as its own user."""

from __future__ import annotations

import operator
import os
from typing import Annotated, Any, TypedDict

from fleetgraph.cache.redis import RedisCache
from fleetgraph.checkpoint.redis import RedisSaver
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.runtime import Runtime
from fleetgraph.store.redis import RedisStore
from fleetgraph.types import CachePolicy, StreamWriter, interrupt
from tests.fleet import gates

DATA = "FLEETGRAPH_TEST_DATA"
"""Environment variable: where savers, stores and caches are."""

_url = os.environ.get(DATA, "redis://127.0.0.1:1/0")
saver: RedisSaver = RedisSaver(_url)


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def say(name: str) -> Any:
    def node(state: Log, writer: StreamWriter) -> dict[str, Any]:
        writer(f"{name} speaks")
        return {"log": [name]}

    return node


# --- a graph in a graph, and a question ------------------------------------------------------------------------------


def ask(state: Log) -> dict[str, Any]:
    return {"log": [f"answer: {interrupt('what now?')}"]}


_inner = (
    StateGraph(Log)
    .add_node("deep", say("deep"))
    .add_node(ask)
    .add_edge(START, "deep")
    .add_edge("deep", "ask")
    .compile()
)
asking = (
    StateGraph(Log)
    .add_node("top", say("top"))
    .add_node("inner", _inner)
    .add_edge(START, "top")
    .add_edge("top", "inner")
    .compile(saver)
)


plain = StateGraph(Log).add_node("alone", say("alone")).add_edge(START, "alone").compile()


def fail(state: Log) -> dict[str, Any]:
    raise ValueError("no such luck")


failing = StateGraph(Log).add_node(fail).add_edge(START, "fail").compile()


# --- functions -------------------------------------------------------------------------------------------------------


@task
def double(number: int) -> int:
    return 2 * number


@entrypoint(saver)
def doubling(numbers: list[int]) -> list[int]:
    return [future.result() for future in [double(number) for number in numbers]]


# --- a store and a cache ---------------------------------------------------------------------------------------------


def remember(state: Log, runtime: Runtime[None]) -> dict[str, Any]:
    assert runtime.store is not None
    runtime.store.put(("notes",), "last", {"log": state["log"]})
    found = runtime.store.get(("notes",), "last")
    assert found is not None
    return {"log": [f"remembers {len(found.value['log'])}"]}


def compute(state: Log) -> dict[str, Any]:
    return {"log": ["computed"]}


keeping = (
    StateGraph(Log)
    .add_node(remember)
    .add_node(compute, cache_policy=CachePolicy(ttl=60))
    .add_edge(START, "remember")
    .add_edge("remember", "compute")
    .compile(store=RedisStore(_url), cache=RedisCache(_url))
)


# --- one that takes its time -----------------------------------------------------------------------------------------


class Held(TypedDict):
    key: str


def hold(state: Held) -> None:
    gates.arrive(state["key"])
    gates.wait(state["key"])


holding = StateGraph(Held).add_node(hold).add_edge(START, "hold").compile()

NAMES = [f"{__name__}:{name}" for name in ("asking", "plain", "failing", "doubling", "keeping", "holding")]
