"""Decoding what a program without a graph's code can't: instances of its classes arrive as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from fleetgraph.errors import DecodeError
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.kinds import DERIVED, ENUM, MODEL, OBJECT


class ReadableCodec(Codec):
    """A codec that decodes instances of classes it does not know, too.

    Such an instance arrives as the mapping of its attributes; an enum member as its name; an instance of a subclass of
    a built-in type, such as a named tuple, as its content. Where only a hashable value can be, in a set or as a key, it
    is a text that shows it. Exceptions of unknown classes arrive as `RemoteNodeError`, as everywhere.

    Args:
        types: The classes to know, besides what always travels.
        as_text: Whether all that is unknown arrives as text.
    """

    def __init__(self, types: Iterable[type[Any]] = (), *, as_text: bool = False) -> None:
        self._hashable = None if as_text else ReadableCodec(as_text=True)
        super().__init__(types)

    def allow(self, *types: type[Any]) -> None:
        """Let values of exactly these types arrive as what they are.

        Raises:
            TypeError: One of them is not a class.
        """
        super().allow(*types)
        if self._hashable is not None:
            self._hashable.allow(*types)

    def decode(self, data: bytes, *, about: str = "") -> Any:
        """The value in `data`.

        Raises:
            DecodeError: The bytes are not exactly one value, or they are encrypted, and can't be decrypted.
        """
        try:
            return super().decode(data, about=about)
        except DecodeError as error:
            if self._hashable is None or "unhashable" not in str(error):
                raise
            return self._hashable.decode(data, about=about)

    def build(self, code: int, plain: Any) -> Any:
        """The value of an extension of a type that the application has made."""
        if isinstance(plain, list) and plain:
            name, *items = cast("list[Any]", plain)
            if isinstance(name, str) and self.find(name) is None:
                content = _content(code, name, items)
                return content if self._hashable is not None else _shown(code, name, content)
        return super().build(code, plain)


def _content(code: int, name: str, items: list[Any]) -> Any:
    match items:
        case [content] if code in (ENUM, OBJECT):
            return content
        case [dict(), _, extra, _] if code == MODEL:
            return cast("dict[str, Any]", items[0]) | cast("dict[str, Any]", extra or {})
        case [content, _] if code == DERIVED:
            return content
        case _:
            raise DecodeError(f"extension {code} of {name!r} has another form than this version of Fleetgraph knows.")


def _shown(code: int, name: str, content: Any) -> str:
    short = name.rpartition(":")[2]
    if code == ENUM:
        return f"{short}.{content}"
    if isinstance(content, dict):
        fields = (f"{key}={value!r}" for key, value in cast("dict[Any, Any]", content).items())
        return f"{short}({', '.join(fields)})"
    return f"{short}({content!r})"
