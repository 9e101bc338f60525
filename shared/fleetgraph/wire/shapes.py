"""Messages as arrays: the wire version first, then the fields of the dataclass in their order.

What a field's annotation says is checked when a message arrives, unless it is `Any` or a choice of types.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, Union, cast

from fleetgraph.errors import DecodeError
from fleetgraph.wire.messages import WIRE_VERSION

MessageT = TypeVar("MessageT")
_Convert = Callable[[Any], Any]


class Mismatch(Exception):
    """A part of a message is not what the field's annotation says."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How what one annotation describes travels."""

    types: frozenset[type[Any]] | None = None
    """Its types on the wire, exactly; None for any."""
    down: _Convert | None = None
    """Makes it ready for the wire; None if it is."""
    up: _Convert | None = None
    """Makes it what it was, from a value of one of `types`; None if it is. Raises `Mismatch`."""


def message_to_array(message: Any) -> list[Any]:
    """The array that `message`, an instance of a dataclass, travels as."""
    cls = cast("type[Any]", type(message))
    return [WIRE_VERSION, *_fields(cls)[0](message)]


def message_from_array(cls: type[MessageT], array: Any) -> MessageT:
    """The message of class `cls` in `array`.

    Raises:
        DecodeError: The array is of another wire version, or not such a message.
    """
    if not isinstance(array, list) or not array:
        raise DecodeError(f"expected {cls.__name__}, got {_described(array)}.")
    version, *items = cast("list[Any]", array)
    if type(version) is not int:
        raise DecodeError(f"expected {cls.__name__}, got an array that does not start with a wire version.")
    if version != WIRE_VERSION:
        raise DecodeError(
            f"{cls.__name__} of wire version {version} came to a process that speaks version "
            f"{WIRE_VERSION}. Run the same version of Fleetgraph on both sides."
        )
    try:
        return _fields(cls)[1](items)
    except Mismatch as error:
        raise DecodeError(f"{cls.__name__} of another shape: {error}.") from None


def is_array(value: Any, *kinds: Any) -> bool:
    """Whether a value is an array of one item for each of these types, and of it."""
    if type(value) is not list or len(cast("list[Any]", value)) != len(kinds):
        return False
    return all(map(isinstance, cast("list[Any]", value), kinds))


@cache
def _fields(cls: type[Any]) -> tuple[_Convert, _Convert]:
    """Makes an instance of a dataclass the array of its fields; makes such an array an instance."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    down, up = _row([_shape(hints[name]) for name in names], cls.__name__, names)
    read = attrgetter(*names)
    return lambda message: down(read(message)), lambda array: cls(*up(array))


def _row(shapes: list[_Shape], whole: str, names: Sequence[object]) -> tuple[_Convert, _Convert]:
    """Conversions of an array that has one item for each of `shapes`."""
    downs = [(index, shape.down) for index, shape in enumerate(shapes) if shape.down]
    ups = [(index, shape.up) for index, shape in enumerate(shapes) if shape.up]
    expected = {index: shape.types for index, shape in enumerate(shapes) if shape.types is not None}
    accepted: set[tuple[Any, ...]] = set()
    """Combinations of types that passed the check: one look at it is cheaper than one at every item."""

    def check(items: list[Any]) -> None:
        kinds: tuple[Any, ...] = tuple([type(items[index]) for index in expected])
        if kinds in accepted:
            return
        for index, types_ in expected.items():
            if type(items[index]) not in types_:
                raise Mismatch(f"{names[index]}: {_wanted(types_)}, got {_described(items[index])}")
        accepted.add(kinds)

    def down(row: Any) -> list[Any]:
        items = list(row)
        for index, convert in downs:
            items[index] = convert(items[index])
        return items

    def up(array: Any) -> list[Any]:
        if type(array) is not list or len(cast("list[Any]", array)) != len(shapes):
            raise Mismatch(f"{whole} is an array of {len(shapes)}, got {_described(array)}")
        items = cast("list[Any]", array)
        check(items)
        for index, convert in ups:
            try:
                items[index] = convert(items[index])
            except Mismatch as error:
                raise Mismatch(f"{names[index]}: {error}") from None
        return items

    return down, up


def _shape(hint: Any) -> _Shape:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _Shape()
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return _optional(_shape(inner[0])) if len(inner) == 1 else _Shape()
    if origin is tuple and arguments[-1] is not ...:
        down, up = _row([_shape(argument) for argument in arguments], "a row", range(len(arguments)))
        return _Shape(_LIST, down, lambda array: tuple(up(array)))
    if origin is tuple:
        return _sequence(_shape(arguments[0]), tuple)
    if origin is list:
        return _sequence(_shape(arguments[0]), list)
    if origin in (Mapping, dict):
        return _Shape(frozenset([dict]), _as_dict)
    if is_dataclass(hint):
        return _Shape(_LIST, *_fields(cast("type[Any]", hint)))
    if hint in (str, int, bool, float, bytes):
        return _Shape(frozenset([hint]))
    return _Shape(None, None, _instance_of(hint))


_LIST = frozenset([list])


def _as_dict(mapping: Any) -> Any:
    return cast("dict[Any, Any]", mapping) if type(mapping) is dict else dict(mapping)


def _optional(shape: _Shape) -> _Shape:
    def unless_none(convert: _Convert | None) -> _Convert | None:
        return convert and (lambda item: None if item is None else convert(item))

    kinds = None if shape.types is None else shape.types | {type(None)}
    return _Shape(kinds, unless_none(shape.down), unless_none(shape.up))


def _sequence(item: _Shape, kind: type[Any]) -> _Shape:
    down, up, types_ = item.down, item.up, item.types

    def convert_all(array: Any) -> Any:
        if types_ is not None and not types_.issuperset(map(type, array)):
            raise Mismatch(f"{_wanted(types_)}, got another")
        return kind(array if up is None else map(up, array))

    return _Shape(_LIST, list if down is None else lambda items: list(map(down, items)), convert_all)


def _instance_of(cls: type[Any]) -> _Convert:
    def check(item: Any) -> Any:
        if not isinstance(item, cls):
            raise Mismatch(f"expected {cls.__name__}, got {_described(item)}")
        return item

    return check


def _wanted(kinds: frozenset[type[Any]]) -> str:
    return f"expected {' or '.join(sorted(kind.__name__ for kind in kinds))}"


def _described(item: Any) -> str:
    if isinstance(item, list):
        return f"an array of {len(cast('list[Any]', item))}"
    return type(item).__name__
