"""What every channel can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Self


class Missing:
    """The type of `MISSING`, which stands where no value is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()


class BaseChannel(ABC):
    """One cell of a graph's state, and the rule by which writes change it.

    A channel made from a schema is a blueprint; `from_checkpoint` makes the living copies that a run works on.
    """

    __slots__ = ("key", "typ")

    def __init__(self, typ: Any = Any, key: str = "") -> None:
        self.typ = typ
        self.key = key

    @abstractmethod
    def update(self, values: Sequence[Any]) -> bool:
        """Apply the writes of one superstep, in order; empty means that a superstep passed without any.

        Returns:
            Whether the channel changed.

        Raises:
            InvalidUpdateError: The channel can't take these writes.
        """

    @abstractmethod
    def get(self) -> Any:
        """The current value.

        Raises:
            EmptyChannelError: Nothing has been written.
        """

    @abstractmethod
    def checkpoint(self) -> Any:
        """What to save in order to restore the channel, or MISSING when there is nothing to save."""

    def snapshot(self) -> Any:
        """What a copy of the channel within the run is made of: by default what would be saved."""
        return self.checkpoint()

    @abstractmethod
    def from_checkpoint(self, saved: Any) -> Self:
        """A living copy, holding what `checkpoint` returned; empty when that is MISSING."""

    @abstractmethod
    def is_available(self) -> bool:
        """Whether `get` would return a value."""

    def consume(self) -> bool:
        """A task triggered by the channel was planned. Returns whether the channel changed."""
        return False

    def finish(self) -> bool:
        """The run would end with this superstep. Returns whether the channel changed."""
        return False

    @property
    def appended(self) -> bool:
        """Whether the last `update` that changed the channel left the items of the list that it holds as they were, and
        only added others behind them.
        """
        return False

    @property
    def signature(self) -> str:
        """The channel's part of a graph's fingerprint."""
        return type(self).__name__
