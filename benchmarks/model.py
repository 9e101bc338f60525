"""What the suite consists of: groups of contenders that are measured in turns, and what is told about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

Samples = Mapping[str, Sequence[float]]
"""What a turn gives: by the name of what was measured, the figures. Less is always better."""

REDIS_URL: Final = "<redis>"
"""Stands, among a contender's arguments, for the URL of the Redis that its group has."""

TURN_SECONDS: Final = 300.0
"""How long a turn may take until it counts as failed: many times what the longest takes."""


class Subject(Protocol):
    """What is measured, in a process of its own; a context manager that sets up and tears down."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def round(self, size: int) -> Samples:
        """Have a turn. What `size` counts, the group says."""
        ...


@dataclass(frozen=True)
class Unit:
    """How figures are shown."""

    name: str
    factor: float = 1.0
    """What a figure, in seconds or bytes, is multiplied with."""
    digits: int = 0
    """Behind the point."""
    rate: str = ""
    """What there are so many of in a second, where a figure is the time that one takes."""

    def show(self, figure: float) -> str:
        """A figure as text, without the unit's name."""
        return f"{figure * self.factor:,.{self.digits}f}"


MICROSECONDS: Final = Unit("µs", 1e6)
MILLISECONDS: Final = Unit("ms", 1e3, 1)
SECONDS: Final = Unit("s", 1.0, 3)
KILOBYTES: Final = Unit("kB", 1e-3, 1)
TIMES: Final = Unit("times", 1.0, 1)
RUNS_AT_ONCE: Final = Unit("runs")


@dataclass(frozen=True)
class Contender:
    """A subject as a group names it."""

    name: str
    what: str
    """What one figure of it is, for the table."""
    where: str
    """`module:class` of the subject."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the class is called with."""
    share: float = 1.0
    """Of the size of a turn: less for one that takes long."""
    peer: bool = False
    """Whether it needs the peers' environment. Then it is started for each turn anew and gone after it: brokers and
    schedulers that idle beside the others would weigh on them."""


@dataclass(frozen=True)
class Target:
    """What the project promises of a figure."""

    name: str
    """The contender."""
    at_most: float
    """The highest ratio to `base`; without a base the highest median, in the table's unit."""
    base: str = ""


@dataclass(frozen=True)
class Table:
    """What is shown of one measure."""

    measure: str
    """The key in what the contenders' turns give."""
    title: str
    unit: Unit
    base: str = ""
    """The contender that the others are compared with."""
    targets: Sequence[Target] = ()


@dataclass(frozen=True)
class Group:
    """Contenders that are measured in the same minutes."""

    name: str
    """As on the command line. Groups that belong together share it."""
    contenders: Sequence[Contender]
    tables: Sequence[Table]
    size: int = 1
    """Of a turn."""
    rounds: int = 10
    warm_up: int | None = None
    """The size of the turn before the first, which is not counted; as all others by default, none if it is 0."""
