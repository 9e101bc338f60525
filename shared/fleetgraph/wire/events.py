"""The event envelope: what travels on a run's channel and stays in its log.

A message is msgpack `[seq of its last event, [event, …]]`; an event is `[mode, ns, task, attempt, ts, payload]`. The
script that publishes a message numbers it, so an event's own seq follows from its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from struct import Struct
from time import time
from typing import Any, Final, NamedTuple, cast

from fleetgraph.errors import DecodeError, EncodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.shapes import is_array
from fleetgraph.wire.unpacking import reader

RUN: Final = "run"
"""Mode of the events about the run itself. The last event of every run has it, with an `End` as payload."""

_HEAD: Final = 5
"""Items of an event before its payload: what stays readable when payloads are encrypted."""

_TS_AND_NIL: Final = 9
"""Bytes of a `ts`, without the one that says that it is a float, and of nil."""

_SMALL: Final = 4096
"""Bytes of a message that is decoded at once."""

_AT_ONCE: Final = 32
"""Events of a larger one that are: some ten objects each, and the garbage collector takes notice of 700."""

_METADATA_KEPT: Final = 16
"""Of so many models that speak at the same time the metadata is encoded once, and not for each of their tokens."""

_pack_ts = Struct(">d").pack


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


class EventEncoder:
    """Encodes the events of one mode, namespace and task: what all of them begin with, only once.

    Args:
        codec: Encodes the payloads.
        mode: The mode of all of them.
        ns: Their namespace.
        task: Id of the task that they tell about.
        attempt: The attempt of that task.
        where: Whose they are, for errors.
    """

    __slots__ = ("_attempt", "_codec", "_head", "_metadata", "_mode", "_ns", "_sealed", "_task", "_where")

    def __init__(self, codec: Codec, mode: str, ns: Sequence[str], task: str, attempt: int, where: str = "") -> None:
        self._codec = codec
        self._mode = mode
        self._ns = ns
        self._task = task
        self._attempt = attempt
        self._where = where
        self._sealed = codec.encrypts
        self._metadata: dict[int, tuple[Mapping[str, Any], bytes]] = {}
        """What was encoded of it, with the object, by the object's id."""
        event = [mode, list(ns), task, attempt, 0.0, None]
        self._head = b"" if self._sealed else codec.encode(event)[:-_TS_AND_NIL]

    def encode(self, payload: Any) -> bytes:
        """One event, without its seq, made now.

        Raises:
            EncodeError: The payload can't travel.
        """
        if self._sealed:
            return self._encode_sealed(payload)
        return self._head + _pack_ts(time()) + self._codec.encode(payload, self._where)

    def encode_message(self, message: Any, metadata: Mapping[str, Any]) -> bytes:
        """One event whose payload is the tuple of a message and its metadata.

        The metadata is that of all tokens of one call of a model. An object that comes again is not encoded again, so
        it has to be what it was the first time.

        Raises:
            EncodeError: One of them can't travel.
        """
        if self._sealed:
            return self._encode_sealed((message, dict(metadata)))
        try:
            kept = self._metadata.get(id(metadata))
            if kept is None:
                if len(self._metadata) >= _METADATA_KEPT:
                    self._metadata.clear()
                kept = self._metadata[id(metadata)] = metadata, self._codec.encode(dict(metadata), self._where)
            return self._head + _pack_ts(time()) + self._codec.encode_pair(message, kept[1], self._where)
        except EncodeError:
            self._codec.encode((message, dict(metadata)), self._where)  # raises the same, and says which of the two
            raise

    def _encode_sealed(self, payload: Any) -> bytes:
        head = self._mode, self._ns, self._task, self._attempt
        return encode_event(self._codec, *head, time(), payload, self._where)


class Batch(NamedTuple):
    """Events that were published together, to be read once: they may be decoded only then."""

    first: int
    """The seq of the first of them; of the next event, if there is none."""
    last: int
    """That of the last; of the one before, if there is none."""
    events: Iterator[Event]
    """Raises `DecodeError` where one of them is none, or can't be decoded."""


def read_batch(codec: Codec, data: bytes) -> Batch:
    """The events of a message.

    Those of a flood are decoded a few at a time. So what is made of them is gone again before Python's garbage
    collector takes notice, which would take longer to look through it all than decoding does.

    Raises:
        DecodeError: It is none.
    """
    if len(data) <= _SMALL:
        decoded = codec.decode(data)
        if not is_array(decoded, int, list):
            raise _no_events()
        last: int
        bodies: list[Any]
        last, bodies = decoded
        first = last - len(bodies) + 1
        return Batch(first, last, _events(bodies, first))
    last, number, parts = _cut(data)
    first = last - number + 1
    return Batch(first, last, _events_of_parts(codec, parts, first))


def decode_message(codec: Codec, data: bytes) -> list[Event]:
    """All events of a message.

    Raises:
        DecodeError: It is none.
    """
    return list(read_batch(codec, data).events)


def _cut(data: bytes) -> tuple[int, int, list[bytes]]:
    """The seq of a message's last event, how many there are, and a few at a time as a msgpack array of their own."""
    parts: list[bytes] = []
    unpacker = reader(data)
    try:
        if unpacker.read_array_header() != 2 or type(last := unpacker.unpack()) is not int:
            raise _no_events()
        left = number = unpacker.read_array_header()
        end = unpacker.tell()
        while left:
            count = min(left, _AT_ONCE)
            for _ in range(count):
                unpacker.skip()
            begin, end = end, unpacker.tell()
            parts.append(bytes((0xDC, 0, count)) + data[begin:end])
            left -= count
    except DecodeError:
        raise
    except Exception as error:  # msgpack raises many kinds
        raise _no_events() from error
    if end != len(data):
        raise _no_events()
    return last, number, parts


def _events_of_parts(codec: Codec, parts: list[bytes], first: int) -> Iterator[Event]:
    for part in parts:
        bodies = codec.decode(part)
        yield from _events(bodies, first)
        first += len(bodies)


def _events(bodies: list[Any], first: int) -> Iterator[Event]:
    for seq, body in enumerate(bodies, first):
        if type(body) is not _LIST or len(body) != _HEAD + 1:
            raise _no_events()
        mode, ns, task, attempt, ts, payload = body
        if type(mode) is not str or type(task) is not str or type(attempt) is not int or type(ns) is not _LIST:
            raise _no_events()
        if type(ts) is not float and type(ts) is not int:
            raise _no_events()
        yield _new_event((seq, mode, _path(ns) if ns else (), task, attempt, ts, payload))


def _path(ns: list[Any]) -> tuple[str, ...]:
    if any(type(part) is not str for part in ns):
        raise _no_events()
    return tuple(ns)


_LIST: Final[Any] = list  # for pyright, to which a list that anything may be in is an error

_new_event: Callable[[tuple[Any, ...]], Event] = partial(cast(Any, tuple).__new__, Event)


def _no_events() -> DecodeError:
    return DecodeError("not a message of events: expected [seq, [[mode, ns, task, attempt, ts, payload], …]].")
