"""Values as bytes and back: msgpack, with an extension for each kind of value that msgpack lacks.

None, booleans, 64-bit integers, floats, text, bytes, lists and dicts (of any keys) are plain msgpack. All
else is an extension whose data is one msgpack value again, the *plain form*:

    code  value                    plain form
    ----  -----------------------  ---------------------------------------------------------------------------
     -1   datetime in UTC          msgpack's own timestamp: read, never written
      1   tuple                    array
      2   set                      array
      3   frozenset                array
      4   deque                    [array, maxlen or nil]
      5   int beyond 64 bits       bin: two's complement, big-endian
      6   complex                  [real, imaginary]
      7   bytearray                bin
      8   datetime                 ISO 8601 text, with its offset; in a named zone [text, zone, fold]
      9   date                     ISO 8601 text
     10   time                     as datetime
     11   timedelta                [days, seconds, microseconds]
     12   time zone                name in the time zone database, seconds east of UTC, or [seconds, name]
     13   UUID                     text
     14   Decimal                  text
     15   Fraction                 [numerator, denominator]
     16   path                     [PurePosixPath, PureWindowsPath, PosixPath or WindowsPath; text]
     17   range                    [start, stop, step]
     18   compiled pattern         [text or bin, flags]
     19   IP address, network      [class in Python's ipaddress, text]
     20   OrderedDict              map
     21   Counter                  map
     22   defaultdict              [name of a built-in type or nil, map]
     30   enum member              [type, name of the member; the value of a flag]
     31   dataclass, plain object  [type, map of attributes]
     32   pydantic model           [type, fields, array of names set, extra or nil, private or nil]
     33   subclass of a built-in   [type, content of the built-in part, attributes or nil]; also named tuples
     34   exception                [type, message, bin: arguments, bin: attributes, notes, traceback]
     40   numpy array              [data type, shape, bin in C order]
     41   numpy scalar             [data type, bin]
     50   anything, encrypted      not msgpack: see encryption.py

A *type* is `module:qualname`. Types of 30 to 33 are built only if they are on the allow-list: those the codec
was given, those given to `fleetgraph.wire.allow`, Fleetgraph's own, LangChain's messages and documents. An
exception may be of any class that the process has imported already. No name from the wire is ever imported.

A value arrives as what it was, of the same type, save that a fixed UTC offset becomes a `datetime.timezone`
whatever class it was (pydantic has its own), a path of another operating system its pure twin, an array one
in C order, and that results of `cached_property` stay behind. That two references are to one object is lost.

With a key for it in the environment, what is encoded is encrypted: as a whole; or all items of a message
behind its head, as one that is bound to the head, which stays readable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from struct import Struct
from typing import Any, Final, Literal, Protocol, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from fleetgraph.errors import DecodeError, EncodeError, FleetError
from fleetgraph.wire import allowlist
from fleetgraph.wire.arrays import array_plain, build_array, build_scalar
from fleetgraph.wire.classes import Recipe, Unsupported, recipe_for
from fleetgraph.wire.encryption import SEALED, Cipher, cipher_of_environment, open_sealed
from fleetgraph.wire.explain import explain, hint_for
from fleetgraph.wire.failures import dismantle, rebuild, shortened
from fleetgraph.wire.kinds import (
    ARRAY,
    BUILD,
    DERIVED,
    ENUM,
    EXCEPTION,
    MAX_NESTING,
    MODEL,
    OBJECT,
    PLAIN,
    SCALAR,
    TUPLE,
    Build,
    Plain,
    Refusal,
    SentByteArray,
)
from fleetgraph.wire.messages import Outcome, TaskMessage
from fleetgraph.wire.names import shown_name, this_process, wire_name
from fleetgraph.wire.pairs import Maps, split
from fleetgraph.wire.shapes import message_from_array, message_to_array
from fleetgraph.wire.unpacking import unpack

_NESTING_ON_STACK: Final = 6
# Extensions up to this depth are unpacked by msgpack's unpackb, which puts 24 KB on the C stack each time:
# threads may have little of it. Deeper ones take its Unpacker, which is on the heap, and half as fast.

LIMIT_VARIABLE: Final = "FLEETGRAPH_MAX_MESSAGE_BYTES"
"""Names the environment variable that sets the most that one encoded value may take."""

MAX_MESSAGE_BYTES: Final = 128 << 20
"""What it is without that. A value passes several connections, and each call has seconds; Redis holds it several times
over meanwhile. Redis's own limit is 512 MB (`proto-max-bulk-len`)."""

_LARGEST_KEPT: Final = 1 << 20  # bytes; an encoder whose buffers grew to more is not kept for the next value


_pack_head, _pack_long_head = Struct(">BHB").pack, Struct(">BIB").pack


class _Packer(Protocol):
    def pack(self, value: Any, /) -> bytes: ...


_new_packer = cast("Callable[..., _Packer]", msgpack.Packer)  # pyright: ignore[reportUnknownMemberType]
_extension = cast("Callable[[int, bytes], Any]", msgpack.ExtType)


class Codec:
    """Encodes values for another process, and decodes what came from one. Threads may share it."""

    def __init__(
        self, types: Iterable[type[Any]] = (), cipher: Cipher | Literal["environment"] | None = "environment"
    ) -> None:
        """Allow `types` besides what always travels; `allowlist.collect_types` finds those of a schema.

        Encrypts with `cipher`: with that of the environment unless told otherwise, and not at all with None.

        Raises:
            FleetError: The environment asks for encryption, or for a limit, and does not say it right.
        """
        self._types: dict[str, type[Any]] = {}
        self._recipes: dict[type[Any], Recipe] = {}
        self.rules: dict[type[Any], tuple[int, Plain]] = dict(PLAIN)
        self._idle: list[_Encoder] = []
        self._cipher = cipher_of_environment() if cipher == "environment" else cipher
        self._limit = _limit()
        self.allow(*types)

    @property
    def encrypts(self) -> bool:
        """Whether what it encodes is encrypted."""
        return self._cipher is not None

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these types travel through this codec.

        Raises:
            TypeError: One of them is not a class.
        """
        for cls in types:
            name = allowlist.checked_name(cls)
            former = self._types.get(name)
            if former is not None and former is not cls:  # a notebook's cell, run again
                self.rules.pop(former, None)
            self._types[name] = cls

    def encode(self, value: Any, where: str = "", *, clear: int | None = None, about: str = "") -> bytes:
        """The bytes of `value`.

        Args:
            value: What is encoded.
            where: What it belongs to, for errors.
            clear: How many items of an array stay readable when the others are encrypted; None to encrypt the value
                as a whole.
            about: What a value that is encrypted as a whole is bound to: `decode` has to be told the same.

        Raises:
            EncodeError: Something in it can't travel: says what, where in it, and what to do. Or it is too large.
        """
        try:
            data = self._pack(value) if self._cipher is None else self._sealed(self._cipher, value, clear, about)
        except MemoryError:
            raise
        except Exception as error:
            raise explain(value, where, self.rule_for, error) from None
        if len(data) > self._limit:
            raise self._too_large(value, where, len(data))
        return data

    def encode_pair(self, first: Any, packed: bytes, where: str = "") -> bytes:
        """The bytes of a tuple of `first` and a value that is encoded already, where nothing is encrypted.

        Raises:
            EncodeError: As from `encode`, of `first`.
        """
        try:
            data = b"\x92" + self._packed_alone(first) + packed
        except MemoryError:
            raise
        except Exception as error:
            raise explain(first, where, self.rule_for, error) from None
        if len(data) > self._limit:
            raise self._too_large(first, where, len(data))
        return _extension_head(TUPLE, len(data)) + data

    def decode(self, data: bytes, *, about: str = "") -> Any:
        """The value in `data`.

        Raises:
            DecodeError: The bytes are not exactly one value, or hold a type that is not on the allow-list; or they
                are encrypted, and can't be decrypted.
        """
        try:
            try:
                return self._unpack(data, about)
            except UnicodeDecodeError:
                return self._unpack(data, about, "surrogatepass")
        except DecodeError:
            raise
        except Exception as error:
            raise DecodeError(f"the bytes are not a value of Fleetgraph: {_reason(error)}.") from error

    def encode_task(self, message: TaskMessage) -> bytes:
        """The bytes of `message`.

        Raises:
            EncodeError: Its input, channel snapshot, config or context can't travel; says which.
        """
        return self._encode_parts(message_to_array(message), _TASK_HEAD, lambda: _parts_of_task(message))

    def decode_task(self, data: bytes) -> TaskMessage:
        """The task message in `data`; `DecodeError` as from `decode`, and for another wire version."""
        return message_from_array(TaskMessage, self.decode(data))

    def encode_outcome(self, outcome: Outcome, node: str = "") -> bytes:
        """The bytes of `outcome`; `node` is, for the error, the name of the node it comes from.

        Raises:
            EncodeError: A value that the task wrote can't travel; says to which channel. An exception always
                can.
        """
        try:
            return self._encode_parts(
                message_to_array(outcome), _OUTCOME_HEAD, lambda: _parts_of_outcome(outcome, node)
            )
        except EncodeError as error:
            if outcome.error is None or outcome.writes:
                raise
            # What is too large is the exception.
            return self.encode_outcome(replace(outcome, error=shortened(outcome.error, error.hint)), node)

    def decode_outcome(self, data: bytes) -> Outcome:
        """The outcome in `data`; `DecodeError` as from `decode`, and for another wire version."""
        return message_from_array(Outcome, self.decode(data))

    def _encode_parts(self, array: list[Any], clear: int, parts: Callable[[], _Parts]) -> bytes:
        """The bytes of a message; errors tell which of its parts is at fault, with the path in that part."""
        try:
            data = self._pack(array) if self._cipher is None else self._sealed(self._cipher, array, clear, "")
        except MemoryError:
            raise
        except Exception as error:
            whose, each = parts()
            for value, where in each:
                self.encode(value, where)
            raise explain(array, whose, self.rule_for, error) from None
        if len(data) > self._limit:
            whose, each = parts()
            value, where = max(each, key=lambda part: len(self._pack(part[0])), default=(array, whose))
            raise self._too_large(value, where, len(data))
        return data

    def _too_large(self, value: Any, where: str, size: int) -> EncodeError:
        hint = (
            f"Packed with what goes along it takes {size / 1e6:.1f} MB, and {self._limit / 1e6:.1f} MB are allowed. "
            "Keep large things in files or in a store, and send their names; or set "
            f"{LIMIT_VARIABLE}, to less than Redis's proto-max-bulk-len."
        )
        return EncodeError("$", shown_name(cast("type[Any]", type(value))), where, hint)

    # --- encryption ----------------------------------------------------------------------------------------

    def _sealed(self, cipher: Cipher, value: Any, clear: int | None, about: str) -> bytes:
        if clear is None:
            return self._pack(_extension(SEALED, cipher.seal(self._pack(value), about.encode())))
        head = value[:clear]
        rest = cipher.seal(self._pack(value[clear:]), self._pack(head))
        return self._pack([*head, _extension(SEALED, rest)])

    def _unpack(self, data: bytes, about: str, unicode_errors: str | None = None) -> Any:
        decoder = _Decoder(self, unicode_errors)
        value = decoder.unpack(data)
        if not decoder.sealed:
            return value
        opener = _Opener(self, unicode_errors)
        value = opener.open(value, about.encode())
        if opener.opened != decoder.sealed:
            raise DecodeError("an encrypted part is where none belongs.")
        return value

    def open_part(self, data: bytes, about: bytes, unicode_errors: str | None) -> Any:
        """The value that was encrypted into `data`."""
        decoder = _Decoder(self, unicode_errors)
        value = decoder.unpack(open_sealed(self._cipher, data, about))
        if decoder.sealed:
            raise DecodeError("an encrypted part is where none belongs.")
        return value

    def pack_head(self, head: list[Any]) -> bytes:
        """What the encrypted part of a message is bound to."""
        try:
            return self._pack(head)
        except Refusal:
            raise DecodeError("an encrypted part is where none belongs.") from None

    # --- for the encoder and the decoder below -------------------------------------------------------------

    def rule_for(self, cls: type[Any]) -> tuple[int, Plain]:
        """Code and plain form of values of exactly `cls`; `Refusal` when they can't travel."""
        rule = self.rules.get(cls)
        if rule is None:
            rule = self.rules[cls] = self._new_rule(cls)
        return rule

    def build(self, code: int, plain: Any) -> Any:
        """The value of an extension of a type that has to be on the allow-list."""
        if not isinstance(plain, list) or not plain:
            raise DecodeError(f"extension {code} does not hold [type, …].")
        name, *items = cast("list[Any]", plain)
        cls = self.find(name) if isinstance(name, str) else None
        if cls is None:
            raise DecodeError(
                f"{name!r} is not on the allow-list of {this_process()}. Name the class in the graph's state "
                "schema, or pass it to fleetgraph.wire.allow, in the sending and in the receiving process."
            )
        recipe = self._recipes.get(cls)
        if recipe is None:
            recipe = self._recipes[cls] = recipe_for(cls, name)
        if recipe.code != code:
            raise DecodeError(f"{name!r} travels as extension {recipe.code}, not {code}.")
        return recipe.build(items)

    def find(self, name: str) -> type[Any] | None:
        """The class on the allow-list under a wire name."""
        found = self._types.get(name) or allowlist.registered(name)
        if found is None:
            found = allowlist.trusted_class(name)
            if found is not None:
                self._types[name] = found
        return found

    def _new_rule(self, cls: type[Any]) -> tuple[int, Plain]:
        if issubclass(cls, BaseException):
            return EXCEPTION, lambda value: value
        rule = array_plain(cls)
        if rule is not None:
            return rule
        name = allowlist.trusted_name(cls) or wire_name(cls)
        listed = self.find(name)
        if listed is not cls:
            raise Refusal(None, hint_for(cls, listed))
        try:
            recipe = self._recipes[cls] = recipe_for(cls, name)
        except Unsupported as error:
            raise Refusal(None, f"It is allowed, but can't be taken apart: {error}.") from None
        return recipe.code, recipe.plain

    def _packed_alone(self, value: Any) -> bytes:
        """What `_pack` makes of a value; of an instance of an application's class in half of the time."""
        rule = self.rules.get(cast("type[Any]", type(value)))
        if rule is None or rule[0] not in _LISTED:
            return self._pack(value)
        code, plain = rule
        data = self._pack(plain(value))
        return _extension_head(code, len(data)) + data

    def _pack(self, value: Any) -> bytes:
        try:
            encoder = self._idle.pop()
        except IndexError:
            encoder = _Encoder(self)
        try:
            data = encoder.pack(value)
        except UnicodeEncodeError:
            # Half a surrogate pair, which file names and careless slicing produce. To allow for it from the
            # start would make all other text slower.
            return _Encoder(self, "surrogatepass").pack(value)
        if len(data) <= _LARGEST_KEPT:
            self._idle.append(encoder)
        return data


_PARTS: Final = (
    "input",
    "snapshot",
    "config",
    "context",
    "more",
)  # of a task message: what the application put there

_Parts = tuple[str, list[tuple[Any, str]]]
"""Whose message it is, and what the application put there, with what errors call that."""


def _parts_of_task(message: TaskMessage) -> _Parts:
    whose = f"node {message.name!r}"
    return whose, [(getattr(message, part), f"{whose}, {part}") for part in _PARTS]


def _parts_of_outcome(outcome: Outcome, node: str) -> _Parts:
    whose = f"node {node!r}" if node else f"task {outcome.task}"
    return whose, [(value, f"{whose}, channel {channel!r}") for channel, value in outcome.writes or ()]


_TASK_HEAD: Final = 13
"""Items of a task message before its first part that the application put there; the wire version is one."""

_OUTCOME_HEAD: Final = 5


def _limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE, "")
    if not text:
        return MAX_MESSAGE_BYTES
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise FleetError(f"{LIMIT_VARIABLE} is no number of bytes: {text[:40]!r}")
    return int(text)


class _Sealed:
    """An encrypted part, until it is clear what it is bound to."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Opener:
    """Decrypts what was decoded: a value, a message, or a list of messages in a message."""

    __slots__ = ("_codec", "_unicode_errors", "opened")

    def __init__(self, codec: Codec, unicode_errors: str | None) -> None:
        self._codec = codec
        self._unicode_errors = unicode_errors
        self.opened = 0

    def open(self, value: Any, about: bytes, levels: int = 3) -> Any:
        if type(value) is _Sealed:
            return self._part(value, about)
        if type(cast(object, value)) is not list or not levels:
            return value
        items = cast("list[Any]", value)
        if not items or type(items[-1]) is not _Sealed:
            return [self.open(item, about, levels - 1) for item in items]
        *head, sealed = items
        rest = self._part(sealed, self._codec.pack_head(head))
        if type(rest) is not list:
            raise DecodeError("an encrypted part of a message is no array.")
        return [*head, *cast("list[Any]", rest)]

    def _part(self, sealed: _Sealed, about: bytes) -> Any:
        self.opened += 1
        return self._codec.open_part(sealed.data, about, self._unicode_errors)


class _Encoder:
    """Packs one value at a time. After an exception it is not fit for another one."""

    __slots__ = ("_codec", "_open", "_packers", "_rules", "_unicode_errors")

    def __init__(self, codec: Codec, unicode_errors: str | None = None) -> None:
        self._codec = codec
        self._rules = codec.rules
        self._unicode_errors = unicode_errors
        self._open: set[int] = set()
        """Ids of the values being packed as extensions, each inside the one before."""
        self._packers: list[_Packer] = []
        """One for each depth of extensions: a packer can't be used while it packs."""

    def pack(self, value: Any) -> bytes:
        depth = len(self._open)
        try:
            packer = self._packers[depth]
        except IndexError:
            packer = self._new_packer()
        data = packer.pack(value)
        # A bytearray is packed as if it was bytes, without asking. Only data with a header of bytes in it can
        # hold one: to search that takes some 60 ns, to walk through every value longer than packing.
        if (0xC4 in data or 0xC5 in data or 0xC6 in data) and _holds_buffer(value):
            data = packer.pack(_without_buffers(value))
        return data

    def attempt(self, value: Any) -> bytes | None:
        """The packed value, or None if it can't travel."""
        before = self._open.copy()
        try:
            return self.pack(value)
        except (UnicodeEncodeError, MemoryError):
            raise
        except Exception:  # whatever it is, the exception that the value belongs to has to travel
            self._open.intersection_update(before)
            return None

    def _new_packer(self) -> _Packer:
        packer = _new_packer(
            default=self._default, strict_types=True, unicode_errors=self._unicode_errors, buf_size=4096
        )
        self._packers.append(packer)
        return packer

    def _default(self, value: object) -> Any:
        rule = self._rules.get(type(value))
        if rule is None:
            rule = self._codec.rule_for(type(value))
        code, plain = rule
        opened = self._open
        key = id(value)
        if key in opened or len(opened) >= MAX_NESTING:
            raise Refusal(value, "It contains itself, or is nested too deeply.")
        opened.add(key)
        form = dismantle(value, self.attempt) if isinstance(value, BaseException) else plain(value)
        data = self.pack(form)
        opened.discard(key)
        return _extension(code, data)


def _extension_head(code: int, size: int) -> bytes:
    """What stands before the data of an extension."""
    if size <= 0xFF:
        return bytes((0xC7, size, code))
    if size <= 0xFFFF:
        return _pack_head(0xC8, size, code)
    return _pack_long_head(0xC9, size, code)


def _holds_buffer(value: Any) -> bool:
    """Whether there is a bytearray or memoryview in a tree of lists and dicts."""
    level: list[Any] = [value]
    while level:  # a whole level at a time, mostly in C: this runs for many values that hold none
        kinds = set(map(type, level))
        if bytearray in kinds or memoryview in kinds:
            return True
        inner: list[Any] = [item for item in level if type(item) is list] if list in kinds else []
        if dict in kinds:
            inner += [item.values() for item in level if type(item) is dict]
        level = list(chain.from_iterable(inner))
    return False


def _without_buffers(value: Any) -> Any:
    kind = cast(Any, type(value))
    if kind is list:
        return [_without_buffers(item) for item in value]
    if kind is dict:
        return {key: _without_buffers(item) for key, item in value.items()}
    if kind is memoryview:
        raise Refusal(value, hint_for(memoryview, None))
    return SentByteArray(value) if kind is bytearray else value


class _Decoder:
    """Unpacks one value."""

    __slots__ = ("_codec", "_depth", "_maps", "_unicode_errors", "sealed")

    def __init__(self, codec: Codec, unicode_errors: str | None = None) -> None:
        self._codec = codec
        self._unicode_errors = unicode_errors
        self._depth = 0
        self._maps = Maps()
        self.sealed = 0
        """Encrypted parts that it has come across; `_Sealed` stands in for each."""

    def unpack(self, data: bytes) -> Any:
        return unpack(
            data,
            on_heap=self._depth >= _NESTING_ON_STACK,
            ext_hook=self._extension,
            strict_map_key=False,
            timestamp=3,
            unicode_errors=self._unicode_errors,
        )

    def _extension(self, code: int, data: bytes) -> Any:
        if self._depth >= MAX_NESTING:
            raise DecodeError(f"extensions are nested more than {MAX_NESTING} deep.")
        if code == SEALED:
            if self._depth:
                raise DecodeError("an encrypted part is where none belongs.")
            self.sealed += 1
            return _Sealed(data)
        self._depth += 1
        if code == TUPLE and (pair := split(data)):
            value = self._extension(pair[0], pair[1]), self._second(pair[2])
        else:
            value = self._built(code, self.unpack(data))
        self._depth -= 1
        return value

    def _built(self, code: int, plain: Any) -> Any:
        build = _BUILD.get(code)
        try:
            if build is not None:
                return build(plain)
            if code in _LISTED:
                return self._codec.build(code, plain)
            if code == EXCEPTION:
                return rebuild(plain, self._nested, self._codec.find)
        except (DecodeError, UnicodeDecodeError):
            raise
        except Exception as error:
            raise DecodeError(f"extension {code} can't be rebuilt: {_reason(error)}.") from error
        raise DecodeError(f"extension {code} is unknown to this version of Fleetgraph.")

    def _second(self, data: bytes) -> Any:
        """The second item of a pair."""
        value = self._maps.copy(data)
        if value is None:
            value = self.unpack(data)
            self._maps.decoded(data, value)
        return value

    def _nested(self, data: bytes) -> Any:
        depth = self._depth
        try:
            return self.unpack(data)
        except (DecodeError, UnicodeDecodeError):
            raise
        except Exception as error:
            raise DecodeError(f"a part of an exception is malformed: {_reason(error)}.") from error
        finally:
            self._depth = depth


_LISTED: Final = frozenset([ENUM, OBJECT, MODEL, DERIVED])
_BUILD: Final[dict[int, Build]] = {**BUILD, ARRAY: build_array, SCALAR: build_scalar}


def _reason(error: Exception) -> str:
    match error:
        case msgpack.ExtraData():
            return "more bytes follow it"
        case msgpack.StackError():
            return "it is nested too deeply"
        case msgpack.FormatError():
            return "it has a byte that msgpack does not know"
        case msgpack.OutOfData():
            return "it ends too early"
        case ValueError() if "incomplete input" in str(error):
            return "it ends too early"
        case _:
            text = str(error).rstrip(".")
            return f"{shown_name(type(error))}: {text}" if text else shown_name(type(error))
