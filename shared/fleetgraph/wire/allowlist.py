"""Which classes may be built from bytes: the process-wide list, those always on it, those a schema names.

A class is on the list itself; its subclasses are not, as nothing is known about them when the list is made.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, cast

from fleetgraph.wire.names import wire_name

ClassT = TypeVar("ClassT", bound=type)

TRUSTED: Final = (
    "fleetgraph.types",
    "fleetgraph.messages",
    "langchain_core.messages",
    "langchain_core.messages.base",
    "langchain_core.documents",
)
"""Modules whose classes are always on the list, under the name of the first one here that exports them."""

_registry: dict[str, type[Any]] = {}


def allow(cls: ClassT) -> ClassT:
    """Let `cls` travel between processes, in every codec of this one; usable as a decorator.

    For classes that no state schema names: subclasses of those that are named, payloads of `custom` events.
    They can be dataclasses, pydantic models, enums, named tuples, and plain classes, which are rebuilt from
    their attributes without calling `__init__`.

    Raises:
        TypeError: `cls` is not a class.
    """
    _registry[checked_name(cls)] = cls
    return cls


def checked_name(cls: Any) -> str:
    """The wire name of `cls`; TypeError when it is not a class."""
    if not isinstance(cls, type) or typing.get_origin(cls) is not None:
        raise TypeError(f"only a class can be allowed to travel between processes, not {cls!r}")
    return wire_name(cls)


def registered(name: str) -> type[Any] | None:
    """The class that `allow` was given under a wire name."""
    return _registry.get(name)


def trusted_name(cls: type[Any]) -> str | None:
    """The wire name of a class of a trusted module; None for any other class. Imports nothing."""
    for module in TRUSTED:
        if _inside(cls, module) and getattr(sys.modules.get(module), cls.__name__, None) is cls:
            return f"{module}:{cls.__name__}"
    return None


def trusted_class(name: str) -> type[Any] | None:
    """The class of a trusted module that `trusted_name` names so; None when it is none or not installed."""
    module, _, attribute = name.partition(":")
    if module not in TRUSTED:
        return None
    try:
        cls = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    if not isinstance(cls, type):
        return None
    found = cast("type[Any]", cls)
    return found if _inside(found, module) else None


def _inside(cls: type[Any], module: str) -> bool:
    return cls.__module__ == module or cls.__module__.startswith(f"{module}.")


def collect_types(*roots: Any) -> set[type[Any]]:
    """The dataclasses, pydantic models, enums, named tuples and attrs classes that type hints mention.

    `roots` are classes and hints; what the fields of a class mention counts as well, however deep. Only the
    classes themselves: a subclass that a field may hold has to be allowed by name. A hint that can't be
    resolved, such as one imported for type checkers only, mentions nothing.
    """
    found: set[type[Any]] = set()
    seen: dict[int, Any] = {}  # by identity: hints need not be hashable
    todo = list(roots)
    while todo:
        hint = todo.pop()
        if id(hint) in seen:
            continue
        seen[id(hint)] = hint
        if isinstance(hint, type) and typing.get_origin(hint) is None:
            if can_be_named(hint):
                found.add(hint)
            todo += _field_hints(hint)
        else:
            todo += _mentioned(hint)
    return found


def _mentioned(hint: Any) -> Iterator[Any]:
    origin = typing.get_origin(hint)
    if origin in (Literal, ClassVar):
        return
    if origin is Annotated:
        yield hint.__origin__
        return
    if origin is not None:
        yield origin
    for argument in typing.get_args(hint):
        yield from cast("list[Any]", argument) if isinstance(argument, list) else [argument]
    if isinstance(hint, TypeVar):
        yield from (hint.__bound__, *hint.__constraints__)
    # NewType keeps its type in one attribute, a `type` statement's alias (3.12) in another.
    yield from (getattr(hint, name) for name in ("__supertype__", "__value__") if hasattr(hint, name))


def can_be_named(cls: type[Any]) -> bool:
    """Whether naming `cls` in a schema puts it on the allow-list."""
    if issubclass(cls, Enum):
        return cls.__module__ != "enum"
    is_named_tuple = tuple in cls.__mro__ and hasattr(cls, "_fields")
    return is_dataclass(cls) or is_model(cls) or is_named_tuple or hasattr(cls, "__attrs_attrs__")


def is_model(cls: type[Any]) -> bool:
    """Whether `cls` is a pydantic model. Imports nothing."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(cls, base) and cls is not base


def _field_hints(cls: type[Any]) -> Iterator[Any]:
    if is_model(cls):
        yield from (field.annotation for field in cast(Any, cls).model_fields.values())
    # Generic models and dataclasses name their arguments in their bases: `class Orders(Page[Order])`.
    yield from cls.__dict__.get("__orig_bases__", ())
    for owner in cls.__mro__:
        if owner.__module__ not in ("builtins", "typing", "enum", "pydantic.main"):
            yield from _own_hints(owner)


def _own_hints(cls: type[Any]) -> Iterator[Any]:
    module = sys.modules.get(cls.__module__)
    names = dict(vars(module)) if module else {}
    try:
        annotations = inspect.get_annotations(cls)
    except Exception:  # Python 3.14 evaluates them here, and they may raise anything
        return
    for name, annotation in annotations.items():
        # One by one, as an annotation that can't be resolved would take the others with it.
        one: Any = SimpleNamespace(__annotations__={name: annotation})
        try:
            yield from typing.get_type_hints(one, names, dict(vars(cls))).values()
        except Exception:  # evaluating it may raise anything
            continue
