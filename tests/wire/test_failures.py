"""Exceptions across processes: the same type, text, notes and traceback, and always something that can be raised."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from fleetgraph import errors
from fleetgraph.errors import FleetgraphError, RemoteNodeError, RemoteTraceback
from fleetgraph.types import Interrupt
from fleetgraph.wire import Codec

msgpack: Any = importlib.import_module("msgpack")  # has no types

CODEC = Codec()


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def sent(error: BaseException, codec: Codec = CODEC) -> Any:
    """What arrives of `error`, raised and inside another value."""
    arrived = codec.decode(codec.encode([raised(error)]))[0]
    assert isinstance(arrived, BaseException)
    return arrived


def alike(arrived: BaseException, error: BaseException) -> bool:
    return type(arrived) is type(error) and str(arrived) == str(error) and repr(arrived) == repr(error)


# --- errors.py ---------------------------------------------------------------------------------------------------


def fleet_errors() -> list[type[BaseException]]:
    return [
        cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, BaseException) and cls.__module__ == errors.__name__
    ]


SPECIAL: dict[type[BaseException], BaseException] = {
    errors.GraphInterrupt: errors.GraphInterrupt((Interrupt("go on?", "0" * 32),)),
    errors.NodeInterrupt: errors.NodeInterrupt("go on?"),
    errors.NodeTimeoutError: errors.NodeTimeoutError("node", 0.51, kind="run", run_timeout=0.5),
}


def instance_of(cls: type[BaseException]) -> BaseException:
    """An instance with an argument of the right type for each parameter of the constructor."""
    samples = {str: "text", int: 7, float: 0.5, bool: True, list[str]: ["a", "b"]}
    samples[dict[str, dict[str, str]]] = {"a": {"b": "c"}}
    if cls in SPECIAL:
        return SPECIAL[cls]
    if "__init__" not in vars(cls):
        return cls("some text", (1, 2))
    hints = get_type_hints(cls.__init__)
    hints.pop("return")
    # Of `str | None` the first: what None stands for is no sample of the rest.
    return cls(*(samples[(get_args(hint) or [hint])[0] if hint not in samples else hint] for hint in hints.values()))


@pytest.mark.parametrize("cls", fleet_errors(), ids=lambda cls: cls.__name__)
def test_every_error_of_ours_survives(cls: type[BaseException]) -> None:
    error = instance_of(cls)
    arrived = sent(error)
    assert alike(arrived, error)
    assert arrived.args == error.args
    assert vars(arrived) == vars(error)


def test_all_of_ours_are_tried() -> None:
    known = {cls for cls in fleet_errors() if issubclass(cls, FleetgraphError)}
    assert {FleetgraphError, *FleetgraphError.__subclasses__()} <= known
    assert len(known) > 8


# --- built-in and library exceptions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("text"), ValueError(), ValueError("a", (1, {2}), None), KeyError("k"), KeyError(("a", 1))),
        *(StopIteration(3), StopAsyncIteration(), SystemExit(2), KeyboardInterrupt(), GeneratorExit("x")),
        *(
            FileNotFoundError(2, "No such file", "a.txt"),
            OSError(2, "No", "a", None, "b"),
            ConnectionResetError("gone"),
        ),
        *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), UnicodeEncodeError("ascii", "é", 0, 1, "bad")),
        *(ImportError("m", name="n", path="p"), ModuleNotFoundError("No module", name="n")),
        *(
            SyntaxError("bad", ("f.py", 1, 2, "txt", 1, 3)),
            RecursionError("deep"),
            MemoryError(),
            NotImplementedError(),
        ),
        *(asyncio.CancelledError("c"), TimeoutError("t"), asyncio.IncompleteReadError(b"x", 5)),
        *(json.JSONDecodeError("Expecting", "doc", 2), subprocess.CalledProcessError(1, ["cmd"], b"out", b"err")),
        *(AttributeError("no x", name="x", obj=3), NameError("n", name="n"), ZeroDivisionError("by zero")),
    ],
    ids=lambda error: f"{type(error).__name__}{len(error.args)}",
)
def test_an_exception_of_python_survives(error: BaseException) -> None:
    arrived = sent(error)
    assert alike(arrived, error)
    assert arrived.args == error.args


def test_attributes_that_are_not_in_args_survive() -> None:
    arrived = sent(FileNotFoundError(2, "No such file", "a.txt"))
    assert (arrived.errno, arrived.filename) == (2, "a.txt")
    assert sent(ImportError("m", name="n", path="p")).name == "n"
    assert sent(json.JSONDecodeError("Expecting", "doc\n", 4)).lineno == 2
    assert sent(StopIteration(3)).value == 3
    assert sent(SystemExit(2)).code == 2


def test_groups_survive_with_their_members() -> None:
    group = ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])
    group.exceptions[0].add_note("first")
    arrived = sent(group)
    assert alike(arrived, group)
    assert [type(member) for member in arrived.exceptions] == [ValueError, ExceptionGroup]
    assert arrived.exceptions[0].__notes__ == ["first"]
    assert type(arrived.exceptions[1].exceptions[0]) is KeyError


class Person(BaseModel):
    age: int

    @field_validator("age")
    @classmethod
    def check(cls, age: int) -> int:
        if age < 0:
            raise ValueError("negative")
        if age > 200:
            raise PydanticCustomError("too_old", "{age} is too old", {"age": age})
        assert age != 13, "unlucky"
        return age


@pytest.mark.parametrize("content", [{"age": "x"}, {"age": -1}, {"age": 300}, {"age": 13}, {}, {"age": (1, {2})}])
def test_a_validation_error_of_pydantic_survives(content: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Person.model_validate(content)
    caught.value.add_note("Before task with name 'n'")
    arrived = sent(caught.value)
    assert alike(arrived, caught.value)
    assert arrived.__notes__ == ["Before task with name 'n'"]
    assert arrived.error_count() == 1
    assert arrived.errors()[0]["loc"] == caught.value.errors()[0]["loc"]


# --- exceptions of applications ----------------------------------------------------------------------------------


class Simple(Exception):
    pass


class Demanding(Exception):
    """Its constructor takes something else than what ends up in args, and counts its calls."""

    calls = 0

    def __init__(self, *, code: int) -> None:
        type(self).calls += 1
        super().__init__(f"code {code}")
        self.code = code


class Formatted(Exception):
    """Its text comes from an attribute."""

    def __init__(self, response: Any) -> None:
        self.response = response
        super().__init__()

    def __str__(self) -> str:
        return f"status {self.response['status']}"


class Slotted(Exception):
    __slots__ = ("detail",)


class Guarded(Exception):
    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("frozen")


class OwnOSError(OSError):
    def __init__(self, name: str) -> None:
        super().__init__(2, "custom", name)


class Both(KeyError, AttributeError):
    pass


class Labelled(Exception):
    def __str__(self) -> str:
        return f"label {self.args[0]}"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Text(str):
    pass


@dataclass
class Coded(Exception):
    code: int
    items: Any = ()


def test_an_exception_is_rebuilt_without_its_constructor() -> None:
    error = Demanding(code=5)
    calls = Demanding.calls
    arrived = sent(error)
    assert alike(arrived, error)
    assert arrived.code == 5
    assert Demanding.calls == calls


@pytest.mark.parametrize(
    "error",
    [
        *(Simple("a", 1), Simple(), Formatted({"status": 500}), OwnOSError("f.txt"), Both("k"), Coded(3, [(1,)])),
        *(Guarded("g"), Simple(Text("subclass of str"))),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_an_application_survives(error: BaseException) -> None:
    arrived = sent(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_slots_survive() -> None:
    error = Slotted("x")
    error.detail = (1, 2)
    assert sent(error).detail == (1, 2)


def test_control_flow_with_interrupts_survives() -> None:
    arrived = sent(errors.GraphBubbleUp((Interrupt({"q": (1,)}, "i1"), Interrupt("b", "i2"))))
    assert arrived.args == ((Interrupt({"q": (1,)}, "i1"), Interrupt("b", "i2")),)


def test_a_class_inside_a_function_survives_if_it_is_allowed() -> None:
    class Local(Exception):
        pass

    arrived = sent(Local("x"))
    assert type(arrived) is RemoteNodeError
    assert type(sent(Local("x"), Codec([Local]))) is Local


# --- what can't travel, or can't be rebuilt ----------------------------------------------------------------------


def test_arguments_that_can_not_travel_become_text_and_the_type_stays() -> None:
    lock = threading.Lock()
    for error in (ValueError(lock), ValueError("busy", lock, [1, lock]), Simple({"l": lock})):
        arrived = sent(error)
        assert type(arrived) is type(error)
        assert str(arrived) == str(error)


def test_arguments_that_can_travel_stay_beside_those_that_can_not() -> None:
    lock = threading.Lock()
    arrived = sent(Labelled("l", lock, [1, (2, lock)], {"n": 1, "lock": lock}))
    assert arrived.args == ("l", repr(lock), [1, [2, repr(lock)]], {"n": 1, "lock": repr(lock)})


def test_attributes_that_can_not_travel_stay_behind() -> None:
    error: Any = Demanding(code=5)
    error.client = threading.Lock()
    error.items = [1]
    arrived = sent(error)
    assert vars(arrived) == {"code": 5, "items": [1]}


def test_arguments_and_attributes_in_cycles_do_no_harm() -> None:
    error: Any = Simple("x")
    items: list[Any] = [1]
    items.append(items)
    error.args = ("x", items, error)
    error.me = error
    arrived = sent(error)
    assert isinstance(arrived, Simple | RemoteNodeError)
    assert "Simple" in repr(arrived)


def test_an_exception_whose_text_depends_on_what_stayed_behind_is_named() -> None:
    class Response(dict[str, Any]):
        pass

    arrived = sent(Formatted(Response(status=500)))
    assert type(arrived) is RemoteNodeError
    assert arrived.kind == f"{__name__}.Formatted"
    assert arrived.message == "status 500"
    assert str(arrived) == f"{__name__}.Formatted: status 500"
    assert "Formatted: status 500" in str(arrived.__cause__)


def test_an_exception_without_a_text_arrives() -> None:
    arrived = sent(Unprintable("x"))
    assert type(arrived) is Unprintable
    assert arrived.args == ("x",)


def test_a_type_that_this_process_does_not_allow_does_not_hide_the_exception() -> None:
    @dataclass
    class Detail:
        x: int

    data = Codec([Detail]).encode([Simple("first"), Simple("second", Detail(1)), 3])
    first, second, last = CODEC.decode(data)
    assert type(first) is Simple
    assert type(second) is RemoteNodeError
    assert "second" in second.message
    assert last == 3


def test_half_a_surrogate_pair_survives() -> None:
    assert str(sent(ValueError("\ud800"))) == "\ud800"


def test_a_very_deep_exception_arrives() -> None:
    deep: Any = Simple("x")
    for _ in range(200):
        deep = Simple("y", (deep,))
    assert isinstance(sent(deep), Simple | RemoteNodeError)


# --- notes, traceback, chains ------------------------------------------------------------------------------------


def test_notes_survive() -> None:
    error: Any = ValueError("x")
    error.add_note("During task with name 'a'")
    error.add_note("second")
    arrived = sent(error)
    assert arrived.__notes__ == ["During task with name 'a'", "second"]
    arrived.add_note("third")
    assert not hasattr(sent(ValueError("x")), "__notes__")
    error.__notes__ = "not a list"
    assert type(sent(error)) is ValueError


def failing_node() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("no such item") from error


def test_the_cause_shows_the_remote_traceback_with_its_chain() -> None:
    with pytest.raises(ValueError, match="no such item") as caught:
        failing_node()
    arrived = CODEC.decode(CODEC.encode(caught.value))
    assert type(arrived.__cause__) is RemoteTraceback
    text = arrived.__cause__.text
    assert "in failing_node" in text
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text
    shown = "".join(traceback.format_exception(arrived))
    assert shown.index("in failing_node") < shown.rindex("ValueError: no such item")


def test_a_second_hop_keeps_the_first_traceback_as_it_was() -> None:
    with pytest.raises(ValueError, match="no such item") as caught:
        failing_node()
    once = CODEC.decode(CODEC.encode(caught.value))
    twice = CODEC.decode(CODEC.encode(once))
    assert twice.__cause__.text == once.__cause__.text
    again = sent(once)  # raised on the way: its own frames come after those of the first process
    assert again.__cause__.text.index("in failing_node") < again.__cause__.text.index("in raised")


# --- looking for the class ---------------------------------------------------------------------------------------


def forged(kind: str, message: str = "m", arguments: Any = ("m",)) -> Any:
    plain: list[Any] = [kind, message, msgpack.packb(list(arguments)), msgpack.packb({}), [], ""]
    return CODEC.decode(msgpack.packb(msgpack.ExtType(34, msgpack.packb(plain))))


@pytest.mark.parametrize(
    "kind",
    [
        *("nowhere:Error", "builtins:NoSuchError", "builtins:eval", "builtins:int", "os:system", "os.path:join"),
        *("", ":", "x", "builtins:", ":ValueError", "builtins:ValueError.x", "builtins:__import__", ".:x", "..a:b"),
        *("fleetgraph.wire.nothing:Error", "os:environ.__class__", f"{__name__}:CODEC"),
    ],
)
def test_what_is_no_exception_class_here_is_named_instead(kind: str) -> None:
    arrived = forged(kind)
    assert type(arrived) is RemoteNodeError
    assert arrived.message == "m"


def test_nothing_of_python_itself_and_no_main_module_is_imported() -> None:
    for module in (
        "asyncio.__main__",
        "json.tool",
        "unittest.__main__",
        "idlelib.idle",
        "antigravity",
        "pytest.__main__",
    ):
        before = set(sys.modules)
        assert type(forged(f"{module}:Error")) is RemoteNodeError
        assert set(sys.modules) == before


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable package, with exceptions in a module that nobody imported."""
    name = f"package_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "problems.py").write_text("class Problem(Exception): pass\n")
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "broken.py").write_text("1 / 0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return name


@pytest.mark.parametrize("module", ["problems", "exits", "broken"])
def test_no_module_is_imported_for_a_name_from_the_wire(package: str, module: str) -> None:
    __import__(package)
    assert type(forged(f"{package}.{module}:Problem")) is RemoteNodeError
    assert f"{package}.{module}" not in sys.modules


def test_a_class_of_a_module_that_is_there_is_found(package: str) -> None:
    importlib.import_module(f"{package}.problems")
    arrived = forged(f"{package}.problems:Problem")
    assert type(arrived).__name__ == "Problem"
    assert arrived.args == ("m",)


def test_no_module_is_asked_for_what_it_does_not_hold(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's own __getattr__ would run, and such are made to import things."""
    module = __import__(package)
    monkeypatch.setattr(module, "__getattr__", importlib.import_module, raising=False)
    assert type(forged(f"{package}:antigravity")) is RemoteNodeError
    assert "antigravity" not in sys.modules


def test_exceptions_of_a_script_meet_across_processes(tmp_path: Path) -> None:
    """A worker imports as `jokes` the script that the coordinator runs as `__main__`."""
    paths = [path for path in sys.path if path.endswith("shared")]
    (tmp_path / "jokes.py").write_text(
        f"import subprocess, sys\nsys.path[:0] = {paths!r}\n"
        "from fleetgraph.wire import Codec\n"
        "class NotFunny(Exception): pass\n"
        "if __name__ == '__main__':\n"
        "    code = 'import jokes; print(jokes.Codec().encode(jokes.NotFunny(1)).hex())'\n"
        "    worker = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)\n"
        "    arrived = Codec().decode(bytes.fromhex(worker.stdout))\n"
        "    print(type(arrived) is NotFunny, arrived)\n"
    )
    done = subprocess.run([sys.executable, "jokes.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "True 1\n"
