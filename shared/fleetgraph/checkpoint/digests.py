"""The hashes that ids of tasks and of questions are made with.

A saver says by name which one: where another library made the thread, its ids are that library's, so that each knows
what the other's tasks have written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

OURS: Final = "blake2b"
LANGGRAPH: Final = "xxh3_128"


def digest(name: str, data: bytes) -> str:
    """32 hexadecimal digits that follow from `data`.

    Args:
        name: Of the hash: `OURS` or `LANGGRAPH`.

    Raises:
        ValueError: There is no hash of this name.
        ImportError: It is LangGraph's, and the package that computes it is not installed.
    """
    make = _DIGESTS.get(name)
    if make is None:
        raise ValueError(f"There is no digest {name!r}: a saver's `digest` is one of {sorted(_DIGESTS)}")
    return make(data)


def _ours(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _langgraph(data: bytes) -> str:
    try:
        import xxhash
    except ImportError as error:
        raise ImportError(
            "The run's saver is one of LangGraph's: every process that takes part in the run needs xxhash "
            "(pip install 'fleetgraph[langgraph]')"
        ) from error
    return xxhash.xxh3_128_hexdigest(data)


_DIGESTS: Final[Mapping[str, Callable[[bytes], str]]] = {OURS: _ours, LANGGRAPH: _langgraph}
