"""Large values of a run's state, kept in Redis while tasks may need them: task messages name them, workers fetch them.

The hash of a run's values holds each under a name of its own. Of a list that grows there is the list as it was first,
`<name>`, and what was added since, in pieces: `<name>.<number>` (see `fleetgraph.growing`). Where a piece replaces
others, `<name>.<number>+` is what was added last. A name begins with the
epoch of the coordinator that stored the value, so that two that believe they own the run do not get in each other's
way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from fleetgraph.growing import pieces, span
from fleetgraph.wire import keys
from fleetgraph.wire.calling import Call, Value, command, script, seconds
from fleetgraph.wire.transitions import RETENTION, Refusal

LARGE_BYTES: Final = 16_384
"""Encoded values of at least this size are stored: smaller ones cost less where they travel along."""

GROWING_BYTES: Final = 4096
"""The same of lists that have been seen to grow, since they are likely to go on: then only what is added travels."""

WHOLE: Final = ""
"""Stands in the place of a channel's name where the state is not made of named channels."""


class Reference(NamedTuple):
    """Names a value that is stored."""

    name: str
    growths: int
    """How often it has grown since it was first stored: 0 for what is no list."""
    digest: bytes = b""
    """That of what was added last, so that who has just written that need not fetch it; empty if it is encrypted."""

    def bits_since(self, growths: int) -> list[str]:
        """The fields that hold what it has grown by since it had grown so often. Old ones are removed some time."""
        return [bit_field(self.name, number) for number in range(growths + 1, self.growths + 1)]

    @property
    def fields(self) -> list[str]:
        """The fields that hold it, in their order."""
        return [self.name, *(piece_field(self.name, number) for number in pieces(self.growths))]


def piece_field(name: str, number: int) -> str:
    """The field that holds the `number`th piece of what a value has grown by."""
    return f"{name}.{number}"


def bit_field(name: str, number: int) -> str:
    """The field that holds what a value has grown by the `number`th time, for those who know what it was before."""
    return f"{piece_field(name, number)}{'+' if span(number) > 1 else ''}"


def digest(data: bytes) -> bytes:
    """By which a worker recognizes what it has written itself."""
    return blake2b(data, digest_size=16).digest()


def about(run: str, field: str) -> str:
    """What a stored value is bound to when it is encrypted."""
    return f"{run} {field}"


def store(
    run: str, epoch: int, new: Mapping[str, bytes], gone: Sequence[str], *, batch: int, sweep: bool = False
) -> Call[Refusal | None]:
    """Store values of a run, and remove others.

    It counts as a batch of tasks, so that those that need the values are refused where these did not arrive. May give
    SUPERSEDED, CANCELLED, REPEATED, which is harmless, or INCOMPLETE.

    Args:
        run: The run.
        epoch: That of its coordinator.
        new: The encoded values, by field.
        gone: Fields that no task needs any more.
        batch: As of `transitions.dispatch`.
        sweep: Whether to remove all that coordinators of other epochs have stored.
    """
    words: list[Value] = [word for item in new.items() for word in item]
    return script(
        "store",
        (keys.run(run), keys.values(run)),
        (epoch, seconds(RETENTION), batch, int(sweep), len(gone), *gone, *words),
        lambda answer: None if answer == b"stored" else Refusal(answer),
    )


def fetch(run: str, fields: Collection[str]) -> Call[list[bytes | None]]:
    """Read stored values of a run; None stands for what is not there."""
    return command("HMGET", keys.values(run), *fields)


# --- how large a value is ----------------------------------------------------------------------------------

_CONTAINERS: Final = frozenset({list, tuple, set, frozenset})
_SMALL: Final = frozenset({int, float, bool, type(None)})
_BUILT_IN: Final = (str, bytes, bytearray, dict, list, tuple, set, frozenset)


def is_surely_small(value: Any) -> bool:
    """Whether one look tells that an encoded value has less than `LARGE_BYTES`."""
    kind = cast("type[Any]", type(value))
    return kind in _SMALL or ((kind is str or kind is bytes) and 4 * len(value) < LARGE_BYTES)


def may_be_large(value: Any, limit: int = LARGE_BYTES) -> bool:
    """Whether an encoded value has at least so many bytes, or only encoding it can tell. Takes no longer than that."""
    left = limit
    level: list[Any] = [value]
    while level:
        left -= len(level)
        inner: list[Any] = []
        for one in level:
            kind = cast("type[Any]", type(one))
            if kind is str or kind is bytes or kind is bytearray:
                left -= len(one)
            elif kind in _CONTAINERS:
                inner += one
            elif kind is dict:
                inner += one
                inner += one.values()
            elif kind not in _SMALL:
                attributes = getattr(one, "__dict__", None)
                if attributes is None or isinstance(one, _BUILT_IN):
                    return True
                inner.append(attributes)
        if left <= len(inner):
            return True
        level = inner
    return False


# --- a list out of its pieces ------------------------------------------------------------------------------


def array_items(data: bytes) -> tuple[int, memoryview] | None:
    """How many items an encoded array has, and its bytes without the head; None for what is no plain array."""
    first = data[0] if data else 0
    if 0x90 <= first <= 0x9F:
        return first & 0x0F, memoryview(data)[1:]
    if first == 0xDC:
        return int.from_bytes(data[1:3]), memoryview(data)[3:]
    if first == 0xDD:
        return int.from_bytes(data[1:5]), memoryview(data)[5:]
    return None


def array_of(count: int, items: bytes | bytearray) -> bytes:
    """The encoded array of so many items, of which `items` are the bytes."""
    return b"".join((b"\xdd", count.to_bytes(4), items))


_UNCHANGEABLE: Final = frozenset({str, bytes, int, float, bool, type(None)})
"""What nobody can change: it need not be made afresh for everybody."""


class Pieces:
    """The pieces of one value, ready to be had as often as it is needed.

    Plain arrays behind each other are one array with another head. Others, such as encrypted ones, are kept apart. What
    nobody can change is decoded once: so a long list of texts takes no longer to have than a short one.
    """

    __slots__ = ("_apart", "_count", "_items", "_known", "_known_bytes", "_mixed", "_only", "growths")

    growths: int
    """How often the value has grown, as far as it is known; -1 if nothing is."""
    _known: list[Any]
    """The first items, decoded, as far as they are unchangeable."""
    _known_bytes: int
    """How many they took, encoded."""
    _count: int
    _items: bytearray
    """The encoded ones behind them."""
    _mixed: bool
    """Whether there are changeable ones among those."""
    _apart: list[tuple[str, bytes]] | None
    _only: Any
    """The value, decoded, if it is a text or bytes: it never grows, and nobody can change it."""

    def __init__(self) -> None:
        self.clear()

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return self._known_bytes + len(self._items) + sum(len(data) for _, data in self._apart or ())

    def clear(self) -> None:
        """Know nothing any more."""
        self.growths = -1
        self._known, self._known_bytes = [], 0
        self._count, self._items, self._mixed = 0, bytearray(), False
        self._apart, self._only = None, None

    def add(self, growths: int, pieces: Sequence[tuple[str, bytes]]) -> None:
        """Add pieces behind those that are there: (field, encoded)."""
        for field, data in pieces:
            self._add(field, data)
        self.growths = growths

    def _add(self, field: str, data: bytes) -> None:
        found = None if self._apart is not None else array_items(data)
        if found is not None:
            self._count += found[0]
            self._items += found[1]
        elif self._apart is not None:
            self._apart.append((field, data))
        else:
            self._apart = [(field, data)]

    def decoded(self, decode: Callable[[bytes, str], Any]) -> Any:
        """The value: what is done to it does not show the next time.

        Args:
            decode: Decodes a piece, given the field that it was in.
        """
        if self._only is not None:
            return self._only
        if self._apart is None:
            return self._decoded_items(decode)
        whole: list[Any] = [self._decoded_items(decode)] if self._count or self._known else []
        whole += [decode(data, field) for field, data in self._apart]
        if len(whole) > 1:
            return list(chain.from_iterable(whole))
        if type(whole[0]) is str or type(whole[0]) is bytes:
            self._only, self._known_bytes, self._apart = whole[0], len(self._apart[0][1]), []
        return whole[0]

    def _decoded_items(self, decode: Callable[[bytes, str], Any]) -> list[Any]:
        if not self._count:
            return self._known.copy()
        items: list[Any] = decode(array_of(self._count, self._items), "")
        if not self._mixed and all(type(one) in _UNCHANGEABLE for one in items):
            self._known += items
            self._known_bytes += len(self._items)
            self._count, self._items = 0, bytearray()
            return self._known.copy()
        self._mixed = True
        return self._known + items
