"""What a task has emitted, on its way to Redis: in its order, in few items, in pages that are not too large."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fleetgraph.pregel.task import Frame, Task
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.events import Event, decode_message
from fleetgraph.wire.transitions import Events, Mark, Route
from fleetgraph.worker.emitter import TaskEmitter
from fleetgraph.worker.outbox import PAGE_BYTES, Emitted, Outbox
from fleetgraph.worker.publisher import Publisher, Sender

MARKED = Events(1, b"marked", Mark.ADD, "m")


def filled(*emitted: Emitted) -> Outbox:
    outbox = Outbox()
    for one in emitted:
        outbox.put(one, len(one.blob if isinstance(one, Events) else one))
    return outbox


def test_events_in_a_row_become_one_item() -> None:
    outbox = filled(b"a", b"b", b"c")
    assert outbox.take() == [Events(3, b"abc")]
    assert not outbox


def test_those_that_redis_has_to_look_at_keep_their_place() -> None:
    assert filled(b"a", b"b", MARKED, MARKED, b"c").take() == [Events(2, b"ab"), MARKED, MARKED, Events(1, b"c")]


def test_a_page_is_not_much_larger_than_what_is_sent_at_once() -> None:
    half = bytes(PAGE_BYTES // 2)
    outbox = filled(half, half, b"a", bytes(3 * PAGE_BYTES), b"b")
    pages: list[list[tuple[int, int]]] = []
    while outbox:
        pages.append([(item.number, len(item.blob)) for item in outbox.take()])
    assert pages == [[(2, PAGE_BYTES)], [(1, 1)], [(1, 3 * PAGE_BYTES)], [(1, 1)]]


def test_many_that_redis_has_to_look_at_are_too_much_for_one_page() -> None:
    outbox = filled(*[MARKED] * 1500)
    assert [len(outbox.take()), len(outbox.take())] == [1000, 500]
    assert not outbox


def test_what_comes_after_a_page_was_taken_is_on_the_next() -> None:
    outbox = filled(b"a")
    outbox.take()
    outbox.put(b"b", 1)
    assert outbox.take() == [Events(1, b"b")]


# --- what the emitter puts there ------------------------------------------------------------------------------------


class Said:
    """A message, as far as it matters here."""

    def __init__(self, message_id: str | None) -> None:
        self.id = message_id


class Kept:
    """Takes the place of a publisher."""

    def __init__(self) -> None:
        self.outbox = Outbox()

    def emit(self, _: Sender, emitted: Emitted) -> None:
        self.outbox.put(emitted, 0)

    def items(self) -> list[tuple[int, Mark, str]]:
        return [(item.number, item.mark, item.message_id) for item in self.outbox.take()]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def emitter(kept: Kept) -> TaskEmitter:
    frame = Frame(cast(Any, None), {}, frozenset({"messages", "custom"}))
    task = Task("task", "node", ("p",), (), 1, 9, "node:task", {}, frame)
    sender = Sender(Route("run", "task", 1, "inbox"))
    return TaskEmitter(cast(Publisher, kept), sender, task, 1, Codec([Said]))


def test_redis_is_told_of_a_message_once_however_many_tokens_it_has(emitter: TaskEmitter, kept: Kept) -> None:
    for _ in range(5):
        emitter.message(Said("a"), {}, unless_seen=False)
    assert kept.items() == [(1, Mark.ADD, "a"), (4, Mark.NONE, "")]


def test_a_message_that_the_task_has_shown_is_not_sent_again(emitter: TaskEmitter, kept: Kept) -> None:
    emitter.message(Said("a"), {}, unless_seen=False)
    emitter.message(Said("a"), {}, unless_seen=True)
    emitter.message(Said("b"), {}, unless_seen=True)
    assert kept.items() == [(1, Mark.ADD, "a"), (1, Mark.SKIP, "b")]


def test_a_message_that_the_task_was_given_is_not_sent(emitter: TaskEmitter, kept: Kept) -> None:
    emitter.saw_messages(["a"])
    emitter.message(Said("a"), {}, unless_seen=True)
    assert kept.items() == [(0, Mark.ADD, "a")]


def test_messages_without_an_id_are_all_sent(emitter: TaskEmitter, kept: Kept) -> None:
    emitter.message(Said(None), {}, unless_seen=True)
    emitter.message(Said(None), {}, unless_seen=False)
    assert kept.items() == [(2, Mark.NONE, "")]


def test_a_message_that_can_not_travel_has_not_been_shown(emitter: TaskEmitter, kept: Kept) -> None:
    unfit = Said("a")
    cast(Any, unfit).lock = object()
    with pytest.raises(Exception, match="node 'node', messages event"):
        emitter.message(unfit, {}, unless_seen=False)
    emitter.message(Said("a"), {}, unless_seen=True)
    assert kept.items() == [(1, Mark.SKIP, "a")]


def test_an_event_tells_whose_it_is(emitter: TaskEmitter, kept: Kept) -> None:
    emitter.custom({"a": 1})
    emitter.chunk("values", {"b": 2}, ("sub:1",))
    (item,) = kept.outbox.take()
    events = decode_message(Codec(), b"\x92\x02\x92" + item.blob)
    assert [event._replace(ts=0.0) for event in events] == [
        Event(1, "custom", (), "task", 1, 0.0, {"a": 1}),
        Event(2, "values", ("sub:1",), "task", 1, 0.0, {"b": 2}),
    ]
