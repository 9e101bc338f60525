"""What savers that keep bytes have in common: checkpoints, values and writes as bytes and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from fleetgraph.checkpoint.base import (
    BaseCheckpointSaver,
    CheckpointLost,
    CheckpointTuple,
    Place,
    kept,
)
from fleetgraph.errors import DecodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.shapes import is_array

FORMAT: Final = 1
"""Of `EncodedCheckpoint.head` and what belongs to it; raised when they change shape."""

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
    """Those that are new, with the value."""


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

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these classes be saved and loaded.

        Raises:
            TypeError: One of them is not a class.
        """
        self._codec.allow(*types)

    def _encode(
        self, place: Place, checkpoint: Mapping[str, Any], metadata: Mapping[str, Any], new_versions: Mapping[str, Any]
    ) -> EncodedCheckpoint:
        """Raises `EncodeError` for a value that can't be encoded; names its channel."""
        values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
        channels = [name for name in values if name in versions]
        plain = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        return EncodedCheckpoint(
            id=checkpoint["id"],
            head=self._codec.encode([FORMAT, place.checkpoint_id, plain, channels], _HEAD, about=_HEAD),
            metadata=self._codec.encode(dict(metadata), METADATA, about=METADATA),
            filled=[(name, versions[name]) for name in channels],
            values=[
                (name, version, self._codec.encode(values[name], f"channel {name!r}", about=name))
                for name, version in new_versions.items()
                if name in values
            ],
        )

    def _encode_write(self, channel: str, value: Any) -> bytes:
        """Raises `EncodeError` for a value that can't be encoded; names its channel."""
        return self._codec.encode(kept(value), f"channel {channel!r}", about=channel)

    def _decode_head(self, data: bytes, place: Place) -> Head:
        """Raises `DecodeError` for one in a format of another version of Fleetgraph."""
        decoded: Any = self._decode(data, place, _HEAD)
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
        values: Mapping[str, bytes | None],
        writes: Iterable[StoredWrite],
    ) -> CheckpointTuple:
        """The checkpoint at `place`, decoded.

        Raises:
            CheckpointLost: It has a value that is not among `values`.
            DecodeError: A value is of a class that is not allowed.
        """
        lost = [name for name in head.channels if values.get(name) is None]
        if lost:
            raise CheckpointLost(place.thread, place.ns, place.checkpoint_id or "", lost)
        ordered = sorted(writes, key=lambda write: (write.path, write.task, write.index))
        return CheckpointTuple(
            config=place.config,
            checkpoint={
                **head.checkpoint,
                "channel_values": {
                    name: self._decode(data, place, f"channel {name!r}", name)
                    for name, data in values.items()
                    if data is not None
                },
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


def _first(array: Any) -> Any:
    return cast("list[Any]", array)[0] if isinstance(array, list) and array else None


def _has_versions(checkpoint: dict[str, Any], channels: list[Any]) -> bool:
    """Whether a checkpoint tells the version of each of these channels."""
    versions: Any = checkpoint.get("channel_versions")
    return isinstance(versions, dict) and all(type(name) is str and name in versions for name in channels)


def _where(place: Place) -> str:
    ns = f", namespace {place.ns!r}" if place.ns else ""
    return f"thread {place.thread!r}{ns}"
