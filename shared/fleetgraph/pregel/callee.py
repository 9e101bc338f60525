"""How user code is called: a function, a callable object, or a LangChain runnable, with what it asks to be given."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, cast

from fleetgraph.errors import NotSupported
from fleetgraph.pregel.context import TaskContext, current

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_INJECTABLE_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EMPTY = inspect.Parameter.empty
_MOST_THREADS: Final = 128
"""How many synchronous functions called by tasks run at once beside event loops, at each depth of calls."""

_INJECTED: dict[str, Callable[[TaskContext], Any]] = {
    "config": lambda context: context.config,
    "writer": lambda context: context.writer,
    "store": lambda context: context.runtime.store,
    "previous": lambda context: context.runtime.previous,
    "runtime": lambda context: context.runtime,
    "error": lambda context: context.task.error,
}


class Callee:
    """User code that takes one value: a node's or a branch's function.

    Parameters beside the first are injected by name: `config`, `writer`, `store` when unannotated or annotated with
    their types, `runtime` and `previous` always.

    Raises:
        TypeError: It is nothing that can be called.
    """

    __slots__ = ("code", "inject", "is_async", "is_generator", "name", "runnable")

    def __init__(self, code: Any, name: str | None) -> None:
        if isinstance(code, dict):
            code = _Each(cast("dict[str, Any]", code))
        if not callable(code) and not is_runnable(code):
            raise TypeError(f"Expected a Runnable, callable or dict.Instead got an unsupported type: {type(code)}")
        self.code: Any = code
        self.runnable = is_runnable(code)
        self.name = name or own_name(code)
        self.is_generator = not self.runnable and inspect.isgeneratorfunction(code)
        self.is_async = not self.runnable and (is_coroutine_function(code) or inspect.isasyncgenfunction(code))
        self.inject = () if self.runnable else _injections(code)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether a call on an event loop can be ended before it returns."""
        return self.is_async or self.runnable

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], context: TaskContext) -> Any:
        """Call the code and return what it returns; of a generator all it yields, added up, or else the last of it.

        Raises:
            TypeError: It is a coroutine function.
        """
        if self.runnable:
            return self.code.invoke(*args, context.config)
        if self.is_async and inspect.isasyncgenfunction(self.code):
            raise TypeError("Cannot invoke a coroutine function synchronously.Use `ainvoke` instead.")
        if self.is_async:
            raise TypeError(
                f'No synchronous function provided to "{self.name}".\n'
                "Either initialize with a synchronous function or invoke via the async API (ainvoke, astream, etc.)"
            )
        returned = self.code(*args, **self._injected(kwargs, context))
        return functools.reduce(_added, returned, None) if self.is_generator else returned

    def _injected(self, kwargs: Mapping[str, Any], context: TaskContext) -> Mapping[str, Any]:
        if not self.inject:
            return kwargs
        return {name: get(context) for name, get in self.inject if name not in kwargs} | dict(kwargs)

    def _call_in_thread(self, args: Sequence[Any], kwargs: Mapping[str, Any], context: TaskContext) -> Any:
        try:
            return self.call(args, kwargs, context)
        except StopIteration as error:  # a future can't carry one: whoever awaits it would wait for ever
            raise RuntimeError(f"{self.name} raised StopIteration") from error

    async def acall(self, args: Sequence[Any], kwargs: Mapping[str, Any], context: TaskContext) -> Any:
        """Call the code from the event loop, which a synchronous one does not block: it runs in a thread."""
        if self.runnable:
            return await self.code.ainvoke(*args, context.config)
        if not self.is_async:
            around = copy_context()

            def call() -> Any:
                return around.run(self._call_in_thread, args, kwargs, context)

            import asyncio  # whoever awaits this has it

            return await asyncio.get_running_loop().run_in_executor(_threads(context.task.call_depth), call)
        returned = self.code(*args, **self._injected(kwargs, context))
        if not inspect.isasyncgen(returned):
            return await returned
        total = None
        async for item in cast("AsyncIterator[Any]", returned):
            total = _added(total, item)
        return total


@functools.cache
def _threads(depth: int) -> ThreadPoolExecutor | None:
    """The threads for synchronous functions called at this depth: who waits must not hold up what is waited for."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="fleetgraph-called") if depth else None


class _Each:
    """Several functions of the same input: gives what each returns, by name."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.__name__ = f"RunnableParallel<{','.join(functions)}>"
        self._callees = {name: Callee(function, name) for name, function in functions.items()}
        if any(callee.is_async for callee in self._callees.values()):
            raise NotSupported("a coroutine function in a dict of functions as a node")

    def __call__(self, value: Any) -> dict[str, Any]:
        return {name: callee.call((value,), {}, current()) for name, callee in self._callees.items()}


def _added(total: Any, item: Any) -> Any:
    if total is None:
        return item
    try:
        return total + item
    except TypeError:
        return item


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


def code_name(code: Any) -> str:
    """The module and name of a function, under which a cache keeps what it gives, in every process."""
    while isinstance(code, functools.partial) or inspect.ismethod(code):
        code = cast("Any", code).func if isinstance(code, functools.partial) else code.__func__
    name = getattr(code, "__qualname__", None) or type(code).__qualname__
    if name.endswith("<lambda>"):  # a place may have several of them
        name = f"{name}:{code.__code__.co_firstlineno}"
    from fleetgraph.wire.names import module_name

    return f"{module_name(getattr(code, '__module__', None) or '')}.{name}"


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
    if name in ("runtime", "previous"):
        return True
    if annotation is _EMPTY:
        return name != "error"
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
        case "error":
            return text in ("NodeError", "Optional[NodeError]", "NodeError|None")
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
