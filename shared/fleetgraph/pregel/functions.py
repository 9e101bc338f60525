"""The functions that tasks call as tasks of their own, by the names under which every process finds them.

A function travels as its name. One that a module defines is called `module:function`. Others have no name of their own,
but are made in the same order wherever the same module is imported, so they are counted:
`module:make.<locals>.function#2`; if it was another module whose import made them, `…@importer#2`. What a running task
makes has a name that only its own process knows.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from fleetgraph.errors import FunctionNotFound
from fleetgraph.pregel.branch import type_hints
from fleetgraph.pregel.callee import code_name
from fleetgraph.pregel.context import surrounding
from fleetgraph.pregel.planning import cache_namespace
from fleetgraph.pregel.task import Call
from fleetgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy
from fleetgraph.wire import allowlist
from fleetgraph.wire.names import module_name

_lock = threading.Lock()
_counts: Counter[str] = Counter()


class FunctionSpec:
    """A function that tasks may call, and how it is run.

    Making one makes it known to `find`, for as long as it exists.

    Args:
        function: What is run.
        name: What its tasks are called.
        retry: When it is tried again.
        cache: When what it returned before will do.
        timeout: How long an attempt may take.
    """

    __slots__ = ("__weakref__", "_types_allowed", "cache", "function", "name", "reference", "retry", "timeout")

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        retry: Sequence[RetryPolicy] = (),
        cache: CachePolicy | None = None,
        timeout: TimeoutPolicy | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.retry = tuple(retry)
        self.cache = cache
        self.timeout = timeout
        self._types_allowed = False
        with _lock:
            self.reference = _reference(function)
            _known[self.reference] = self
        self.allow_types()

    @property
    def cache_namespace(self) -> tuple[str, ...]:
        """Where a cache keeps what it returned."""
        return cache_namespace(code_name(self.function), "")

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """A call of it with these arguments."""
        self.allow_types()
        return Call(
            function=self.function,
            name=self.name,
            args=args,
            kwargs=kwargs,
            retry=self.retry,
            cache=self.cache,
            timeout=self.timeout,
            reference=self.reference,
        )

    def allow_types(self) -> None:
        """Let what its annotations mention be saved and sent: arguments and results are.

        Annotations may name what the module defines only later; they are looked at once more when it is called.
        """
        if self._types_allowed:
            return
        function = _innermost(self.function)
        hints = type_hints(function)
        for cls in allowlist.collect_types(*hints.values()):
            allowlist.allow(cls)
        self._types_allowed = bool(hints) or not getattr(function, "__annotations__", None)


_known: weakref.WeakValueDictionary[str, FunctionSpec] = weakref.WeakValueDictionary()


def find(reference: str) -> FunctionSpec:
    """The function of this name.

    Raises:
        FunctionNotFound: This process has none.
    """
    spec = _known.get(reference)
    if spec is None:
        module, _, _ = reference.partition(":")
        loaded = (
            "" if module in map(module_name, list(sys.modules)) else f" The module {module!r} is not imported here."
        )
        raise FunctionNotFound(
            f"This process has no @task function {reference!r}.{loaded} Other processes find a function that is "
            "decorated at the top level of a module that defines or imports the graph; one that is decorated while a "
            "task runs is known to the process that runs it, and to no other."
        )
    return spec


def _reference(function: Callable[..., Any]) -> str:
    code = _innermost(function)
    module = module_name(getattr(code, "__module__", None) or "__main__")
    name: str = getattr(code, "__qualname__", None) or type(code).__qualname__
    if code is not function or not inspect.isfunction(code):
        name = f"{type(function).__name__}({name})"
    reference = f"{module}:{name}"
    if surrounding() is not None:
        return f"{reference}#{uuid4().hex}"
    if inspect.isfunction(function) and "<" not in name:
        return _first_not_taken(reference, function)
    importer = next(_importers(), module)
    if importer != module:
        reference = f"{reference}@{importer}"
    _counts[reference] += 1
    return f"{reference}#{_counts[reference]}"


def _first_not_taken(name: str, function: Callable[..., Any]) -> str:
    """The name of a module's function: its own, or a numbered one if the same function is decorated again.

    Another function of the same name takes the place of the former: a notebook's cell is run again, or a module loaded
    again.
    """
    reference, number = name, 1
    while (known := _known.get(reference)) is not None and known.function is function:
        number += 1
        reference = f"{name}#{number}"
    return reference


def _innermost(function: Any) -> Any:
    """The function inside of partials and bound methods."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        else:
            return function


def _importers() -> Iterator[str]:
    """The modules that are being executed on this thread, the innermost first."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            yield module_name(frame.f_globals.get("__name__", "__main__"))
        frame = frame.f_back
