"""Which items and namespaces an operation asks for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from fleetgraph.store.base import ListNamespacesOp, MatchCondition, Namespace

_ORDERINGS: Final[dict[str, Callable[[float, float], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def matches(value: Mapping[str, Any], filter: Mapping[str, Any] | None) -> bool:
    """Whether an item's value has all that a filter asks for.

    Raises:
        ValueError: The filter has an unknown operator, or orders by something that is no number.
    """
    return all(_equals(value.get(field), wanted) for field, wanted in (filter or {}).items())


def _equals(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        fields = cast("dict[str, Any]", wanted)
        if any(field.startswith("$") for field in fields):
            return all(_holds(found, name, operand) for name, operand in fields.items())
        return isinstance(found, dict) and matches(cast("dict[str, Any]", found), fields)
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple):
            return False
        ours, theirs = cast("list[Any]", found), cast("list[Any]", wanted)
        return len(ours) == len(theirs) and all(map(_equals, ours, theirs))
    return found == wanted


def _holds(found: Any, name: str, operand: Any) -> bool:
    if name == "$eq":
        return found == operand
    if name == "$ne":
        return found != operand
    if name not in _ORDERINGS:
        raise ValueError(f"Unsupported operator: {name}")
    # LangGraph fails here on the first item that lacks the field; in a database nothing is more than NULL.
    return found is not None and _ORDERINGS[name](float(found), float(operand))


def selected(namespaces: Iterable[Namespace], op: ListNamespacesOp) -> list[Namespace]:
    """Those that the operation asks for."""
    found = {
        namespace[: op.max_depth]
        for namespace in namespaces
        if all(_fits(namespace, condition) for condition in op.match_conditions or ())
    }
    return sorted(found)[op.offset : op.offset + op.limit]


def _fits(namespace: Namespace, condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {condition.match_type}")
    if len(namespace) < len(path):
        return False
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(labels, path, strict=True))
