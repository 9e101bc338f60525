"""Random ids that come out the same again: what a run draws when it is told the same things once more."""

from __future__ import annotations

from contextvars import ContextVar, Token
from random import Random
from uuid import UUID, uuid4

_source: ContextVar[Random | None] = ContextVar("fleetgraph_source", default=None)


class drawing_from:
    """A context: while it holds, `new_uuid` draws from `source`, which a seed can bring back to where it was."""

    __slots__ = ("_source", "_token")

    _token: Token[Random | None]

    def __init__(self, source: Random | None) -> None:
        self._source = source

    def __enter__(self) -> None:
        self._token = _source.set(self._source)

    def __exit__(self, *_: object) -> None:
        _source.reset(self._token)


def new_uuid() -> UUID:
    """A random UUID; where a run may have to be told everything once more, always the same in the same place."""
    source = _source.get()
    return uuid4() if source is None else UUID(int=source.getrandbits(128), version=4)
