"""What a running task may ask of its run, and the answers.

resume   the answer the run was resumed with, if it is this task's: [task id] → [value] or []
call     to run a function as a task of its own: [index, reference, args, kwargs] → what it returns
saver    to read or write checkpoints of a graph that the task runs: [method, arguments] → what the method returns
drain    to stop the run after this superstep: the reason → nothing
store    operations on the run's store: [[name, fields], …] → a result for each
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import Answer, Request
from fleetgraph.wire.shapes import message_from_array, message_to_array

RESUME: Final = "resume"
CALL: Final = "call"
SAVER: Final = "saver"
STORE: Final = "store"
DRAIN: Final = "drain"

_MARK: Final = b"?"
"""What tells a request from an outcome: no msgpack array begins with it."""


def encode_request(codec: Codec, request: Request, where: str) -> bytes:
    """The bytes of a request, for a coordinator's inbox.

    Raises:
        EncodeError: What it carries can't travel; `where` says whose it is.
    """
    return _MARK + codec.encode(message_to_array(request), where)


def is_request(data: bytes) -> bool:
    """Whether a message of an inbox is a request, and no outcome."""
    return data.startswith(_MARK)


def decode_request(codec: Codec, data: bytes) -> Request:
    """The request in a message of an inbox.

    Raises:
        DecodeError: There is none.
    """
    return message_from_array(Request, codec.decode(data[len(_MARK) :]))


def encode_answer(codec: Codec, answer: Answer, where: str) -> bytes:
    """The bytes of an answer.

    Raises:
        EncodeError: The value can't travel.
    """
    return codec.encode(message_to_array(answer), where)


def decode_answer(codec: Codec, data: bytes) -> Answer:
    """The answer in these bytes.

    Raises:
        DecodeError: There is none.
    """
    return message_from_array(Answer, codec.decode(data))


def plain_operations(operations: Sequence[Any]) -> list[Any]:
    """Operations on a store, as a request carries them."""
    return [[type(operation).__name__, *_fields(operation)] for operation in operations]


def _fields(operation: tuple[Any, ...]) -> list[Any]:
    return [
        [[one.match_type, list(one.path)] for one in field] if _is_conditions(field) else field for field in operation
    ]


def _is_conditions(field: Any) -> bool:
    items = cast("tuple[Any, ...]", field) if isinstance(field, tuple) else ()
    return bool(items) and hasattr(items[0], "match_type")
