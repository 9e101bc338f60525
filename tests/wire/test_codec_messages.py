"""The messages between coordinator and worker: their exact bytes, and what is refused."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fleetgraph.errors import DecodeError, EncodeError
from fleetgraph.types import Send
from fleetgraph.wire import Codec
from fleetgraph.wire.messages import WIRE_VERSION, GraphRef, Outcome, TaskMessage
from fleetgraph.wire.shapes import message_from_array, message_to_array

msgpack: Any = importlib.import_module("msgpack")  # has no types

CODEC = Codec()

TASK = TaskMessage(
    run="run1",
    inbox="in1",
    graph=GraphRef("jokes:graph", "f00d"),
    attempt=2,
    modes=("custom",),
    id="t1",
    name="write",
    path=("__pregel_pull", "write"),
    triggers=("branch:to:write",),
    step=1,
    stop=26,
    ns="write:t1",
    input={"topic": "cats"},
    send=False,
    snapshot=None,
    config={"tags": []},
    context=None,
    more={},
)
TASK_BYTES = bytes.fromhex(
    "dc0013"  # an array of 19
    "02"  # the wire version
    "a472756e31"  # run
    "a3696e31"  # inbox
    "92ab6a6f6b65733a6772617068a466303064"  # graph: [name, fingerprint]
    "02"  # attempt
    "91a6637573746f6d"  # modes
    "a27431"  # id
    "a57772697465"  # name
    "92ad5f5f70726567656c5f70756c6ca57772697465"  # path
    "91af6272616e63683a746f3a7772697465"  # triggers
    "01"  # step
    "1a"  # stop
    "a877726974653a7431"  # ns
    "81a5746f706963a463617473"  # input
    "c2"  # send
    "c0"  # snapshot
    "81a47461677390"  # config
    "c0"  # context
    "80"  # more
)

OUTCOME = Outcome("run1", "t1", 2, "w1", [("joke", ("ha", 1)), ("branch:to:end", None)], None)
OUTCOME_BYTES = bytes.fromhex(
    "97"  # an array of 7
    "02"  # the wire version
    "a472756e31"  # run
    "a27431"  # task
    "02"  # attempt
    "a27731"  # worker
    "92"  # writes
    "92a46a6f6b65c7050192a2686101"  # [channel, value], the value a tuple: extension 1 of an array
    "92ad6272616e63683a746f3a656e64c0"
    "c0"  # error
)

RICH_TASK = replace(
    TASK,
    path=("__pregel_push", 3, False, ("__pregel_pull", "n")),
    modes=(),
    input=Send("x", (1, {2})),
    send=True,
    snapshot={"items": [(1,)]},
    config={"metadata": {"step": (1,)}, "recursion_limit": 25},
    context={1, 2},
)


def test_the_bytes_of_a_task_message() -> None:
    assert CODEC.encode_task(TASK).hex() == TASK_BYTES.hex()
    assert CODEC.decode_task(TASK_BYTES) == TASK


def test_the_bytes_of_an_outcome() -> None:
    assert CODEC.encode_outcome(OUTCOME).hex() == OUTCOME_BYTES.hex()
    assert CODEC.decode_outcome(OUTCOME_BYTES) == OUTCOME


def test_a_message_arrives_with_all_its_types() -> None:
    arrived = CODEC.decode_task(CODEC.encode_task(RICH_TASK))
    assert arrived == RICH_TASK
    assert type(arrived.path) is tuple
    assert type(arrived.path[3]) is tuple
    outcome = CODEC.decode_outcome(CODEC.encode_outcome(OUTCOME))
    assert outcome.writes is not None
    assert [type(write) for write in outcome.writes] == [tuple, tuple]


def test_a_mapping_travels_as_a_dict() -> None:
    class Config(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"a": 1}[key]

        def __iter__(self) -> Any:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    assert CODEC.decode_task(CODEC.encode_task(replace(TASK, config=Config()))).config == {"a": 1}


def test_an_outcome_carries_an_exception() -> None:
    failed = replace(OUTCOME, writes=None, error=ValueError("no", (1, 2)))
    arrived = CODEC.decode_outcome(CODEC.encode_outcome(failed))
    assert type(arrived.error) is ValueError
    assert arrived.error.args == ("no", (1, 2))
    assert arrived.writes is None


# --- versions and other shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, WIRE_VERSION + 1])
def test_another_wire_version_is_refused_naming_both(version: int) -> None:
    for data, decode in ((TASK_BYTES, CODEC.decode_task), (OUTCOME_BYTES, CODEC.decode_outcome)):
        array = msgpack.unpackb(data)
        array[0] = version
        # Another version may have another number of fields: it is the version that has to be named.
        for fields in (array, array[:3], [*array, 1]):
            with pytest.raises(
                DecodeError, match=rf"wire version {version}\b.* version {WIRE_VERSION}\b.*same version"
            ):
                decode(msgpack.packb(fields))


@pytest.mark.parametrize(
    ("index", "wrong", "says"),
    [
        (1, 5, "run: expected str, got int"),
        (3, "g", "graph: expected list, got str"),
        (3, ["g"], "graph: GraphRef is an array of 2, got an array of 1"),
        (3, ["g", 1], "graph: fingerprint: expected str, got int"),
        (4, True, "attempt: expected int, got bool"),
        (5, [1], "modes: expected str"),
        (5, None, "modes: expected list, got NoneType"),
        (14, 0, "send: expected bool, got int"),
        (15, [], "snapshot: expected NoneType or dict, got an array of 0"),
        (16, None, "config: expected dict, got NoneType"),
    ],
)
def test_a_field_of_another_type_is_refused_by_name(index: int, wrong: Any, says: str) -> None:
    array = msgpack.unpackb(TASK_BYTES)
    array[index] = wrong
    with pytest.raises(DecodeError) as caught:
        CODEC.decode_task(msgpack.packb(array))
    assert str(caught.value).startswith(f"TaskMessage of another shape: {says}")


@pytest.mark.parametrize(
    ("index", "wrong", "says"),
    [
        (5, [["c"]], "writes: a row is an array of 2, got an array of 1"),
        (5, [[1, 2]], "writes: 0: expected str, got int"),
        (5, ["c"], "writes: expected list"),
        (6, "ValueError", "error: expected BaseException, got str"),
    ],
)
def test_an_outcome_of_another_shape_is_refused(index: int, wrong: Any, says: str) -> None:
    array = msgpack.unpackb(OUTCOME_BYTES)
    array[index] = wrong
    with pytest.raises(DecodeError) as caught:
        CODEC.decode_outcome(msgpack.packb(array))
    assert str(caught.value).startswith(f"Outcome of another shape: {says}")


@pytest.mark.parametrize("other", [None, 5, "x", [], {}, [None], ["1"], [True]])
def test_what_is_no_message_is_refused(other: Any) -> None:
    with pytest.raises(DecodeError, match="expected TaskMessage"):
        CODEC.decode_task(msgpack.packb(other))


def test_messages_are_not_confused() -> None:
    with pytest.raises(DecodeError, match="TaskMessage is an array of 18, got an array of 6"):
        CODEC.decode_task(OUTCOME_BYTES)


# --- what can't travel -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["input", "snapshot", "config", "context"])
def test_the_part_of_a_task_that_can_not_travel_is_named(part: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_task(replace(TASK, **{part: {"a": [threading.Lock()]}}))
    assert caught.value.where == f"node 'write', {part}"
    assert caught.value.path == "$.a[0]"


def test_the_channel_that_a_value_was_written_to_is_named() -> None:
    outcome = replace(OUTCOME, writes=[("fine", 1), ("items", [print])])
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_outcome(outcome, node="write")
    assert (caught.value.where, caught.value.path) == ("node 'write', channel 'items'", "$[0]")
    with pytest.raises(EncodeError, match="task t1, channel 'items'"):
        CODEC.encode_outcome(outcome)


def test_a_fault_elsewhere_in_a_message_is_an_encode_error_too() -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_task(replace(TASK, path=("a", print)))
    assert (caught.value.where, caught.value.path) == ("node 'write'", "$[8][1]")


# --- shapes of messages to come ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    pairs: tuple[tuple[str, GraphRef], ...]
    maybe: GraphRef | None
    many: list[GraphRef]
    choice: int | str | None


def test_shapes_nest() -> None:
    part = Part((("a", GraphRef("n", "f")),), None, [GraphRef("m", "g")], 5)
    array = message_to_array(part)
    assert array == [WIRE_VERSION, [["a", ["n", "f"]]], None, [["m", "g"]], 5]
    assert message_from_array(Part, array) == part
    full = replace(part, maybe=GraphRef("x", "y"), choice=None)
    assert message_from_array(Part, message_to_array(full)) == full
