"""What every store makes of a batch before it does anything."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fleetgraph.store.base import GetOp, ListNamespacesOp, Namespace, Op, PutOp, SearchOp, validate_op_namespace

ReadOp = GetOp | SearchOp | ListNamespacesOp

LONGEST_TTL_MINUTES: Final = 100.0 * 365 * 24 * 60
"""A hundred years: longer ones, and infinity, are cut to it, since Redis counts in integers."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """The operations of a batch, sorted: all that is read is read before anything is written."""

    size: int
    reads: dict[int, ReadOp]
    """By their place in the batch."""
    puts: dict[tuple[Namespace, str], PutOp]
    """By namespace and key; of several, the last."""

    @classmethod
    def of(cls, ops: Iterable[Op]) -> Batch:
        """Sort and check the operations.

        Raises:
            InvalidNamespaceError: A label in one of them is one that none can have.
            ValueError: One is no operation; or its limit, its offset or its ttl is no number that it could be.
        """
        reads: dict[int, ReadOp] = {}
        puts: dict[tuple[Namespace, str], PutOp] = {}
        size = 0
        for place, op in enumerate(ops):
            size += 1
            validate_op_namespace(op)
            match op:
                case PutOp():
                    if op.ttl is not None and math.isnan(op.ttl):
                        raise ValueError(f"the ttl of {op.key!r} in {op.namespace} is not a number")
                    puts[tuple(op.namespace), op.key] = op
                case SearchOp() | ListNamespacesOp():
                    if op.limit < 0 or op.offset < 0:
                        raise ValueError(f"limit and offset can't be negative: {op}")
                    reads[place] = op
                case GetOp():
                    reads[place] = op
                case _:
                    raise ValueError(f"Unknown operation type: {type(op)}")
        return cls(size, reads, puts)

    @property
    def queries(self) -> list[str]:
        """What its searches look for, in words."""
        return [op.query for op in self.reads.values() if isinstance(op, SearchOp) and op.query]


def ttl_seconds(put: PutOp) -> float | None:
    """After how many seconds without use an item expires."""
    return None if put.ttl is None else 60 * min(put.ttl, LONGEST_TTL_MINUTES)


class Ranking(Generic[T]):
    """The best of many, best first; in the order they came in where none is better, and those without a score last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._best: list[tuple[float, int, T]] = []
        self._unscored: list[T] = []
        self._order = itertools.count(0, -1)

    def add(self, item: T, score: float | None) -> None:
        """Take one in, if it is good enough."""
        if score is None:
            if len(self._unscored) < self._size:
                self._unscored.append(item)
        elif len(self._best) < self._size:
            heapq.heappush(self._best, (score, next(self._order), item))
        elif self._best:
            heapq.heappushpop(self._best, (score, next(self._order), item))

    def page(self, offset: int, limit: int) -> list[tuple[T, float | None]]:
        """From the one at `offset` on."""
        ranked: list[tuple[T, float | None]] = [(item, score) for score, _, item in sorted(self._best, reverse=True)]
        return [*ranked, *((item, None) for item in self._unscored)][offset : offset + limit]


__all__ = ["Batch", "Ranking", "ReadOp", "ttl_seconds"]
