"""A drawing in mermaid's language."""

from __future__ import annotations

import dataclasses
import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from fleetgraph.drawing.styles import NodeStyles

if TYPE_CHECKING:
    from fleetgraph.drawing.drawable import DrawableGraph, DrawnEdge, DrawnNode

_ID_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "_-")
"""What a mermaid id is made of."""
_MARKUP: Final = ("*", "_", "`")
"""What a text begins and ends with that mermaid takes for Markdown, such as `__start__`."""
_ENTITIES: Final = str.maketrans(
    {
        "#": "#35;",
        "[": "#91;",
        "]": "#93;",
        "(": "#40;",
        ")": "#41;",
        "{": "#123;",
        "}": "#125;",
        '"': "#quot;",
        "<": "#60;",
        ">": "#62;",
        "|": "#124;",
    }
)
"""What would end a label, or begin a tag in it, and how mermaid writes it."""


# --- looks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looks:
    """A drawing's configuration, and the CSS of its classes of nodes: `default`, `first`, `last`."""

    frontmatter: Mapping[str, Any]
    styles: Mapping[str, str]

    @classmethod
    def of(cls, curve_style: Any, node_colors: Any, frontmatter: Mapping[str, Any] | None) -> Looks:
        """Looks out of what a caller asked for, in our types or LangChain's."""
        curve = curve_style.value if isinstance(curve_style, Enum) else curve_style
        styles = node_colors or NodeStyles()
        return cls(
            merged(frontmatter or {}, {"config": {"flowchart": {"curve": curve}}}),
            cast("Mapping[str, str]", styles if isinstance(styles, Mapping) else dataclasses.asdict(styles)),
        )


def merged(config: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with `over` laid over it, level by level."""
    result = dict(config)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value))
        else:
            result[key] = value
    return result


# --- spelling ----------------------------------------------------------------------------------------------------


class Spelling(Protocol):
    """How nodes, boxes and edges are written."""

    def node(self, node: DrawnNode, end: str | None) -> str:
        """A node's line; `end` is `first` or `last` for the graph's ends."""
        ...

    def box(self, path: str) -> str:
        """The line that opens a subgraph's box."""
        ...

    def edge(self, edge: DrawnEdge, label: Sequence[str] | None) -> str:
        """An edge's line, its label already wrapped."""
        ...


class PlainSpelling:
    """LangGraph's: ids and labels as people read them. A name with brackets in it is no valid mermaid."""

    def __init__(self) -> None:
        self._boxes: set[str] = set()

    def node(self, node: DrawnNode, end: str | None) -> str:
        name = title(node)
        label = f"<p>{name}</p>" if name.startswith(_MARKUP) and name.endswith(_MARKUP) else name
        if facts := metadata_lines(node):
            lines = "\n".join(fact.translate(_ENTITIES) for fact in facts)
            label = f"{label}<hr/><small><em>{lines}</em></small>"
        shape = f"([{label}]):::{end}" if end else f"({label})"
        return f"{_escaped(node.id)}{shape}"

    def box(self, path: str) -> str:
        name = path.rpartition(":")[2]
        if name in self._boxes:  # two boxes of one id would be drawn as one
            return f"subgraph {_escaped(path)} [{name}]"
        self._boxes.add(name)
        return f"subgraph {name}"

    def edge(self, edge: DrawnEdge, label: Sequence[str] | None) -> str:
        if label is None:
            arrow = "-.->" if edge.conditional else "-->"
        else:
            text = "&nbsp<br>&nbsp".join(label)
            arrow = f"-. &nbsp;{text}&nbsp; .->" if edge.conditional else f"-- &nbsp;{text}&nbsp; -->"
        return f"{_escaped(edge.source)} {arrow} {_escaped(edge.target)};"


class QuotedSpelling:
    """One in which any name and label is valid mermaid, for programs that read it: ids are numbers, texts quoted."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def _id(self, name: str) -> str:
        return self._ids.setdefault(name, f"n{len(self._ids)}")

    def node(self, node: DrawnNode, end: str | None) -> str:
        lines = [title(node).translate(_ENTITIES)]
        lines += [f"<em>{fact.translate(_ENTITIES)}</em>" for fact in metadata_lines(node)]
        text = f'"<p>{"<br/>".join(lines)}</p>"'
        return f"{self._id(node.id)}{f'([{text}]):::{end}' if end else f'({text})'}"

    def box(self, path: str) -> str:
        return f'subgraph {self._id(path)}["{path.rpartition(":")[2].translate(_ENTITIES)}"]'

    def edge(self, edge: DrawnEdge, label: Sequence[str] | None) -> str:
        if label is None:
            arrow = "-.->" if edge.conditional else "-->"
        else:
            text = "<br/>".join(line.translate(_ENTITIES) for line in label)
            arrow = f'-. "{text}" .->' if edge.conditional else f'-- "{text}" -->'
        return f"{self._id(edge.source)} {arrow} {self._id(edge.target)};"


def title(node: DrawnNode) -> str:
    """What is written into a node."""
    return node.name.rpartition(":")[2]


def metadata_lines(node: DrawnNode) -> list[str]:
    """The metadata that can be written on a line each: scalars, and lists of scalars."""
    lines: list[str] = []
    for key, value in (node.metadata or {}).items():
        if isinstance(value, str | int | float | bool):
            lines.append(f"{key} = {value}")
        elif isinstance(value, list | tuple | set):
            items = cast("list[Any]", [*value])
            if all(isinstance(item, str | int | float | bool) for item in items):
                texts = [str(item) for item in items]
                lines.append(f"{key} = {', '.join(sorted(texts) if isinstance(value, set) else texts)}")
    return lines


def _escaped(name: str) -> str:
    """A name as a mermaid id: other characters become a backslash and their code in hex."""
    return "".join(c if c in _ID_CHARACTERS else f"\\{ord(c):x}" for c in name)


# --- the text ----------------------------------------------------------------------------------------------------


def write(drawing: DrawableGraph, spelling: Spelling, looks: Looks | None, words_per_line: int) -> str:
    """The mermaid text of a drawing.

    Args:
        looks: None writes neither header nor nodes nor colours: only boxes and edges.
        words_per_line: Where to wrap the labels of edges.
    """
    lines = ["graph TD;", *_Text(drawing, spelling, looks is not None, words_per_line).lines("")]
    if looks is not None:
        lines[:0] = ["---", *_yaml(looks.frontmatter), "---"]
        lines += [f"\tclassDef {name} {style}" for name, style in looks.styles.items()]
    return "\n".join(lines) + "\n"


class _Text:
    def __init__(self, drawing: DrawableGraph, spelling: Spelling, with_nodes: bool, words_per_line: int) -> None:
        self.spelling = spelling
        self.words_per_line = words_per_line
        first, last = drawing.first_node(), drawing.last_node()
        self.ends: dict[str, str] = ({first.id: "first"} if first else {}) | ({last.id: "last"} if last else {})
        self.nodes: dict[str, list[DrawnNode]] = {}
        self.edges: dict[str, list[DrawnEdge]] = {}
        for edge in drawing.edges:
            self.edges.setdefault(_place(edge), []).append(edge)
        for name, node in drawing.nodes.items():
            if with_nodes:
                self.nodes.setdefault(_around(name), []).append(node)
        self.places = list(dict.fromkeys([*self.edges, *self.nodes]))
        for place in list(self.places):
            outer = _around(place)
            while outer:  # the boxes that hold nothing but this one
                if outer not in self.places:
                    self.places.append(outer)
                outer = _around(outer)
        self.loops = {edge.source for edge in drawing.edges if edge.source == edge.target}

    def lines(self, place: str) -> Iterator[str]:
        """What is in one box, or in none; in LangGraph's order."""
        for node in self.nodes.get(place, ()):
            yield f"\t{self.spelling.node(node, self.ends.get(node.id))}"
        for edge in self.edges.get(place, ()):
            yield f"\t{self.spelling.edge(edge, self._label(edge))}"
        for inner in self.places:
            if not inner or inner == place or _around(inner) != place:
                continue
            if inner in self.loops:
                yield from self.lines(inner)
            else:
                yield f"\t{self.spelling.box(inner)}"
                yield from self.lines(inner)
                yield "\tend"

    def _label(self, edge: DrawnEdge) -> list[str] | None:
        if edge.data is None:
            return None
        words = str(edge.data).split()
        if len(words) <= self.words_per_line:
            return [str(edge.data)]
        return [
            " ".join(words[start : start + self.words_per_line]) for start in range(0, len(words), self.words_per_line)
        ]


def _around(name: str) -> str:
    """The subgraph that a node or a subgraph is in; empty for none."""
    return name.rpartition(":")[0]


def _place(edge: DrawnEdge) -> str:
    """Where an edge is written: in the smallest box around it; a loop after its box's other edges."""
    if edge.source == edge.target:
        return edge.source
    shared: list[str] = []
    for source, target in zip(edge.source.split(":")[:-1], edge.target.split(":")[:-1], strict=False):
        if source != target:
            break
        shared.append(source)
    return ":".join(shared)


# --- the header --------------------------------------------------------------------------------------------------

_YAML_PLAIN: Final = re.compile(r"[A-Za-z_]((?!: | #|:$| $)[\x20-\x7e])*")
"""Text that YAML takes for text."""
_YAML_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
"""Words that it takes for something else."""


def _yaml(config: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in sorted(config.items()):
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_yaml_scalar(key)}:"
            yield from _yaml(cast("Mapping[str, Any]", value), f"{indent}  ")
        else:
            yield f"{indent}{_yaml_scalar(key)}: {_yaml_scalar(value)}"


def _yaml_scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)  # JSON is YAML
    if _YAML_PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    return "'" + value.replace("'", "''") + "'" if value.isprintable() else json.dumps(value)
