"""Finding graphs: from a reference a person wrote, from the name a message carries, and back from a graph to its name.

A process only ever runs graphs it was started with; a name that arrives in a message is looked up, never imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from fleetgraph.errors import GraphMismatch, GraphNotFound
from fleetgraph.graph.compiled import CompiledGraph
from fleetgraph.graph.plugins import schemas_within
from fleetgraph.wire.allowlist import collect_types
from fleetgraph.wire.codec import Codec
from fleetgraph.wire.messages import GraphRef
from fleetgraph.wire.names import module_name

_loading = threading.local()


@contextmanager
def _marked_as_loading(reference: str) -> Generator[None]:
    before = being_loaded()
    _loading.reference = reference
    try:
        yield
    finally:
        _loading.reference = before


def being_loaded() -> str | None:
    """The reference whose module this thread is importing just now, if any."""
    return getattr(_loading, "reference", None)


@dataclass(frozen=True, slots=True)
class Located:
    """Where a graph lives."""

    name: str
    """`module:attribute`, as messages have it."""
    reference: str
    """What to start a worker with, on this machine, so that it has the graph."""


def locate(graph: CompiledGraph) -> Located:
    """Find the module-level variable that holds a graph.

    Raises:
        GraphNotFound: There is none.
    """
    first = sys.modules.get(graph.module or "")
    modules: list[Any] = [first, *sys.modules.values()]
    for module in modules:
        if not isinstance(module, ModuleType):  # programs put all sorts of things there
            continue
        for attribute, value in list(vars(module).items()):
            # Asking a lazy proxy for its class may make it load, or fail.
            if issubclass(type(value), CompiledGraph) and value.program is graph.program:
                return Located(f"{module_name(module)}:{attribute}", _reference(module, attribute))
    raise GraphNotFound(
        f"Workers find a graph by its name in a module, and {graph!r} is no module-level variable of any. Assign it "
        "to one where it is compiled (`graph = builder.compile()`, not inside a function), or run it with "
        "Fleet.inline(), which needs no name."
    )


def _reference(module: ModuleType, attribute: str) -> str:
    file = getattr(module, "__file__", None)
    if module.__name__ == "__main__" and getattr(module, "__spec__", None) is None and file:
        return f"{Path(file).absolute()}:{attribute}"
    return f"{module_name(module)}:{attribute}"


def load(reference: str) -> dict[str, CompiledGraph]:
    """Load the graphs that a reference names.

    Args:
        reference: `module:attribute`, `file.py:attribute`, `langgraph.json` or `langgraph.json:name`.

    Returns:
        Graphs by name. A graph from a JSON file is there twice, under its name in the file and its own.

    Raises:
        GraphNotFound: There is no such file, module or attribute, or it holds no compiled graph.
    """
    path, separator, attribute = reference.rpartition(":")
    if reference.endswith(".json"):
        return _load_config(Path(reference), None)
    if not separator or not path or not attribute:
        raise GraphNotFound(
            f"{reference!r} is no graph reference: write module:attribute, file.py:attribute or langgraph.json:name."
        )
    if path.endswith(".json"):
        return _load_config(Path(path), attribute)
    with _marked_as_loading(reference):
        module = _import_file(Path(path), reference) if path.endswith(".py") else _import_module(path, reference)
    value: Any = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, CompiledGraph):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        hint = " Compile it: builder.compile()." if type(value).__name__ == "StateGraph" else ""
        raise GraphNotFound(f"{reference!r}: expected a compiled graph at {attribute!r}, found {found}.{hint}")
    return {f"{module.__name__}:{attribute}": value}


def _load_config(path: Path, name: str | None) -> dict[str, CompiledGraph]:
    try:
        read: Any = json.loads(path.read_text())
    except FileNotFoundError:
        raise GraphNotFound(f"There is no file {path}.") from None
    except ValueError as error:
        raise GraphNotFound(f"{path} is not JSON: {error}") from error
    config: dict[str, Any] = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
    graphs: dict[str, Any] = config.get("graphs", {})
    if name is not None and name not in graphs:
        raise GraphNotFound(f"{path} has no graph {name!r}; it has: {', '.join(graphs) or 'none'}.")
    if not graphs:
        raise GraphNotFound(f'{path} has no graphs: expected {{"graphs": {{"name": "./file.py:attribute"}}}}.')
    for dependency in cast("list[str]", config.get("dependencies", [])):
        folder = str((path.parent / dependency).resolve())
        if dependency.startswith(".") and folder not in sys.path:
            sys.path.insert(0, folder)
    found: dict[str, CompiledGraph] = {}
    for key, entry in graphs.items():
        if name in (None, key):
            reference = cast(str, entry["path"] if isinstance(entry, dict) else entry)
            target = reference.rpartition(":")[0]
            if target.endswith(".py"):
                reference = str((path.parent / target).resolve()) + reference[len(target) :]
            loaded = load(reference)
            found.update(loaded)
            found[key] = next(iter(loaded.values()))
    return found


def _import_module(name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise GraphNotFound(f"{reference!r}: there is no module {error.name!r}.") from error
        raise


def _import_file(path: Path, reference: str) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise GraphNotFound(f"{reference!r}: there is no file {path}.")
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    name = ".".join(parts)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # what running the file would do, so that its own imports work
    if len(parts) > 1:
        return importlib.import_module(name)
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == str(path):
            return known
        raise GraphNotFound(
            f"{reference!r}: another module is already called {name!r} ({getattr(known, '__file__', 'built in')}). "
            "Rename the file."
        )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def types_of(graph: CompiledGraph) -> set[type]:
    """The classes that the schemas of a graph, and of the graphs in its nodes, mention: what may travel between the
    processes that have the graph.
    """
    return collect_types(*schemas_within(graph))


def _last_parts(name: str) -> tuple[str, str]:
    module, _, attribute = name.rpartition(":")
    return module.rpartition(".")[2], attribute


class GraphRegistry:
    """The graphs a process has, by name."""

    def __init__(self) -> None:
        self._graphs: dict[str, CompiledGraph] = {}
        self.codec = Codec()
        """Encodes and decodes the types of all of them."""
        self.changed: list[Callable[[], None]] = []
        """Called whenever there is another graph."""

    def add(self, reference: str) -> None:
        """Load and keep what a reference names.

        Raises:
            GraphNotFound: It names nothing.
        """
        for name, graph in load(reference).items():
            self.add_graph(graph, name)

    def add_graph(self, graph: CompiledGraph, name: str) -> None:
        """Keep a graph that is in memory."""
        self._graphs[name] = graph
        self.codec.allow(*types_of(graph))
        for tell in self.changed:
            tell()

    @property
    def names(self) -> list[str]:
        return list(self._graphs)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of the graphs, by name."""
        return {name: graph.program.fingerprint for name, graph in self._graphs.items()}

    def find(self, ref: GraphRef) -> CompiledGraph:
        """The graph a message is about: of the same name and shape.

        A file is known by another name to whoever imports it from another folder (`pkg.app:graph`, `app:graph`), so
        of the module's name the last part decides, if that leaves no choice.

        Raises:
            GraphMismatch: There is none.
        """
        graph = self._graphs.get(ref.name)
        if graph is not None and graph.program.fingerprint == ref.fingerprint:
            return graph
        twins = {id(g): g for name, g in self._graphs.items() if _last_parts(name) == _last_parts(ref.name)}
        if graph is None and len(twins) == 1:
            (twin,) = twins.values()
            if twin.program.fingerprint == ref.fingerprint:
                return twin
        raise GraphMismatch(
            graph=ref.name,
            wanted=ref.fingerprint,
            found=None if graph is None else graph.program.fingerprint,
            known=[f"{name} ({g.program.fingerprint})" for name, g in self._graphs.items()],
        )
