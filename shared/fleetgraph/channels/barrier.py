"""The channel behind a join: it waits for a set of names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Self

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.errors import EmptyChannelError, InvalidUpdateError


class NamedBarrierValue(BaseChannel):
    """Becomes available once every name has been written to it, and re-arms when it is consumed."""

    __slots__ = ("names", "seen")

    def __init__(self, typ: Any, names: Collection[str], key: str = "") -> None:
        super().__init__(typ, key)
        self.names = set(names)
        self.seen: set[str] = set()

    def update(self, values: Sequence[Any]) -> bool:
        changed = False
        for value in values:
            if value not in self.names:
                raise InvalidUpdateError(f"At key '{self.key}': Value {value} not in {self.names}")
            if value not in self.seen:
                self.seen.add(value)
                changed = True
        return changed

    def get(self) -> Any:
        if self.seen != self.names:
            raise EmptyChannelError
        return None

    def is_available(self) -> bool:
        return self.seen == self.names

    def consume(self) -> bool:
        if self.seen == self.names:
            self.seen = set()
            return True
        return False

    def checkpoint(self) -> Any:
        return set(self.seen)

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.names, self.key)
        if saved is not MISSING:
            copy.seen = set(saved)
        return copy

    @property
    def signature(self) -> str:
        return f"{type(self).__name__}({','.join(sorted(self.names))})"


class NamedBarrierValueAfterFinish(NamedBarrierValue):
    """The same, for a node that is put off: available only once the run would otherwise end."""

    __slots__ = ("finished",)

    def __init__(self, typ: Any, names: Collection[str], key: str = "") -> None:
        super().__init__(typ, names, key)
        self.finished = False

    def get(self) -> Any:
        if not self.is_available():
            raise EmptyChannelError

    def is_available(self) -> bool:
        return self.finished and self.seen == self.names

    def consume(self) -> bool:
        if not self.is_available():
            return False
        self.finished = False
        self.seen = set()
        return True

    def finish(self) -> bool:
        if self.finished or self.seen != self.names:
            return False
        self.finished = True
        return True

    def checkpoint(self) -> Any:
        return (set(self.seen), self.finished)

    def from_checkpoint(self, saved: Any) -> Self:
        copy = type(self)(self.typ, self.names, self.key)
        if saved is not MISSING:
            seen, copy.finished = saved
            copy.seen = set(seen)
        return copy
