"""What graphs are described with: whether it is of the kind that it has to be."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from fleetgraph.types import CachePolicy, RetryPolicy

_METHODS: Final = {"store": ("get", "put", "search"), "cache": ("get", "set", "clear")}
"""By which a store and a cache are known: LangGraph's have them too."""


def refuse_class(name: str, value: object) -> None:
    """Refuse a class where an instance of it is meant.

    Args:
        name: The argument's.

    Raises:
        TypeError: It is a class.
    """
    if inspect.isclass(value):
        raise TypeError(f"{name}={value.__name__} is a class: pass an instance of it, {name}={value.__name__}(...).")


def check_plugins(*, store: object = None, cache: object = None) -> None:
    """Refuse what is no store, and what is no cache.

    Raises:
        TypeError: It is none; names the argument.
    """
    for name, value in (("store", store), ("cache", cache)):
        refuse_class(name, value)
        if value is not None and not all(hasattr(value, method) for method in _METHODS[name]):
            kind = f"Base{name.capitalize()}"
            raise TypeError(f"{name}={value!r} is no {name}: pass an instance of a {kind}, as InMemory{kind[4:]}().")


def retry_policies(policies: RetryPolicy | Sequence[RetryPolicy] | None) -> tuple[RetryPolicy, ...]:
    """What was given as `retry_policy`, as policies.

    Raises:
        TypeError: It is something else.
    """
    given = cast("Any", policies)
    if given is None:
        return ()
    if isinstance(given, RetryPolicy):
        return (given,)
    refuse_class("retry_policy", given)
    if isinstance(given, int) and not isinstance(given, bool):
        raise TypeError(f"retry_policy={given} is no policy: pass RetryPolicy(max_attempts={given}).")
    listed: tuple[Any, ...] = tuple(cast("Iterable[Any]", given)) if isinstance(given, list | tuple) else (given,)
    for policy in listed:
        if not isinstance(policy, RetryPolicy):
            raise TypeError(
                f"retry_policy={given!r} is no policy, nor a sequence of policies: pass a RetryPolicy of "
                "fleetgraph.types."
            )
    return listed


def check_cache_policy(policy: object) -> None:
    """Refuse what is no `CachePolicy`.

    Raises:
        TypeError: It is none.
    """
    refuse_class("cache_policy", policy)
    if policy is not None and not isinstance(policy, CachePolicy):
        raise TypeError(f"cache_policy={policy!r} is no policy: pass a CachePolicy of fleetgraph.types.")
