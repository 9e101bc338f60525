"""What a running task may ask of its run, and the answers.

resume   the answer the run was resumed with, if it is this task's: [task id] → [value] or []
call     to run a function as a task of its own: [index, reference, args, kwargs] → what it returns
saver    to read or write checkpoints of a graph that the task runs: [method, arguments] → what the method returns
drain    to stop the run after this superstep: the reason → nothing
store    operations on the run's store: [[name, fields], …] → a result for each
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, cast

from fleetgraph.errors import DecodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import Answer, Request
from fleetgraph.wire.shapes import message_from_array, message_to_array
from fleetgraph.wire.unreadable import unreadable_answer, unreadable_request

logger = logging.getLogger(__name__)

RESUME: Final = "resume"
CALL: Final = "call"
SAVER: Final = "saver"
STORE: Final = "store"
DRAIN: Final = "drain"

_MARK: Final = b"?"
"""What tells a request from an outcome: no msgpack array begins with it."""

_REQUEST_HEAD: Final = 7
"""Items of a request before its payload, the wire version being one: they stay readable when payloads are encrypted."""

_ANSWER_HEAD: Final = 2

NOBODY: Final = 0
"""A number that no request has."""


def encode_request(codec: Codec, request: Request, where: str) -> bytes:
    """The bytes of a request, for a coordinator's inbox.

    Raises:
        EncodeError: What it carries can't travel; `where` says whose it is.
    """
    return _MARK + codec.encode(message_to_array(request), where, clear=_REQUEST_HEAD)


def is_request(data: bytes) -> bool:
    """Whether a message of an inbox is a request, and no outcome."""
    return data.startswith(_MARK)


def decode_request(codec: Codec, data: bytes) -> Request:
    """The request in a message of an inbox; one of kind `UNREADABLE` if all but its payload can be read.

    Raises:
        DecodeError: Not even who asks can be read.
    """
    data = data[len(_MARK) :]
    try:
        return message_from_array(Request, codec.decode(data))
    except DecodeError as error:
        request = unreadable_request(data, error)
        if request is None:
            raise
        return request


def encode_answer(codec: Codec, answer: Answer, where: str) -> bytes:
    """The bytes of an answer.

    Raises:
        EncodeError: The value can't travel.
    """
    return codec.encode(message_to_array(answer), where, clear=_ANSWER_HEAD)


def decode_answer(codec: Codec, data: bytes) -> Answer:
    """The answer in these bytes. One that can't be read is the error that says so; under `NOBODY`, if not even its
    number can be read.
    """
    try:
        return message_from_array(Answer, codec.decode(data))
    except DecodeError as error:
        answer = unreadable_answer(data, error)
        if answer is None:
            logger.error("threw away an unreadable answer: %s", error, extra={"action": "answer-unreadable"})
        return answer or Answer(NOBODY, None, error)


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
