"""What the state may be: typed dicts, dataclasses, pydantic models, and several of them in one graph."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from tests.differential.harness import MODES, Turn, case


class Optional(TypedDict):
    needed: str
    extra: NotRequired[int]
    notes: NotRequired[Annotated[list[str], operator.add]]


@case({"needed": "x"}, {"needed": "y", "extra": 1})
def not_required_keys(lg: Any) -> Any:
    def look(state: Optional) -> dict[str, Any]:
        return {"notes": [f"keys: {sorted(state)}"]}

    def fill(state: Optional) -> dict[str, Any]:
        return {"extra": state.get("extra", 0) + 1}

    return lg.StateGraph(Optional).add_sequence([look, fill, ("look_again", look)]).add_edge(lg.START, "look")


@dataclass
class Point:
    x: int
    y: int = 5
    trail: Annotated[list[str], operator.add] = field(default_factory=lambda: ["default"])
    label: str | None = None


@case({"x": 1}, Point(x=2, label="given"), {"x": 3, "trail": ["t"]})
def dataclass_state(lg: Any) -> Any:
    def move(state: Point) -> dict[str, Any]:
        return {"x": state.x + 1, "trail": [f"{state.x},{state.y},{state.label}"]}

    def name(state: Point) -> Point:
        return Point(x=state.x, y=9, label="named")

    return lg.StateGraph(Point).add_sequence([move, name, ("move_again", move)]).add_edge(lg.START, "move")


@case({"y": 2}, loses=MODES)
def dataclass_missing_field(lg: Any) -> Any:
    def node(state: Point) -> dict[str, Any]:
        return {"x": 1}

    return lg.StateGraph(Point).add_node(node).add_edge(lg.START, "node")


class Person(BaseModel):
    name: str
    age: int = 18
    tags: Annotated[list[str], operator.add] = Field(default_factory=list)

    @field_validator("name")
    @classmethod
    def must_be_short(cls, name: str) -> str:
        if len(name) > 10:
            raise ValueError("name too long")
        return name


def describe(state: Person) -> dict[str, Any]:
    return {"tags": [f"{state.name} is {state.age!r}"]}


@case({"name": "Ann", "age": "12"}, Person(name="Bob"), {"name": "Cid", "age": 3, "tags": ["given"]})
def pydantic_state(lg: Any) -> Any:
    """Nodes get coerced values, the state keeps the raw ones."""

    def older(state: Person) -> dict[str, Any]:
        return {"age": state.age + 1}

    return (
        lg.StateGraph(Person)
        .add_sequence([describe, older, ("describe_again", describe)])
        .add_edge(lg.START, "describe")
    )


@case(
    *(
        Turn(given, config={"configurable": {"thread_id": str(number)}})
        for number, given in enumerate([{"name": "Ann", "age": "old"}, {"name": "Bartholomew the second"}, {"age": 1}])
    ),
    loses=MODES,
)
def pydantic_bad_input(lg: Any) -> Any:
    """On threads of their own, since LangGraph lets a thread with bad input never recover: that need not be copied."""
    return lg.StateGraph(Person).add_node(describe).add_edge(lg.START, "describe")


@case({"name": "Ann"}, loses=MODES)
def pydantic_bad_value_of_a_node(lg: Any) -> Any:
    """It is the reading node that fails, not the writing one."""

    def breaks(state: Person) -> dict[str, Any]:
        return {"age": "many"}

    return lg.StateGraph(Person).add_sequence([breaks, describe]).add_edge(lg.START, "breaks")


@case({"name": "Ann"})
def pydantic_returns_an_instance(lg: Any) -> Any:
    def whole(state: Person) -> Person:
        return Person(name="Zoe", tags=["x"])

    def partly(state: Person) -> Person:
        return Person(name="Yan", age=4)

    return lg.StateGraph(Person).add_sequence([whole, partly, describe]).add_edge(lg.START, "whole")


class Nested(BaseModel):
    person: Person
    friends: list[Person] = []


@case({"person": {"name": "Ann"}, "friends": [{"name": "Bob", "age": "7"}]}, {"person": Person(name="Cid")})
def pydantic_nested(lg: Any) -> Any:
    def birthday(state: Nested) -> dict[str, Any]:
        return {"person": Person(name=state.person.name, age=state.person.age + 1)}

    def meet(state: Nested) -> dict[str, Any]:
        return {"friends": [*state.friends, state.person]}

    return lg.StateGraph(Nested).add_sequence([birthday, meet]).add_edge(lg.START, "birthday")


class Public(TypedDict):
    items: Annotated[list[str], operator.add]
    shown: str


class Hidden(TypedDict):
    items: list[str]
    secret: str


@case({"items": ["i"]})
def private_key(lg: Any) -> Any:
    """One node writes a key that is in another node's input only; it is in no output."""

    def writes(state: Public) -> dict[str, Any]:
        return {"secret": "s3cret", "items": ["w"]}

    def reads(state: Hidden) -> dict[str, Any]:
        return {"shown": f"{sorted(state)} {state['secret']}"}

    def after(state: Public) -> dict[str, Any]:
        return {"items": [f"sees {sorted(state)}"]}

    return lg.StateGraph(Public).add_sequence([writes, reads, after]).add_edge(lg.START, "writes")


class OnlySecret(TypedDict):
    secret: str


@case({"items": ["i"]})
def node_input_schema(lg: Any) -> Any:
    """The input schema given with the node counts, not its annotation."""

    def writes(state: Public) -> dict[str, Any]:
        return {"secret": "s3cret"}

    def reads(state: Any) -> dict[str, Any]:
        return {"shown": repr(state)}

    return (
        lg.StateGraph(Public)
        .add_node(writes)
        .add_node(reads, input_schema=OnlySecret)
        .add_edge(lg.START, "writes")
        .add_edge("writes", "reads")
    )


class Question(TypedDict):
    question: str


class Answer(TypedDict):
    answer: str


class Both(Question, Answer):
    scratch: Annotated[list[str], operator.add]


@case(
    {"question": "why?"},
    {"question": "how?", "scratch": ["not an input"], "answer": "not one either"},
    Turn({"question": "who?"}, arguments={"output_keys": ["scratch", "answer"]}),
    Turn({"question": "who?"}, arguments={"output_keys": "scratch"}),
)
def input_and_output_schema(lg: Any) -> Any:
    def think(state: Both) -> dict[str, Any]:
        return {"scratch": [f"thinking about {state['question']}"]}

    def answer(state: Both) -> dict[str, Any]:
        return {"answer": f"{len(state['scratch'])} thoughts", "scratch": ["done"]}

    return (
        lg.StateGraph(Both, input_schema=Question, output_schema=Answer)
        .add_sequence([think, answer])
        .add_edge(lg.START, "think")
    )


@case(
    Turn({"question": "q"}, arguments={"output_keys": ["nope"]}),
    Turn({"question": "q"}, arguments={"output_keys": "nope"}),
    Turn({"question": "q"}, arguments={"output_keys": ["question"]}),
    Turn({"question": "q"}, arguments={"output_keys": []}),
)
def output_keys(lg: Any) -> Any:
    def ask(state: Both) -> dict[str, Any]:
        return {"scratch": ["s"]}

    def again(state: Both) -> dict[str, Any]:
        return {"question": "again"}

    return lg.StateGraph(Both).add_sequence([ask, again]).add_edge(lg.START, "ask")


class TypedInput(BaseModel):
    amount: int


@case({"amount": "7"}, {"amount": "x"}, TypedInput(amount=3))
def pydantic_input_of_a_typed_dict(lg: Any) -> Any:
    """Only the graph's input has a model; the nodes see the state's keys."""

    class State(TypedDict):
        amount: int
        seen: Annotated[list[str], operator.add]

    def node(state: State) -> dict[str, Any]:
        return {"seen": [repr(state)]}

    return lg.StateGraph(State, input_schema=TypedInput).add_node(node).add_edge(lg.START, "node")


@case({"n": 1})
def mixed_node_schemas(lg: Any) -> Any:
    """Nodes of one graph read the same keys as a dict, a dataclass and a model."""

    class State(TypedDict):
        n: int
        seen: Annotated[list[str], operator.add]

    def as_dict(state: State) -> dict[str, Any]:
        return {"n": state["n"] + 1, "seen": ["dict"]}

    def as_dataclass(state: AsDataclass) -> dict[str, Any]:
        return {"n": state.n + 1, "seen": [type(state).__name__]}

    def as_model(state: AsModel) -> dict[str, Any]:
        return {"n": state.n + 1, "seen": [type(state).__name__]}

    return lg.StateGraph(State).add_sequence([as_dict, as_dataclass, as_model]).add_edge(lg.START, "as_dict")


@dataclass
class AsDataclass:
    n: int


class AsModel(BaseModel):
    n: int


@case(["i"], [])
def root_state(lg: Any) -> Any:
    """The state is one value, not a mapping of keys."""

    def a(state: Any) -> list[str]:
        return ["a"]

    def b(state: Any) -> list[str]:
        return [f"b sees {state}"]

    return lg.StateGraph(Annotated[list, operator.add]).add_sequence([a, b]).add_edge(lg.START, "a")
