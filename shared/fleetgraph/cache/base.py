"""What a cache is: values under a namespace and a key, any of which may be gone at any time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from fleetgraph.errors import NotSupported

ValueT = TypeVar("ValueT")
Namespace = tuple[str, ...]
FullKey = tuple[Namespace, str]


class BaseCache(ABC, Generic[ValueT]):
    """What nodes wrote, by what they were given: a list of (channel, value) for each key.

    Args:
        serde: LangGraph's caches take a serializer; those of Fleetgraph need none.

    Raises:
        NotSupported: There is a `serde`.
    """

    shared: ClassVar[bool] = False
    """Whether every process of a fleet sees the same data."""

    def __init__(self, *, serde: None = None) -> None:
        if serde is not None:
            raise NotSupported("a cache's `serde` (give the cache the classes it has to carry: `types=` or `allow`)")

    @abstractmethod
    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those keys that have one."""

    @abstractmethod
    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """`get`, for async code."""

    @abstractmethod
    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Keep values, each for so many seconds, or with None for ever."""

    @abstractmethod
    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """`set`, for async code."""

    @abstractmethod
    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces, not in those below them; with None, everything."""

    @abstractmethod
    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """`clear`, for async code."""


__all__ = ["BaseCache", "FullKey", "Namespace", "ValueT"]
