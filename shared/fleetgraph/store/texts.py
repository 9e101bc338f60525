"""Which texts of a value are embedded: paths into it, as `title`, `author.name`, `parts[*].text`, `{title,body}`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

_CLOSING = {"[": "]", "{": "}"}


def tokenize_path(path: str) -> list[str]:
    """The steps of a path: names of fields, `[…]`, `{…}` and `*`."""
    tokens: list[str] = []
    name = ""
    at = 0
    while at < len(path):
        char = path[at]
        if char in _CLOSING or char == ".":
            if name:
                tokens.append(name)
            name = ""
        else:
            name += char
        end = _after_bracket(path, at) if char in _CLOSING else at + 1
        if char in _CLOSING:
            tokens.append(path[at:end])
        at = end
    return [*tokens, name] if name else tokens


def _after_bracket(path: str, at: int) -> int:
    """Where the bracket that opens at `at` has been closed; the end if it never is."""
    opening, depth = path[at], 0
    for end in range(at, len(path)):
        depth += {opening: 1, _CLOSING[opening]: -1}.get(path[end], 0)
        if depth == 0:
            return end + 1
    return len(path)


def get_text_at_path(obj: Any, path: str | list[str]) -> list[str]:
    """The texts that a path, or its steps, leads to in `obj`: none, one or several. `$` is all of it, as JSON.

    `[0]`, `[-1]` and `[*]` are elements of lists, `*` those of lists and dicts, `{a,b.c}` several fields.
    """
    whole: Any = dict(cast("Mapping[Any, Any]", obj)) if isinstance(obj, Mapping) else obj
    if not path or path == "$":
        return [_json(whole)]
    return list(_texts(whole, tokenize_path(path) if isinstance(path, str) else path))


def _texts(value: Any, tokens: list[str]) -> Iterator[str]:
    if not tokens:
        yield from _as_text(value)
        return
    token, rest = tokens[0], tokens[1:]
    if token[0] == "{" and token[-1] == "}":
        for field in token[1:-1].split(","):
            steps = tokenize_path(field.strip())
            if steps:
                yield from _as_text(_field(value, steps))
        return
    for part in _parts(value, token):
        yield from _texts(part, rest)


def _parts(value: Any, token: str) -> list[Any]:
    """What one step leads to."""
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        if token in ("*", "[*]"):
            return elements
        index = _index(token)
        return [elements[index]] if index is not None and -len(elements) <= index < len(elements) else []
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        if token == "*":
            return list(fields.values())
        return [fields[token]] if token[0] != "[" and token in fields else []
    return []


def _index(token: str) -> int | None:
    if token[0] != "[" or token[-1] != "]":
        return None
    try:
        return int(token[1:-1])
    except ValueError:
        return None


def _field(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if not isinstance(value, dict) or step not in value:
            return None
        value = cast("dict[Any, Any]", value)[step]
    return value


def _as_text(value: Any) -> list[str]:
    if isinstance(value, str | int | float):
        return [str(value)]
    return [_json(value)] if isinstance(value, list | dict) else []


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
