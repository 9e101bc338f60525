"""How instances of allow-listed classes are taken apart and rebuilt, without running their constructors."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, Flag
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Final, cast

from fleetgraph.wire.allowlist import is_model
from fleetgraph.wire.kinds import DERIVED, ENUM, MODEL, OBJECT, Build, Plain


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one class travels: as an extension of `code`, holding `[wire name, …]`."""

    code: int
    plain: Plain
    build: Build
    """Takes the items behind the name, as a list."""


class Unsupported(Exception):
    """Instances of a class can't be taken apart and built again, although it is on the allow-list."""


def recipe_for(cls: type[Any], name: str) -> Recipe:
    """How instances of exactly `cls` travel under `name`.

    Raises:
        Unsupported: The class keeps its state where Python code can't reach it.
    """
    if issubclass(cls, Enum):
        return _enum(cls, name)
    if is_model(cls):
        return _model(cls, name)
    for base in cls.__mro__:
        if base in _BASES:
            return _derived(cls, name, base)
    return _object(cls, name)


# --- enums --------------------------------------------------------------------------------------------------


def _enum(cls: type[Enum], name: str) -> Recipe:
    if issubclass(cls, Flag):  # a combination of flags has no name of its own
        flags = cls
        return Recipe(ENUM, lambda value: [name, value._value_], lambda items: flags(items[0]))
    members = cls.__members__
    return Recipe(ENUM, lambda value: [name, value._name_], lambda items: members[items[0]])


# --- plain objects: dataclasses, attrs classes, and what an application writes ------------------------------


def _object(cls: type[Any], name: str) -> Recipe:
    try:
        object.__new__(cls)
    except TypeError as error:
        raise Unsupported(str(error)) from None
    read, fill = _reader(cls), _filler(cls)

    def build(items: list[Any]) -> Any:
        (attributes,) = items
        value = object.__new__(cls)
        fill(value, _is(dict, attributes))
        return value

    return Recipe(OBJECT, lambda value: [name, read(value)], build)


def slots_of(cls: type[Any]) -> dict[str, Any]:
    """The descriptors of what instances of `cls` keep in slots, by attribute name."""
    return {
        attribute: descriptor
        for owner in cls.__mro__
        if "__slots__" in vars(owner)
        for attribute, descriptor in vars(owner).items()
        if isinstance(descriptor, MemberDescriptorType)
    }


def _recomputed(cls: type[Any]) -> frozenset[str]:
    """Attributes that are no state: what cached_property kept, the alias a generic class was called by."""
    cached = (name for owner in cls.__mro__ for name, item in vars(owner).items() if isinstance(item, cached_property))
    return frozenset([*cached, "__orig_class__"])


def _reader(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    slots, skipped = slots_of(cls), _recomputed(cls)

    def from_dict(value: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = getattr(value, "__dict__", None) or {}
        if skipped.isdisjoint(attributes):
            return attributes
        return {name: item for name, item in attributes.items() if name not in skipped}

    def from_slots(value: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        for name, slot in slots.items():
            try:
                attributes[name] = slot.__get__(value)
            except AttributeError:  # the slot is empty: a field with init=False, or a deleted one
                continue
        attributes.update(from_dict(value))
        return attributes

    return from_slots if slots else from_dict


def _filler(cls: type[Any]) -> Callable[[Any, dict[str, Any]], None]:
    slots = slots_of(cls)

    def fill(value: Any, attributes: dict[str, Any]) -> None:
        if not slots:
            if attributes:
                value.__dict__.update(attributes)
            return
        for name, item in attributes.items():
            if name in slots:
                slots[name].__set__(value, item)
            else:
                value.__dict__[name] = item

    return fill


# --- pydantic models ----------------------------------------------------------------------------------------


def _model(cls: type[Any], name: str) -> Recipe:
    skipped = _recomputed(cls)
    undefined = sys.modules["pydantic_core"].PydanticUndefined

    def plain(value: Any) -> list[Any]:
        fields: dict[str, Any] = value.__dict__
        if not skipped.isdisjoint(fields):
            fields = {key: item for key, item in fields.items() if key not in skipped}
        private = value.__pydantic_private__
        if private:
            private = {key: item for key, item in private.items() if item is not undefined}
        return [name, fields, list(value.__pydantic_fields_set__), value.__pydantic_extra__, private]

    def build(items: list[Any]) -> Any:
        fields, fields_set, extra, private = items
        value = object.__new__(cls)
        put = object.__setattr__  # as pydantic itself does: frozen models allow nothing else
        put(value, "__dict__", fields)
        put(value, "__pydantic_fields_set__", set(_is(list, fields_set)))
        put(value, "__pydantic_extra__", extra if extra is None else _is(dict, extra))
        put(value, "__pydantic_private__", private if private is None else _is(dict, private))
        return value

    return Recipe(MODEL, plain, build)


# --- subclasses of built-in types, named tuples among them --------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Base:
    """How the part of a value that a built-in base class holds is read, past what the subclass overrides."""

    read: Callable[[Any], Any]
    plain: type[Any]
    """What `read` returns, and the only thing to build from."""
    fill: Callable[[Any, Any], object] | None = None
    """Fills a mutable instance; an immutable one is made with its content."""


# Without types: what these methods are applied to has none that a checker knows.
_list, _dict, _set, _ordered = cast("tuple[Any, Any, Any, Any]", (list, dict, set, OrderedDict))


def _fill_ordered(value: Any, content: dict[Any, Any]) -> None:
    for key, item in content.items():
        _ordered.__setitem__(value, key, item)


def _items_of(base: Any) -> Callable[[Any], Any]:
    iterate = base.__iter__
    return lambda value: list(iterate(value))


_BASES: Final[Mapping[type[Any], _Base]] = {
    str: _Base(str.__str__, str),
    int: _Base(int.__int__, int),
    float: _Base(float.__float__, float),
    bytes: _Base(lambda value: b"".join((value,)), bytes),
    tuple: _Base(_items_of(tuple), list),
    frozenset: _Base(_items_of(frozenset), list),
    list: _Base(_list.copy, list, _list.extend),
    set: _Base(_items_of(set), list, _set.update),
    OrderedDict: _Base(lambda value: dict(_ordered.items(value)), dict, _fill_ordered),
    dict: _Base(_dict.copy, dict, _dict.update),
}


def _derived(cls: type[Any], name: str, base: Any) -> Recipe:
    if issubclass(cls, defaultdict):
        raise Unsupported("a subclass of defaultdict; send a dict")
    how, new, read, fill = _BASES[base], base.__new__, _reader(cls), _filler(cls)
    length = len(cast(Any, cls)._fields) if base is tuple and hasattr(cls, "_fields") else None

    def plain(value: Any) -> list[Any]:
        return [name, how.read(value), read(value) or None]

    def build(items: list[Any]) -> Any:
        content, attributes = items
        _is(how.plain, content)
        if length is not None and len(content) != length:
            raise ValueError(f"{name} has {length} fields, not {len(content)}")
        if how.fill is None:
            value = new(cls, content)
        else:
            value = new(cls)
            how.fill(value, content)
        if attributes is not None:
            fill(value, _is(dict, attributes))
        return value

    return Recipe(DERIVED, plain, build)


def _is(shape: type[Any], plain: Any) -> Any:
    if type(plain) is not shape:
        raise TypeError(f"expected {shape.__name__}, got {type(plain).__name__}")
    return plain
