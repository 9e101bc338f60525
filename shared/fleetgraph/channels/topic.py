"""A channel that holds a list of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self, cast

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.errors import EmptyChannelError


def _flatten(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from cast("list[Any]", value)
        else:
            yield value


class Topic(BaseChannel):
    """Collects what a superstep wrote; a list written is taken as its items.

    Args:
        accumulate: Whether to keep values beyond the superstep that follows their write.
    """

    __slots__ = ("accumulate", "values")

    def __init__(self, typ: Any = Any, accumulate: bool = False, key: str = "") -> None:
        super().__init__(typ, key)
        self.accumulate = accumulate
        self.values: list[Any] = []

    def update(self, values: Sequence[Any]) -> bool:
        changed = False
        if not self.accumulate:
            changed = bool(self.values)
            self.values = []
        if flat := list(_flatten(values)):
            changed = True
            self.values = [*self.values, *flat]
        return changed

    @property
    def appended(self) -> bool:
        return self.accumulate

    def get(self) -> Any:
        if not self.values:
            raise EmptyChannelError
        return list(self.values)

    def is_available(self) -> bool:
        return bool(self.values)

    def checkpoint(self) -> Any:
        return self.values

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.accumulate, self.key)
        if saved is not MISSING:
            copy.values = list(saved)
        return copy
