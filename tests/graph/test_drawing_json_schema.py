"""The JSON schemas of graphs, against LangGraph's."""

from __future__ import annotations

import importlib.util
import operator
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from fleetgraph.drawing import context_json_schema, input_json_schema, output_json_schema
from tests.differential.libraries import library


class Inner(TypedDict):
    a: int


class Dictionary(TypedDict):
    """What it is for."""

    text: str
    parts: Annotated[list[str], operator.add]
    inner: dict[str, Inner] | None
    maybe: NotRequired[int]


class Partial(TypedDict, total=False):
    text: str


@dataclass
class Record:
    text: str
    parts: Annotated[list[int], operator.add] = field(default_factory=list[int])
    maybe: int | None = None
    number: int | None = 3
    kind: Literal["a", "b"] = "a"


class Model(BaseModel):
    text: str = Field(description="the text")
    number: int = 1


def compiled(name: str, state: Any, **schemas: Any) -> Any:
    lib = library(name)  # type: ignore[arg-type]
    graph = lib.StateGraph(state, **schemas).add_node("a", lambda state: {}).add_edge(lib.START, "a")
    return graph.compile(name="Mine")


SCHEMAS: list[Any] = [Dictionary, Partial, Record, Model, Annotated[list[int], operator.add]]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_states_have_langgraphs_schemas(schema: Any) -> None:
    ours, theirs = compiled("fleetgraph", schema), compiled("langgraph", schema)

    assert input_json_schema(ours) == theirs.get_input_jsonschema()
    assert output_json_schema(ours) == theirs.get_output_jsonschema()


def test_input_and_output_have_schemas_of_their_own() -> None:
    schemas = {"input_schema": Model, "output_schema": Partial}
    ours, theirs = compiled("fleetgraph", Dictionary, **schemas), compiled("langgraph", Dictionary, **schemas)

    assert input_json_schema(ours) == theirs.get_input_jsonschema() == Model.model_json_schema()
    assert output_json_schema(ours) == theirs.get_output_jsonschema()


@pytest.mark.parametrize("schema", [Dictionary, Record, Model, None], ids=str)
def test_contexts_have_langgraphs_schemas(schema: Any) -> None:
    ours, theirs = (compiled(name, Model, context_schema=schema) for name in ("fleetgraph", "langgraph"))

    assert context_json_schema(ours) == theirs.get_context_jsonschema()


def test_a_context_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Must be a BaseModel, TypedDict or dataclass"):
        context_json_schema(compiled("fleetgraph", Model, context_schema=int))


OldInner = typing.TypedDict("Inner", {"a": int})  # noqa: UP013 (the classes below tell how it is to look)


class OldDictionary(typing.TypedDict):
    """What it is for."""

    text: str
    parts: Annotated[list[str], operator.add]
    inner: dict[str, OldInner] | None
    maybe: NotRequired[int]


@pytest.mark.parametrize("schema_of", [input_json_schema, output_json_schema], ids=lambda function: function.__name__)
def test_typed_dicts_of_the_standard_library_will_do(schema_of: Callable[[Any], dict[str, Any]]) -> None:
    """LangGraph can't say, before Python 3.12, where pydantic takes only those of typing_extensions."""
    schema = schema_of(compiled("fleetgraph", OldDictionary))

    assert schema == schema_of(compiled("fleetgraph", Dictionary)) | {"title": "OldDictionary"}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes them as they are")
def test_a_typed_dict_that_contains_itself_is_left_to_pydantic() -> None:
    from pydantic import PydanticUserError

    Nested.__annotations__["inner"] = list[Nested]
    with pytest.raises(PydanticUserError, match=r"typing_extensions\.TypedDict"):
        input_json_schema(compiled("fleetgraph", Nested))


class Nested(typing.TypedDict):
    inner: list[Any]


@pytest.mark.parametrize("schema_of", [input_json_schema, output_json_schema, context_json_schema])
def test_without_pydantic_the_error_says_what_to_install(schema_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled("fleetgraph", Record, context_schema=Record)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ImportError, match="pip install pydantic"):
        schema_of(graph)
