"""Random ids that come out the same again: what a run draws when it is told the same things once more."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from uuid import UUID, uuid4

_source: ContextVar[Random | None] = ContextVar("fleetgraph_source", default=None)


@contextmanager
def drawing_from(source: Random | None) -> Generator[None]:
    """While this holds, `new_uuid` draws from `source`, which a seed can bring back to where it was."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def new_uuid() -> UUID:
    """A random UUID; where a run may have to be told everything once more, always the same in the same place."""
    source = _source.get()
    return uuid4() if source is None else UUID(int=source.getrandbits(128), version=4)
