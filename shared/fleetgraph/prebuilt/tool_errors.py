"""What becomes of a tool's exceptions: a message to the model, or a failure of the node."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.tools import ToolException
from pydantic import ValidationError

ErrorHandling = bool | str | Callable[..., str] | type[Exception] | tuple[type[Exception], ...]
"""How a `ToolNode` is told to treat exceptions; see there."""


class ToolInvocationError(ToolException):
    """A tool was called with arguments that do not fit it.

    Attributes:
        message: What the model is told.
        tool_name: The tool.
        tool_kwargs: The arguments, as the model gave them.
        source: What pydantic found.
        filtered_errors: The same, without what is not the model's to mend: injected arguments.
    """

    def __init__(
        self,
        tool_name: str,
        source: ValidationError,
        tool_kwargs: Mapping[str, Any],
        filtered_errors: list[Any] | None = None,
    ) -> None:
        if filtered_errors is None:
            found = str(source)
        else:
            found = "\n".join(f"{_place(error)}: {error.get('msg', 'Unknown error')}" for error in filtered_errors)
        self.message = (
            f"Error invoking tool '{tool_name}' with kwargs {tool_kwargs} with error:\n"
            f" {found}\n"
            " Please fix the error and try again."
        )
        self.tool_name = tool_name
        self.tool_kwargs = tool_kwargs
        self.source = source
        self.filtered_errors = filtered_errors
        super().__init__(self.message)


def invocation_error(
    call: Mapping[str, Any], source: ValidationError, injected: Collection[str]
) -> ToolInvocationError:
    """The error of a call whose arguments do not fit, without the injected ones."""
    shown: list[Any] = []
    for error in source.errors():
        if not error["loc"] or error["loc"][0] in injected:
            continue
        given = error.get("input")
        if isinstance(given, dict):
            items = cast("dict[Any, Any]", given).items()
            shown.append({**error, "input": {name: value for name, value in items if name not in injected}})
        else:
            shown.append(error)
    return ToolInvocationError(call["name"], source, call["args"], shown)


def _place(error: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in error.get("loc", ()))


def tell_of_wrong_arguments(error: Exception) -> str:
    """The default treatment: the model is told of arguments that do not fit, all else is raised."""
    if isinstance(error, ToolInvocationError):
        return error.message
    raise error


def covers(handling: ErrorHandling, error: Exception) -> bool:
    """Whether `error` is one to tell the model, not to raise."""
    if not handling:
        return False
    if isinstance(handling, type):
        return isinstance(error, handling)
    if isinstance(handling, tuple):
        return isinstance(error, handling)
    return isinstance(error, _handled_types(handling)) if callable(handling) else True


def content_of(handling: Any, error: Exception) -> str:
    """What the model is told of an error.

    Raises:
        Exception: What the handler raises.
        ValueError: `handling` is nothing that says what to do.
    """
    if isinstance(handling, str):
        return handling
    is_class = isinstance(handling, type) and issubclass(cast("type[Any]", handling), Exception)
    if isinstance(handling, bool | tuple) or is_class:
        return f"Error: {error!r}\n Please fix your mistakes."
    if callable(cast("Any", handling)):
        return handling(error)
    raise ValueError(
        f"Got unexpected type of `handle_tool_error`. Expected bool, str or callable. Received: {handling}"
    )


def _handled_types(handler: Callable[..., str]) -> tuple[type[Exception], ...]:
    """The exceptions a handler is for, by the annotation of its parameter; all of them without one."""
    names = list(inspect.signature(handler).parameters)
    if len(names) == 2 and names[0] in ("self", "cls"):
        names = names[1:]
    hints = get_type_hints(handler)
    if not names or names[0] not in hints:
        return (Exception,)
    hint = hints[names[0]]
    is_union = get_origin(hint) in (Union, types.UnionType)
    kinds = get_args(hint) if is_union else (hint,)
    if all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        return kinds
    if is_union:
        raise ValueError(
            "All types in the error handler error annotation must be Exception types. For example, "
            f"`def custom_handler(e: Union[ValueError, TypeError])`. Got '{hint}' instead."
        )
    raise ValueError(
        "Arbitrary types are not supported in the error handler signature. Please annotate the error with either a "
        "specific Exception type or a union of Exception types. For example, `def custom_handler(e: ValueError)` or "
        f"`def custom_handler(e: Union[ValueError, TypeError])`. Got '{hint}' instead."
    )
