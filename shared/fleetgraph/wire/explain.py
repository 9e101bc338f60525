"""Why a value can't travel: a slow walk, after packing it failed, that finds where in it the fault is."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from fleetgraph.errors import EncodeError
from fleetgraph.wire.allowlist import can_be_named
from fleetgraph.wire.kinds import (
    COUNTER,
    DEFAULT_DICT,
    DEQUE,
    DERIVED,
    EXCEPTION,
    FROZENSET,
    MAX_NESTING,
    MODEL,
    OBJECT,
    ORDERED_DICT,
    SET,
    TUPLE,
    Plain,
    Refusal,
)
from fleetgraph.wire.names import shown_name

RuleFor = Callable[[type[Any]], tuple[int, Plain]]
"""Code and plain form of a type; raises `Refusal` for one that can't travel."""

_DEEPEST: Final = 1024  # levels, as many as msgpack packs: what is deeper has failed for that
_LONGEST_PATH: Final = 200  # characters of a path that are worth reading

_CONTAINERS: Final = (list, dict)  # of msgpack's own
_ATOMS: Final = frozenset([type(None), bool, float, str, bytes])
_FUNCTIONS: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    functools.partial,
    type,
    types.ModuleType,
)
_SOME: Final[dict[Any, Any]] = {}
_FUTURES: Final[tuple[type[Any], ...]] = (asyncio.Future, concurrent.futures.Future)
_VIEWS: Final[tuple[type[Any], ...]] = (
    *(type(_SOME.keys()), type(_SOME.values()), type(_SOME.items())),
    *(map, filter, zip, types.GeneratorType),
)

Children = Iterator[tuple[str, Any]]


def explain(value: Any, where: str, rule_for: RuleFor, error: Exception) -> EncodeError:
    """The error that tells where in `value` packing failed with `error`, and what to do about it."""
    unknown = "$", value, f"Packing failed with {type(error).__name__}: {str(error).rstrip('.')}."
    try:
        path, fault, hint = _find_fault(value, rule_for) or unknown
    except Exception:  # the value changes while it is walked through
        path, fault, hint = unknown
    if len(path) > _LONGEST_PATH:
        path = f"{path[: _LONGEST_PATH // 2]}…{path[-_LONGEST_PATH // 2 :]}"
    kind = cast("type[Any]", type(fault))
    return EncodeError(path, shown_name(kind), where, hint)


def _find_fault(value: Any, rule_for: RuleFor) -> tuple[str, Any, str] | None:
    """Path, value and hint of the first value that can't travel, in the order in which they are packed."""
    sound: set[int] = set()
    open_values: list[Any] = []
    levels: list[Children] = [iter([("$", value)])]
    paths: list[str] = [""]
    extensions = 0
    while levels:
        try:
            step, item = next(levels[-1])
        except StopIteration:
            levels.pop()
            paths.pop()
            if open_values:
                extensions -= type(open_values[-1]) not in _CONTAINERS
                sound.add(id(open_values.pop()))
            continue
        path = paths[-1] + step
        if type(item) in _ATOMS or id(item) in sound:
            continue
        if any(item is other for other in open_values):
            return path, item, "It contains itself; refer to the other object by an id instead."
        extensions += type(item) not in _CONTAINERS
        if len(levels) > _DEEPEST or extensions > MAX_NESTING:
            return path, item, "It is nested too deeply; store a flat form of it."
        try:
            children = _children(item, rule_for)
        except Refusal as refusal:
            return path, item, refusal.hint
        except Exception as error:  # of the application's classes
            return path, item, f"Taking it apart raises {type(error).__name__}: {str(error).rstrip('.')}."
        open_values.append(item)
        levels.append(children)
        paths.append(path)
    return None


def _children(item: Any, rule_for: RuleFor) -> Children:
    kind = cast(Any, type(item))
    if kind is list:
        return _numbered(item)
    if kind is dict:
        return _keyed(item)
    code, plain = rule_for(kind)
    if code == EXCEPTION:  # always travels
        return iter(())
    parts = plain(item)
    match code:
        case c if c in (TUPLE, SET, FROZENSET):
            return _numbered(parts)
        case c if c == DEQUE:
            return _numbered(parts[0])
        case c if c in (ORDERED_DICT, COUNTER):
            return _keyed(parts)
        case c if c == DEFAULT_DICT:
            return _keyed(parts[1])
        case c if c == OBJECT:
            return _named(parts[1])
        case c if c == MODEL:
            return _named({**parts[1], **(parts[3] or {}), **(parts[4] or {})})
        case c if c == DERIVED:
            return _derived(parts[1], parts[2])
        case _:
            return iter(())


def _numbered(items: Iterable[Any]) -> Children:
    return ((f"[{index}]", item) for index, item in enumerate(items))


def _named(attributes: dict[str, Any]) -> Children:
    return ((f".{name}", item) for name, item in attributes.items())


def _keyed(items: dict[Any, Any]) -> Children:
    for index, (key, item) in enumerate(items.items()):
        yield f".keys()[{index}]", key
        yield f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{_short(key)}]", item


def _derived(content: Any, attributes: dict[str, Any] | None) -> Children:
    if isinstance(content, dict):
        yield from _keyed(cast("dict[Any, Any]", content))
    elif isinstance(content, list):
        yield from _numbered(cast("list[Any]", content))
    yield from _named(attributes or {})


def _short(key: Any) -> str:
    try:
        text = repr(key)
    except Exception:  # of the application's classes, and of integers of thousands of digits
        text = f"<{type(key).__qualname__}>"
    return text if len(text) <= 40 else f"{text[:39]}…"


# --- hints --------------------------------------------------------------------------------------------------


def hint_for(cls: type[Any], namesake: type[Any] | None) -> str:
    """What to do about values of `cls`, which is not on the allow-list; `namesake` has its name there."""
    name = cls.__name__
    if namesake is not None:
        return f"Another class of this name is allowed, and this one is not: was {name} defined twice?"
    if issubclass(cls, _FUNCTIONS):
        return "Code never travels: send a name that both sides look up."
    if issubclass(cls, _FUTURES):
        return "A @task's result is a future: await it, or ask for its result(), and send that."
    if issubclass(cls, _VIEWS):
        return "Make it a list first."
    if cls is memoryview:
        return "Make it bytes first: bytes(view)."
    if can_be_named(cls):
        return f"Name it in the graph's state schema, or decorate it: @fleetgraph.wire.allow, or allow({name})."
    for base in (str, bytes, int, float, dict, list, tuple, set, frozenset, deque):
        if issubclass(cls, base):
            return f"Make it a plain {base.__name__} first, or allow the class: fleetgraph.wire.allow({name})."
    return (
        "Send plain data, a dataclass or a pydantic model instead; what holds a lock, a connection or a file "
        "belongs to its process, and is made in the node that uses it."
    )
