"""What savers that keep bytes have in common: checkpoints, values and writes as bytes and back."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from itertools import chain as chained
from typing import Any, Final, NamedTuple, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.checkpoint.base import (
    BaseCheckpointSaver,
    CheckpointLost,
    CheckpointTuple,
    Config,
    Grown,
    Place,
    kept,
)
from fleetgraph.checkpoint.growth import LONGEST_VERSION, SMALL_BYTES, Standing, Standings, Tail, Version
from fleetgraph.errors import DecodeError
from fleetgraph.wire.codec import MAX_MESSAGE_BYTES, Codec
from fleetgraph.wire.shapes import is_array
from fleetgraph.wire.values import array_items, array_of

FORMAT: Final = 1
"""Of `EncodedCheckpoint.head` and what belongs to it; raised when they change shape."""

LONG_HEAD_BYTES: Final = 2048
"""Heads of so many bytes are compressed, to a fifth or so: graphs of many channels and nodes have them, whose versions
are mostly the same few. It takes some 30 µs."""

_COMPRESSED: Final = b"\x78"
"""What zlib's output begins with, and an encoded head does not."""

METADATA: Final = "the metadata of a checkpoint"
"""How errors name it."""

_HEAD: Final = "a checkpoint"

_BOUND: Final = frozenset([METADATA, _HEAD])
"""What is bound to being just that, when it is encrypted; and each value is, to its channel. Not to the thread: threads
can be copied."""


@dataclass(frozen=True, slots=True)
class EncodedCheckpoint:
    """A checkpoint, ready to be stored."""

    id: str
    head: bytes
    """`FORMAT`, its parent's id, the checkpoint without its values, and which channels have one."""
    metadata: bytes
    filled: list[tuple[str, Any]]
    """The (channel, version) pairs that have a value, of this checkpoint or of an earlier one."""
    values: list[tuple[str, Any, bytes]]
    """Those that are new, with the value; or with the tail of a list that has grown (see `checkpoint.growth`)."""
    lists: frozenset[str]
    """The channels whose value is a list, so that it may have been stored as a tail."""


class Head(NamedTuple):
    """What `EncodedCheckpoint.head` holds."""

    parent_id: str | None
    checkpoint: dict[str, Any]
    channels: list[str]

    @property
    def filled(self) -> list[tuple[str, Any]]:
        """The (channel, version) pairs that have a value."""
        versions = self.checkpoint["channel_versions"]
        return [(name, versions[name]) for name in self.channels]


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """One write of a task, as it is stored."""

    path: str
    task: str
    index: int
    channel: str
    value: bytes


class EncodingSaver(BaseCheckpointSaver):
    """Base of the savers that keep values as `fleetgraph.wire.codec.Codec` encodes them.

    Values come back as what they were, of the types that are allowed: those of the graph's schemas, which `compile`
    allows, those that `fleetgraph.wire.allow` was given, and `types`.
    """

    def __init__(self, types: Iterable[type[Any]]) -> None:
        self._codec = Codec(types)
        self._standings = Standings()

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these classes be saved and loaded.

        Raises:
            TypeError: One of them is not a class.
        """
        self._codec.allow(*types)

    async def aput(
        self,
        config: Config,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
        *,
        grown: Grown | None = None,
    ) -> Config:
        return await asyncio.to_thread(
            partial(self.put, config, checkpoint, metadata, new_versions, **({"grown": grown} if grown else {}))
        )

    def _encode(
        self,
        place: Place,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        new_versions: Mapping[str, Any],
        grown: Grown | None = None,
    ) -> EncodedCheckpoint:
        """Raises `EncodeError` for a value that can't be encoded; names its channel."""
        values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
        channels = [name for name in values if name in versions]
        plain = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        return EncodedCheckpoint(
            id=checkpoint["id"],
            head=self._encode_head([FORMAT, place.checkpoint_id, plain, channels]),
            metadata=self._codec.encode(dict(metadata), METADATA, about=METADATA),
            filled=[(name, versions[name]) for name in channels],
            values=[
                (name, version, self._encode_value(place, name, version, values[name], (grown or {}).get(name)))
                for name, version in new_versions.items()
                if name in values
            ],
            lists=frozenset(name for name in channels if type(values[name]) is list),
        )

    def _encode_head(self, head: list[Any]) -> bytes:
        data = self._codec.encode(head, _HEAD, about=_HEAD)
        if len(data) < LONG_HEAD_BYTES or self._codec.encrypts:
            return data
        return zlib.compress(data, 1)

    def _encode_value(
        self, place: Place, channel: str, version: Any, value: Any, grown: tuple[Any, int] | None
    ) -> bytes:
        where = f"channel {channel!r}"
        if type(value) is not list:
            return self._codec.encode(value, where, about=channel)
        items = cast("list[Any]", value)
        at = Version(version, len(items))
        known = None if grown is None else self._standings.find(place.thread, place.ns, channel, grown[0])
        base = None if known is None or grown is None or known.at.items != grown[1] else known.base
        if known is not None and base is not None and known.size >= SMALL_BYTES and _can_be_base(base.version):
            data = Tail(
                known.growths + 1, str(base.version), self._codec.encode(items[base.items :], where, about=channel)
            ).data
            standing = known.grown(at, len(data))
        else:
            data = self._codec.encode(items, where, about=channel)
            standing = Standing.whole(at, len(data))
        self._standings.note(place.thread, place.ns, channel, standing)
        return data

    def _decode_value(self, place: Place, channel: str, version: Any, stored: Callable[[str], bytes | None]) -> Any:
        """The value of a channel under a version; MISSING if a part of it is not there.

        Args:
            place: Whose it is.
            channel: The channel.
            version: The version.
            stored: Gives what is stored under one, which it is given as text.
        """
        chain: list[tuple[Any, int, bytes]] = []
        at = version
        while True:
            data = stored(str(at))
            if data is None:
                return MISSING
            tail = _parsed(data, place, channel)
            if tail is None:
                chain.append((at, 0, data))
                break
            if chain and tail.growths >= chain[-1][1]:
                raise DecodeError(f"channel {channel!r} of {_where(place)}: what it has grown by is in no order.")
            chain.append((at, tail.growths, tail.items))
            at = tail.base
        chain.reverse()
        return self._joined(place, channel, chain)

    def _joined(self, place: Place, channel: str, chain: list[tuple[Any, int, bytes]]) -> object:
        """A value out of its parts: versions, how often it had grown, and what is stored of them."""
        what = f"channel {channel!r}"
        heads = [array_items(data) for _, _, data in chain]
        value: Any
        if len(chain) == 1:
            value = self._decode(chain[0][2], place, what, channel)
            lengths = [len(value)] if type(cast("object", value)) is list else []
        elif None not in heads:  # arrays behind each other are one array, but for their heads
            lengths = [head[0] for head in heads if head is not None]
            items = b"".join(head[1] for head in heads if head is not None)
            value = self._decode(array_of(sum(lengths), items), place, what, channel)
        else:
            lists = [self._decode(data, place, what, channel) for _, _, data in chain]
            if not all(isinstance(one, list) for one in lists):
                raise DecodeError(f"{what} of {_where(place)} has grown, and is no list.")
            lengths = [len(one) for one in lists]
            value = list(chained.from_iterable(lists))
        if lengths:
            path = [
                (growths, Version(version, length))
                for (version, growths, _), length in zip(chain, accumulate(lengths), strict=True)
            ]
            size = sum(len(data) for _, _, data in chain)
            if (standing := Standing.along(path, size)) is not None:
                self._standings.note(place.thread, place.ns, channel, standing)
        return value

    def _encode_write(self, channel: str, value: Any) -> bytes:
        """Raises `EncodeError` for a value that can't be encoded; names its channel."""
        return self._codec.encode(kept(value), f"channel {channel!r}", about=channel)

    def _decode_head(self, data: bytes, place: Place) -> Head:
        """Raises `DecodeError` for one in a format of another version of Fleetgraph."""
        decoded: Any = self._decode(_decompressed(data, place), place, _HEAD)
        version = _first(decoded)
        if type(version) is int and version != FORMAT:
            raise DecodeError(
                f"a checkpoint of {_where(place)} has format {version}, and this version of Fleetgraph reads {FORMAT}."
            )
        if not is_array(decoded, int, str | None, dict, list) or not _has_versions(decoded[2], decoded[3]):
            raise DecodeError(f"a checkpoint of {_where(place)} has another shape than Fleetgraph gives them.")
        return Head(*decoded[1:])

    def _decode(self, data: bytes, place: Place, what: str, channel: str | None = None) -> Any:
        """`what` is what errors call it; a value belongs to a channel."""
        about = channel if channel is not None else what if what in _BOUND else ""
        try:
            found: Any = self._codec.decode(data, about=about)
        except DecodeError as error:
            name = type(self).__name__
            raise DecodeError(
                f"{what} of {_where(place)}: {error} For this saver alone, give it the class: "
                f"{name}(..., types=[...]), or saver.allow(...)."
            ) from error
        if what == METADATA and type(cast(object, found)) is not dict:
            raise DecodeError(f"{what} of {_where(place)} has another shape than Fleetgraph gives them.")
        return found

    def _decode_row(self, data: bytes, place: Place, what: str, kinds: tuple[type[Any], ...]) -> list[Any]:
        """An array of items of these types. Raises `DecodeError` for anything else."""
        row = self._decode(data, place, what)
        if not is_array(row, *kinds):
            raise DecodeError(f"{what} of {_where(place)} has another shape than Fleetgraph gives them.")
        return row

    def _tuple(
        self,
        place: Place,
        head: Head,
        metadata: Mapping[str, Any],
        stored: Callable[[str, str], bytes | None],
        writes: Iterable[StoredWrite],
    ) -> CheckpointTuple:
        """The checkpoint at `place`, decoded.

        Args:
            place: Where it is.
            head: Its head.
            metadata: Its metadata.
            stored: Gives what is stored of a channel under a version; None for nothing.
            writes: What was written beside it.

        Raises:
            CheckpointLost: It has a value that is not there.
            DecodeError: A value is of a class that is not allowed.
        """
        values = {
            name: self._decode_value(place, name, version, partial(stored, name)) for name, version in head.filled
        }
        lost = [name for name, value in values.items() if value is MISSING]
        if lost:
            raise CheckpointLost(place.thread, place.ns, place.checkpoint_id or "", lost)
        ordered = sorted(writes, key=lambda write: (write.path, write.task, write.index))
        return CheckpointTuple(
            config=place.config,
            checkpoint={
                **head.checkpoint,
                "channel_values": values,
            },
            metadata=metadata,
            parent_config=Place(place.thread, place.ns, head.parent_id).parent_config,
            pending_writes=[
                (
                    write.task,
                    write.channel,
                    self._decode(write.value, place, f"a write to channel {write.channel!r}", write.channel),
                )
                for write in ordered
            ],
        )


def _decompressed(data: bytes, place: Place) -> bytes:
    if not data.startswith(_COMPRESSED):
        return data
    opened = zlib.decompressobj()
    try:
        found = opened.decompress(data, MAX_MESSAGE_BYTES)
    except zlib.error as error:
        raise DecodeError(f"a checkpoint of {_where(place)} can't be decompressed: {error}.") from error
    if not opened.eof:
        raise DecodeError(f"a checkpoint of {_where(place)} is cut off, or has more than {MAX_MESSAGE_BYTES} bytes.")
    return found


def _can_be_base(version: Any) -> bool:
    return isinstance(version, str) and len(version.encode()) <= LONGEST_VERSION


def _parsed(data: bytes, place: Place, channel: str) -> Tail | None:
    try:
        return Tail.parse(data)
    except ValueError as error:
        raise DecodeError(f"channel {channel!r} of {_where(place)}: {error}.") from None


def _first(array: Any) -> Any:
    return cast("list[Any]", array)[0] if isinstance(array, list) and array else None


def _has_versions(checkpoint: dict[str, Any], channels: list[Any]) -> bool:
    """Whether a checkpoint tells the version of each of these channels."""
    versions: Any = checkpoint.get("channel_versions")
    return isinstance(versions, dict) and all(type(name) is str and name in versions for name in channels)


def _where(place: Place) -> str:
    ns = f", namespace {place.ns!r}" if place.ns else ""
    return f"thread {place.thread!r}{ns}"
