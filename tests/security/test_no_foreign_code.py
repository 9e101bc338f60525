"""No process runs code that came from Redis, or that Redis named: the sources have nothing that could."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layout import REPOSITORY, ROOTS, imports, sources

UNPACKERS = ("pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib", "yaml")
"""Modules that make code run, or could, by reading data."""

RUNNERS = ("runpy", "code", "codeop", "pty", "commands")

MAY_PICKLE = {"shared/fleetgraph/types.py"}
"""Writes a pickle, to hash it; reads none."""

MAY_IMPORT = {
    "shared/fleetgraph/lookup.py",  # what somebody wrote on a command line
    "shared/fleetgraph/wire/allowlist.py",  # one of a fixed list of modules
    "shared/fleetgraph/prebuilt/__init__.py",  # its own modules
}
"""Where a module is imported whose name is no literal."""

BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}

IMPORTERS = {
    "import_module",
    "import_attribute",
    "exec_module",
    "load_module",
    "spec_from_file_location",
    "resolve_name",
}

ATTRIBUTES = {"system", "popen", "execv", "execve", "spawnv", "Unpickler"}
"""Of any object: `os.system` and its kind."""


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}"


def suspects(path: Path, text: str) -> Iterator[str]:
    """What in a source runs code that it was given."""
    relative = str(path.relative_to(REPOSITORY))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and node.id in BUILTINS:
            yield f"{where(path, node)} {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield f"{where(path, node)} {node.attr}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle":
            if node.attr != "dumps" or relative not in MAY_PICKLE:
                yield f"{where(path, node)} pickle.{node.attr}"
        elif isinstance(node, ast.keyword) and node.arg == "shell":
            yield f"{where(path, node)} shell="
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
            if name in IMPORTERS and not literal and relative not in MAY_IMPORT:
                yield f"{where(path, node)} {name}"


def files() -> list[Path]:
    return [path for root in ROOTS for path in sources(root)]


def test_nothing_runs_what_it_is_given() -> None:
    assert [found for path in files() for found in suspects(path, path.read_text())] == []


def test_nothing_reads_what_could_hold_code() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line} {name}"
        for path in files()
        for line, name in imports(path)
        if name.split(".")[0] in (*UNPACKERS, *RUNNERS) and str(path.relative_to(REPOSITORY)) not in MAY_PICKLE
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)",
        "f = exec",
        "import importlib\nimportlib.import_module(name)",
        "from rq.utils import import_attribute\nimport_attribute(name)",
        "import os\nos.system(x)",
        "subprocess.run(x, shell=True)",
        "pickle.loads(x)",
        "pickle.dumps(x)",
        "spec.loader.exec_module(module)",
    ],
)
def test_the_search_finds(text: str) -> None:
    assert [*suspects(REPOSITORY / "shared/fleetgraph/some.py", text)]


def test_the_exceptions_are_still_needed() -> None:
    for name in MAY_IMPORT | MAY_PICKLE:
        text = (REPOSITORY / name).read_text()
        assert [*suspects(REPOSITORY / "shared/fleetgraph/some.py", text)], name
