"""What graphs are described with, when it is something else than it has to be: errors name the argument."""

from __future__ import annotations

from typing import Any, TypedDict

import langgraph.types
import pytest

from fleetgraph.cache.memory import InMemoryCache
from fleetgraph.checkpoint.memory import InMemorySaver
from fleetgraph.errors import InvalidUpdateError
from fleetgraph.fleet import Fleet
from fleetgraph.func import entrypoint, task
from fleetgraph.graph import START, StateGraph
from fleetgraph.store.memory import InMemoryStore
from fleetgraph.types import CachePolicy, Command, RetryPolicy


class State(TypedDict):
    value: Any


def returning(value: Any) -> StateGraph:
    return StateGraph(State).add_node("node", lambda state: value).add_edge(START, "node")


CLASSES: dict[str, Any] = {"store": InMemoryStore, "cache": InMemoryCache}
POLICIES: list[tuple[str, Any, str]] = [
    ("retry_policy", 3, r"retry_policy=3 is no policy: pass RetryPolicy\(max_attempts=3\)"),
    ("retry_policy", RetryPolicy, r"retry_policy=RetryPolicy is a class: pass an instance of it"),
    ("retry_policy", [RetryPolicy(), 3], "is no policy, nor a sequence of policies"),
    ("retry_policy", langgraph.types.RetryPolicy(), "pass a RetryPolicy of fleetgraph.types"),
    ("cache_policy", CachePolicy, "cache_policy=CachePolicy is a class"),
    ("cache_policy", 60, "cache_policy=60 is no policy: pass a CachePolicy"),
]


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_instead_of_an_instance(name: str) -> None:
    options: dict[str, Any] = {name: CLASSES[name]}
    told = f"{name}={CLASSES[name].__name__} is a class: pass an instance of it, {name}={CLASSES[name].__name__}"
    for make in (returning({}).compile, entrypoint):
        with pytest.raises(TypeError, match=told):
            make(**options)
    options[name] = CLASSES[name]()
    for make in (returning({}).compile, entrypoint):
        make(**options)


@pytest.mark.parametrize("name", ["store", "cache"])
def test_what_is_no_store_and_no_cache(name: str) -> None:
    options: dict[str, Any] = {name: "redis://queue"}
    for make in (returning({}).compile, entrypoint):
        with pytest.raises(TypeError, match=f"{name}='redis://queue' is no {name}: pass an instance of a Base"):
            make(**options)


@pytest.mark.parametrize(("name", "value", "told"), POLICIES)
def test_what_is_no_policy(name: str, value: Any, told: str) -> None:
    options: dict[str, Any] = {name: value}
    for make in (entrypoint, task, StateGraph(State).set_node_defaults):
        with pytest.raises(TypeError, match=told):
            make(**options)
    with pytest.raises(TypeError, match=told):
        StateGraph(State).add_node("node", lambda state: {}, **options)


def test_several_retry_policies() -> None:
    policies = [RetryPolicy(max_attempts=2), RetryPolicy()]
    assert StateGraph(State).add_node("n", lambda state: {}, retry_policy=policies).nodes["n"].retry == tuple(policies)


@pytest.mark.parametrize(
    ("fleet", "told"),
    [
        ("redis://queue:6379/0", r"pass Fleet\('redis://queue:6379/0'\)"),
        (Fleet, "pass a fleetgraph.fleet.Fleet"),
        (None, "pass a fleetgraph.fleet.Fleet"),
    ],
)
def test_on_what_is_no_fleet(fleet: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        returning({}).compile().on(fleet)


FOREIGN = [langgraph.types.Command(update={}), langgraph.types.Send("x", 1), langgraph.types.Overwrite(1)]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda value: type(value).__name__)
def test_what_langgraph_has_under_the_same_name_inside_an_update(foreign: Any) -> None:
    told = f"{type(foreign).__name__} is LangGraph's, of langgraph.types. Import it from fleetgraph.types"
    for update in ({"value": foreign}, Command(update={"value": foreign})):
        with pytest.raises(InvalidUpdateError, match=told):
            returning(update).compile().invoke({"value": 1})
    with pytest.raises(InvalidUpdateError, match=told):
        returning({}).compile(checkpointer=InMemorySaver()).invoke(
            Command(update={"value": foreign}), {"configurable": {"thread_id": "1"}}
        )
