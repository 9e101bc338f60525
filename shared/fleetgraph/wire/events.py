"""The event envelope: what travels on a run's channel and stays in its log.

A message is msgpack `[seq of its last event, [event, …]]`; an event is `[mode, ns, task, attempt, ts, payload]`. The
script that publishes a message numbers it, so an event's own seq follows from its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from fleetgraph.errors import DecodeError, EncodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.shapes import is_array

RUN: Final = "run"
"""Mode of the events about the run itself. The last event of every run has it, with an `End` as payload."""

_HEAD: Final = 5
"""Items of an event before its payload: what stays readable when payloads are encrypted."""


class Event(NamedTuple):
    """One event of a run."""

    seq: int
    """1, 2, … without a gap, in the one order that every reader sees."""
    mode: str
    ns: tuple[str, ...]
    task: str
    """Id of the task it tells about; empty for none."""
    attempt: int
    """The attempt of that task; 0 for none."""
    ts: float
    """Unix time, in seconds, by the clock of the process that made it."""
    payload: Any


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended."""

    status: str
    """`success`, `error`, `interrupted` or `cancelled`."""
    error: BaseException | None = None

    def payload(self) -> dict[str, Any]:
        return {"status": self.status, "error": self.error}


def encode_event(
    codec: Codec, mode: str, ns: Sequence[str], task: str, attempt: int, ts: float, payload: Any, where: str = ""
) -> bytes:
    """One event, without its seq.

    Raises:
        EncodeError: The payload can't travel; `where` says whose it is.
    """
    try:
        return codec.encode([mode, list(ns), task, attempt, ts, payload], clear=_HEAD)
    except EncodeError:
        codec.encode(payload, where)  # raises the same, with the path inside the payload
        raise


def decode_message(codec: Codec, data: bytes) -> list[Event]:
    """The events of a message.

    Raises:
        DecodeError: It is none.
    """
    decoded = codec.decode(data)
    if not is_array(decoded, int, list):
        raise _no_events()
    last: int
    bodies: list[Any]
    last, bodies = decoded
    seq = last - len(bodies)
    events: list[Event] = []
    for body in bodies:
        if type(body) is not list or len(cast("list[Any]", body)) != _HEAD + 1:
            raise _no_events()
        mode, ns, task, attempt, ts, payload = cast("list[Any]", body)
        plain = type(mode) is str and type(task) is str and type(attempt) is int and type(ts) in (float, int)
        if not plain or type(ns) is not list or any(type(part) is not str for part in cast("list[Any]", ns)):
            raise _no_events()
        seq += 1
        events.append(Event(seq, mode, tuple(cast("list[str]", ns)), task, attempt, ts, payload))
    return events


def _no_events() -> DecodeError:
    return DecodeError("not a message of events: expected [seq, [[mode, ns, task, attempt, ts, payload], …]].")
