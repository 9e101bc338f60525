"""The JSON schemas of what a graph takes and returns."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from fleetgraph.graph.schema import ROOT, is_pydantic

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph
    from fleetgraph.graph.state import StateGraph


def input_json_schema(graph: CompiledGraph) -> dict[str, Any]:
    """The JSON schema of a graph's input.

    Raises:
        ImportError: pydantic, which makes it, is not installed.
        pydantic.PydanticUserError: A field's type has no JSON schema.
    """
    builder = _builder(graph)
    if builder is None:
        return _value_schema(graph, graph.program.input_channel, f"{graph.name}Input")
    return _state_schema(builder, builder.input_schema, f"{graph.name}Input")


def output_json_schema(graph: CompiledGraph) -> dict[str, Any]:
    """The JSON schema of what a graph returns; raises what `input_json_schema` raises."""
    builder = _builder(graph)
    if builder is None:
        return _value_schema(graph, cast("str", graph.program.output_keys), f"{graph.name}Output")
    return _state_schema(builder, builder.output_schema, f"{graph.name}Output")


def context_json_schema(graph: CompiledGraph) -> dict[str, Any] | None:
    """The JSON schema of the `context` that runs are given; None if the graph takes none.

    Raises:
        ValueError: The context's class is no pydantic model, TypedDict or dataclass.
        ImportError: pydantic, which makes it, is not installed.
        pydantic.PydanticUserError: A field's type has no JSON schema.
    """
    schema: Any = getattr(_builder(graph) or graph, "context_schema", None)
    if schema is None:
        return None
    _require_pydantic()
    if is_pydantic(schema):
        return schema.model_json_schema()
    if _is_typed_dict(schema) or dataclasses.is_dataclass(schema):
        return _adapted(schema)
    raise ValueError(f"Invalid context schema type: {schema}. Must be a BaseModel, TypedDict or dataclass.")


def _builder(graph: CompiledGraph) -> StateGraph | None:
    """What describes the graph's state; None for an entrypoint, which takes and returns plain values."""
    return getattr(graph, "builder", None)


def _value_schema(graph: CompiledGraph, channel: str, name: str) -> dict[str, Any]:
    _require_pydantic()
    kind: Any = graph.program.channels[channel].typ
    return kind.model_json_schema() if is_pydantic(kind) else _adapted(kind) | {"title": name}


def _state_schema(builder: StateGraph, schema: Any, name: str) -> dict[str, Any]:
    _require_pydantic()
    if is_pydantic(schema):
        return schema.model_json_schema()
    if _is_typed_dict(schema):
        return _adapted(schema)
    import pydantic

    hints: dict[str, Any] = {key: builder.channels[key].typ for key in builder.schemas[schema].channels}
    create = cast("Callable[..., type[pydantic.BaseModel]]", pydantic.create_model)
    if list(hints) == [ROOT]:
        root = _modern(hints[ROOT])
        return create(name, __base__=cast("Any", pydantic.RootModel)[root], root=(root, None)).model_json_schema()
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    defaults = _defaults(schema)
    fields = {key: (_modern(hint), defaults.get(key, ...)) for key, hint in hints.items()}
    return create(name, __config__=config, **fields).model_json_schema()


def _require_pydantic() -> None:
    if importlib.util.find_spec("pydantic") is None:
        raise ImportError("JSON schemas are made by pydantic, which is not installed: pip install pydantic")


def _defaults(schema: Any) -> dict[str, Any]:
    """The default of each field of a dataclass that has one."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(schema) if dataclasses.is_dataclass(schema) else ():
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def _is_typed_dict(schema: Any) -> bool:
    """Whether it is a TypedDict, of typing or of typing_extensions."""
    return isinstance(schema, type) and issubclass(cast("type[object]", schema), dict) and hasattr(schema, "__total__")


def _adapted(schema: Any) -> dict[str, Any]:
    import pydantic

    return pydantic.TypeAdapter(_modern(schema)).json_schema()


def _modern(hint: Any) -> Any:
    """`hint` with every `typing.TypedDict` in it made anew by typing_extensions.

    pydantic refuses those of `typing` before Python 3.12, as they don't tell which keys are required.
    """
    return hint if sys.version_info >= (3, 12) else _modernised(hint, {})


def _modernised(hint: Any, made: dict[Any, Any]) -> Any:
    if _is_typed_dict(hint):
        return _modern_typed_dict(hint, made)
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if not args or origin is typing.Literal:
        return hint
    if origin is typing.Annotated:
        return typing.Annotated[(_modernised(args[0], made), *hint.__metadata__)]
    changed: tuple[Any, ...] = tuple(_modernised(arg, made) for arg in args)
    if changed == args:
        return hint
    if origin is types.UnionType:
        return cast("Any", typing.Union)[changed]
    return hint.copy_with(changed) if hasattr(hint, "copy_with") else origin[changed]


def _modern_typed_dict(hint: Any, made: dict[Any, Any]) -> Any:
    import typing_extensions

    if hint in made or type(hint).__module__ == "typing_extensions":
        return made.get(hint, hint)
    made[hint] = hint  # one that contains itself is left as it is, for pydantic to tell about
    fields: Mapping[str, Any] = {
        key: _modernised(of_key, made)
        if key in hint.__required_keys__
        else typing.NotRequired[_modernised(of_key, made)]
        for key, of_key in typing.get_type_hints(hint, include_extras=True).items()
    }
    ours = cast("Any", typing_extensions.TypedDict)(hint.__name__, fields)
    ours.__doc__ = hint.__doc__
    ours.__module__ = hint.__module__
    made[hint] = ours
    return ours
