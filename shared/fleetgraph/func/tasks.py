"""`@task`: functions that run as tasks of their own."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from fleetgraph.graph.arguments import check_cache_policy, retry_policies
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.context import current
from fleetgraph.pregel.functions import FunctionSpec
from fleetgraph.pregel.timeouts import sync_timeout
from fleetgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

if TYPE_CHECKING:
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class TaskFuture(Protocol[T_co]):
    """The result of a task that may still run.

    In a coroutine it is an `asyncio.Future`, to be awaited; elsewhere a `concurrent.futures.Future`, whose `result()`
    waits.
    """

    def result(self, timeout: float | None = None) -> T_co:
        """What the function returned; raises what it raised."""
        ...

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised, if it did."""
        ...

    def done(self) -> bool:
        """Whether it has ended."""
        ...

    def __await__(self) -> Generator[Any, None, T_co]: ...


class TaskFunction(Generic[P, T]):
    """A function decorated with `@task`: calling it in a running node, entrypoint or task starts a task.

    The task's result is saved with the superstep. When the thread is resumed after an interrupt or a failure, the
    calls that have ended give their results without running again; they are told apart by their order.
    """

    def __init__(self, spec: FunctionSpec) -> None:
        self._spec = spec
        functools.update_wrapper(self, spec.function)
        self.__name__ = spec.name

    def __repr__(self) -> str:
        return f"<task {self._spec.name!r} of {self._spec.reference}>"

    @property
    def reference(self) -> str:
        """The name by which other processes find the function."""
        return self._spec.reference

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Start a task and return its future.

        Raises:
            RuntimeError: Nothing is running here; or it is a coroutine function, and the run a synchronous one.
        """
        running = current()
        future: Future[Any] = running.call(self._spec.call(args, kwargs))
        future.add_done_callback(self._kept)
        if running.on_loop:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # a synchronous function, in a thread
                pass
            else:
                return cast("TaskFuture[T]", asyncio.wrap_future(future, loop=loop))
        return cast("TaskFuture[T]", future)

    def _kept(self, _: Future[Any]) -> None:
        """Does nothing but keep the function findable until its last task has ended."""

    def clear_cache(self, cache: Any) -> None:
        """Forget what this cache has of the function's results."""
        if self._spec.cache is not None:
            cache.clear([self._spec.cache_namespace])

    async def aclear_cache(self, cache: Any) -> None:
        """The async twin of `clear_cache`."""
        if self._spec.cache is not None:
            await cache.aclear([self._spec.cache_namespace])


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Awaitable[T]]) -> TaskFunction[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T]) -> TaskFunction[P, T]: ...


@overload
def task(
    function: None = None,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> _Decorator: ...
@overload
def task(
    function: Callable[P, Awaitable[T]],
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> TaskFunction[P, T]: ...
@overload
def task(
    function: Callable[P, T],
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> TaskFunction[P, T]: ...
def task(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> Any:
    """Make a function one that runs as a task of its own; `@task` or `@task(...)`.

    It can be called in an entrypoint, in another task, or in a node of a graph. A call returns a future at once, so
    that several tasks can run at the same time. On a fleet each runs on whatever worker is free, and who waits for it
    holds up no worker; decorate the function at the top level of a module there, where workers find it.

    Args:
        function: A function or coroutine function, a partial, a bound method or an object with `__call__`.
        name: What its tasks are called; by default the function's name.
        retry_policy: When it is tried again after it failed.
        cache_policy: When what it returned before, for the same arguments, will do; needs a graph with a cache.
        timeout: Seconds that an attempt may take; only for coroutine functions.

    Raises:
        ValueError: A timeout for a function that is no coroutine function.
        NotImplementedError: It is a generator function.
        TypeError: It can't be called; or a policy is none.

    Example:
        >>> @task
        ... def square(n: int) -> int:
        ...     return n * n
        >>> @entrypoint()
        ... def total(numbers: list[int]) -> int:
        ...     return sum(future.result() for future in [square(n) for n in numbers])
        >>> total.invoke([1, 2, 3])
        14
    """
    policy = TimeoutPolicy.coerce(timeout)
    retry = retry_policies(retry_policy)
    check_cache_policy(cache_policy)

    def decorate(function: Callable[..., Any]) -> TaskFunction[..., Any]:
        if isinstance(function, TaskFunction):
            raise TypeError(f"{function!r} is one already: decorate the function itself, not a task made of it.")
        called = name or default_name(function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise NotImplementedError(
                f"Generators are not supported in the Functional API: a task's result is saved as one value. Let "
                f"{called!r} return a list, or write what comes first to the stream."
            )
        if policy is not None and not Callee(function, called).can_be_cancelled:
            raise sync_timeout(called, "Task")
        if not callable(function):
            raise TypeError(f"@task expects a function, not {function!r}.")
        return TaskFunction(FunctionSpec(function, called, retry, cache_policy, policy))

    return decorate if function is None else decorate(function)


def default_name(function: Any) -> str:
    """What a function is called that nobody named."""
    code: Any = function
    while getattr(code, "__name__", None) is None and isinstance(code, functools.partial):
        code = cast("Any", code).func
    return getattr(code, "__name__", None) or type(code).__name__
