"""The channel behind `Annotated[T, reducer]`."""

from __future__ import annotations

import collections.abc
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, NotRequired, Required, Self, cast, get_args, get_origin

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.errors import EmptyChannelError, ErrorCode, InvalidUpdateError, coded
from fleetgraph.types import Overwrite

_CONCRETE: dict[Any, type] = {
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}


def overwritten(value: Any) -> tuple[bool, Any]:
    """Whether `value` is an `Overwrite`, in any of its three spellings, and what it carries."""
    if isinstance(value, Overwrite):
        return True, value.value
    if isinstance(value, dict):
        value = cast("dict[Any, Any]", value)
        if len(value) == 1 and "__overwrite__" in value:
            return True, value["__overwrite__"]
        if len(value) == 2 and value.get("type") == "__overwrite__" and "value" in value:
            return True, value["value"]
    return False, None


def plain_type(typ: Any) -> Any:
    """`typ` without Annotated, Required and type arguments, and concrete where it names an abstract collection."""
    origin = get_origin(typ)
    while origin is not None:
        typ = get_args(typ)[0] if origin in (Required, NotRequired) or hasattr(typ, "__metadata__") else origin
        origin = get_origin(typ)
    return _CONCRETE.get(typ, typ)


KEEPS_ITEMS: Final = "__fleetgraph_keeps_items__"
"""Set to True on a reducer of lists that changes no item which has an id: it keeps it, replaces it or leaves it out."""


def only_appends(reducer: Callable[[Any, Any], Any], before: Any, after: Any) -> bool:
    """Whether a reducer that made one list out of another has only added items behind those of the other.

    Known of `operator.add`, and of those that keep items. Any other may have changed items that are in both.
    """
    if type(before) is not list or type(after) is not list:
        return False
    old, new = cast("list[Any]", before), cast("list[Any]", after)
    if len(new) < len(old) or not all(map(operator.is_, old, new)):
        return False
    return reducer is operator.add or (
        getattr(reducer, KEEPS_ITEMS, False) and None not in {getattr(item, "id", None) for item in old}
    )


class BinaryOperatorAggregate(BaseChannel):
    """Folds every write into its value with a reducer, `value = operator(value, write)`.

    Starts as `typ()` where that can be called, else empty: then the first write becomes the value as it is.
    """

    __slots__ = ("_appended", "initial", "operator", "value")

    def __init__(self, typ: Any, operator: Callable[[Any, Any], Any], key: str = "") -> None:
        super().__init__(typ, key)
        self.operator = operator
        self.initial = plain_type(typ)
        self.value = self._fresh()
        self._appended = False

    def _fresh(self) -> Any:
        try:
            return self.initial()
        except Exception:  # a type that can't be made from nothing starts empty, whatever it raised
            return MISSING

    def update(self, values: Sequence[Any]) -> bool:
        if not values:
            return False
        before = self.value
        seen_overwrite = self._fold(values)
        self._appended = not seen_overwrite and (
            (self.operator is operator.add and all(type(one) is list for one in (before, *values)))
            or only_appends(self.operator, before, self.value)
        )
        return True

    def _fold(self, values: Sequence[Any]) -> bool:
        """Apply writes, of which there are some; tells whether one of them was an `Overwrite`."""
        if self.value is MISSING:
            first, values = values[0], values[1:]
            is_overwrite, replacement = overwritten(first)
            self.value = replacement if is_overwrite else first
            seen_overwrite = is_overwrite
        else:
            seen_overwrite = False
        for value in values:
            is_overwrite, replacement = overwritten(value)
            if is_overwrite:
                if seen_overwrite:
                    raise InvalidUpdateError(
                        coded(
                            "Can receive only one Overwrite value per super-step.",
                            ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE,
                        )
                    )
                self.value = replacement
                seen_overwrite = True
            elif not seen_overwrite:
                self.value = self.operator(self.value, value)
        return seen_overwrite

    @property
    def appended(self) -> bool:
        return self._appended

    def get(self) -> Any:
        if self.value is MISSING:
            raise EmptyChannelError
        return self.value

    def is_available(self) -> bool:
        return self.value is not MISSING

    def checkpoint(self) -> Any:
        return self.value

    def from_checkpoint(self, saved: Any) -> Self:
        copy = object.__new__(type(self))
        copy.typ = self.typ
        copy.key = self.key
        copy.operator = self.operator
        copy.initial = self.initial
        copy._appended = False
        copy.value = copy._fresh() if saved is MISSING else saved
        return copy

    @property
    def signature(self) -> str:
        operator: Any = self.operator
        return f"{type(self).__name__}({getattr(operator, '__qualname__', type(operator).__qualname__)})"
