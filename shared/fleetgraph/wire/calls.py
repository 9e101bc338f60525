"""What clients ask of coordinators, and the replies: calls for programs that do not have a graph's code.

A call is pushed on `keys.calls(coordinator)`, its reply comes on `keys.reply(call id)`. Both are msgpack arrays that
begin with the wire version. What a call carries is encoded apart, so that one that can't be read still gets a reply.
Payloads are maps:

    submit             run, graph, input, config, context, modes, output_keys, whole (to show what the graph returns,
                       and not all that its state keeps), interrupt_before, interrupt_after, durability, subgraphs,
                       multitask_strategy, on_disconnect (`cancel`: when nobody is subscribed to its events any more),
                       asynchronous → None
    cancel             run → whether it was there to be cancelled
    get_state          graph, config, subgraphs → a StateSnapshot
    get_state_history  graph, config, filter, before, limit → [StateSnapshot, …], the newest first
    update_state       graph, config, values, as_node → the config of the new checkpoint

A call may arrive several times under one id; a coordinator does what it asks once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from fleetgraph.errors import EncodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.shapes import message_from_array, message_to_array

CALL_TTL: Final = timedelta(minutes=1)
"""How long calls and replies wait in Redis for whoever is to read them: longer than anybody waits for a reply."""

SERVICE: Final = "service"
"""Field `kind` of the record of a coordinator that answers calls."""


class Method(StrEnum):
    """What can be asked."""

    SUBMIT = "submit"
    """To begin a run, whose id the client has chosen."""
    CANCEL = "cancel"
    """To cancel a run, whichever coordinator holds it."""
    GET_STATE = "get_state"
    """What a thread's state is."""
    GET_STATE_HISTORY = "get_state_history"
    """What it was, step by step."""
    UPDATE_STATE = "update_state"
    """To write to a thread's state: the one thing that would do harm if it was done twice."""


@dataclass(frozen=True, slots=True)
class ClientCall:
    """Client → coordinator: do this, and reply. Travels through the coordinator's calls."""

    id: str
    method: str
    payload: bytes
    """An encoded map."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Coordinator → client: what became of a call. Travels through the call's reply."""

    id: str
    value: Any
    error: BaseException | None


_PLAIN: Final = Codec(cipher=None)
"""For what surrounds a payload: it holds nothing that an application has made."""


_REPLY_HEAD: Final = 2
"""Items of a reply before its value, the wire version being one: they stay readable when values are encrypted."""


def encode_call(codec: Codec, id: str, method: Method, payload: dict[str, Any]) -> bytes:
    """The bytes of a call.

    Raises:
        EncodeError: Something in the payload can't travel; says which of its items.
    """
    try:
        body = codec.encode(payload)
    except EncodeError:
        for name, item in payload.items():
            codec.encode(item, f"{method.value}, {name}")  # raises the same, and says whose it is
        raise
    return _PLAIN.encode(message_to_array(ClientCall(id, method.value, body)))


def decode_call(data: bytes) -> ClientCall:
    """The call in these bytes, its payload still encoded.

    Raises:
        DecodeError: There is none.
    """
    return message_from_array(ClientCall, _PLAIN.decode(data))


def encode_reply(codec: Codec, reply: Reply, where: str) -> bytes:
    """The bytes of a reply; of its error instead, if its value can't travel."""
    try:
        return codec.encode(message_to_array(reply), where, clear=_REPLY_HEAD)
    except EncodeError as error:
        return codec.encode(message_to_array(Reply(reply.id, None, error)), where, clear=_REPLY_HEAD)


def decode_reply(codec: Codec, data: bytes) -> Reply:
    """The reply in these bytes.

    Raises:
        DecodeError: There is none.
    """
    return message_from_array(Reply, codec.decode(data))
