"""Channels that hold one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.errors import EmptyChannelError, ErrorCode, InvalidUpdateError, coded


class SingleValue(BaseChannel):
    """Base of the channels that hold one value or none."""

    __slots__ = ("value",)

    def __init__(self, typ: Any = Any, key: str = "") -> None:
        super().__init__(typ, key)
        self.value: Any = MISSING

    def get(self) -> Any:
        if self.value is MISSING:
            raise EmptyChannelError
        return self.value

    def is_available(self) -> bool:
        return self.value is not MISSING

    def checkpoint(self) -> Any:
        return self.value

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.key)
        copy.value = saved
        return copy


class LastValue(SingleValue):
    """Holds the last value written; refuses two writes in one superstep."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        if not values:
            return False
        if len(values) != 1:
            raise InvalidUpdateError(
                coded(
                    f"At key '{self.key}': Can receive only one value per step. "
                    "Use an Annotated key to handle multiple values.",
                    ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE,
                )
            )
        self.value = values[-1]
        return True


class AnyValue(SingleValue):
    """Holds the last value written, taking all writes of a superstep to be equal; empties when none comes."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        if not values:
            if self.value is MISSING:
                return False
            self.value = MISSING
            return True
        self.value = values[-1]
        return True


class GuardedValue(SingleValue):
    """Base of the channels that may refuse two writes in one superstep.

    Args:
        guard: Whether to refuse them; without it the last one wins.
    """

    __slots__ = ("guard",)

    def __init__(self, typ: Any = Any, guard: bool = True, key: str = "") -> None:
        super().__init__(typ, key)
        self.guard = guard

    def _take(self, values: Sequence[Any]) -> None:
        if self.guard and len(values) != 1:
            raise InvalidUpdateError(
                f"At key '{self.key}': {type(self).__name__}(guard=True) can receive only one value per step. "
                "Use guard=False if you want to store any one of multiple values."
            )
        self.value = values[-1]

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.guard, self.key)
        copy.value = saved
        return copy


class EphemeralValue(GuardedValue):
    """Holds a value for the one superstep that follows its write."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        if values:
            self._take(values)
            return True
        if self.value is MISSING:
            return False
        self.value = MISSING
        return True


class UntrackedValue(GuardedValue):
    """Holds the last value written, and is never saved in a checkpoint."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        if not values:
            return False
        self._take(values)
        return True

    def checkpoint(self) -> Any:
        return MISSING

    def snapshot(self) -> Any:
        return self.value


class LastValueAfterFinish(SingleValue):
    """Holds the last value written, for a node that is put off: available only once the run would otherwise end."""

    __slots__ = ("finished",)

    def __init__(self, typ: Any = Any, key: str = "") -> None:
        super().__init__(typ, key)
        self.finished = False

    def update(self, values: Sequence[Any]) -> bool:
        if not values:
            return False
        self.finished = False
        self.value = values[-1]
        return True

    def get(self) -> Any:
        if not self.is_available():
            raise EmptyChannelError
        return self.value

    def is_available(self) -> bool:
        return self.finished and self.value is not MISSING

    def consume(self) -> bool:
        if not self.finished:
            return False
        self.finished = False
        self.value = MISSING
        return True

    def finish(self) -> bool:
        if self.finished or self.value is MISSING:
            return False
        self.finished = True
        return True

    def checkpoint(self) -> Any:
        return MISSING if self.value is MISSING else (self.value, self.finished)

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.key)
        if saved is not MISSING:
            copy.value, copy.finished = saved
        return copy
