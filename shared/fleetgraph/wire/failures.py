"""Exceptions on the wire: taken apart where they were raised, rebuilt with their own type where it is known.

An exception always travels. What of it can't is replaced by its text, and where it can't be rebuilt a
`RemoteNodeError` that names the type and has the message stands in for it.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, cast

from fleetgraph.errors import DecodeError, RemoteNodeError, RemoteTraceback
from fleetgraph.wire.classes import slots_of
from fleetgraph.wire.names import module_name, wire_name

Attempt = Callable[[Any], bytes | None]
"""Packs a value; None when it can't travel."""

_LEVELS_SAVED: Final = 4
"""How deep in an argument that can't travel its parts are sent that can; what is deeper becomes text."""

_LONGEST_TEXT: Final = 1000  # characters of the text of an exception that is too large

_VALIDATION_ERROR: Final = "pydantic_core._pydantic_core:ValidationError"


def dismantle(error: BaseException, attempt: Attempt) -> list[Any]:
    """What of `error` travels: `[type, message, arguments, attributes, notes, traceback]`.

    Arguments and attributes are packed apart, so that a reader that can't make sense of them has the rest.
    """
    arguments, attributes = _content(error)
    notes = attributes.pop("__notes__", None)
    kept = {name: item for name, item in attributes.items() if attempt(item) is not None}
    return [
        wire_name(type(error)),
        _text(error),
        attempt(arguments) or attempt(_presentable(arguments, attempt)),
        attempt(kept),
        [_text(note) for note in cast("list[Any]", notes)] if isinstance(notes, list) else [],
        _traceback(error),
    ]


def rebuild(parts: Any, unpack: Callable[[bytes], Any], find: Callable[[str], type[Any] | None]) -> BaseException:
    """The exception that `dismantle` took apart, with its notes, and its traceback as its cause.

    The class is looked for with `find`, then in the modules this process has imported; none is imported for it. The
    constructor runs only if the exception's text is another without it.

    Raises:
        DecodeError: `parts` is not what `dismantle` makes.
    """
    name, message, packed_arguments, packed_attributes, notes, trace = _checked(parts)
    error = None
    cls = find(name) or _find_class(name)
    if cls is not None and issubclass(cls, BaseException):
        try:
            arguments, attributes = unpack(packed_arguments), unpack(packed_attributes)
        except DecodeError:  # they hold a type this process does not allow; the name and message still arrive
            arguments = attributes = None
        if isinstance(arguments, list) and isinstance(attributes, dict):
            error = _revive(cls, cast("list[Any]", arguments), cast("dict[str, Any]", attributes), message)
    if error is None:
        error = RemoteNodeError(name.removeprefix("builtins:").replace(":", "."), message)
    put = object.__setattr__  # past what a frozen dataclass, for one, does to attributes
    if notes:
        put(error, "__notes__", notes)
    if trace:
        put(error, "__cause__", RemoteTraceback(trace))
    return error


def shortened(error: BaseException, why: str) -> RemoteNodeError:
    """What stands for an exception that is too large to travel: its type, and how its text begins."""
    kind = wire_name(type(error)).removeprefix("builtins:").replace(":", ".")
    return RemoteNodeError(kind, f"{_text(error)[:_LONGEST_TEXT]} … (the rest can't travel. {why})")


# --- taking apart -------------------------------------------------------------------------------------------


def _content(error: BaseException) -> tuple[list[Any], dict[str, Any]]:
    cls = type(error)
    if wire_name(cls) == _VALIDATION_ERROR:
        return _validation_content(error), dict(vars(error))
    # The built-in base knows arguments that `args` lacks, such as OSError's file name.
    reduced = cast(Any, _builtin_base(cls)).__reduce__(error)
    attributes = dict(reduced[2]) if len(reduced) > 2 and reduced[2] else {}
    for name, slot in slots_of(cls).items():
        try:
            attributes[name] = slot.__get__(error)
        except AttributeError:  # an empty slot
            continue
    return list(reduced[1]), attributes


def _builtin_base(cls: type[Any]) -> type[Any]:
    base: type[Any] = cls
    while base.__module__ != "builtins":
        # `__base__` is the one whose layout the instances have, whatever the order of inheritance.
        base = cast(type, base.__base__)
    return base


def _presentable(value: Any, attempt: Attempt, levels: int = _LEVELS_SAVED) -> Any:
    if attempt(value) is not None:
        return value
    if levels and isinstance(value, list | tuple):
        return [_presentable(item, attempt, levels - 1) for item in cast("list[Any]", value)]
    if levels and isinstance(value, dict):
        return {
            _presentable(key, attempt, 0): _presentable(item, attempt, levels - 1)
            for key, item in cast("dict[Any, Any]", value).items()
        }
    return _text(value, repr)


def _text(value: Any, show: Callable[[Any], str] = str) -> str:
    try:
        return str.__str__(show(value))  # a subclass of str would travel as one
    except Exception as error:
        return f"<{type(value).__qualname__} whose text raises {type(error).__qualname__}>"


def _traceback(error: BaseException) -> str:
    if error.__traceback__ is None and isinstance(error.__cause__, RemoteTraceback):
        return error.__cause__.text  # passed on without having been raised here
    return "".join(traceback.format_exception(error))


# --- rebuilding ---------------------------------------------------------------------------------------------


def _checked(parts: Any) -> list[Any]:
    shapes = (str, str, bytes, bytes, list, str)
    if not isinstance(parts, list) or [type(part) for part in cast("list[Any]", parts)] != [*shapes]:
        raise DecodeError("an exception is not made of type, message, arguments, attributes, notes and traceback.")
    if not all(isinstance(note, str) for note in cast("list[Any]", parts)[4]):
        raise DecodeError("an exception has a note that is no text.")
    return cast("list[Any]", parts)


def _find_class(name: str) -> type[Any] | None:
    module_path, _, qualname = name.partition(":")
    found: Any = _main_module(module_path) or sys.modules.get(module_path)
    for part in qualname.split("."):
        # Not getattr: a module may have a __getattr__ that imports what it is asked for.
        found = inspect.getattr_static(found, part, None)
    return found if isinstance(found, type) else None


def _main_module(name: str) -> Any:
    return sys.modules["__main__"] if name == module_name("__main__") else None


def _revive(
    cls: type[BaseException], arguments: list[Any], attributes: dict[str, Any], message: str
) -> BaseException | None:
    attempts: list[Callable[[], BaseException]] = [
        lambda: _made(cls, arguments, attributes),
        lambda: cls(*arguments),
        # The arguments that can't travel may have made another text: keep the type, with the text as it was.
        lambda: _made(cls, [message], attributes),
    ]
    if wire_name(cls) == _VALIDATION_ERROR:
        attempts = [lambda: _made_validation_error(cls, arguments)]
    for make in attempts:
        try:
            error = make()
        except Exception:  # the class wants something else; the next attempt may have it
            continue
        if type(error) is cls and _text(error) == message:
            return error
    return None


def _made(cls: type[BaseException], arguments: list[Any], attributes: dict[str, Any]) -> BaseException:
    base: Any = _builtin_base(cls)
    error = base.__new__(cls, *arguments)
    base.__init__(error, *arguments)
    for name, item in attributes.items():
        object.__setattr__(error, name, item)
    return error


# --- pydantic's ValidationError, which node inputs raise and which has neither arguments nor a constructor --


def _validation_content(error: Any) -> list[Any]:
    title, details, input_type, hide_input = error.__reduce__()[1]
    lines: list[dict[str, Any]] = []
    for detail in details:
        kind = detail["type"]
        line = {key: detail[key] for key in ("loc", "input", "ctx") if key in detail}
        line["type"] = kind if isinstance(kind, str) else [kind.type, kind.message_template, kind.context]
        lines.append(line)
    return [title, lines, input_type, hide_input]


def _made_validation_error(cls: Any, arguments: list[Any]) -> BaseException:
    title, lines, input_type, hide_input = arguments
    custom: Any = sys.modules["pydantic_core"].PydanticCustomError
    details = [
        {
            **line,
            "loc": tuple(line["loc"]),
            "type": kind if isinstance(kind := line["type"], str) else custom(*kind),
        }
        for line in lines
    ]
    return cls.from_exception_data(title, details, input_type, hide_input)
