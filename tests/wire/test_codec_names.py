"""What classes are called on the wire, and which of them a schema puts on the allow-list."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import add
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
from pydantic import BaseModel

from fleetgraph.wire.allowlist import collect_types
from fleetgraph.wire.names import module_name, shown_name, wire_name

if TYPE_CHECKING:
    from nowhere import Missing  # pyright: ignore

T = TypeVar("T")


# --- names -------------------------------------------------------------------------------------------------------

SCRIPT = """\
import sys
sys.path[:0] = {paths!r}
from fleetgraph.wire.names import module_name, wire_name

class Mine:
    class Inner: pass

if __name__ == "__main__":
    print(module_name("__main__"), module_name(sys.modules["__main__"]), wire_name(Mine.Inner))
"""


def run(*arguments: str, cwd: Path, stdin: str | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with `script.py`, and a package `app` with a module, a subpackage and a `__main__`."""
    script = SCRIPT.format(paths=[path for path in sys.path if path.endswith("shared")])
    for name in ("script.py", "app/graph.py", "app/sub/deep.py", "app/__main__.py", "app/sub/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
    (tmp_path / "app" / "__init__.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["script.py"], "script"),
        (["./app/../script.py"], "script"),
        (["app/graph.py"], "app.graph"),
        (["app/sub/deep.py"], "app.sub.deep"),
        (["app/sub/__init__.py"], "app.sub"),
        (["-m", "script"], "script"),
        (["-m", "app.sub.deep"], "app.sub.deep"),
        (["-m", "app"], "app.__main__"),
        (["app/__main__.py"], "app.__main__"),
    ],
    ids=str,
)
def test_a_script_has_the_name_it_would_be_imported_by(tree: Path, arguments: list[str], name: str) -> None:
    assert run(*arguments, cwd=tree) == [name, name, f"{name}:Mine.Inner"]


def test_code_without_a_file_stays_main(tree: Path) -> None:
    code = (tree / "script.py").read_text()
    assert run("-c", code, cwd=tree) == ["__main__", "__main__", "__main__:Mine.Inner"]
    assert run("-", cwd=tree, stdin=code) == ["__main__", "__main__", "__main__:Mine.Inner"]


def test_a_script_is_called_the_same_in_the_processes_it_spawns(tree: Path) -> None:
    paths = [path for path in sys.path if path.endswith("shared")]
    (tree / "spawning.py").write_text(
        f"import sys\nsys.path[:0] = {paths!r}\n"
        "import multiprocessing\n"
        "from fleetgraph.wire.names import wire_name\n"
        "class Mine: pass\n"
        "def show(): print(Mine.__module__, wire_name(Mine), flush=True)\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=show)\n"
        "    child.start(); child.join()\n"
    )
    assert "spawn" in multiprocessing.get_all_start_methods()
    assert run("spawning.py", cwd=tree) == ["__mp_main__", "spawning:Mine"]


def test_other_modules_keep_their_names() -> None:
    assert module_name("a.b") == "a.b"
    assert module_name(subprocess) == "subprocess"
    assert wire_name(subprocess.Popen) == "subprocess:Popen"
    assert shown_name(int) == "int"
    assert shown_name(subprocess.Popen) == "subprocess.Popen"


# --- schemas -----------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    colour: Colour


Pair = namedtuple("Pair", "left right")  # pyright: ignore[reportUntypedNamedTuple]


@dataclass
class Leaf:
    x: int


@dataclass
class Tree:
    left: Tree | None
    leaf: Leaf
    ignored: ClassVar[Point]


@dataclass
class Box(Generic[T]):
    content: T


class Row(BaseModel):
    point: Point


class Page(BaseModel, Generic[T]):
    rows: list[T]


class Rows(Page[Row]):
    pass


class Inner(TypedDict, total=False):
    tree: Required[Tree]


class State(TypedDict):
    inner: Annotated[list[Inner], add]
    colour: NotRequired[Colour]


class Broken(TypedDict):
    gone: Missing
    leaf: Leaf


class Plain:
    leaf: Leaf


Identity = NewType("Identity", Leaf)
Bounded = TypeVar("Bounded", bound=Leaf)


MENTIONED: list[tuple[Any, set[Any]]] = [
    (int, set()),
    (None, set()),
    (Any, set()),
    (Colour, {Colour}),
    (Enum, set()),
    (BaseModel, set()),
    (Literal["a", 1], set()),
    (Literal[Colour.RED], set()),
    (Leaf, {Leaf}),
    (list[Leaf], {Leaf}),
    (dict[str, tuple[Leaf, ...]], {Leaf}),
    (Mapping[Colour, Leaf], {Leaf, Colour}),
    (Optional[Leaf], {Leaf}),  # noqa: UP045
    (Union[Leaf, Colour], {Leaf, Colour}),  # noqa: UP007
    (Leaf | None, {Leaf}),
    (type[Leaf], {Leaf}),
    (Callable[[Leaf], Colour], {Leaf, Colour}),
    (Annotated[Leaf, Colour], {Leaf}),
    (Identity, {Leaf}),
    (Bounded, {Leaf}),
    (Pair, {Pair}),
    (Point, {Point, Colour}),
    (Tree, {Tree, Leaf}),
    (Box[Leaf], {Box, Leaf}),
    (Row, {Row, Point, Colour}),
    (Page[Row], {Page[Row], Row, Point, Colour}),
    (Rows, {Rows, Row, Point, Colour}),
    (State, {Tree, Leaf, Colour}),
    (Broken, {Leaf}),
    (Plain, {Leaf}),
    ("Leaf", set()),
]


@pytest.mark.parametrize(("root", "found"), MENTIONED, ids=[str(root) for root, _ in MENTIONED])
def test_the_types_that_a_hint_mentions(root: Any, found: set[type[Any]]) -> None:
    assert collect_types(root) == found


def test_several_roots_are_collected_together() -> None:
    assert collect_types(Leaf, None, list[Colour]) == {Leaf, Colour}


def test_private_attributes_of_a_model_count() -> None:
    class Holder(BaseModel):
        _leaf: Leaf | None = None

    assert collect_types(Holder) == {Holder, Leaf}


def test_subclasses_are_not_collected() -> None:
    @dataclass
    class Special(Leaf):
        pass

    assert Special not in collect_types(Leaf)
    assert collect_types(Special) == {Special}
