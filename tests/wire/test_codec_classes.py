"""Instances of allow-listed classes: rebuilt with all their state, without running their code."""

from __future__ import annotations

import enum
import subprocess
import sys
import textwrap
from argparse import Namespace
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import FrozenInstanceError, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, field_validator

from fleetgraph.errors import DecodeError, EncodeError
from fleetgraph.wire import Codec, allow
from fleetgraph.wire.allowlist import trusted_class, trusted_name
from fleetgraph.wire.names import wire_name

T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796
    BLUE = object()


class Level(enum.IntEnum):
    LOW = 1


class Mood(enum.StrEnum):
    GOOD = "good"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclass
class Item:
    name: str
    tags: tuple[str, ...] = ()
    size: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.size = len(self.name)


@dataclass(frozen=True)
class Frozen:
    item: Item
    extra: Any = None


@dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: int = field(init=False)


@dataclass(slots=True)
class SlottedBase:
    base: int


@dataclass(slots=True)
class SlottedChild(SlottedBase):
    own: int = 0


@dataclass
class Box(Generic[T]):
    content: T

    @cached_property
    def costly(self) -> object:
        return object()


class Point(NamedTuple):
    x: int
    y: Any = None


Pair = namedtuple("Pair", "left right")  # pyright: ignore[reportUntypedNamedTuple]


class Money(int):
    pass


class Name(str):
    __slots__ = ("rank",)


class Stack(list[Any]):
    def extend(self, *_: Any) -> None:
        raise AssertionError("not to be called")


class Settings(dict[str, Any]):
    def __setitem__(self, *_: Any) -> None:
        raise AssertionError("not to be called")


class Ordered(OrderedDict[str, int]):
    pass


class Bag(set[int]):
    pass


class Account(BaseModel):
    model_config = ConfigDict(extra="allow")
    owner: str
    balance: int = 0
    opened: datetime | None = None
    _secret: str = PrivateAttr(default="none")

    @field_validator("balance")
    @classmethod
    def never_negative(cls, value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return value


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True)
    items: tuple[Item, ...] = ()
    level: Level = Level.LOW


class Numbers(RootModel[list[int]]):
    pass


class Page(BaseModel, Generic[T]):
    rows: list[T]


class Plain:
    def __init__(self, *, required: int) -> None:
        self.required = required


class SlotsAndDict(Plain):
    __slots__ = ("slot",)


TYPES = [
    *(Colour, Level, Mood, Right, Item, Frozen, Slotted, SlottedChild, Box, Point, Pair, Money, Name, Stack, Settings),
    *(Ordered, Bag, Account, FrozenModel, Numbers, Page, Page[int], Plain, SlotsAndDict),
]
CODEC = Codec(TYPES)


def sent(value: Any) -> Any:
    arrived = CODEC.decode(CODEC.encode(value))
    assert type(arrived) is type(value)
    return arrived


@pytest.mark.parametrize(
    "member", [Colour.RED, Colour.BLUE, Level.LOW, Mood.GOOD, Right.READ, Right.READ | Right.WRITE]
)
def test_an_enum_member_is_the_same_member(member: enum.Enum) -> None:
    assert sent(member) is member
    assert CODEC.decode(CODEC.encode({member: [member]})) == {member: [member]}


@pytest.mark.parametrize(
    "value",
    [
        *(Item("pen", ("a",)), Frozen(Item("x"), {"k": (1,)}), Box(Box(1)), Point(1), Point(1, (2,)), Pair(1, [2])),
        *(Money(5), Stack([1, (2,)]), Settings(a=1), Ordered(b=1, a=2), Bag({1, 2})),
        *(
            Account(owner="o"),
            FrozenModel(items=(Item("x"),)),
            Numbers([1, 2]),
            Page[int](rows=[1]),
            SlottedChild(1, 2),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_instance_arrives_equal(value: Any) -> None:
    assert sent(value) == value
    assert repr(sent(value)) == repr(value)


def test_a_dataclass_is_rebuilt_without_its_constructor() -> None:
    item = Item("pen")
    item.size = 99
    assert sent(item).size == 99


def test_a_frozen_dataclass_stays_frozen() -> None:
    arrived = sent(Frozen(Item("x")))
    with pytest.raises(FrozenInstanceError):
        arrived.extra = 1


def test_an_empty_slot_stays_empty() -> None:
    arrived = sent(Slotted(1))
    assert arrived.a == 1
    assert not hasattr(arrived, "b")


def test_attributes_beyond_the_fields_arrive_but_cached_properties_do_not() -> None:
    box: Any = Box[int](1)
    assert box.costly is box.costly
    box.note = "kept"
    arrived = sent(box)
    assert vars(arrived) == {"content": 1, "note": "kept"}


def test_a_subclass_of_a_built_in_keeps_its_attributes() -> None:
    name: Any = Name("Ada")
    name.rank = "Countess"
    arrived = sent(name)
    assert (str(arrived), arrived.rank) == ("Ada", "Countess")
    point: Any = SlotsAndDict(required=1)
    point.slot = 2
    point.more = 3
    assert (sent(point).required, sent(point).slot, sent(point).more) == (1, 2, 3)


def test_a_model_keeps_fields_set_extra_and_private_state() -> None:
    account: Any = Account.model_validate({"owner": "o", "nickname": "n"})
    account._secret = "s"
    account.__dict__["balance"] = -5  # what validation would refuse
    arrived = sent(account)
    assert arrived == account
    assert arrived.model_fields_set == {"owner", "nickname"}
    assert arrived.model_extra == {"nickname": "n"}
    assert arrived._secret == "s"
    assert arrived.balance == -5
    assert arrived.model_dump() == account.model_dump()


def test_a_time_that_pydantic_parsed_arrives_as_the_same_instant() -> None:
    account = Account.model_validate({"owner": "o", "opened": "2024-01-02T03:04:05Z"})
    assert sent(account).opened == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    offset: Any = Account.model_validate({"owner": "o", "opened": "2024-01-02T03:04:05+01:30"})
    assert sent(offset).opened == offset.opened
    assert sent(offset).opened.utcoffset() == offset.opened.utcoffset()


def test_langchain_messages_and_documents_need_no_permission() -> None:
    messages: Any = pytest.importorskip("langchain_core.messages")
    documents: Any = pytest.importorskip("langchain_core.documents")
    call = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    for value in [
        messages.HumanMessage("hi", id="1"),
        messages.AIMessage("yes", tool_calls=[call], usage_metadata=usage, additional_kwargs={"x": (1,)}),
        messages.AIMessageChunk("to", id="2", tool_call_chunks=[{"name": "a", "args": "{", "id": "c", "index": 0}]),
        messages.SystemMessage([{"type": "text", "text": "t"}]),
        messages.ToolMessage("3", tool_call_id="c1", artifact={"raw": b"1"}),
        messages.RemoveMessage(id="1"),
        documents.Document("text", metadata={"page": 1}),
        messages.AIMessage("of type TextAccessor").text,
    ]:
        arrived = Codec().decode(Codec().encode([value]))[0]
        assert type(arrived) is type(value)
        assert arrived == value


def test_a_subclass_of_a_message_does() -> None:
    messages: Any = pytest.importorskip("langchain_core.messages")

    class Own(messages.HumanMessage):
        pass

    with pytest.raises(EncodeError, match="allow"):
        Codec().encode(Own("x"))
    codec = Codec([Own])
    assert codec.decode(codec.encode(Own("x"))) == Own("x")


def test_a_message_can_be_read_where_langchain_was_not_imported_yet() -> None:
    messages: Any = pytest.importorskip("langchain_core.messages")
    data = Codec().encode(messages.HumanMessage("hello")).hex()
    code = f"""
        import sys
        from fleetgraph.wire import Codec
        assert "langchain_core" not in sys.modules
        print(Codec().decode(bytes.fromhex("{data}")).content)
    """
    paths = [path for path in sys.path if path.endswith("shared")]
    script = f"import sys; sys.path[:0] = {paths!r}\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "hello\n"


def test_only_classes_of_the_trusted_modules_themselves_are_trusted() -> None:
    assert trusted_class("fleetgraph.types:Send") is not None
    assert trusted_class("fleetgraph.types:Callable") is None
    assert trusted_class("fleetgraph.types:nothing") is None
    assert trusted_class("fleetgraph.fleet:Fleet") is None
    assert trusted_class("os:_Environ") is None
    assert trusted_name(Item) is None


# --- the allow-list ----------------------------------------------------------------------------------------------


def test_a_class_that_is_not_allowed_is_neither_sent_nor_built() -> None:
    with pytest.raises(EncodeError) as caught:
        Codec().encode({"items": [Item("x")]})
    assert caught.value.path == "$.items[0]"
    assert caught.value.kind == f"{__name__}.Item"
    assert "allow(Item)" in caught.value.hint
    with pytest.raises(DecodeError, match=r"test_codec_classes:Item' is not on the allow-list"):
        Codec().decode(CODEC.encode(Item("x")))


@pytest.mark.parametrize(
    "value", [Colour.RED, Point(1), Account(owner="o"), Slotted(1)], ids=lambda v: type(v).__name__
)
def test_the_hint_for_a_class_that_is_merely_missing_says_so(value: Any) -> None:
    with pytest.raises(EncodeError, match=rf"fleetgraph.wire.allow, or allow\({type(value).__name__}\)"):
        Codec().encode(value)


def test_allow_is_a_decorator_that_every_codec_honours() -> None:
    before = Codec()

    @allow
    @dataclass
    class Late:
        x: int

    assert before.decode(Codec().encode(Late(1))) == Late(1)


def test_a_subclass_of_an_allowed_class_is_another_class() -> None:
    @dataclass
    class Special(Item):
        pass

    with pytest.raises(EncodeError, match="Special"):
        CODEC.encode(Special("x"))


def test_two_classes_of_one_name_are_told_apart() -> None:
    def make() -> type[Any]:
        @dataclass
        class Twin:
            x: int

        return Twin

    first, second = make(), make()
    codec = Codec([first])
    with pytest.raises(EncodeError, match="defined twice"):
        codec.encode(second(1))
    codec.allow(second)  # as a notebook's cell does that is run again
    assert type(codec.decode(codec.encode(second(1)))) is second
    with pytest.raises(EncodeError, match="defined twice"):
        codec.encode(first(1))


@pytest.mark.parametrize("wrong", ["name", 3, list[int], Item("x"), T])
def test_only_classes_can_be_allowed(wrong: Any) -> None:
    with pytest.raises(TypeError, match="only a class"):
        allow(wrong)
    with pytest.raises(TypeError, match="only a class"):
        Codec([wrong])


def test_a_class_that_python_can_not_take_apart_is_refused_although_allowed() -> None:
    class Groups(defaultdict[str, int]):
        pass

    class Stamp(datetime):
        pass

    codec = Codec([Groups, Stamp])
    for value in (Groups(int), Stamp(2024, 1, 1)):
        with pytest.raises(EncodeError, match="allowed, but can't be taken apart"):
            codec.encode(value)


def test_a_name_from_the_wire_is_not_imported_and_its_kind_is_checked() -> None:
    data = CODEC.encode(Plain(required=1))
    assert wire_name(Plain).encode() in data
    for code in (30, 32, 33):
        forged = data[:2] + bytes([code]) + data[3:]
        with pytest.raises(DecodeError, match=f"travels as extension 31, not {code}"):
            CODEC.decode(forged)
    namespace = Codec([Namespace]).encode(Namespace(a=1))
    with pytest.raises(DecodeError, match="argparse:Namespace"):
        Codec().decode(namespace)
