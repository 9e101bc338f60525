"""How RQ's own values travel: as msgpack of plain values, never as pickle.

For a stock worker: `rq worker --serializer fleetgraph.wire.rq_serializer.MsgpackSerializer`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from fleetgraph.errors import DecodeError
from fleetgraph.wire.codec import MAX_MESSAGE_BYTES
from fleetgraph.wire.unpacking import unpack

JOB_FUNCTION = "fleetgraph.worker.run_task"
"""The function of every job: RQ's name for `run_task(message: bytes)`."""

_COMPRESSED: Final = b"\x78"
"""What zlib's output begins with, and a job's data as it is made here does not."""


_packb = cast("Callable[[Any], bytes]", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]


class MsgpackSerializer:
    """RQ's serializer protocol: for None, booleans, numbers, strings, bytes, lists and mappings of those."""

    @staticmethod
    def dumps(obj: Any, /) -> bytes:
        """`obj` as bytes; a tuple comes back as a list.

        Raises:
            TypeError: There is something else in it.
        """
        return _packb(obj)

    @staticmethod
    def loads(data: bytes, /) -> Any:
        """The value that `dumps` made `data` of.

        Raises:
            DecodeError: `data` is no such thing.
        """
        try:
            return unpack(data, strict_map_key=False)
        except Exception as error:
            raise DecodeError(f"not a value of an RQ job: {type(error).__name__}: {error}") from error


def job_data(message: bytes) -> bytes:
    """An RQ job's `data`: the call of `run_task` with an encoded task message."""
    return MsgpackSerializer.dumps((JOB_FUNCTION, None, (message,), {}))


def message_of(data: bytes) -> bytes:
    """The task message in an RQ job's `data`, also after RQ has saved the job, which compresses it.

    Raises:
        DecodeError: The job calls something else, or is not msgpack.
    """
    loaded = MsgpackSerializer.loads(_decompressed(data) if data.startswith(_COMPRESSED) else data)
    match loaded:
        case [str(function), None, [bytes(message)], {}] if function == JOB_FUNCTION:
            return message
        case [str(function), *_]:
            raise DecodeError(f"the job calls {function[:100]!r}, not {JOB_FUNCTION}")
        case _:
            raise DecodeError("the job is not the call of a function")


def _decompressed(data: bytes) -> bytes:
    opened = zlib.decompressobj()
    try:
        found = opened.decompress(data, MAX_MESSAGE_BYTES)
    except zlib.error as error:
        raise DecodeError(f"not a value of an RQ job: {error}") from error
    if not opened.eof:
        raise DecodeError(f"an RQ job's data is cut off, or has more than {MAX_MESSAGE_BYTES} bytes")
    return found
