"""The house rules of the three source roots, which no type checker or linter knows."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOTS = [REPOSITORY / name for name in ("coordinator", "worker", "shared")]


def portions(root: Path) -> Path:
    return root / "fleetgraph"


def members(root: Path) -> tuple[str, ...]:
    """The modules and packages that a source root holds, by import name."""
    return tuple(f"fleetgraph.{path.stem}" for path in sorted(portions(root).iterdir()) if path.name != "__pycache__")


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"no source below {folder}: has the layout changed?"
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line of each import, wherever in the file, and what it names: `from a import b` names a and a.b.

    Relative ones stay inside their package: ruff's TID252 sees to that.
    """
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def forbidden(folder: Path, names: tuple[str, ...]) -> list[str]:
    """The imports below `folder` of a module in `names`, or of one inside it."""
    return [
        f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        for path in sources(folder)
        for line, name in imports(path)
        if any(name == banned or name.startswith(banned + ".") for banned in names)
    ]


def test_no_portion_claims_the_namespace() -> None:
    """An __init__.py in one portion would hide the two others."""
    assert [root / "fleetgraph/__init__.py" for root in ROOTS if (portions(root) / "__init__.py").exists()] == []


def test_no_path_has_two_owners() -> None:
    """In the wheel the portions are one folder: of two files at one path, one would silently win."""
    owners: defaultdict[Path, list[str]] = defaultdict(list)
    for root in ROOTS:
        for path in portions(root).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                owners[path.relative_to(root)].append(root.name)
    assert {str(path): roots for path, roots in owners.items() if len(roots) > 1} == {}


def test_no_package_is_spread_over_roots() -> None:
    """Of a subpackage in two roots, the root whose __init__.py is found second is not seen from source."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for root in ROOTS:
        for path in portions(root).iterdir():
            if path.is_dir() and path.name != "__pycache__":
                owners[path.name].append(root.name)
    assert {name: roots for name, roots in owners.items() if len(roots) > 1} == {}


def test_every_subpackage_is_a_typed_one() -> None:
    packages = [path for root in ROOTS for path in portions(root).iterdir() if any(path.glob("*.py"))]
    assert len(packages) > 5
    assert [package for package in packages if not (package / "py.typed").exists()] == []
    assert [package for package in packages if not (package / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("folder", "others"),
    [
        ("worker/fleetgraph/worker", ["coordinator"]),
        ("coordinator/fleetgraph/coordinator", ["worker"]),
        ("coordinator/fleetgraph/client", ["worker"]),
        ("shared/fleetgraph", ["coordinator", "worker"]),
    ],
)
def test_who_must_not_import_whom(folder: str, others: list[str]) -> None:
    """The two sides meet in shared/. What people hold (fleet, cli) stands on top of both, and is not named here."""
    names = tuple(name for other in others for name in members(REPOSITORY / other))
    assert names
    assert forbidden(REPOSITORY / folder, names) == []


def test_imports_are_seen_wherever_they_are(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("import a.b\nfrom c import d\ndef f():\n    import e as f\n")
    assert list(imports(source)) == [(1, "a.b"), (2, "c"), (2, "c.d"), (4, "e")]


IMPORT_ALONE = """
import importlib, pkgutil, sys
for name in sys.argv[1].split(","):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2].split(","))))
"""


def loaded_by(packages: str, suspects: str) -> list[str]:
    """Which top-level modules of `suspects` a new process has loaded after it imported all of `packages`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE, packages, suspects],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()


def test_describing_and_running_a_graph_needs_neither_redis_nor_langchain() -> None:
    packages = "fleetgraph.graph,fleetgraph.channels,fleetgraph.pregel"
    assert loaded_by(packages, "redis,rq,langchain_core,langgraph") == []


def test_the_check_above_would_notice() -> None:
    assert loaded_by("fleetgraph.redis_server", "redis,rq") == ["redis"]
