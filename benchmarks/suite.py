"""All groups of the suite, by name."""

from __future__ import annotations

from typing import Final

from benchmarks.groups import events, fanout, growth, in_process, many, shapes, startup, superstep, waiting
from benchmarks.model import Group

_ALL: Final = (
    *superstep.GROUPS,
    *fanout.GROUPS,
    *in_process.GROUPS,
    *events.GROUPS,
    *waiting.GROUPS,
    *growth.GROUPS,
    *many.GROUPS,
    *startup.GROUPS,
    *shapes.GROUPS,
)

SUITE: Final[dict[str, list[Group]]] = {}
for _group in _ALL:
    SUITE.setdefault(_group.name, []).append(_group)
