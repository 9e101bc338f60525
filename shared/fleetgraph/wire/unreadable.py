"""Messages that can't be decoded, made into failures of what they are about.

Without it a value of a type that only its sender knows would leave someone waiting for ever. The head of a message is
plain msgpack, also when the rest is encrypted.
"""

from __future__ import annotations

from typing import Any, Final, cast

from fleetgraph.wire.messages import Answer, Outcome, Request
from fleetgraph.wire.unpacking import unpack

UNREADABLE: Final = "unreadable"
"""Kind of a request of which only the head could be read; its payload is the error."""


def unreadable_outcome(data: bytes, error: BaseException) -> Outcome | None:
    """An outcome that failed to decode, as a failure of the attempt it is of; None if not even that can be read."""
    match _head(data):
        case [_, str(run), str(task), int(attempt), str(worker), *_]:
            return Outcome(run, task, attempt, worker, None, error)
        case _:
            return None


def unreadable_request(data: bytes, error: BaseException) -> Request | None:
    """A request that failed to decode, as one that nobody can fulfil; None if not even that can be read."""
    match _head(data):
        case [_, str(run), str(task), int(attempt), str(worker), int(number), *_]:
            return Request(run, task, attempt, worker, number, UNREADABLE, error)
        case _:
            return None


def unreadable_answer(data: bytes, error: BaseException) -> Answer | None:
    """An answer that failed to decode, as an error; None if not even its number can be read."""
    match _head(data):
        case [_, int(number), *_]:
            return Answer(number, None, error)
        case _:
            return None


def _head(data: bytes) -> list[Any] | None:
    try:
        found = unpack(data, strict_map_key=False, ext_hook=_no_value, unicode_errors="surrogatepass")
    except Exception:  # whatever is wrong with it, there is no head then
        return None
    return cast("list[Any]", found) if isinstance(found, list) else None


def _no_value(code: int, data: bytes) -> None:
    """Stands in for an extension that is not to be built."""
