"""From a state schema (TypedDict, dataclass, pydantic model, or one annotated type) to channels."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.channels.binop import BinaryOperatorAggregate
from fleetgraph.channels.values import LastValue
from fleetgraph.managed import ManagedValue, managed_of
from fleetgraph.pregel.updates import ROOT, is_pydantic


@dataclasses.dataclass(slots=True)
class Schema:
    """The channels and managed values that a schema's keys stand for, in order."""

    channels: dict[str, BaseChannel]
    managed: dict[str, type[ManagedValue]]


def read_schema(schema: Any) -> Schema:
    """The channels of a schema.

    Raises:
        ValueError: A reducer does not take two positional arguments.
    """
    if not hasattr(schema, "__annotations__"):
        return Schema({ROOT: _channel(ROOT, schema)}, {})
    channels: dict[str, BaseChannel] = {}
    managed: dict[str, type[ManagedValue]] = {}
    for name, annotation in get_type_hints(schema, include_extras=True).items():
        if name == "__slots__":
            continue
        if value := managed_of(annotation):
            managed[name] = value
        else:
            channels[name] = _channel(name, annotation)
    return Schema(channels, managed)


def _channel(name: str, annotation: Any) -> BaseChannel:
    while get_origin(annotation) in (Required, NotRequired):
        annotation = get_args(annotation)[0]
    metadata = getattr(annotation, "__metadata__", ())
    for item in metadata:
        if isinstance(item, BaseChannel):
            channel = item.from_checkpoint(MISSING)
            channel.key = name
            return channel
        if inspect.isclass(item) and issubclass(item, BaseChannel):
            channel = item(annotation.__origin__)
            channel.key = name
            return channel
    if metadata and callable(metadata[-1]):
        _check_reducer(metadata[-1])
        return BinaryOperatorAggregate(annotation, metadata[-1], key=name)
    return LastValue(annotation, key=name)


def _check_reducer(reducer: Callable[..., Any]) -> None:
    signature = inspect.signature(reducer)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if sum(p.kind in positional for p in signature.parameters.values()) != 2:
        raise ValueError(f"Invalid reducer signature. Expected (a, b) -> c. Got {signature}")


def coercion_of(schema: Any) -> Callable[[dict[str, Any]], Any] | None:
    """What turns a mapping of channel values into what a node of this input schema is called with."""
    if is_class_of_state(schema):
        return lambda values: schema(**values)
    return None


def is_class_of_state(schema: Any) -> bool:
    """Whether a schema is a class that nodes get instances of: a dataclass or a pydantic model."""
    return isinstance(schema, type) and (dataclasses.is_dataclass(schema) or is_pydantic(schema))
