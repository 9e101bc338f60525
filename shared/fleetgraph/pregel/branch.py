"""A conditional edge: user code that looks at the state and names where to go."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from fleetgraph.constants import END, START
from fleetgraph.errors import InvalidUpdateError
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.updates import refuse_foreign
from fleetgraph.types import Send

PathMap = Mapping[Hashable, str] | Sequence[str]


class Branch:
    """A path function, what its answers stand for, and the schema it reads the state by."""

    __slots__ = ("callee", "ends", "input_schema")

    def __init__(self, path: Any, path_map: PathMap | None) -> None:
        self.callee = Callee(path, None)
        self.ends = _ends(path, path_map)
        self.input_schema = first_parameter_schema(path)

    @property
    def name(self) -> str:
        return self.callee.name or "condition"

    def destinations(self, answer: Any) -> list[str | Send]:
        """The nodes and sends that an answer of the path function stands for; END is one of them.

        Raises:
            KeyError: The answer is not in the path map.
            ValueError: The answer is None or START.
            InvalidUpdateError: A Send goes to END.
        """
        answers = cast("Sequence[Any]", answer) if isinstance(answer, list | tuple) else [answer]
        ends = self.ends
        for one in answers:
            if type(one) is not str:
                refuse_foreign(one)
        found = [a if ends is None or isinstance(a, Send) else ends[a] for a in answers]
        if any(d is None or d == START for d in found):
            raise ValueError("Branch did not return a valid destination")
        if any(isinstance(d, Send) and d.node == END for d in found):
            raise InvalidUpdateError("Cannot send a packet to the END node")
        return found


def _ends(path: Any, path_map: PathMap | None) -> dict[Hashable, str] | None:
    if isinstance(path_map, Mapping):
        return dict(path_map) or None
    if path_map is not None:
        return {name: name for name in path_map} or None
    answer = type_hints(path).get("return")
    if get_origin(answer) is Literal:
        return {name: name for name in get_args(answer)}
    return None


def type_hints(code: Any) -> dict[str, Any]:
    """The type hints of a function or of a callable object's method; none when they can't be resolved."""
    if not (inspect.isfunction(code) or inspect.ismethod(code)):
        code = getattr(code, "__call__", None)  # noqa: B004 (not asking whether it is callable)
    try:
        return get_type_hints(code)
    except (NameError, TypeError, AttributeError):  # a forward reference to something that exists later, or nowhere
        return {}


def first_parameter_schema(code: Any) -> type | None:
    """The schema that annotates the first parameter of a function, if there is one."""
    hints = type_hints(code)
    if not hints:
        return None
    try:
        first = next(iter(inspect.signature(code).parameters), None)
    except ValueError:
        return None
    hint = hints.get(first) if first else None
    try:
        return hint if isinstance(hint, type) and get_type_hints(hint) else None
    except (NameError, TypeError):
        return None
