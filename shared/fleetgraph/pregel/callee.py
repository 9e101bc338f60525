"""How user code is called: a function, a callable object, or a LangChain runnable, with what it asks to be given."""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, cast

from fleetgraph.errors import NotSupported
from fleetgraph.pregel.context import TaskContext

_INJECTABLE_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EMPTY = inspect.Parameter.empty

_INJECTED: dict[str, Callable[[TaskContext], Any]] = {
    "config": lambda context: context.config,
    "writer": lambda context: context.writer,
    "store": lambda context: context.runtime.store,
    "previous": lambda context: context.runtime.previous,
    "runtime": lambda context: context.runtime,
}


class Callee:
    """User code that takes one value: a node's or a branch's function.

    Parameters beside the first are injected by name: `config`, `writer`, `store` when unannotated or annotated with
    their types, `runtime` and `previous` always.

    Raises:
        TypeError: It is nothing that can be called.
    """

    __slots__ = ("code", "inject", "is_async", "name", "runnable")

    def __init__(self, code: Any, name: str | None) -> None:
        if isinstance(code, dict):
            raise NotSupported("a dict of functions as a node")
        if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
            raise NotSupported("a generator function as a node")
        if not callable(code) and not is_runnable(code):
            raise TypeError(f"Expected a Runnable, callable or dict.Instead got an unsupported type: {type(code)}")
        self.code: Any = code
        self.runnable = is_runnable(code)
        self.name = name or own_name(code)
        self.is_async = not self.runnable and is_coroutine_function(code)
        self.inject = () if self.runnable else _injections(code)

    def call(self, value: Any, context: TaskContext) -> Any:
        """Call the code and return what it returns.

        Raises:
            TypeError: It is a coroutine function.
        """
        if self.runnable:
            return self.code.invoke(value, context.config)
        if self.is_async:
            raise TypeError(
                f'No synchronous function provided to "{self.name}".\n'
                "Either initialize with a synchronous function or invoke via the async API (ainvoke, astream, etc.)"
            )
        if not self.inject:
            return self.code(value)
        return self.code(value, **{name: get(context) for name, get in self.inject})

    def _call_in_thread(self, value: Any, context: TaskContext) -> Any:
        try:
            return self.call(value, context)
        except StopIteration as error:  # a future can't carry one: whoever awaits it would wait for ever
            raise RuntimeError(f"{self.name} raised StopIteration") from error

    async def acall(self, value: Any, context: TaskContext) -> Any:
        """Call the code from the event loop, which a synchronous one does not block: it runs in a thread."""
        if self.runnable:
            return await self.code.ainvoke(value, context.config)
        if not self.is_async:
            return await asyncio.to_thread(self._call_in_thread, value, context)
        return await self.code(value, **{name: get(context) for name, get in self.inject})


def is_runnable(code: object) -> bool:
    """Whether `code` follows LangChain's runnable protocol; answers without importing LangChain."""
    return not inspect.isclass(code) and hasattr(code, "invoke") and hasattr(code, "ainvoke")


def is_coroutine_function(code: Any) -> bool:
    """Whether calling `code` gives a coroutine, looking through partials and callable objects."""
    while isinstance(code, functools.partial):
        code = code.func
    if inspect.isroutine(code):
        return inspect.iscoroutinefunction(code)
    method: Any = getattr(cast("Any", type(code)), "__call__", None)  # noqa: B004 (not asking whether it is callable)
    return inspect.iscoroutinefunction(method)


def own_name(code: Any) -> str | None:
    """The name the code gives itself; None for a lambda or a partial."""
    name = getattr(code, "name", None) or getattr(code, "__name__", None)
    return None if name == "<lambda>" else name


def _injections(code: Any) -> tuple[tuple[str, Callable[[TaskContext], Any]], ...]:
    try:
        parameters = inspect.signature(code).parameters
    except ValueError:  # some builtins have no signature; they are given nothing but the value
        return ()
    return tuple(
        (name, get)
        for name, get in _INJECTED.items()
        if (p := parameters.get(name)) is not None and p.kind in _INJECTABLE_KINDS and _wants(name, p.annotation)
    )


def _wants(name: str, annotation: Any) -> bool:
    """Whether a parameter of this name and annotation means the thing we would inject."""
    if annotation is _EMPTY or name in ("runtime", "previous"):
        return True
    text = (annotation if isinstance(annotation, str) else _spelled(annotation)).replace(" ", "")
    match name:
        case "config":
            if text in ("RunnableConfig", "Optional[RunnableConfig]", "RunnableConfig|None"):
                return True
            warnings.warn(
                "The 'config' parameter should be typed as 'RunnableConfig' or 'RunnableConfig | None', "
                f"not '{annotation}'. ",
                UserWarning,
                stacklevel=6,
            )
            return False
        case "writer":
            return text in ("StreamWriter", _spelled_writer())
        case _:
            return text in ("BaseStore", "Optional[BaseStore]", "BaseStore|None")


def _spelled(annotation: Any) -> str:
    """An annotation as source would have it, without modules."""
    if isinstance(annotation, type):
        return annotation.__name__
    args = getattr(annotation, "__args__", None)
    if args and type(None) in args and len(args) == 2:
        (inner,) = (arg for arg in args if arg is not type(None))
        return f"{_spelled(inner)}|None"
    return str(annotation)


@functools.cache
def _spelled_writer() -> str:
    from fleetgraph.types import StreamWriter

    return str(StreamWriter).replace(" ", "")
