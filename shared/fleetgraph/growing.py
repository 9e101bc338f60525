"""Lists that only grow, kept in pieces: how many pieces there are, and what each of them covers.

Every time that items are added behind a list, they are kept as one more piece. Were that all, a list that has grown a
million times would have a million pieces; were they all made into one now and then, the list would be written again
and again. So each `FAN`th piece is made to cover the `FAN` before it, each `FAN * FAN`th all of those, and so on: a
list that has grown `n` times has at most `FAN` pieces of each of about `log(n) / log(FAN)` sizes, and no item is
written more often than there are sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

FAN: Final = 1024
"""So many small pieces are read in a few milliseconds, and hardly any list grows more often than twice that."""


def span(number: int) -> int:
    """How many growths the `number`th piece covers, counted from 1: those up to its own."""
    covered = 1
    while number % (covered * FAN) == 0:
        covered *= FAN
    return covered


def pieces(growths: int) -> Iterator[int]:
    """The numbers of the pieces that make up a list after so many growths, in the order of what they cover."""
    numbers: list[int] = []
    while growths:
        numbers.append(growths)
        growths -= span(growths)
    return reversed(numbers)


def covered_by(number: int) -> list[int]:
    """The pieces that the `number`th makes needless."""
    before = number - span(number)
    return [piece for piece in pieces(number - 1) if piece > before] if before < number - 1 else []
